import numpy as np
import pytest
import torch

from seg_assets.training.sam import evaluation
from seg_assets.training.sam.batch import PromptPlan, SamSample
from seg_assets.training.sam.box import SamBoxTask
from seg_assets.training.sam.evaluation import (
    HeldOutImage,
    ObjectIous,
    evaluate_images,
)
from seg_assets.training.sam.params import BoxParams, NoiseParams
from seg_assets.training.sam.transform import SquareFit
from seg_assets_tests.training.sam.conftest import Discs


def _image(masks: np.ndarray, *, box: bool = True) -> HeldOutImage:
    fit = SquareFit((masks.shape[1], masks.shape[2]), 64)
    plan = PromptPlan(box, np.zeros(1, bool), np.zeros((len(masks), 1)))
    sample = SamSample(
        image=np.zeros((64, 64, 3), np.uint8),
        input_size=fit.input_size,
        masks=fit.masks(masks),
        boxes=np.zeros((len(masks), 4), np.float32),
        plan=plan,
    )
    return HeldOutImage(sample, masks)


def test_e1_every_object_counts_the_same(small_sam, monkeypatch):
    """The network answers "the left half of the square".

    The first image is as wide as the square, the second is tall, so that its right half is padding:
    in the padded square the mask ends where the image does, and all of it is covered.
    """
    left = torch.full((1, 1, 16, 16), 8.0)
    left[..., 8:] = -8.0

    def answer(sam, features, prompts, *, multimask):
        count = len(prompts.boxes)
        return left.expand(count, 1, 16, 16), torch.zeros(count, 1)

    monkeypatch.setattr(evaluation, "decode", answer)
    wide = np.zeros((3, 64, 64), bool)
    wide[0, :, :32] = True  # exactly the left half: 1
    wide[1] = True  # the whole: 1/2
    wide[2, :, 48:] = True  # the last quarter: 0
    tall = np.zeros((1, 128, 64), bool)
    tall[0, :64] = True  # the upper half of what the mask covers: 1/2
    images = [_image(wide), _image(np.zeros((0, 8, 8), bool)), _image(tall)]
    sums = evaluate_images(small_sam().model, lambda sample: torch.zeros(1, 32, 4, 4), images, 2)
    assert sums.objects == 4
    assert sums.padded == pytest.approx(1 + 0.5 + 0 + 0.5, abs=1e-6)
    assert sums.original == pytest.approx(2.0, abs=0.02)  # an edge enlarged twice
    assert sums.means()["miou"] == pytest.approx(0.5, abs=1e-6)


def test_e1_the_padding_counts_in_the_square_only(small_sam, monkeypatch):
    """A mask that covers the whole square, on a tall image that fills half of it."""

    def everywhere(sam, features, prompts, *, multimask):
        count = len(prompts.boxes)
        return torch.full((count, 1, 16, 16), 5.0), torch.zeros(count, 1)

    monkeypatch.setattr(evaluation, "decode", everywhere)
    images = [_image(np.ones((1, 100, 50), bool))]
    sums = evaluate_images(small_sam().model, lambda sample: torch.zeros(1, 32, 4, 4), images, 2)
    assert sums.padded == pytest.approx(0.5, abs=1e-6)
    assert sums.original == pytest.approx(1.0, abs=1e-6)


def test_e1_of_three_masks_the_best_scored_one_counts(small_sam, monkeypatch):
    """Of the candidates left half, everything and nothing, the second has the highest score."""

    def answer(sam, features, prompts, *, multimask):
        assert multimask
        logits = torch.full((1, 3, 16, 16), -5.0)
        logits[:, 0, :, :8] = logits[:, 1] = 5.0
        return logits, torch.tensor([[0.1, 0.9, 0.2]])

    monkeypatch.setattr(evaluation, "decode", answer)
    image = _image(np.ones((1, 64, 64), bool), box=False)
    sums = evaluate_images(small_sam().model, lambda sample: torch.zeros(1, 32, 4, 4), [image], 2)
    assert sums.means() == {"miou": 1.0, "miou_original": 1.0, "objects": 1.0}


def test_no_objects_give_zero_not_an_error():
    assert ObjectIous().means() == {"miou": 0.0, "miou_original": 0.0, "objects": 0.0}


def test_e1_all_objects_or_the_first_n(small_sam):
    data = Discs(2, (3, 1))
    every = SamBoxTask(small_sam(), Discs(1), data, BoxParams())
    boxes: list[list[float]] = []
    first = SamBoxTask(small_sam(), Discs(1), data, BoxParams(eval_objects=2))
    first.sam.prompt_encoder.register_forward_pre_hook(
        lambda module, args, kwargs: boxes.extend(kwargs["boxes"].tolist()), with_kwargs=True
    )
    assert every.evaluate()["objects"] == 4
    assert first.evaluate()["objects"] == 3
    assert boxes == [*data[0].boxes[:2].tolist(), *data[1].boxes.tolist()]
    none = SamBoxTask(small_sam(), Discs(1), None, BoxParams())
    assert none.evaluate() == {}


def test_e1_the_boxes_noise_is_the_same_each_time(small_sam):
    params = BoxParams(noise=NoiseParams(kind="outward"))
    task = SamBoxTask(small_sam(), Discs(1), Discs(3), params)
    first = task.evaluate()
    assert task.evaluate() == first
    other = SamBoxTask(small_sam(), Discs(1), Discs(3), params.model_copy(update={"eval_seed": 1}))
    assert other.evaluate()["miou"] != first["miou"]
