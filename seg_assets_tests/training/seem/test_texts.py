"""Class texts of a training step."""

import torch

from seg_assets.modeling.seem.class_table import build_text_table, prompt_templates
from seg_assets.training.seem.texts import ClassTexts
from seg_assets_tests.training.seem.shapes import TABLE, tiny_seem


def test_a_step_takes_one_sentence_per_class() -> None:
    model = tiny_seem().eval()
    texts = ClassTexts(TABLE.names, context=77)
    with torch.no_grad():
        one, same, other = (texts.step_table(model, key) for key in (5, 5, 6))
        every = [build_text_table(model, TABLE.names, [t]) for t in prompt_templates()]
    assert one.shape == (len(TABLE) + 1, 64)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    rows = torch.stack(every)  # (sentences, classes + 1, 64)
    apart = [(rows[:, i] - row).abs().amax(1) for i, row in enumerate(one)]
    assert max(float(distances.min()) for distances in apart) < 1e-6
    # of each class its own sentence, "no object" included
    assert len({int(distances.argmin()) for distances in apart}) > 2


def test_without_a_key_the_name_alone_is_taken() -> None:
    model = tiny_seem().eval()
    with torch.no_grad():
        table = ClassTexts(TABLE.names, context=77).step_table(model, None)
        plain = build_text_table(model, TABLE.names, ["{}."])
    assert torch.allclose(table, plain, atol=1e-6)


def test_gradients_reach_a_trained_text_encoder() -> None:
    model = tiny_seem()
    texts = ClassTexts(TABLE.names, context=77)
    texts.step_table(model, 1)[:, 0].sum().backward()
    assert model.language.lang_proj.grad is not None
    model.requires_grad_(False)
    assert not texts.step_table(model, 1).requires_grad


def test_evaluation_takes_the_mean_over_all_81_sentences() -> None:
    model = tiny_seem().eval()
    table = ClassTexts(TABLE.names, context=77).mean_table(model)
    assert len(prompt_templates()) == 81
    assert torch.allclose(table, build_text_table(model, TABLE.names), atol=1e-6)
    assert torch.allclose(table.norm(dim=1), torch.ones(len(TABLE) + 1), atol=1e-5)
