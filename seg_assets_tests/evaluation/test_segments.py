"""Segments in other classes, of regions, and of plain label maps."""

import numpy as np

from seg_assets.classes.mapping import ClassMap
from seg_assets.classes.table import ClassTable, SemanticClass
from seg_assets.evaluation.segments import (
    Segments,
    fill_segments,
    named_regions,
    no_segments,
    translate_segments,
    voted_regions,
)
from seg_assets.labels.fusion import RegionLabel
from seg_assets.labels.ssa import MaskVote
from seg_assets.masks.region_map import RegionMap

FINE = ClassTable(
    "fine",
    "",
    (
        SemanticClass(0, "cat", (1, 0, 0), True),
        SemanticClass(1, "brick wall", (2, 0, 0), False),
        SemanticClass(2, "stone wall", (3, 0, 0), False),
        SemanticClass(3, "dust", (4, 0, 0), None),
    ),
)
COARSE = ClassTable(
    "coarse",
    "",
    (SemanticClass(0, "wall", (1, 1, 0), False), SemanticClass(1, "animal", (1, 2, 0), True)),
)
MERGE = ClassMap.from_names(
    FINE, COARSE, {"cat": "animal", "brick wall": "wall", "stone wall": "wall"}
)
IDS = np.array([[1, 1, 2, 3], [4, 5, 9, 0]], np.int32)


def test_stuff_of_one_class_becomes_one_segment_and_things_stay_apart():
    segments = Segments(
        IDS, {1: 0, 2: 0, 3: 1, 4: 2, 5: 2, 9: 3}, scores={1: 0.5, 2: 0.75, 3: 0.5, 4: 1.0}
    )
    found = translate_segments(segments, MERGE)
    assert found.ids.tolist() == [[1, 1, 2, 3], [3, 3, 0, 0]]
    assert found.classes == {1: 1, 2: 1, 3: 0}
    assert found.scores == {1: 0.5, 2: 0.75, 3: 0.75}


def test_a_crowd_stays_a_crowd_of_its_own():
    segments = Segments(IDS, {1: 0, 2: 0, 3: 1, 4: 2, 5: 0, 9: 3}, frozenset({2, 9}))
    found = translate_segments(segments, MERGE)
    assert found.ids.tolist() == [[1, 1, 2, 3], [3, 5, 0, 0]]
    assert found.crowds == {2}


def test_a_crowd_of_stuff_does_not_join_the_rest_of_its_class():
    segments = Segments(IDS, {1: 0, 2: 0, 3: 1, 4: 2, 5: 2, 9: 3}, frozenset({4}))
    found = translate_segments(segments, MERGE)
    assert found.ids.tolist() == [[1, 1, 2, 3], [4, 3, 0, 0]]
    assert found.crowds == {4}


def test_a_label_map_becomes_patches_of_things_and_one_segment_per_stuff():
    label_map = np.array([[1, 1, 0, 1], [0, 0, 0, 255], [1, 0, 0, 0]], np.uint8)
    found = fill_segments(no_segments(3, 4), label_map, COARSE)
    stuff = found.ids[1, 0]
    assert (found.ids == stuff).tolist() == (label_map == 0).tolist()
    assert found.ids[1, 3] == 0
    left, right, below = found.ids[0, 0], found.ids[0, 3], found.ids[2, 0]
    assert found.ids[0, 1] == left
    assert len({stuff, left, right, below, 0}) == 5
    assert found.classes == {stuff: 0, left: 1, right: 1, below: 1}


def test_patches_that_touch_at_a_corner_are_one():
    found = fill_segments(no_segments(2, 2), np.array([[1, 0], [0, 1]], np.uint8), COARSE)
    assert found.ids[0, 0] == found.ids[1, 1]


def test_filling_joins_stuff_to_its_segment_and_leaves_segments_alone():
    segments = Segments(np.array([[7, 7, 0, 0]], np.int32), {7: 0}, scores={7: 0.5})
    found = fill_segments(segments, np.array([[1, 1, 0, 1]], np.uint8), COARSE)
    assert found.ids[0, :3].tolist() == [7, 7, 7]
    assert found.classes == {7: 0, int(found.ids[0, 3]): 1}
    assert found.scores == {7: 0.5}


def label_of(region_id: int, class_id: int, *, fallback: bool) -> RegionLabel:
    return RegionLabel(region_id, region_id - 1, 2, 0, class_id, 0.9, 0.5, 0.25, fallback, ())


def test_named_regions_score_with_the_answer_or_with_the_vote():
    region_map = RegionMap(np.array([[1, 2, 3]], np.int32), np.array([0, 1, 2]))
    labels = [
        label_of(1, 0, fallback=False),
        label_of(2, 1, fallback=True),
        label_of(3, 255, fallback=True),
    ]
    found = named_regions(region_map, labels)
    assert found.classes == {1: 0, 2: 1}
    assert found.scores == {1: 0.9, 2: 0.25}


def test_voted_regions_follow_their_masks_and_leave_out_what_was_not_painted():
    region_map = RegionMap(np.array([[1, 3, 0]], np.int32), np.array([2, 1, 0]))  # 2 is hidden
    votes = [
        MaskVote(0, 1, 0.75, True, ()),
        MaskVote(1, 0, 0.5, True, ()),
        MaskVote(2, 0, 0.25, False, ()),
    ]
    found = voted_regions(region_map, votes)
    assert found.classes == {3: 1}
    assert found.scores == {3: 0.75}
