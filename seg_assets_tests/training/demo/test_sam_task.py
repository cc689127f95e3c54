from dataclasses import replace

import numpy as np
import pytest
import torch

from seg_assets.modeling.sam import build_sam
from seg_assets.training.config import TrainConfig
from seg_assets.training.demo import sam_task
from seg_assets.training.demo.drawn_scenes import DrawnScene
from seg_assets.training.demo.sam_losses import mask_loss
from seg_assets.training.demo.sam_network import SamWithHeads, decode, encode, quick_attention
from seg_assets.training.demo.sam_task import SamScenesParams, SamScenesTask
from seg_assets.training.loop import train
from seg_assets_tests.training.demo.conftest import SMALL_SAM


@pytest.fixture
def task(scenes):
    return SamScenesTask(scenes, scenes[:2], SamScenesParams(prompts=4), SMALL_SAM)


def batch_of(task, count=2):
    return task.collate([task.sample(i, np.random.default_rng(i)) for i in range(count)])


def test_prompts_are_asked_only_after_the_dense_part(task):
    batch = batch_of(task)
    task.progress = 0.0
    early = task(batch, task.counts(batch))
    task.progress = 0.5
    late = task(batch, task.counts(batch))
    assert set(early) == set(late) == {"classes", "boxes", "masks", "scores", "deep"}
    assert early["masks"].item() == 0.0
    assert late["masks"].item() > 0.0
    assert late["classes"].item() == pytest.approx(0.5 * early["classes"].item())


def test_scores_count_more_in_the_last_third_of_the_prompted_part(task):
    batch = batch_of(task)
    scores = []
    for progress in (0.5, 0.95):
        task.progress = progress
        scores.append(task(batch, task.counts(batch))["scores"].item())
    assert scores[1] == pytest.approx(3 * scores[0], rel=1e-4)


def test_two_images_together_equal_the_two_alone(task):
    task.progress = 0.5
    task.eval()
    both = batch_of(task)
    together = task(both, {"images": 2.0})
    alone = []
    for i in range(2):
        one = task.collate([task.sample(i, np.random.default_rng(i))])
        alone.append(task(one, {"images": 2.0}))
    for name, term in together.items():
        assert torch.allclose(term, alone[0][name] + alone[1][name], atol=1e-5)


def test_quick_attention_gives_the_package_s_numbers():
    torch.manual_seed(0)
    sam = SamWithHeads(SMALL_SAM).sam.eval()
    images = torch.rand(1, 3, 64, 64) * 255
    coordinates = torch.rand(3, 2, 2) * 64
    labels = torch.tensor([[1, 1], [1, 1], [2, 3]])
    with torch.no_grad():
        expected = decode(sam, encode(sam, images), coordinates, labels)
        with quick_attention():
            found = decode(sam, encode(sam, images), coordinates, labels)
    for a, b in zip(expected, found, strict=True):
        assert torch.allclose(a, b, atol=1e-4)


def test_prompts_are_embedded_as_the_package_embeds_them():
    torch.manual_seed(0)
    sam = SamWithHeads(SMALL_SAM).sam.eval()
    points = torch.tensor([[[20.0, 30.0]], [[5.0, 50.0]]])
    box = torch.tensor([[4.0, 8.0, 30.0, 40.0]])
    with torch.no_grad():
        embedding = encode(sam, torch.rand(1, 3, 64, 64) * 255)
        for coordinates, kinds, given in (
            (
                points.expand(-1, 2, -1),
                (1, 1),
                {"points": (points, torch.ones(2, 1)), "boxes": None},
            ),
            (box.view(1, 2, 2), (2, 3), {"points": None, "boxes": box}),
        ):
            labels = torch.tensor(kinds).expand(len(coordinates), 2)
            logits, scores, _ = decode(sam, embedding, coordinates, labels)
            sparse, dense = sam.prompt_encoder(masks=None, **given)
            expected, ious = sam.mask_decoder.predict_masks(
                embedding, sam.prompt_encoder.get_dense_pe(), sparse, dense
            )
            assert torch.allclose(logits, expected, atol=1e-5)
            assert torch.allclose(scores, ious, atol=1e-5)


def test_a_balanced_loss_minds_an_empty_mask_of_a_small_object():
    target = torch.zeros(1, 32, 32)
    target[0, :3, :3] = 1
    empty = torch.full((1, 1, 32, 32), -4.0)
    balanced, even = (float(mask_loss(empty, target, b)[0]) for b in (1.0, 0.0))
    assert balanced > 1.5 * even
    losses, iou = mask_loss((target[:, None] * 2 - 1) * 20, target, 0.5)
    assert float(losses) < 0.01
    assert float(iou) == 1.0


def test_the_measures_are_of_three_masks_of_a_point_and_one_of_a_box(monkeypatch):
    """Planted: mask 0 is everything, 1 nothing, 2 the left half; nothing has the best score."""

    def answer(sam, embedding, coordinates, labels):
        logits = torch.full((len(labels), 4, 32, 32), -5.0)
        logits[:, 0] = logits[:, 2, :, :16] = 5.0
        return logits, torch.tensor([[0.9, 0.8, 0.1, 0.1]]).expand(len(labels), 4), None

    monkeypatch.setattr(sam_task, "decode", answer)
    whole = DrawnScene(
        image=np.zeros((64, 64, 3), np.uint8),
        label_map=np.full((64, 64), 119, np.uint8),
        instance_map=np.ones((64, 64), np.uint8),
    )
    measured = SamScenesTask([whole], [whole], config=SMALL_SAM).evaluate()
    assert measured == {"point_iou": 0.5, "point_scored_iou": 0.0, "box_iou": 1.0}


def test_the_first_weights_depend_on_the_seed_alone(scenes):
    torch.manual_seed(1)
    first = SamScenesTask(scenes, [], config=SMALL_SAM).weights()
    torch.manual_seed(2)
    second = SamScenesTask(scenes, [], config=SMALL_SAM).weights()
    assert all(torch.equal(first[name], second[name]) for name in first)
    build_sam(SMALL_SAM).load_state_dict(first)  # no heads among them


def test_it_learns_squares_from_nothing(scenes, tmp_path):
    wider = replace(SMALL_SAM, prompt_dim=64, decoder_heads=4)
    task = SamScenesTask(scenes, scenes, SamScenesParams(prompts=8, dense_share=0.25), wider)
    with torch.no_grad():
        before = task.eval().evaluate()
    config = TrainConfig(
        steps=80,
        batch_size=4,
        lr=4e-3,
        betas=(0.9, 0.98),
        warmup_steps=10,
        schedule="cosine",
        clip_norm=1.0,
        seed=0,
        device="cpu",
    )
    after = train(task, config, tmp_path / "run").metrics
    # measured: 0.18 before and 0.58 after
    assert before["point_iou"] < 0.25
    assert after["point_iou"] > 0.45
