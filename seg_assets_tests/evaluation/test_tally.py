"""Adding up: order does not matter, the worst are kept, nothing that is missing is lost."""

import json
import random
from dataclasses import replace

import numpy as np
import pytest

from seg_assets.classes.mapping import ClassMap
from seg_assets.data.ground_truth.image_truth import ImageTruth
from seg_assets.evaluation.label_set import LabelSet, LabelSums, TruthInClasses, compare_labels
from seg_assets.evaluation.mask_set import MaskSums, find_objects, recall_of, score_regions
from seg_assets.evaluation.page import class_rows, mask_rows, render_page, total_rows
from seg_assets.evaluation.report import report_of
from seg_assets.evaluation.tally import (
    JOINED_AT_ONCE,
    NO_LABELS,
    NO_PREDICTION,
    NO_TRUTH,
    WORST,
    Tally,
)
from seg_assets.masks.records import MaskRecord
from seg_assets.masks.region_map import paint_regions
from seg_assets.masks.rle import Rle
from seg_assets.metrics.instance_matches import InstanceMatches
from seg_assets_tests.evaluation.test_segments import COARSE

SAME = ClassMap.identity(COARSE)
TRUTH = TruthInClasses.of(
    ImageTruth(
        np.array([[0, 0, 1, 1]] * 25, np.uint8),
        np.array([[1, 1, 2, 3]] * 25, np.int32),
        {1: 0, 2: 1, 3: 1},
    ),
    SAME,
    "x",
)


def with_wrong(pixels: int) -> LabelSums:
    """An image of 100 pixels, of which so many are wrong."""
    label_map = TRUTH.label_map.copy()
    label_map.ravel()[:pixels] ^= 1
    return compare_labels(LabelSet(label_map, SAME), TRUTH, boundaries=True, where="x")


def column(*columns: int) -> MaskRecord:
    mask = np.zeros((25, 4), bool)
    mask[:, columns] = True
    rle = Rle.encode(mask)
    return MaskRecord(rle, (0, 0, 0, 0), rle.area, 0.9, 0.9, (), (0, 0, 4, 25))


def of_masks(records: list[MaskRecord]) -> MaskSums:
    outside = np.full((25, 4), 255, np.uint8)
    regions = paint_regions(records, 25, 4)
    purity, oracle = score_regions(regions, outside, TRUTH.label_map, COARSE, "x")
    found = find_objects(TRUTH, records)
    assert found is not None
    return MaskSums(purity, oracle, recall_of(found))


def test_the_worst_images_are_kept_in_whatever_order_they_come():
    images = [(f"image_{i:02d}", i) for i in range(WORST + 10)]
    random.Random(1).shuffle(images)
    tally = Tally()
    for image_id, wrong in images:
        tally.add("s", image_id, {"ours": with_wrong(wrong)})
    expected = [f"image_{i:02d}" for i in range(WORST + 9, 9, -1)]
    assert [image.image_id for image in tally.worst] == expected
    assert tally.worst[0].accuracy == pytest.approx(1 - (WORST + 9) / 100)


def test_images_without_any_labelled_pixel_are_not_the_worst():
    nothing = TruthInClasses.of(ImageTruth(np.full((5, 5), 255, np.uint8)), SAME, "x")
    label_set = LabelSet(np.zeros((5, 5), np.uint8), SAME)
    tally = Tally()
    tally.add("s", "x", {"ours": compare_labels(label_set, nothing, boundaries=True, where="x")})
    assert tally.worst == []
    assert report_of(tally)["scores"]["ours"]["miou"] is None


def test_the_first_method_says_which_images_are_worst():
    tally = Tally()
    tally.add("s", "a", {"ours": with_wrong(1), "theirs": with_wrong(90)})
    tally.add("s", "b", {"ours": with_wrong(50), "theirs": with_wrong(0)})
    assert [image.image_id for image in tally.worst] == ["b", "a"]


def test_the_order_of_methods_does_not_hang_on_the_first_image():
    tally = Tally(("ours", "theirs"))
    tally.add("s", "a", {"theirs": with_wrong(10)})
    tally.add("s", "b", {"theirs": with_wrong(0), "ours": with_wrong(20)})
    tally.add("s", "c", {"new": with_wrong(0)})
    assert list(tally.label_sets) == list(tally.scores()) == ["ours", "theirs", "new"]
    assert [(image.image_id, image.method) for image in tally.worst] == [
        ("b", "ours"),
        ("a", "theirs"),
        ("c", "new"),
    ]


def test_the_images_of_each_method_are_told_where_they_differ():
    tally = Tally(("ours", "theirs"))
    tally.add("s", "a", {"ours": with_wrong(10), "theirs": with_wrong(0)})
    heads, rows = total_rows(report_of(tally), {})
    assert "images" not in heads
    tally.add("s", "b", {"theirs": with_wrong(0)})
    heads, rows = total_rows(report_of(tally), {})
    assert heads[-1] == "images"
    assert [row[-1] for row in rows] == [1, 2]


def test_every_image_is_counted_once():
    tally = Tally(("ours", "theirs"))
    tally.add("s", "a", {"theirs": with_wrong(0)})
    tally.miss(f"{NO_LABELS}ours", "a")
    for reason in (NO_TRUTH, NO_PREDICTION, "other size", "seem_labels"):
        tally.miss(reason, reason)
    report = report_of(tally)
    counted = [report[key] for key in report if key.startswith("images")]
    assert counted == [1, 1, 1, 2, {"theirs": 1}]


def test_instances_of_many_images_are_those_of_all_together_and_keep_their_order():
    def scored(number: int) -> LabelSums:
        objects = np.zeros((2, 4), np.int64)
        objects[1] = number
        one = np.ones(1, np.int32)
        outcomes = np.ones((1, 4, 10), np.uint8)
        matches = InstanceMatches(one, np.array([number / 1000]), one, outcomes, objects)
        return replace(with_wrong(0), instances=matches)

    tally, images = Tally(), 2 * JOINED_AT_ONCE + 3
    for number in range(images):
        tally.add("s", str(number), {"ours": scored(number)})
    found = tally.label_sets["ours"].instances
    assert found.scores.tolist() == [number / 1000 for number in range(images)]
    assert found.objects[1].tolist() == [sum(range(images))] * 4


def test_examples_are_few_and_counts_are_whole():
    tally = Tally()
    for i in range(100):
        tally.miss("other size", f"image {i}")
    assert tally.missing["other size"].count == 100
    assert tally.missing["other size"].examples == tuple(f"image {i}" for i in range(5))


def test_masks_that_cut_the_objects_exactly_reach_all_of_them():
    sums = of_masks([column(0, 1), column(2), column(3)])
    report = report_of_masks(sums)
    assert report["oracle"]["miou"] == 1
    assert report["pixel_purity"] == 1
    assert report["recall"][0] == {
        "size": "all",
        "objects": 3,
        "mean_iou": 1,
        "recall": 1,
        "recall_50": 1,
        "recall_75": 1,
    }


def test_a_mask_over_two_classes_costs_what_it_must():
    sums = of_masks([column(1, 2, 3)])
    report = report_of_masks(sums)
    assert report["coverage"] == 0.75
    assert report["pixel_purity"] == pytest.approx(2 / 3)
    # the mask is an animal at best: 50 of the 75 pixels under it, and nothing is said of the rest
    assert report["oracle"]["aacc"] == 0.5
    # wall: 25 of 50 shared, union 100; animals of 25 pixels in a mask of 75
    assert report["recall"][0]["mean_iou"] == pytest.approx((25 / 100 + 25 / 75 + 25 / 75) / 3)


def test_without_masks_nothing_is_reached():
    report = report_of_masks(of_masks([]))
    assert report["coverage"] == 0
    assert report["pixel_purity"] is None
    assert report["recall"][0]["mean_iou"] == 0


def report_of_masks(sums: MaskSums) -> dict:
    tally = Tally()
    tally.add("s", "x", {"ours": with_wrong(0)}, sums)
    tally.add("s", "y", {"ours": with_wrong(0)}, sums)
    twice = report_of(tally)["masks"]
    tally = Tally()
    tally.add("s", "x", {"ours": with_wrong(0)}, sums)
    once = report_of(tally)["masks"]
    if once["recall"][0]["objects"]:
        assert twice["recall"][0]["objects"] == 2 * once["recall"][0]["objects"]
    assert twice["oracle"]["aacc"] == once["oracle"]["aacc"]
    return once


def test_the_report_is_json_and_a_page_that_hides_nothing():
    tally = Tally()
    tally.add("s", "x", {"a": with_wrong(10), "b": with_wrong(0)}, of_masks([column(0, 1)]))
    tally.miss("other size", "<script>y")
    report = json.loads(json.dumps(report_of(tally)))
    titles = {"a": "Ours & co", "b": "theirs"}
    heads, rows = total_rows(report, titles)
    assert heads[:5] == ["labels", "mIoU", "fwIoU", "mAcc", "aAcc"]
    assert "PQ" in heads
    assert "AP" not in heads  # nobody scores objects
    assert [row[0] for row in rows] == ["Ours & co", "theirs"]
    assert rows[1][heads.index("PQ")] < 1  # two animals side by side are one patch
    heads, rows = class_rows(report, titles)
    assert [row[0] for row in rows] == ["wall", "animal"]
    assert rows[0][-1] == 50
    assert mask_rows(report["masks"])[1] == ["share of the labelled pixels in regions", 0.5]
    page = render_page(report, titles, charts={}, worst=[("x <b>", b"jpeg")])
    assert "Ours &amp; co" in page
    assert "&lt;script&gt;y" in page
    assert "<script>" not in page
    assert "x &lt;b&gt;" in page


def test_an_empty_evaluation_is_a_page_too():
    report = report_of(Tally())
    assert report["images"] == 0
    assert "0 images compared" in render_page(report, {}, charts={}, worst=[])
