from typing import Any

import pytest
import torch

from seg_assets.training.sam import refine as refine_module
from seg_assets.training.sam.batch import ImageObjects
from seg_assets.training.sam.decode import PromptTensors
from seg_assets.training.sam.losses import enlarge
from seg_assets.training.sam.params import LossParams
from seg_assets.training.sam.prompts import next_points
from seg_assets.training.sam.refine import answer, first_prompts, refine

POINT, MASK_ONLY = False, True


def _objects(*plan: bool, box: bool = False, count: int = 2) -> ImageObjects:
    masks = torch.zeros(count, 64, 64, dtype=torch.bool)
    for index in range(count):
        masks[index, 8 + 8 * index : 40, 8:32] = True
    generator = torch.Generator().manual_seed(0)
    return ImageObjects(
        input_size=(64, 48),
        masks=masks,
        boxes=torch.tensor([[8.0, 8.0 + 8 * index, 32.0, 40.0] for index in range(count)]),
        starts_with_box=box,
        mask_only=plan,
        draws=torch.rand(count, len(plan), dtype=torch.float64, generator=generator),
    )


@pytest.fixture
def sam(small_sam):
    model = small_sam().model
    model.mask_decoder.requires_grad_(True)
    return model


@pytest.fixture
def features() -> torch.Tensor:
    return torch.randn(1, 32, 4, 4, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def calls(monkeypatch) -> list[dict[str, Any]]:
    """What the decoder is asked and answers, in order."""
    seen: list[dict[str, Any]] = []
    real = refine_module.decode

    def record(sam, features, prompts, *, multimask):
        logits, scores = real(sam, features, prompts, multimask=multimask)
        seen.append(
            {"prompts": prompts, "multimask": multimask, "logits": logits, "scores": scores}
        )
        return logits, scores

    monkeypatch.setattr(refine_module, "decode", record)
    return seen


def test_f9_three_masks_at_first_and_one_later(sam, features, calls):
    refine(sam, features, _objects(POINT, POINT, MASK_ONLY), LossParams())
    assert [call["multimask"] for call in calls] == [True, False, False]
    assert [call["logits"].shape[1] for call in calls] == [3, 1, 1]


def test_a_box_leaves_no_doubt(sam, features, calls):
    refine(sam, features, _objects(POINT, POINT, box=True), LossParams())
    assert [call["multimask"] for call in calls] == [False, False]
    assert calls[0]["prompts"].points is None
    assert calls[1]["prompts"].boxes is not None
    assert calls[1]["prompts"].points.shape == (2, 1, 2)


@pytest.mark.parametrize("rule", ["lowest_loss", "best_predicted_iou"])
def test_f10_the_chosen_masks_logits_are_fed_back(sam, features, calls, rule: str):
    loss = LossParams.model_validate({"mask_choice": rule})
    objects = _objects(POINT, POINT, POINT)
    refine(sam, features, objects, loss)
    chosen = answer(sam, features, calls[0]["prompts"], objects.masks, loss, True).logits
    fed_back = calls[1]["prompts"].masks
    assert fed_back.shape == (2, 16, 16)
    assert not fed_back.requires_grad
    assert torch.equal(fed_back, chosen)
    assert fed_back.unique().numel() > 100  # no threshold was applied
    if rule == "best_predicted_iou":
        best = calls[0]["scores"].argmax(1)
        assert torch.equal(fed_back, calls[0]["logits"].detach()[torch.arange(2), best])
    assert torch.equal(calls[2]["prompts"].masks, calls[1]["logits"].detach()[:, 0])
    assert calls[0]["prompts"].masks is None


def test_f10_the_mask_fed_back_changes_the_second_answer(sam, features, calls):
    """The same click with the mask, with its opposite and without any: three answers."""
    objects = _objects(POINT, MASK_ONLY)
    refine(sam, features, objects, LossParams())
    second = calls[1]["prompts"]
    answers = [calls[1]["logits"][:, 0]]
    for masks in (-second.masks, None):
        prompts = PromptTensors(second.points, second.labels, masks=masks)
        found = answer(sam, features, prompts, objects.masks, LossParams(), multimask=False)
        answers.append(found.logits)
    for index, one in enumerate(answers):
        for other in answers[:index]:
            assert (one - other).abs().max() > 1e-4  # masks and logits are of about 0.1


def test_points_add_up(sam, features, calls):
    refine(sam, features, _objects(POINT, POINT, MASK_ONLY, POINT), LossParams())
    shapes = [tuple(call["prompts"].points.shape) for call in calls]
    assert shapes == [(2, 1, 2), (2, 2, 2), (2, 2, 2), (2, 3, 2)]
    first, last = calls[0]["prompts"], calls[-1]["prompts"]
    assert torch.equal(last.points[:, :1], first.points)
    assert first.labels.tolist() == [[1], [1]]


def test_only_the_newest_point_is_seen_if_asked_for(sam, features, calls):
    plan = (POINT, POINT, MASK_ONLY, POINT)
    refine(sam, features, _objects(*plan, box=True), LossParams(), accumulate=False)
    prompts = [call["prompts"] for call in calls]
    assert prompts[0].boxes is not None
    assert all(each.boxes is None for each in prompts[1:])
    assert [tuple(each.points.shape) for each in prompts[1:]] == [(2, 1, 2)] * 3
    assert prompts[2].labels.tolist() == [[-1], [-1]]
    assert prompts[2].points.tolist() == [[[0, 0]], [[0, 0]]]
    assert all(each.masks is not None for each in prompts[1:])


def test_f7_the_next_point_lies_in_the_error_but_never_in_the_padding(sam, features, monkeypatch):
    """The network says "everywhere": only pixels beside the object, inside the image, are wrong."""
    seen: list[PromptTensors] = []

    def everywhere(sam, features, prompts, *, multimask):
        seen.append(prompts)
        masks = 3 if multimask else 1
        return torch.full((50, masks, 16, 16), 0.5), torch.zeros(50, masks)

    monkeypatch.setattr(refine_module, "decode", everywhere)
    objects = _objects(POINT, POINT, count=1)
    many = ImageObjects(
        input_size=(64, 48),
        masks=objects.masks.expand(50, 64, 64),
        boxes=objects.boxes.expand(50, 4),
        starts_with_box=False,
        mask_only=(False, False),
        draws=torch.rand(50, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(3)),
    )
    refine(sam, features, many, LossParams())
    assert seen[1].labels is not None
    assert seen[1].points is not None
    assert seen[1].labels[:, 1].tolist() == [0] * 50
    columns, rows = seen[1].points[:, 1].long().unbind(1)
    assert columns.max() < 48
    assert not objects.masks[0, rows, columns].any()


def test_f7_each_iteration_has_draws_of_its_own(sam, features, calls):
    objects = _objects(POINT, POINT, POINT)
    refine(sam, features, objects, LossParams())
    for iteration in (1, 2):
        predicted = enlarge(calls[iteration]["prompts"].masks[:, None], 64)[:, 0] > 0
        predicted[:, :, 48:] = False  # the padding
        points, labels = next_points(objects.masks, predicted, objects.draws[:, iteration])
        assert torch.equal(calls[iteration]["prompts"].points[:, iteration], points)
        assert torch.equal(calls[iteration]["prompts"].labels[:, iteration], labels)


def _gradients(sam) -> dict[str, torch.Tensor]:
    gradients = {
        name: parameter.grad.clone()
        for name, parameter in sam.named_parameters()
        if parameter.grad is not None
    }
    sam.zero_grad()
    return gradients


def test_f11_the_gradient_is_the_mean_over_the_iterations(sam, features, calls):
    """Against a backward pass for each iteration alone, on the prompts that it had."""
    objects = _objects(POINT, POINT, MASK_ONLY)
    refine(sam, features, objects, LossParams()).sum().backward()
    together = _gradients(sam)
    prompts = [(call["prompts"], call["multimask"]) for call in calls]
    for own, multimask in prompts:
        alone = answer(sam, features, own, objects.masks, LossParams(), multimask)
        (alone.terms.sum() / 3).backward()
    manual = _gradients(sam)
    assert manual.keys() == together.keys()
    largest = max(gradient.abs().max() for gradient in manual.values())
    assert largest > 1e-3
    for name, gradient in together.items():
        assert torch.allclose(gradient, manual[name], rtol=1e-4, atol=1e-6 * largest), name


def test_decoding_anew_gives_the_same_gradients(sam, features):
    objects = _objects(POINT, POINT, POINT)
    kept = refine(sam, features, objects, LossParams())
    kept.sum().backward()
    expected = _gradients(sam)
    anew = refine(sam, features, objects, LossParams(), recompute=True)
    anew.sum().backward()
    assert torch.equal(kept, anew)
    for name, gradient in _gradients(sam).items():
        assert torch.equal(gradient, expected[name]), name


def test_chunks_add_up_to_the_whole(sam, features):
    objects = _objects(POINT, POINT, count=5)
    whole = refine(sam, features, objects, LossParams())
    parts = list(objects.chunks(2))
    assert [len(part.masks) for part in parts] == [2, 2, 1]
    summed = torch.stack([refine(sam, features, part, LossParams()) for part in parts]).sum(0)
    assert torch.allclose(whole, summed, rtol=1e-5)


def test_the_first_prompt_is_the_box_or_a_point_on_the_object():
    objects = _objects(POINT, box=True)
    assert first_prompts(objects).boxes is objects.boxes
    prompts = first_prompts(_objects(POINT))
    assert prompts.boxes is None
    assert prompts.points is not None
    for mask, point in zip(objects.masks, prompts.points[:, 0].long().tolist(), strict=True):
        assert mask[point[1], point[0]]
