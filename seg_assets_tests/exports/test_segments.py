import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from seg_assets.exports.segments import cut_image, segment_bounds
from seg_assets.exports.things import categories_of
from seg_assets_tests.exports.literal import TABLE, image_of, rows_of

MAPS = arrays(
    np.int32, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 3)
)
CATEGORIES = categories_of(TABLE)


@given(MAPS)
def test_bounds_paint_the_map_again(ids: np.ndarray) -> None:
    painted = np.full(ids.size, -1)
    for value, bounds in segment_bounds(ids):
        for start, end in bounds.reshape(-1, 2).tolist():
            assert (painted[start:end] == -1).all()
            painted[start:end] = value
    np.testing.assert_array_equal(painted.reshape(ids.shape), ids)


def cut_table(label_map: np.ndarray, owners: np.ndarray | None) -> list[tuple]:
    """Category name, crowd, mask id and pixels of each segment."""
    cut = cut_image(image_of(label_map, owners), CATEGORIES)
    return sorted(
        (
            CATEGORIES.by_id(segment.category_id).name,
            segment.is_crowd,
            cut.mask_ids.get(segment.id, -1),
            np.flatnonzero(cut.segmented.ids == segment.id).tolist(),
        )
        for segment in cut.segmented.segments
    )


def test_things_are_cut_by_mask_and_stuff_by_class() -> None:
    labels = rows_of("0011", "0.11", none=255)
    owners = rows_of("1123", "..23")
    assert cut_table(labels, owners) == [
        ("car", False, 1, [2, 6]),
        ("car", False, 2, [3, 7]),
        ("sky", False, -1, [0, 1, 4]),
    ]


def test_thing_pixels_in_no_mask_are_a_crowd() -> None:
    labels = rows_of("1122")
    owners = rows_of("1...")
    assert cut_table(labels, owners) == [
        ("car", False, 0, [0]),
        ("car", True, -1, [1]),
        ("dog", True, -1, [2, 3]),
    ]


def test_without_masks_each_connected_part_is_an_object() -> None:
    part = np.ones((4, 4))
    labels = np.hstack([part, part * 0, part, part * 2]).astype(int)
    found = cut_table(labels, None)
    assert [(name, crowd, len(pixels)) for name, crowd, _, pixels in found] == [
        ("car", False, 16),
        ("car", False, 16),
        ("dog", False, 16),
        ("sky", False, 16),
    ]
