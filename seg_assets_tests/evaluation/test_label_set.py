"""One method against one truth, in classes in which they meet."""

import numpy as np
import pytest
from pycocotools import mask as coco

from seg_assets.classes.mapping import ClassMap
from seg_assets.data.ground_truth.image_truth import ImageTruth, TrueObject
from seg_assets.errors import ComparisonError
from seg_assets.evaluation.label_set import LabelSet, LabelSums, TruthInClasses, compare_labels
from seg_assets.evaluation.segments import Segments
from seg_assets.metrics.average_precision import average_precision
from seg_assets.metrics.panoptic import panoptic_scores
from seg_assets_tests.evaluation.test_segments import COARSE, FINE, MERGE

HERE = ClassMap.identity(COARSE)
# an animal left, one right, wall between
SEGMENTS = np.array([[1, 1, 0, 3, 2, 2]] * 2, np.int32)
LABELS = np.array([[0, 0, 255, 1, 0, 0]] * 2, np.uint8)  # of FINE


def counts(mask: np.ndarray) -> bytes:
    return coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"]


def truth() -> TruthInClasses:
    objects = tuple(TrueObject(0, counts(i == SEGMENTS)) for i in (1, 2))
    found = ImageTruth(LABELS, SEGMENTS, {1: 0, 2: 0, 3: 1}, frozenset(), objects)
    return TruthInClasses.of(found, MERGE, "a")


def compared(label_set: LabelSet, *, boundaries: bool = True) -> LabelSums:
    return compare_labels(label_set, truth(), boundaries=boundaries, where="a")


def test_the_truth_itself_is_perfect_in_every_number():
    segments = Segments(SEGMENTS, {1: 0, 2: 0, 3: 1}, scores={1: 0.9, 2: 0.8, 3: 0.7})
    sums = compared(LabelSet(LABELS, MERGE, segments))
    assert sums.confusion.counts[:, :2].tolist() == [[2, 0], [0, 8]]
    assert panoptic_scores(sums.panoptic, [False, True]).all["pq"] == 1
    assert average_precision(sums.instances).summary()["AP"] == pytest.approx(1)
    assert sums.boundary.band_shared.tolist() == sums.boundary.band_true.tolist()


def test_two_animals_that_grew_together_are_one_wrong_object():
    joined = np.where(SEGMENTS == 3, 1, np.where(SEGMENTS == 2, 1, SEGMENTS)).astype(np.int32)
    label_map = np.where(joined == 1, 1, 255).astype(np.uint8)
    label_set = LabelSet(label_map, HERE, Segments(joined, {1: 1}, scores={1: 0.9}))
    sums = compared(label_set)
    assert sums.panoptic.matched.tolist() == [0, 0]
    assert sums.panoptic.missed.tolist() == [1, 2]
    assert average_precision(sums.instances).summary()["AP"] == 0


def test_a_map_without_segments_is_cut_into_patches_and_has_no_average_precision():
    label_map = np.array([[1, 1, 0, 0, 1, 1]] * 2, np.uint8)
    sums = compared(LabelSet(label_map, HERE))
    # the wall's prediction reaches onto a pixel that is not labelled, which does not count
    assert sums.panoptic.matched.tolist() == [1, 2]
    assert sums.panoptic.iou.tolist() == [1, 2]
    assert sums.instances is None


def test_truth_that_knows_only_classes_gives_no_panoptic_quality():
    plain = TruthInClasses.of(ImageTruth(LABELS), MERGE, "a")
    sums = compare_labels(LabelSet(LABELS, MERGE), plain, boundaries=False, where="a")
    assert (sums.panoptic, sums.instances, sums.boundary) == (None, None, None)


def test_another_size_is_said_with_both_sizes():
    with pytest.raises(ComparisonError, match="label map of a is 2x6 but the ground truth is 6x2"):
        compared(LabelSet(LABELS.T, MERGE))
    with pytest.raises(ComparisonError) as caught:
        compared(LabelSet(LABELS.T, MERGE))
    assert caught.value.kind == "other size"


def test_ids_outside_the_table_are_said():
    with pytest.raises(ComparisonError, match="the label map of a") as caught:
        compared(LabelSet(LABELS + np.uint8(7), MERGE))
    assert caught.value.kind == "unknown ids"
    with pytest.raises(ComparisonError, match="the ground truth of a"):
        TruthInClasses.of(ImageTruth(LABELS + np.uint8(7)), MERGE, "a")


def test_objects_of_classes_that_are_no_things_here_are_left_out():
    objects = (TrueObject(0, counts(SEGMENTS == 1)), TrueObject(1, counts(SEGMENTS == 3)))
    found = TruthInClasses.of(ImageTruth(LABELS, objects=objects), MERGE, "a")
    assert [item.class_id for item in found.objects] == [1]


def test_crowds_and_areas_that_the_truth_tells_are_heeded():
    objects = (
        TrueObject(0, counts(SEGMENTS == 1), crowd=True),
        TrueObject(0, counts(SEGMENTS == 2), area=2000.0),  # medium, though its mask is small
    )
    found = ImageTruth(LABELS, SEGMENTS, {1: 0, 2: 0, 3: 1}, frozenset({1}), objects)
    segments = Segments(SEGMENTS, {1: 0, 2: 0, 3: 1}, scores={1: 0.9, 2: 0.8, 3: 0.7})
    crowded = TruthInClasses.of(found, MERGE, "a")
    sums = compare_labels(LabelSet(LABELS, MERGE, segments), crowded, boundaries=False, where="a")
    assert sums.panoptic.matched.tolist() == [1, 1]
    assert sums.panoptic.wrong.tolist() == [0, 0]
    assert sums.panoptic.missed.tolist() == [0, 0]
    assert sums.instances.objects.tolist() == [[0, 0, 0, 0], [1, 0, 1, 0]]
    assert average_precision(sums.instances).summary()["AP"] == pytest.approx(1)


def test_classes_that_are_only_missed_or_only_wrong_survive_storage():
    nothing = compared(LabelSet(np.full_like(LABELS, 255), HERE))
    stored = LabelSums.from_row(nothing.to_row(), COARSE).panoptic
    assert stored.missed.tolist() == nothing.panoptic.missed.tolist() == [1, 2]
    animals = np.full((2, 6), 1, np.uint8)
    walls = TruthInClasses.of(
        ImageTruth(np.full((2, 6), 1, np.uint8), np.ones((2, 6), np.int32), {1: 1}), MERGE, "b"
    )
    sums = compare_labels(LabelSet(animals, HERE), walls, boundaries=False, where="b")
    stored = LabelSums.from_row(sums.to_row(), COARSE).panoptic
    assert stored.wrong.tolist() == [0, 1]
    assert stored.missed.tolist() == [1, 0]


def test_sums_survive_storage_and_add_up():
    segments = Segments(SEGMENTS, {1: 0, 2: 0, 3: 1}, scores={1: 0.9, 2: 0.8, 3: 0.7})
    once = compared(LabelSet(LABELS, MERGE, segments))
    twice = LabelSums.join([once, LabelSums.from_row(once.to_row(), COARSE)])
    assert twice.confusion.counts.tolist() == (2 * once.confusion.counts).tolist()
    assert twice.boundary.band_true.tolist() == (2 * once.boundary.band_true).tolist()
    assert twice.panoptic.matched.tolist() == [2, 4]
    assert len(twice.instances.scores) == 4
    assert twice.instances.objects[:, 0].tolist() == [0, 4]


def test_what_is_missing_in_one_image_does_not_hide_the_others():
    full = compared(LabelSet(LABELS, MERGE))
    plain = TruthInClasses.of(ImageTruth(LABELS), MERGE, "b")
    bare = compare_labels(LabelSet(LABELS, MERGE), plain, boundaries=False, where="b")
    joined = LabelSums.join([bare, full, bare])
    assert joined.panoptic.matched.tolist() == full.panoptic.matched.tolist()
    assert joined.confusion.pixels == 3 * full.confusion.pixels


def test_the_classes_need_not_be_those_of_the_map():
    assert len(FINE) != len(COARSE)
    assert compared(LabelSet(LABELS, MERGE)).confusion.table == COARSE
