"""The predictor against the segment-anything package's `SamPredictor` on the same seeded model.

Equal means bit for bit, unless a test states a tolerance. Rows P1 to P6 are those of the project's
table of features for SAM's prompts.
"""

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seg_assets.errors import InputError
from seg_assets.masks.predictor import PromptPredictor, load_prompt_predictor
from seg_assets.masks.prompted_masks import PromptedMasks
from seg_assets.masks.prompts import Prompts
from seg_assets.masks.upscaling.plain import upscale_logits
from seg_assets.modeling.mask_models.sam.model import SegmentAnythingModel
from seg_assets.modeling.sam import DEMO, TINY, build_sam
from seg_assets_tests.masks.conftest import with_plain_arithmetic

# isort: split
from segment_anything import SamPredictor
from segment_anything.modeling import Sam

SIZES = [(96, 160), (160, 96), (128, 128), (50, 80), (300, 410), (33, 17)]


@pytest.fixture(scope="module")
def sam() -> Sam:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(2)
        return with_plain_arithmetic(build_sam(TINY))


@pytest.fixture
def both(sam):
    """Ask our predictor and the package's for the masks of one object."""

    def ask(image: np.ndarray, *, multimask: bool, **prompt: Any):
        predictor = PromptPredictor(sam)
        ours = predictor.predict(
            predictor.embed(image), Prompts.of_object(**prompt), multimask=multimask
        )
        reference = SamPredictor(sam)
        reference.set_image(image)
        arguments = {
            "point_coords": "points",
            "point_labels": "labels",
            "box": "box",
            "mask_input": "mask_logits",
        }
        given = {
            theirs: np.array(prompt[own]) for theirs, own in arguments.items() if own in prompt
        }
        if "mask_input" in given:
            given["mask_input"] = given["mask_input"][None]
        return ours, reference.predict(**given, multimask_output=multimask)

    return ask


def _assert_equal(ours: PromptedMasks, expected: tuple[np.ndarray, ...]) -> None:
    for own, theirs in zip((ours.masks, ours.predicted_ious, ours.logits), expected, strict=True):
        assert own.dtype == theirs.dtype
        np.testing.assert_array_equal(own[0], theirs)


def _places(height: int, width: int) -> dict[str, Any]:
    """Prompts of one object in an image of this size."""
    return {
        "points": [(0.3 * width, 0.4 * height), (0.91 * width, 0.13 * height)],
        "labels": [1, 0],
        "box": (0.21 * width, 0.17 * height, 0.77 * width, 0.93 * height),
    }


@pytest.mark.parametrize("multimask", [True, False], ids=["three", "one"])
@pytest.mark.parametrize(
    "kinds",
    [("points", "labels"), ("box",), ("points", "labels", "box")],
    ids=["points", "box", "points and box"],
)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_numbers_are_those_of_sam_predictor(both, patches, size, kinds, multimask):
    places = _places(*size)
    ours, expected = both(patches(*size), multimask=multimask, **{k: places[k] for k in kinds})
    _assert_equal(ours, expected)


@pytest.mark.parametrize("kinds", [(), ("points", "labels"), ("box",)], ids=["mask", "p", "box"])
def test_a_mask_fed_back_gives_the_numbers_of_sam_predictor(both, patches, kinds):
    image, places = patches(96, 160), _places(96, 160)
    first, _ = both(image, multimask=True, points=[(48, 38)], labels=[1])
    given = {k: places[k] for k in kinds} | {"mask_logits": first.best_logits[0]}
    _assert_equal(*both(image, multimask=False, **given))


def test_a_batch_gives_the_numbers_of_sam_predictor(sam, patches):
    """P4, against `predict_torch`, the package's way to several objects."""
    image, boxes, points, labels = patches(96, 160), *_objects(5, 96, 160)
    predictor, reference = PromptPredictor(sam), SamPredictor(sam)
    ours = predictor.predict(predictor.embed(image), Prompts(points, labels, boxes), multimask=True)
    reference.set_image(image)
    expected = reference.predict_torch(
        torch.tensor(reference.transform.apply_coords(points, (96, 160)), dtype=torch.float),
        torch.tensor(labels, dtype=torch.int),
        torch.tensor(reference.transform.apply_boxes(boxes, (96, 160)), dtype=torch.float),
    )
    for own, theirs in zip((ours.masks, ours.predicted_ious, ours.logits), expected, strict=True):
        np.testing.assert_array_equal(own, theirs.numpy())


def _objects(count: int, height: int, width: int, seed: int = 3):
    """Boxes (N, 4), points (N, 2, 2) and labels (N, 2) of N objects."""
    rng = np.random.default_rng(seed)
    size = [width, height]
    corners = np.sort(rng.uniform(0, 1, (count, 2, 2)), axis=1) * size
    corners[:, 1] = np.minimum(corners[:, 1] + 1, size)
    corners[:, 0] -= 0.5
    points = rng.uniform(0, 1, (count, 2, 2)) * size
    return corners.reshape(-1, 4), points, rng.integers(0, 2, (count, 2))


def test_the_masks_are_not_trivial(sam, patches):
    """Guards the tests above: equality of empty masks would prove nothing."""
    predictor = PromptPredictor(sam)
    embedding = predictor.embed(patches(96, 160))
    _, points, labels = _objects(8, 96, 160)
    found = predictor.predict(embedding, Prompts(points, labels), multimask=True)
    areas = found.masks.sum((2, 3))
    assert ((areas > 50) & (areas < 96 * 160 - 50)).sum() >= 8
    assert np.ptp(found.logits, axis=0).max() > 1e-3  # the objects differ


def test_a_point_gives_three_masks_at_the_image_s_size(sam, patches):
    """P1."""
    predictor = PromptPredictor(sam)
    found = predictor.predict(
        predictor.embed(patches(50, 80)),
        Prompts.of_object(points=[(40, 20)], labels=[1]),
        multimask=True,
    )
    assert (found.masks.shape, found.masks.dtype) == ((1, 3, 50, 80), np.bool_)
    assert (found.predicted_ious.shape, found.predicted_ious.dtype) == ((1, 3), np.float32)
    assert found.logits.shape == (1, 3, 64, 64)  # four per patch: 128 / 8 x 4


def test_a_second_point_and_the_best_mask_give_one_mask(sam, patches):
    """P2: it makes a difference that a mask is fed back, and which."""
    predictor = PromptPredictor(sam)
    embedding = predictor.embed(patches(50, 80))
    first = predictor.predict(
        embedding, Prompts.of_object(points=[(40, 20)], labels=[1]), multimask=True
    )
    two = {"points": [(40, 20), (70, 40)], "labels": [1, 0]}
    fed_back = predictor.predict(
        embedding, Prompts.of_object(**two, mask_logits=first.best_logits[0])
    )
    without = predictor.predict(embedding, Prompts.of_object(**two))
    other = predictor.predict(
        embedding, Prompts.of_object(**two, mask_logits=-first.best_logits[0])
    )
    assert fed_back.masks.shape == (1, 1, 50, 80)
    assert np.abs(fed_back.logits - without.logits).max() > 1
    assert np.abs(fed_back.logits - other.logits).max() > 1


def test_the_best_candidate_is_that_of_the_highest_predicted_iou():
    ious = np.array([[0.1, 0.7, 0.3], [0.9, 0.2, 0.1]], np.float32)
    logits = np.arange(6, dtype=np.float32).reshape(2, 3, 1, 1)
    found = PromptedMasks(logits > 2, ious, logits)
    assert found.best.tolist() == [1, 0]
    assert found.best_logits.tolist() == [[[1.0]], [[3.0]]]


@pytest.mark.parametrize(
    ("prompts", "tokens"),
    [
        (Prompts.of_object(points=[(3, 4)], labels=[1]), 2),
        (Prompts.of_object(points=[(3, 4), (5, 6)], labels=[1, 0]), 3),
        (Prompts.of_object(box=(1, 2, 30, 40)), 2),
        (Prompts.of_object(points=[(3, 4)], labels=[1], box=(1, 2, 30, 40)), 3),
        (Prompts.of_object(mask_logits=np.zeros((64, 64))), 0),
    ],
    ids=["one point", "two points", "box", "point and box", "mask"],
)
def test_only_points_without_a_box_get_a_padding_point(sam, patches, spy, prompts, tokens):
    """P3."""
    predictor = PromptPredictor(sam)
    found = predictor.predict(predictor.embed(patches(50, 80)), prompts)
    (seen,) = spy["decoder"]
    assert seen["sparse_prompt_embeddings"].shape == (1, tokens, 32)
    assert found.masks.shape[:2] == (1, 1)


@pytest.fixture
def spy(sam, monkeypatch) -> dict[str, list[dict[str, Any]]]:
    """What prompt encoder and mask decoder were called with."""
    seen: dict[str, list[dict[str, Any]]] = {"encoder": [], "decoder": []}
    for name, module in (("encoder", sam.prompt_encoder), ("decoder", sam.mask_decoder)):

        def record(*, calls=seen[name], forward=module.forward, **arguments):
            calls.append(arguments)
            return forward(**arguments)

        monkeypatch.setattr(module, "forward", record)
    return seen


@pytest.fixture(scope="module")
def plain_sam() -> Sam:
    """With the package's own start values: the others make rounding errors a thousandfold."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(2)
        return build_sam(replace(TINY, spread_start=False))


@pytest.mark.parametrize("kinds", ["point", "box", "point and box", "mask"])
@pytest.mark.parametrize("objects_per_batch", [64, 2])
def test_a_batch_equals_its_objects_one_by_one(plain_sam, patches, kinds, objects_per_batch):
    """P4, within 1e-5: larger matrices are multiplied in another order."""
    boxes, points, labels = _objects(5, 80, 50)
    prompts = Prompts(
        points=points if "point" in kinds else None,
        labels=labels if "point" in kinds else None,
        boxes=boxes if "box" in kinds else None,
        mask_logits=np.random.default_rng(1).normal(0, 4, (5, 64, 64)) if kinds == "mask" else None,
    )
    predictor = PromptPredictor(plain_sam, objects_per_batch=objects_per_batch)
    embedding = predictor.embed(patches(80, 50))
    together = _assert_as_one_by_one(predictor, embedding, prompts)
    assert np.ptp(together.logits, axis=0).max() > 1e-2  # else mixed up objects would pass


def _assert_as_one_by_one(predictor: PromptPredictor, embedding, prompts: Prompts) -> PromptedMasks:
    together = predictor.predict(embedding, prompts, multimask=True)
    for n in range(len(prompts)):
        single = predictor.predict(embedding, prompts[n : n + 1], multimask=True)
        np.testing.assert_allclose(together.logits[n], single.logits[0], rtol=0, atol=1e-5)
        np.testing.assert_allclose(
            together.predicted_ious[n], single.predicted_ious[0], rtol=0, atol=1e-5
        )
        # Pixels whose logit is all but 0 may fall to either side.
        assert (together.masks[n] != single.masks[0]).sum() <= 3
    return together


@given(st.integers(1, 200), st.integers(1, 200), st.integers(1, 4), st.integers(0, 99))
@settings(max_examples=15)
def test_objects_in_images_of_any_shape(plain_sam, patches, height, width, count, seed):
    boxes, points, labels = _objects(count, height, width, seed)
    predictor = PromptPredictor(plain_sam)
    embedding = predictor.embed(patches(height, width))
    found = _assert_as_one_by_one(predictor, embedding, Prompts(points, labels, boxes))
    assert found.masks.shape == (count, 3, height, width)


def test_the_image_is_encoded_once_for_all_prompts(sam, patches, monkeypatch):
    """P5."""
    calls = []
    forward = sam.image_encoder.forward
    monkeypatch.setattr(sam.image_encoder, "forward", lambda x: calls.append(x.shape) or forward(x))
    predictor = PromptPredictor(sam)
    embedding = predictor.embed(patches(50, 80))
    for x in range(5):
        predictor.predict(embedding, Prompts.of_object(points=[(x, 2)], labels=[1]))
    assert calls == [(1, 3, 128, 128)]


def test_embeddings_of_two_images_do_not_mix(sam, patches):
    predictor = PromptPredictor(sam)
    prompt = Prompts.of_object(box=(5, 5, 30, 40))
    wide, tall = predictor.embed(patches(50, 80)), predictor.embed(patches(80, 50))
    first = predictor.predict(wide, prompt)
    assert predictor.predict(tall, prompt).masks.shape == (1, 1, 80, 50)
    np.testing.assert_array_equal(predictor.predict(wide, prompt).logits, first.logits)


@pytest.mark.parametrize("size", [(50, 80), (80, 50)], ids=str)
def test_coordinates_are_scaled_by_the_longest_side(sam, patches, spy, size):
    """P6: 80 pixels become 128, so all coordinates grow by 1.6."""
    predictor = PromptPredictor(sam)
    embedding = predictor.embed(patches(*size))
    predictor.predict(
        embedding, Prompts.of_object(points=[(25, 40)], labels=[1], box=(10, 20, 45, 50))
    )
    assert embedding.frame.input_size == ((80, 128) if size == (50, 80) else (128, 80))
    (seen,) = spy["encoder"]
    assert seen["points"][0].tolist() == [[[40, 64]]]
    assert seen["boxes"].tolist() == [[16, 32, 72, 80]]


class _EchoDecoder(torch.nn.Module):
    """Marks where the first prompt token is: where its position is most like a pixel's."""

    def __init__(self, label_embedding: torch.Tensor) -> None:
        super().__init__()
        self.num_multimask_outputs = 3
        self.label_embedding = label_embedding.detach()

    def forward(self, *, image_pe, sparse_prompt_embeddings, **_: Any):
        position = sparse_prompt_embeddings[:, 0] - self.label_embedding
        likeness = torch.einsum("nc,chw->nhw", position, image_pe[0])  # 16 where equal
        logits = likeness - likeness.amax((1, 2), keepdim=True) + 1
        logits = logits.repeat_interleave(4, 1).repeat_interleave(4, 2)[:, None]
        return logits, torch.ones(len(logits), 1)


@pytest.mark.parametrize("size", [(50, 80), (80, 50), (400, 150)], ids=str)
@pytest.mark.parametrize("share", [(0.2, 0.7), (0.85, 0.25)], ids=str)
def test_a_point_and_its_mask_lie_at_the_same_place_of_the_image(plain_sam, patches, size, share):
    """P6, from the image's frame to the model's and back."""
    sam = copy.deepcopy(plain_sam)
    sam.mask_decoder = _EchoDecoder(sam.prompt_encoder.point_embeddings[1].weight)
    point = np.array(share) * size[::-1]
    predictor = PromptPredictor(sam)
    found = predictor.predict(
        predictor.embed(patches(*size)), Prompts.of_object(points=[point], labels=[1])
    )
    mask = found.masks[0, 0]
    assert mask.shape == size
    rows, columns = np.nonzero(mask)
    patch = max(size) / 16  # in pixels of the image
    assert len(rows) > 0
    assert abs(columns.mean() - point[0]) < patch
    assert abs(rows.mean() - point[1]) < patch
    assert np.ptp(columns) < 4 * patch


def test_many_objects_are_decoded_in_batches(sam, patches, spy):
    boxes, _, _ = _objects(7, 50, 80)
    predictor = PromptPredictor(sam, objects_per_batch=3)
    predictor.predict(predictor.embed(patches(50, 80)), Prompts(boxes=boxes))
    assert [len(call["boxes"]) for call in spy["encoder"]] == [3, 3, 1]


@pytest.mark.parametrize("size", [(1500, 1600), (60, 80)], ids=str)
def test_few_masks_exist_at_full_resolution_at_a_time(sam, patches, monkeypatch, size):
    at_once = []
    monkeypatch.setattr(
        "seg_assets.masks.predictor.upscale_logits",
        lambda logits, frame: at_once.append(len(logits)) or upscale_logits(logits, frame),
    )
    boxes, _, _ = _objects(4, *size)
    predictor = PromptPredictor(sam)
    found = predictor.predict(predictor.embed(patches(*size)), Prompts(boxes=boxes), multimask=True)
    assert found.masks.shape == (4, 3, *size)
    assert sum(at_once) == 12
    assert max(at_once) == 1 or max(at_once) * size[0] * size[1] <= 2**22


def test_no_objects_give_no_masks(sam, patches):
    predictor = PromptPredictor(sam)
    found = predictor.predict(predictor.embed(patches(50, 80)), Prompts(boxes=np.zeros((0, 4))))
    assert found.masks.shape == (0, 1, 50, 80)
    assert found.predicted_ious.shape == (0, 1)


def test_a_prompt_outside_the_image_is_refused(sam, patches):
    predictor = PromptPredictor(sam)
    embedding = predictor.embed(patches(50, 80))
    with pytest.raises(InputError, match="the point 30,60 lies outside the image, .*80 x 50"):
        predictor.predict(embedding, Prompts.of_object(points=[(30, 60)], labels=[1]))


def test_logits_of_another_model_are_refused(sam, patches):
    predictor = PromptPredictor(sam)
    embedding = predictor.embed(patches(50, 80))
    with pytest.raises(InputError, match="mask logits must be 64 x 64, got 32 x 256"):
        predictor.predict(embedding, Prompts.of_object(mask_logits=np.zeros((32, 256))))


def test_an_array_that_is_no_image_is_refused(sam):
    with pytest.raises(InputError, match=r"must be \(H, W, 3\) uint8 RGB"):
        PromptPredictor(sam).embed(np.zeros((4, 5), np.uint8))


def test_a_batch_of_no_objects_is_refused(sam):
    with pytest.raises(InputError, match="objects_per_batch is 0"):
        PromptPredictor(sam, objects_per_batch=0)


def test_a_predictor_is_loaded_by_its_model_s_name():
    model = load_prompt_predictor("sam_demo").model
    assert isinstance(model, SegmentAnythingModel)
    assert model.sam.image_encoder.img_size == DEMO.image_size
    with pytest.raises(InputError, match="'seem_demo' is no sam model"):
        load_prompt_predictor("seem_demo")
