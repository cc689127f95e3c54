"""Samples from label maps, scenes, id maps and panoptic annotations."""

import numpy as np
import pytest

from seg_assets.classes.table import load_class_table
from seg_assets.data.panoptic.categories import Category, CategoryTable
from seg_assets.data.panoptic.grounding_json import Referral
from seg_assets.data.panoptic.reader import PanopticSample
from seg_assets.data.panoptic.segments import Segment, SegmentedImage
from seg_assets.data.scenes import make_scene
from seg_assets.errors import InputError, UnknownClassError
from seg_assets.training.seem.samples import (
    SegmentationSample,
    sample_of_entities,
    sample_of_label_map,
    sample_of_panoptic,
    sample_of_scene,
)
from seg_assets_tests.training.seem.shapes import TABLE

IMAGE = np.zeros((2, 3, 3), np.uint8)


def test_each_class_of_a_label_map_is_a_segment() -> None:
    labels = np.array([[2, 2, 255], [0, 2, 0]], np.uint8)
    sample = sample_of_label_map(IMAGE, labels, TABLE)
    assert sample.class_ids.tolist() == [0, 2]
    assert sample.masks.astype(int).tolist() == [
        [[0, 0, 0], [1, 0, 1]],
        [[1, 1, 0], [0, 1, 0]],
    ]
    assert np.array_equal(sample.label_map, labels)
    assert sample.sentences == ()


def test_ids_outside_the_table_are_refused() -> None:
    with pytest.raises(UnknownClassError, match="4"):
        sample_of_label_map(IMAGE, np.full((2, 3), 4, np.uint8), TABLE)


def test_stuff_of_one_class_is_one_segment_and_things_are_not() -> None:
    ids = np.array([[1, 2, 3], [4, 9, 3]], np.int32)
    # 1 and 2 are balls, 3 and 4 sky; 9 is not listed
    classes = np.array([0, 0, 2, 2])
    sample = sample_of_entities(IMAGE, ids, np.array([1, 2, 3, 4]), classes, TABLE)
    assert sample.class_ids.tolist() == [0, 0, 2]
    assert sample.masks[2].astype(int).tolist() == [[0, 0, 1], [1, 0, 1]]
    assert sample.label_map.tolist() == [[0, 0, 2], [2, 255, 2]]


def test_segments_of_a_scene_are_disjoint_and_paint_its_label_map() -> None:
    table = load_class_table("coco133")
    scene = make_scene(1_000_003, 96)
    sample = sample_of_scene(scene, table)
    assert sample.masks.sum(0).max() == 1
    assert np.array_equal(sample.label_map, scene.label_map)
    stuff = [i for i in sample.class_ids.tolist() if not table.classes[i].is_thing]
    assert len(stuff) == len(set(stuff))


def test_panoptic_annotations_give_segments_without_crowds_and_sentences() -> None:
    categories = CategoryTable(
        (Category(7, "dog", (9, 9, 9), is_thing=True), Category(3, "sky", (1, 2, 3), False))
    )
    ids = np.zeros((4, 4), np.int32)
    ids[:2], ids[2, :2], ids[3] = 5, 6, 8
    segments = (
        Segment(5, 3, 8, (0, 0, 4, 2)),
        Segment(6, 7, 2, (0, 2, 2, 1)),
        Segment(8, 7, 4, (0, 3, 4, 1), is_crowd=True),
    )
    square = (0.0, 0.0, 2.0, 0.0, 2.0, 2.0, 0.0, 2.0)
    referrals = (
        Referral((square,), ("the dog", "a dog"), segment_id=6),
        Referral((square,), ("the left of the sky",)),
    )
    image = np.zeros((4, 4, 3), np.uint8)
    source = PanopticSample(1, "a", image, SegmentedImage(ids, segments), referrals)
    sample = sample_of_panoptic(source, categories)
    assert sample.class_ids.tolist() == [1, 0]
    assert np.array_equal(sample.masks, [ids == 5, ids == 6])
    assert np.array_equal(sample.referred[0], ids == 6)
    assert sample.referred[1].sum() == 4
    assert sample.sentences == (("the dog", "a dog"), ("the left of the sky",))
    assert sample.label_map[3].tolist() == [0] * 4  # evaluation knows crowds


def test_an_annotation_without_segments_and_sentences_is_a_sample() -> None:
    categories = CategoryTable((Category(7, "dog", (9, 9, 9), is_thing=True),))
    nothing = SegmentedImage(np.zeros((2, 3), np.int32), ())
    sample = sample_of_panoptic(PanopticSample(1, "a", IMAGE, nothing, ()), categories)
    assert sample.masks.shape == sample.referred.shape == (0, 2, 3)


def test_small_segments_are_left_out() -> None:
    masks = np.zeros((2, 5, 5), bool)
    masks[0, :2] = True  # 10 pixels
    masks[1].ravel()[:9] = True
    image, labels = np.zeros((5, 5, 3), np.uint8), np.zeros((5, 5), np.uint8)
    sample = SegmentationSample(image, masks, np.array([3, 2]), labels, masks, (("a",), ("b",)))
    kept = sample.without_small()
    assert kept.class_ids.tolist() == [3]
    assert kept.sentences == (("a",),)
    assert len(kept.referred) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image": np.zeros((2, 3), np.uint8)}, "uint8 RGB"),
        ({"masks": np.zeros((1, 2, 3), np.uint8)}, "bool"),
        ({"referred": np.zeros((1, 3, 3), bool)}, "bool"),
        ({"label_map": np.zeros((3, 3), np.uint8)}, "image's size"),
        ({"class_ids": np.zeros(2, np.int64)}, "class per mask"),
        ({"sentences": (("a",),)}, "sentences per part"),
    ],
)
def test_parts_that_do_not_fit_are_refused(changes: dict[str, object], message: str) -> None:
    fitting: dict[str, object] = {
        "image": IMAGE,
        "masks": np.zeros((1, 2, 3), bool),
        "class_ids": np.zeros(1, np.int64),
        "label_map": np.zeros((2, 3), np.uint8),
        "referred": np.zeros((0, 2, 3), bool),
        "sentences": (),
    }
    with pytest.raises(InputError, match=message):
        SegmentationSample(**(fitting | changes))  # type: ignore[arg-type]
