import numpy as np
import pytest

from seg_assets.masks.crops import Crop, plan_crops, point_grids
from seg_assets.masks.params import MaskParams

# isort: split
from segment_anything.utils.amg import build_all_layer_point_grids, generate_crop_boxes


@pytest.mark.parametrize("size", [(480, 640), (2250, 1500), (97, 31), (8, 8)])
@pytest.mark.parametrize("layers", [0, 1, 2])
@pytest.mark.parametrize("overlap", [0.0, 512 / 1500, 0.34])
def test_crops_equal_the_segment_anything_package(size, layers, overlap):
    boxes, layer_of_box = generate_crop_boxes(size, layers, overlap)
    crops = plan_crops(*size, layers, overlap)
    assert [[c.x0, c.y0, c.x1, c.y1] for c in crops] == boxes
    assert [c.layer for c in crops] == layer_of_box
    assert len(crops) == {0: 1, 1: 5, 2: 21}[layers]


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (5, 5)])
def test_images_smaller_than_the_crops_have_fewer_of_them(size):
    crops = plan_crops(*size, 3, 0.34)
    assert all(c.area > 0 and c.x1 <= size[1] and c.y1 <= size[0] for c in crops)
    for layer in range(4):
        covered = np.zeros(size, bool)
        for c in crops:
            if c.layer == layer:
                covered[c.y0 : c.y1, c.x0 : c.x1] = True
        assert covered.all()


@pytest.mark.parametrize(
    ("side", "layers", "factor"), [(32, 0, 1), (32, 2, 2), (7, 2, 2), (5, 1, 3)]
)
def test_point_grids_equal_the_segment_anything_package(side: int, layers: int, factor: int):
    params = MaskParams(
        points_per_side=side, crop_n_layers=layers, crop_n_points_downscale_factor=factor
    )
    expected = build_all_layer_point_grids(side, layers, factor)
    for ours, theirs in zip(point_grids(params), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("corners", "cut"),
    [
        ((150, 150, 200, 200), False),
        ((120, 150, 200, 200), True),  # 20 pixels from the inner left edge
        ((121, 150, 200, 200), False),
        ((150, 20, 200, 200), False),  # near the top, which is the image's own edge
        ((150, 150, 200, 279), False),
        ((150, 150, 200, 280), True),
    ],
)
def test_masks_at_an_inner_edge_of_a_crop_are_cut(corners, cut):
    crop = Crop(1, 100, 0, 400, 300)
    assert crop.cuts(corners, height=600, width=400) is cut


def test_the_whole_image_cuts_nothing():
    assert not Crop(0, 0, 0, 400, 300).cuts((0, 0, 399, 299), height=300, width=400)
