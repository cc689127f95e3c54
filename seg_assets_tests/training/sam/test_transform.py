import numpy as np
import pytest
import torch

from seg_assets.modeling.mask_models.sam.model import SegmentAnythingModel
from seg_assets.training.sam.normalisation import normalise
from seg_assets.training.sam.transform import SquareFit


@pytest.mark.parametrize(
    ("size", "expected"), [((50, 80), (40, 64)), ((80, 50), (64, 40)), ((1, 200), (1, 64))]
)
def test_the_longest_side_becomes_the_squares(size: tuple[int, int], expected: tuple[int, int]):
    fit = SquareFit(size, 64)
    assert fit.input_size == expected
    image = fit.image(np.full((*size, 3), 255, np.uint8))
    assert image.shape == (64, 64, 3)
    inside = image[: expected[0], : expected[1]]
    assert inside.min() == 255
    assert image.sum(dtype=np.int64) == inside.sum(dtype=np.int64)


def test_boxes_and_masks_move_with_the_image():
    """A rectangle at a tenth of the scale keeps its place in all three."""
    rows, columns = 100, 160
    image = np.zeros((rows, columns, 3), np.uint8)
    image[40:80, 20:120] = 255
    mask = image[None, :, :, 0] > 0
    fit = SquareFit((rows, columns), 16)
    scaled = fit.masks(mask)
    assert scaled.shape == (1, 16, 16)
    rows_hit, columns_hit = np.nonzero(scaled[0])
    edges = [columns_hit.min(), rows_hit.min(), columns_hit.max() + 1, rows_hit.max() + 1]
    assert edges == [2, 4, 12, 8]
    boxes = fit.boxes(np.array([[20, 40, 120, 80]]))
    assert boxes.dtype == np.float32
    assert boxes.tolist() == [[2, 4, 12, 8]]
    assert ((fit.image(image)[..., 0] >= 128) == scaled[0]).all()


def test_no_objects_are_no_problem():
    fit = SquareFit((10, 20), 16)
    assert fit.masks(np.zeros((0, 10, 20), bool)).shape == (0, 16, 16)
    assert fit.boxes(np.zeros((0, 4), np.float32)).shape == (0, 4)


@pytest.mark.parametrize("size", [(50, 80), (80, 50)])
def test_training_sees_the_pixels_that_inference_sees(small_sam, size: tuple[int, int]):
    """Same scaled, normalised, padded pixels as the mask generator's: same embedding."""
    sam = small_sam().model
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    fit = SquareFit(size, 64)
    images = torch.from_numpy(fit.image(image)).permute(2, 0, 1)[None]
    with torch.inference_mode():
        ours = sam.image_encoder(normalise(sam, images, [fit.input_size]))
    (embedding,) = SegmentAnythingModel(sam).embed([image])
    assert embedding.frame.input_size == fit.input_size
    assert torch.allclose(ours, embedding.features, atol=1e-6)
