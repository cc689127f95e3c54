import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from seg_assets.errors import InputError
from seg_assets.masks.records import MaskRecord
from seg_assets.masks.region_map import paint_regions
from seg_assets.masks.rle import Rle


def _record(mask: np.ndarray, area: int | None = None) -> MaskRecord:
    rle = Rle.encode(mask)
    return MaskRecord(
        rle=rle,
        bbox=(0, 0, 0, 0),
        area=rle.area if area is None else area,
        predicted_iou=0.9,
        stability_score=0.9,
        point_coords=((0.0, 0.0),),
        crop_box=(0, 0, mask.shape[1], mask.shape[0]),
    )


def _rows(*rows: str) -> np.ndarray:
    return np.array([[character == "#" for character in row] for row in rows])


def _pairwise(masks: list[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """The rule as upstream writes it: every mask loses what it shares with each smaller one."""
    order = sorted(range(len(masks)), key=lambda i: masks[i].sum())
    disjoint = [masks[i].copy() for i in order]
    for i in reversed(range(len(order))):
        for smaller in order[:i]:
            disjoint[i] ^= disjoint[i] & masks[smaller]
    ids = np.zeros(shape, np.int32)
    for rank, mask in enumerate(disjoint):
        ids[mask] = rank + 1
    return ids


@pytest.mark.parametrize("image", [0, 1, 2])
def test_region_maps_equal_upstream(shared_dir: Path, image: int):
    """Exact; from upstream's own function on synthetic records (golden/pipeline)."""
    golden = shared_dir / "golden" / "pipeline"
    scene = json.loads((golden / f"samseem_{image}_masks.json").read_text())
    records = [
        MaskRecord(
            rle=Rle.from_coco(annotation["segmentation"]),
            bbox=tuple(annotation["bbox"]),
            area=annotation["area"],
            predicted_iou=annotation["predicted_iou"],
            stability_score=annotation["stability_score"],
            point_coords=tuple(map(tuple, annotation["point_coords"])),
            crop_box=(0, 0, scene["width"], scene["height"]),
        )
        for annotation in scene["annotations"]
    ]
    painted = paint_regions(records, scene["height"], scene["width"])
    expected = np.load(golden / f"samseem_{image}.npz")["region_map"]
    np.testing.assert_array_equal(painted.ids, expected)
    regions, pixels = painted.visible()
    assert len(regions) < len(records)  # one record of each image is covered completely
    np.testing.assert_array_equal(regions, np.unique(expected[expected > 0]))
    np.testing.assert_array_equal(pixels, [(expected == region).sum() for region in regions])


@given(
    st.tuples(st.integers(1, 12), st.integers(1, 12)).flatmap(
        lambda shape: st.tuples(
            st.just(shape), st.lists(hnp.arrays(np.bool_, shape), min_size=0, max_size=7)
        )
    )
)
def test_painting_equals_the_pairwise_rule(case: tuple[tuple[int, int], list[np.ndarray]]):
    shape, masks = case
    painted = paint_regions([_record(mask) for mask in masks], *shape)
    assert painted.ids.dtype == np.int32
    assert painted.ids.flags.c_contiguous
    np.testing.assert_array_equal(painted.ids, _pairwise(masks, shape))
    areas = [masks[i].sum() for i in painted.mask_ids]
    assert areas == sorted(areas)


def test_the_smallest_mask_wins_and_ids_lead_back_to_records():
    large, small = _rows("####", "####"), _rows("....", ".##.")
    painted = paint_regions([_record(large), _record(small)], 2, 4)
    assert painted.ids.tolist() == [[2, 2, 2, 2], [2, 1, 1, 2]]
    assert painted.mask_ids.tolist() == [1, 0]


def test_of_equal_areas_the_earlier_record_wins():
    left, right = _rows("##."), _rows(".##")
    assert paint_regions([_record(left), _record(right)], 1, 3).ids.tolist() == [[1, 1, 2]]
    assert paint_regions([_record(right), _record(left)], 1, 3).ids.tolist() == [[2, 1, 1]]


def test_the_area_of_the_record_decides():
    few, many = _rows("#.."), _rows("###")
    painted = paint_regions([_record(few, area=9), _record(many)], 1, 3)
    assert painted.ids.tolist() == [[1, 1, 1]]


def test_a_covered_mask_has_a_number_and_no_pixels():
    masks = [_rows("##.."), _rows("..##"), _rows("####"), _rows(".##.")]
    painted = paint_regions([_record(mask) for mask in masks], 1, 4)
    regions, pixels = painted.visible()
    assert painted.ids.tolist() == [[1, 1, 2, 2]]
    assert len(painted.mask_ids) == 4
    assert regions.tolist() == [1, 2]
    assert pixels.tolist() == [2, 2]


def test_more_masks_than_a_byte_can_count():
    """Of 300 masks, each holds the ones before it and one pixel more."""
    masks = [np.arange(301)[None] <= i for i in range(300)]
    painted = paint_regions([_record(mask) for mask in masks], 1, 301)
    assert painted.ids.tolist() == [[*range(1, 301), 0]]
    assert painted.ids.dtype == np.int32


@pytest.mark.parametrize("size", [(1, 200), (200, 1), (63, 65), (64, 64), (130, 190)])
def test_large_maps_equal_the_pairwise_rule(size: tuple[int, int]):
    random = np.random.default_rng(0)
    y, x = np.mgrid[: size[0], : size[1]]
    masks = [x < size[1] // 2, y > size[0] // 3, random.random(size) > 0.5, np.ones(size, bool)]
    masks += [np.hypot(y - size[0] / 2, x - size[1] / 2) < r for r in (20, 50, 55)]
    painted = paint_regions([_record(mask) for mask in masks], *size)
    np.testing.assert_array_equal(painted.ids, _pairwise(masks, size))


def test_no_masks_make_a_map_of_zeros():
    painted = paint_regions([], 3, 5)
    assert painted.ids.tolist() == np.zeros((3, 5), int).tolist()
    assert painted.ids.dtype == np.int32
    assert painted.mask_ids.shape == (0,)
    assert painted.visible()[0].tolist() == []


def test_an_empty_mask_is_harmless():
    painted = paint_regions([_record(_rows("...")), _record(_rows(".#."))], 1, 3)
    assert painted.ids.tolist() == [[0, 2, 0]]


def test_a_mask_of_another_size_is_refused():
    with pytest.raises(InputError, match="mask 1 is 1 x 3 pixels, its image 1 x 4"):
        paint_regions([_record(_rows("####")), _record(_rows("###"))], 1, 4)
