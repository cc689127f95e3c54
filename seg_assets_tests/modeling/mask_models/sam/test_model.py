"""SAM behind the protocol of mask models, against the segment-anything package's predictor."""

import copy
from collections.abc import Iterable

import numpy as np
import pytest
import torch
from torch import Tensor

from seg_assets.masks.upscaling.plain import upscale_logits
from seg_assets.modeling.mask_models.frame import MaskFrame
from seg_assets.modeling.mask_models.plain_points import decode_points_plainly
from seg_assets.modeling.mask_models.protocol import ImageEmbedding, PointMasks
from seg_assets.modeling.mask_models.sam.model import SegmentAnythingModel
from seg_assets.modeling.sam import DEMO, TINY, build_sam

# isort: split
from segment_anything import SamPredictor
from segment_anything.modeling import MaskDecoder, Sam

SIZES = [(96, 160), (160, 96), (128, 128), (33, 17), (300, 410), (1, 7)]


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _sam(config=TINY, seed: int = 5) -> Sam:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return build_sam(config)


@pytest.fixture(scope="module")
def sam() -> Sam:
    return _sam()


@pytest.fixture(scope="module")
def model(sam: Sam) -> SegmentAnythingModel:
    return SegmentAnythingModel(sam)


def _image(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def _set_up(sam: Sam, image: np.ndarray, embedding: ImageEmbedding) -> SamPredictor:
    """The package's predictor with our embedding, so that only what follows is compared."""
    predictor = SamPredictor(sam)
    predictor.set_image(image)
    assert predictor.features.shape == embedding.features.shape
    predictor.features = embedding.features
    return predictor


def test_what_the_generator_asks_for_is_the_models(sam, model):
    assert (model.mask_threshold, model.candidates, model.logits_size) == (0.0, 3, (64, 64))
    assert model.device == sam.device == torch.device("cpu")
    demo = SegmentAnythingModel(_sam(DEMO))
    assert demo.logits_size == (48, 48)


@pytest.mark.parametrize("config", [TINY, DEMO], ids=["tiny", "demo"])
def test_images_embedded_in_one_batch_are_those_embedded_one_by_one(config):
    """Bit for bit, on a CPU."""
    model = SegmentAnythingModel(_sam(config))
    images = [_image(*size, seed) for seed, size in enumerate(SIZES)]
    together = model.embed(images)
    assert len(together) == len(images)
    for image, embedding in zip(images, together, strict=True):
        (alone,) = model.embed([image])
        assert embedding.frame == alone.frame
        assert torch.equal(embedding.features, alone.features)
    assert not torch.equal(together[0].features, together[1].features)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_an_embedding_is_that_of_the_segment_anything_package(sam, model, size):
    """To 1e-5 of its spread: sums run in another order."""
    image = _image(*size)
    (embedding,) = model.embed([image])
    predictor = SamPredictor(sam)
    predictor.set_image(image)
    assert embedding.frame == MaskFrame(
        image_size=predictor.original_size,
        input_size=tuple(predictor.input_size),
        square=128,
        logits_size=(64, 64),
    )
    expected = predictor.features
    torch.testing.assert_close(
        embedding.features, expected, rtol=0, atol=1e-5 * float(expected.std())
    )


def test_a_crop_of_an_image_is_embedded_like_a_copy_of_it(model):
    image = _image(120, 150)
    crop = image[20:100, 30:110]
    assert not crop.flags.c_contiguous
    (view,), (own,) = model.embed([crop]), model.embed([crop.copy()])
    assert view.frame == own.frame
    assert torch.equal(view.features, own.features)


def _prompts() -> dict[str, dict[str, Tensor]]:
    random = torch.Generator().manual_seed(1)
    points = torch.rand((4, 2, 2), generator=random) * 96
    labels = torch.tensor([[1, 0], [1, 1], [0, 1], [1, 0]], dtype=torch.int)
    boxes = torch.cat([points[:, 0] / 2, points[:, 1] / 2 + 48], 1)
    earlier = torch.randn((4, 64, 64), generator=random) * 3
    return {
        "one point": {"points": points[:, :1], "labels": labels[:, :1]},
        "points": {"points": points, "labels": labels},
        "boxes": {"boxes": boxes},
        "points and boxes": {"points": points, "labels": labels, "boxes": boxes},
        "points and masks": {"points": points, "labels": labels, "mask_logits": earlier},
        "masks": {"mask_logits": earlier},
        "all": {"points": points, "labels": labels, "boxes": boxes, "mask_logits": earlier},
    }


@pytest.mark.parametrize("multimask", [True, False])
@pytest.mark.parametrize("name", _prompts())
def test_prompts_are_decoded_as_in_the_segment_anything_package(sam, model, name, multimask):
    """Bit for bit, given the same embedding.

    At the image's size to 1e-6 of the spread: torch rounds three channels otherwise than one.
    """
    image, prompts = _image(96, 160), _prompts()[name]
    (embedding,) = model.embed([image])
    predictor = _set_up(sam, image, embedding)
    logits, ious = model.decode(embedding, **prompts, multimask=multimask)
    mask_input = prompts.get("mask_logits")
    masks, expected_ious, expected = predictor.predict_torch(
        prompts.get("points"),
        prompts.get("labels"),
        prompts.get("boxes"),
        None if mask_input is None else mask_input[:, None],
        multimask_output=multimask,
        return_logits=True,
    )
    assert logits.shape == (4, 3 if multimask else 1, 64, 64)
    assert logits.dtype == ious.dtype == torch.float32
    assert torch.equal(logits, expected)
    assert torch.equal(ious, expected_ious)
    upscaled = upscale_logits(logits.flatten(0, 1), embedding.frame).view_as(masks)
    torch.testing.assert_close(upscaled, masks, rtol=1e-6, atol=1e-6 * float(masks.std()))


def _grid(model: SegmentAnythingModel, embedding: ImageEmbedding, side: int = 6) -> Tensor:
    rows, columns = embedding.frame.input_size
    y, x = torch.meshgrid(
        torch.linspace(0, rows, side), torch.linspace(0, columns, side), indexing="ij"
    )
    return torch.stack([x, y], -1).reshape(-1, 2)


def _all(ious: Tensor) -> Tensor:
    return torch.ones_like(ious, dtype=torch.bool)


def _join(batches: Iterable[PointMasks]) -> PointMasks:
    batches = list(batches)
    assert all(len(batch.logits) for batch in batches)
    return PointMasks(
        torch.cat([batch.logits for batch in batches]),
        torch.cat([batch.predicted_ious for batch in batches]),
        torch.cat([batch.points for batch in batches]),
    )


def _check_near(fast: PointMasks, plain: PointMasks, spread: float | None = None) -> None:
    """Within 1e-4 of the logits' spread and 1e-5 of an IoU: sums run in another order.

    The fast way may leave out rows and columns that only the padding needs.
    """
    assert torch.equal(fast.points, plain.points)
    rows, columns = fast.logits.shape[1:]
    expected = plain.logits[:, :rows, :columns]
    spread = float(expected.std()) if spread is None else spread
    torch.testing.assert_close(fast.logits, expected, rtol=0, atol=1e-4 * spread)
    torch.testing.assert_close(fast.predicted_ious, plain.predicted_ious, rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", [(96, 160), (160, 96), (128, 128), (33, 17)], ids=str)
@pytest.mark.parametrize("points_per_batch", [None, 1, 5, 64])
def test_points_are_decoded_the_same_in_the_fast_and_in_the_plain_way(
    model, size, points_per_batch
):
    (embedding,) = model.embed([_image(*size)])
    points = _grid(model, embedding)
    fast = _join(model.decode_points(embedding, points, _all, points_per_batch))
    plain = _join(decode_points_plainly(model, embedding, points, _all, points_per_batch))
    assert fast.points.tolist() == [point for point in range(36) for _ in range(3)]
    _check_near(fast, plain)


def test_the_fast_way_shows_all_that_the_image_depends_on(model):
    """What it leaves out, no pixel of the image shows."""
    (embedding,) = model.embed([_image(96, 160)])
    points = _grid(model, embedding, 3)
    fast = _join(model.decode_points(embedding, points, _all))
    plain = _join(decode_points_plainly(model, embedding, points, _all))
    assert fast.logits.shape[1] < 64
    own, expected = (upscale_logits(p.logits, embedding.frame) for p in (fast, plain))
    torch.testing.assert_close(own, expected, rtol=0, atol=1e-4 * float(expected.std()))


class _Planted:
    """Wants the same masks in both ways: those whose score is one of some that were seen before.

    Scores of both ways differ by less than 1e-5, and those seen lie farther apart.
    """

    def __init__(self, scores: Tensor) -> None:
        self.scores, self.asked = scores, 0

    def __call__(self, ious: Tensor) -> Tensor:
        self.asked += len(ious)
        return ((ious[..., None] - self.scores).abs() < 1e-5).any(-1)


@pytest.mark.parametrize("wanted", [[(0, 0)], [(35, 2)], [(3, 0), (3, 2), (17, 1), (30, 0)], []])
def test_only_wanted_masks_come_each_with_its_own_point(model, wanted):
    (embedding,) = model.embed([_image(96, 160)])
    points = _grid(model, embedding)
    plain = _join(decode_points_plainly(model, embedding, points, _all))
    scores = plain.predicted_ious.view(36, 3)
    chosen = torch.tensor([scores[place] for place in wanted])
    gaps = (scores.flatten()[:, None] - chosen).abs().sort(0).values
    assert len(wanted) == 0 or float(gaps[1].min()) > 4e-5  # no other score is as near
    for way in (model.decode_points, lambda *a: decode_points_plainly(model, *a)):
        keep = _Planted(chosen)
        batches = list(way(embedding, points, keep, 5))
        assert keep.asked == 36
        if not wanted:
            assert batches == []
            continue
        found = _join(batches)
        assert found.points.tolist() == [point for point, _ in wanted]
        places = [3 * point + candidate for point, candidate in wanted]
        _check_near(
            found,
            PointMasks(plain.logits[places], plain.predicted_ious[places], plain.points[places]),
            float(plain.logits.std()),
        )


def test_no_points_are_no_masks(model):
    (embedding,) = model.embed([_image(96, 160)])
    assert list(model.decode_points(embedding, torch.zeros(0, 2), _all)) == []
    assert list(decode_points_plainly(model, embedding, torch.zeros(0, 2), _all)) == []


class _OtherDecoder(MaskDecoder):
    """Computes something else, as an adapter might."""

    def forward(self, **arguments):
        logits, ious = super().forward(**arguments)
        return logits + 1000, ious / 2


def test_a_decoder_that_is_not_the_packages_own_is_called_as_it_is(sam, model):
    other = copy.deepcopy(sam)
    other.mask_decoder.__class__ = _OtherDecoder
    other = SegmentAnythingModel(other)
    (embedding,) = model.embed([_image(96, 160)])
    points = _grid(model, embedding, 3)
    found = _join(other.decode_points(embedding, points, _all))
    plain = _join(decode_points_plainly(model, embedding, points, _all))
    assert torch.equal(found.logits, plain.logits + 1000)
    assert torch.equal(found.predicted_ious, plain.predicted_ious / 2)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_changes_a_little_and_no_weight(precision):
    """What it changes is a few per cent of the spread, on random weights."""
    sam = _sam()
    before = {key: value.clone() for key, value in sam.state_dict().items()}
    exact, half = SegmentAnythingModel(sam), SegmentAnythingModel(sam, precision)
    image = _image(96, 160)
    (embedding,), (rounded,) = exact.embed([image]), half.embed([image])
    assert rounded.features.dtype == torch.float32
    error = (rounded.features - embedding.features).norm() / embedding.features.norm()
    assert 1e-5 < error < 0.03
    points = _grid(exact, embedding, 4)
    found = _join(half.decode_points(embedding, points, _all))
    expected = _join(exact.decode_points(embedding, points, _all))
    assert found.logits.dtype == found.predicted_ious.dtype == torch.float32
    error = (found.logits - expected.logits).norm() / expected.logits.norm()
    assert 1e-5 < error < 0.05
    assert all(torch.equal(value, before[key]) for key, value in sam.state_dict().items())


def test_results_ask_for_no_gradients(model):
    (embedding,) = model.embed([_image(40, 50)])
    logits, ious = model.decode(embedding, **_prompts()["one point"], multimask=True)
    found = _join(model.decode_points(embedding, _grid(model, embedding, 2), _all))
    for tensor in (embedding.features, logits, ious, found.logits, found.predicted_ious):
        assert not tensor.requires_grad
