import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as coco_mask

from seg_assets.classes.table import ClassTable, SemanticClass
from seg_assets.data.ground_truth.segment_masks import encode_segments
from seg_assets.data.ground_truth.segments import truth_of_numbers

STREET = ClassTable(
    "street",
    "A stuff class, a thing, and one of which nothing is said",
    (
        SemanticClass(0, "road", (1, 1, 1), is_thing=False),
        SemanticClass(1, "car", (2, 2, 2), is_thing=True),
        SemanticClass(2, "sign", (3, 3, 3)),
    ),
)


@given(hnp.arrays(np.int32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9),
                  elements=st.sampled_from([0, 1, 5, 70000])))  # fmt: skip
def test_masks_are_those_of_pycocotools(segment_ids: np.ndarray) -> None:
    present = np.unique(segment_ids).tolist()
    expected = {
        value: coco_mask.encode(np.asfortranarray(segment_ids == value, np.uint8))["counts"]
        for value in present
    }
    assert encode_segments(segment_ids, present) == expected


def test_numbers_cut_things_apart_and_what_has_none_is_a_crowd() -> None:
    label_map = np.array([[0, 0, 1, 1], [1, 2, 2, 255]], np.uint8)
    numbers = np.array([[0, 9, 1, 2], [0, 3, 0, 4]], np.int32)
    found = truth_of_numbers(label_map, numbers, STREET)
    np.testing.assert_array_equal(found.segment_ids, [[1, 1, 3, 4], [2, 6, 5, 0]])
    assert found.segment_classes == {1: 0, 2: 1, 3: 1, 4: 1, 5: 2, 6: 2}
    assert found.crowds == {2}
    assert found.objects is not None
    assert [(item.class_id, item.crowd) for item in found.objects] == [
        (1, True),
        (1, False),
        (1, False),
        (2, False),
    ]
