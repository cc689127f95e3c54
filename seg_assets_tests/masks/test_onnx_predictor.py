"""The predictors on exported graphs against the torch path; row X3 of the table of features.

Logits may differ by 1e-3 (1e-4 is measured); masks must be equal, but for pixels whose logit at the
image's size is that near to the threshold.
"""

import numpy as np
import pytest
import torch
from PIL import Image

from seg_assets.data.scenes import make_scene
from seg_assets.errors import InputError
from seg_assets.masks.onnx_image import prepare_image, resize, to_image
from seg_assets.masks.onnx_predictor import (
    OnnxBoxPredictor,
    OnnxEmbedding,
    OnnxPromptPredictor,
)
from seg_assets.masks.predictor import PromptPredictor, load_prompt_predictor
from seg_assets.masks.prompted_masks import PromptedMasks
from seg_assets.masks.prompts import Prompts
from seg_assets.modeling.mask_models.frame import MaskFrame
from seg_assets.modeling.sam import load_sam
from seg_assets_tests.modeling.onnx_files import NEEDS, demo_files

# isort: split
from segment_anything.modeling import Sam

for package in NEEDS:
    pytest.importorskip(package)

TOLERANCE = 1e-3
# Portrait, landscape, square, odd, larger than the model's input in one direction or both, thin.
SIZES = [(150, 100), (100, 150), (192, 192), (97, 61), (333, 150), (251, 377), (9, 300)]
KINDS = ["point", "points", "box", "points and box", "mask", "points and mask", "all"]


@pytest.fixture(scope="module")
def sam() -> Sam:
    return load_sam("sam_demo").model


@pytest.fixture(scope="module")
def in_torch() -> PromptPredictor:
    return load_prompt_predictor("sam_demo")


@pytest.fixture(scope="module")
def in_onnx() -> OnnxPromptPredictor:
    return OnnxPromptPredictor.from_folder(demo_files().folder, "sam_demo", threads=1)


@pytest.fixture(scope="module")
def of_boxes() -> OnnxBoxPredictor:
    return OnnxBoxPredictor(demo_files().folder / "sam_demo_box.onnx", threads=1)


def _scene(height: int, width: int) -> np.ndarray:
    drawn = make_scene(11, (max(height, 64), max(width, 64)), view="close").image
    return np.ascontiguousarray(drawn[:height, :width])


def _prompts(kind: str, height: int, width: int, count: int = 3) -> Prompts:
    rng = np.random.default_rng(count)
    size = np.array([width, height])
    corners = np.stack([rng.uniform(0, 0.4, (count, 2)), rng.uniform(0.6, 1, (count, 2))], 1) * size
    points = rng.uniform(0, 1, (count, 1 if kind == "point" else 2, 2)) * size
    has_points = kind.startswith("point") or kind == "all"
    return Prompts(
        points=points if has_points else None,
        labels=rng.integers(0, 2, points.shape[:2]) if has_points else None,
        boxes=corners.reshape(-1, 4) if "box" in kind or kind == "all" else None,
        mask_logits=rng.normal(0, 6, (count, 48, 48)) if "mask" in kind or kind == "all" else None,
    )


def _assert_same_masks(found: np.ndarray, expected: np.ndarray, logits: np.ndarray) -> None:
    """`logits` are torch's, at the image's size."""
    assert found.shape == expected.shape
    assert found.dtype == np.bool_
    differ = found != expected
    assert (np.abs(logits[differ]) < TOLERANCE).all()
    assert differ.mean() < 1e-4


def _full_logits(sam: Sam, frame: MaskFrame, low: np.ndarray) -> np.ndarray:
    """Logits (N, M, h, w) at the image's size, by the package's own function."""
    return sam.postprocess_masks(torch.from_numpy(low), frame.input_size, frame.image_size).numpy()


def _assert_same(sam, embedding: OnnxEmbedding, found: PromptedMasks, expected: PromptedMasks):
    np.testing.assert_allclose(found.logits, expected.logits, rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(found.predicted_ious, expected.predicted_ious, rtol=0, atol=1e-5)
    full = _full_logits(sam, embedding.frame, expected.logits)
    _assert_same_masks(found.masks, expected.masks, full)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_masks_are_those_of_torch_in_images_of_any_shape(sam, in_torch, in_onnx, size):
    image = _scene(*size)
    theirs, own = in_torch.embed(image), in_onnx.embed(image)
    np.testing.assert_allclose(own.features, theirs.features.numpy(), rtol=0, atol=1e-5)
    for kind in ("point", "points and box"):
        prompts = _prompts(kind, *size)
        for multimask in (True, False):
            _assert_same(
                sam,
                own,
                in_onnx.predict(own, prompts, multimask=multimask),
                in_torch.predict(theirs, prompts, multimask=multimask),
            )


@pytest.mark.parametrize("multimask", [True, False], ids=["three", "one"])
@pytest.mark.parametrize("kind", KINDS)
def test_masks_are_those_of_torch_for_any_prompt(sam, in_torch, in_onnx, kind, multimask):
    image, prompts = _scene(100, 150), _prompts(kind, 100, 150)
    own = in_onnx.embed(image)
    found = in_onnx.predict(own, prompts, multimask=multimask)
    expected = in_torch.predict(in_torch.embed(image), prompts, multimask=multimask)
    assert found.masks.shape == (3, 3 if multimask else 1, 100, 150)
    _assert_same(sam, own, found, expected)


def test_a_mask_can_be_fed_back(sam, in_torch, in_onnx):
    image, results = _scene(100, 150), []
    for predictor in (in_torch, in_onnx):
        embedding = predictor.embed(image)
        first = predictor.predict(
            embedding, Prompts.of_object(points=[(75, 59)], labels=[1]), multimask=True
        )
        again = Prompts.of_object(
            points=[(75, 59), (112, 80)], labels=[1, 0], mask_logits=first.best_logits[0]
        )
        results.append(predictor.predict(embedding, again))
    expected, found = results
    _assert_same(sam, embedding, found, expected)
    assert 100 < found.masks.sum() < 10_000  # a trained model sees the sheep


def test_batches_are_put_together_again(in_onnx):
    folder = demo_files().folder
    in_twos = OnnxPromptPredictor(
        folder / "sam_demo_encoder.onnx",
        folder / "sam_demo_decoder.onnx",
        objects_per_batch=2,
        threads=1,
    )
    embedding, prompts = in_onnx.embed(_scene(70, 90)), _prompts("all", 70, 90, count=5)
    together = in_onnx.predict(embedding, prompts, multimask=True)
    apart = in_twos.predict(embedding, prompts, multimask=True)
    np.testing.assert_allclose(apart.logits, together.logits, rtol=0, atol=TOLERANCE)
    assert np.ptp(together.logits, axis=0).max() > 1  # else mixed up objects would pass
    none = in_onnx.predict(embedding, prompts[0:0])
    assert none.masks.shape == (0, 1, 70, 90)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_box_graph_gives_the_masks_of_torch(sam, in_torch, of_boxes, size):
    """Its logits are already at the square's size."""
    image, prompts = _scene(*size), _prompts("box", *size)
    expected = in_torch.predict(in_torch.embed(image), prompts)
    found = of_boxes.predict(image, prompts.boxes)
    _, frame = prepare_image(image, of_boxes.graph.metadata, (192, 192))
    full = _full_logits(sam, frame, expected.logits)
    _assert_same_masks(found.masks, expected.masks[:, 0], full[:, 0])
    np.testing.assert_allclose(
        found.predicted_ious, expected.predicted_ious[:, 0], rtol=0, atol=1e-5
    )
    one = of_boxes.predict(image, [prompts.boxes[0].tolist()])
    assert one.masks.shape == (1, *size)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_pixels_are_prepared_as_in_torch(sam, in_onnx, size):
    image = _scene(*size)
    pixels, frame = prepare_image(image, in_onnx.encoder.metadata, (48, 48))
    rows, columns = frame.input_size
    assert (pixels.shape, pixels.dtype) == ((1, 3, 192, 192), np.float32)
    assert max(rows, columns) == 192
    assert frame.image_size == size
    assert not pixels[:, :, rows:].any()
    assert not pixels[:, :, :, columns:].any()
    scaled = Image.fromarray(image).resize((columns, rows), Image.Resampling.BILINEAR)
    expected = sam.preprocess(torch.from_numpy(np.array(scaled)).permute(2, 0, 1)[None])
    np.testing.assert_allclose(pixels, expected.numpy(), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("source", "target"),
    [((48, 48), (192, 192)), ((7, 5), (300, 2)), ((192, 100), (31, 17)), ((1, 1), (4, 3))],
    ids=str,
)
def test_resizing_is_that_of_torch(source, target):
    """Within 1e-5 for values up to 40."""
    values = np.random.default_rng(0).normal(0, 10, source).astype(np.float32)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(values)[None, None], target, mode="bilinear", align_corners=False
    )[0, 0].numpy()
    found = resize(values, target)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    part = (max(target[0] // 2, 1), max(target[1] // 3, 1))
    np.testing.assert_array_equal(resize(values, target, part), found[: part[0], : part[1]])


def test_large_images_keep_their_precision(sam, in_onnx):
    """Where float32 positions are coarsest, far from the top left."""
    size = (31, 2900)
    _, frame = prepare_image(np.zeros((*size, 3), np.uint8), in_onnx.encoder.metadata, (48, 48))
    logits = np.random.default_rng(0).normal(0, 10, (1, 48, 48)).astype(np.float32)
    expected = _full_logits(sam, frame, logits[None])[0, 0]
    np.testing.assert_allclose(to_image(logits[0], frame), expected, rtol=0, atol=1e-4)


def test_wrong_arguments_are_one_sentence(in_onnx, of_boxes):
    image = _scene(100, 150)
    embedding = in_onnx.embed(image)
    with pytest.raises(InputError, match="must be .* uint8 RGB"):
        in_onnx.embed(image.astype(np.float32))
    with pytest.raises(InputError, match="lies outside the image"):
        in_onnx.predict(embedding, Prompts.of_object(points=[(151, 2)], labels=[1]))
    with pytest.raises(InputError, match="mask logits must be 48 x 48, got 64 x 64"):
        in_onnx.predict(embedding, Prompts.of_object(mask_logits=np.zeros((64, 64))))
    with pytest.raises(InputError, match="sticks out of the image"):
        of_boxes.predict(image, [(10, 10, 160, 50)])
    with pytest.raises(InputError, match="is empty or its corners are swapped"):
        of_boxes.predict(image, [(10, 10, 5, 50)])


def test_graphs_of_different_weights_are_refused(in_onnx, tmp_path):
    onnx = pytest.importorskip("onnx")
    folder = demo_files().folder
    decoder = onnx.load(folder / "sam_demo_decoder.onnx")
    for property_ in decoder.metadata_props:
        if property_.key == "checkpoint_sha256":
            property_.value = "0" * 64
    onnx.save(decoder, tmp_path / "other_decoder.onnx")
    with pytest.raises(InputError, match="were exported from different weights"):
        OnnxPromptPredictor(folder / "sam_demo_encoder.onnx", tmp_path / "other_decoder.onnx")
    with pytest.raises(InputError, match="objects_per_batch is 0"):
        OnnxPromptPredictor(
            folder / "sam_demo_encoder.onnx", folder / "sam_demo_decoder.onnx", objects_per_batch=0
        )
