"""The reference numbers are computed by pycocotools' COCOeval in the same test."""

import contextlib
import io
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as pycocotools_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from seg_assets.errors import InputError
from seg_assets.metrics.average_precision import average_precision
from seg_assets.metrics.instance_matches import InstanceMatches, PredictedObject, TrueObject
from seg_assets_tests.metrics.coco_rles import encode, rows

NAMES = "AP AP_50 AP_75 AP_small AP_medium AP_large AR_1 AR_10 AR_100 AR_small AR_medium AR_large"

Image = tuple[list[PredictedObject], list[TrueObject]]


def coco_eval(images: list[Image], classes: int, class_agnostic: bool) -> Any:
    """pycocotools on the same objects; image n has the id n + 1, class c the id c + 1."""
    annotations, results = [], []
    for n, (predicted, true) in enumerate(images):
        for item in true:
            mask_area: Any = pycocotools_mask.area(dict(item.rle))
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": n + 1,
                    "category_id": item.class_id + 1,
                    "segmentation": item.rle,
                    "area": float(mask_area) if item.area is None else item.area,
                    "iscrowd": int(item.crowd),
                }
            )
        results += [
            {
                "image_id": n + 1,
                "category_id": item.class_id + 1,
                "segmentation": dict(item.rle),
                "score": item.score,
            }
            for item in predicted
        ]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "info": {},
            "images": [{"id": n + 1, "height": 160, "width": 200} for n in range(len(images))],
            "categories": [{"id": c + 1} for c in range(classes)],
            "annotations": annotations,
        }
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(results), "segm")
        evaluation.params.useCats = int(not class_agnostic)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


def random_image(random: np.random.Generator, classes: int, objects: int) -> Image:
    """Discs of all sizes; predictions are moved and resized ones, doubles, and strangers."""
    y, x = np.mgrid[:160, :200]

    def disc(cy: float, cx: float, r: float) -> dict[str, Any]:
        return encode((y - cy) ** 2 + (x - cx) ** 2 <= r * r)

    predicted, true = [], []
    for _ in range(objects):
        cy, cx = random.uniform(0, 160), random.uniform(0, 200)
        r, c = random.choice([4, 12, 30, 60]), int(random.integers(classes))
        kind = random.integers(6)
        if kind > 0:
            area = float(random.choice([900, 1024, 9216, 20000])) if kind == 1 else None
            crowd = bool(random.random() < 0.2)
            true.append(TrueObject(c, disc(cy, cx, r), crowd=crowd, area=area))
        for _ in range(int(random.integers(3))):
            shift = random.normal(0, 0.15 * r, 3)
            other = int(random.integers(classes)) if random.random() < 0.2 else c
            score = round(random.random(), 1)  # many ties
            predicted.append(
                PredictedObject(other, score, disc(cy + shift[0], cx + shift[1], r + shift[2]))
            )
    return predicted, true


@pytest.mark.parametrize("class_agnostic", [False, True])
@pytest.mark.parametrize(
    ("seed", "images", "classes", "objects"),
    [(0, 12, 3, 12), (1, 6, 40, 15), (2, 4, 1, 130), (3, 20, 2, 3)],
)
def test_equals_pycocotools(seed, images, classes, objects, class_agnostic) -> None:
    random = np.random.default_rng(seed)
    data = [random_image(random, classes, objects) for _ in range(images)]
    data.append(([], []))
    data.append((data[0][0], []))
    data.append(([], data[0][1]))
    evaluation = coco_eval(data, classes, class_agnostic)
    count = 1 if class_agnostic else classes
    parts = [
        InstanceMatches.of(*image, classes=count, class_agnostic=class_agnostic) for image in data
    ]
    scores = average_precision(InstanceMatches.join(parts, count))

    precision = evaluation.eval["precision"][:, :, :, :, -1]  # threshold, recall, class, area
    expected = np.where(precision < 0, np.nan, precision).mean(1).transpose(1, 2, 0)
    np.testing.assert_allclose(scores.precision, expected, atol=1e-12)
    recall = evaluation.eval["recall"].transpose(1, 2, 0, 3)
    np.testing.assert_array_equal(scores.recall, np.where(recall < 0, np.nan, recall))
    stats = [None if value < 0 else pytest.approx(value, abs=1e-12) for value in evaluation.stats]
    assert scores.summary() == dict(zip(NAMES.split(), stats, strict=True))
    assert scores.summary()["AP"] is not None


def test_adding_images_one_by_one_or_in_shards_gives_the_same() -> None:
    random = np.random.default_rng(5)
    parts = [InstanceMatches.of(*random_image(random, 3, 8), classes=3) for _ in range(6)]
    whole = InstanceMatches.join(parts, 3)
    first = sum(parts[:2], InstanceMatches.empty(3))
    stored = InstanceMatches.from_row(InstanceMatches.join(parts[2:], 3).to_row())
    for name in ("class_ids", "scores", "ranks", "outcomes", "objects"):
        added = getattr(first + stored, name)
        np.testing.assert_array_equal(added, getattr(whole, name))
        assert added.dtype == getattr(whole, name).dtype


LEFT, RIGHT, BOTH = rows("1100"), rows("0011"), rows("1111")


@pytest.mark.parametrize(
    ("predicted", "true", "ap"),
    [
        ([(0, 0.9, LEFT)], [(0, LEFT)], 1.0),
        ([(0, 0.9, RIGHT)], [(0, LEFT)], 0.0),
        ([], [(0, LEFT)], 0.0),
        # IoU one half reaches the first of ten thresholds
        ([(0, 0.9, BOTH)], [(0, LEFT)], 0.1),
        # a better score on nothing halves the precision everywhere
        ([(0, 0.9, RIGHT), (0, 0.8, LEFT)], [(0, LEFT)], 0.5),
        # a worse one costs nothing, as every recall is reached before it
        ([(0, 0.8, RIGHT), (0, 0.9, LEFT)], [(0, LEFT)], 1.0),
        # the second prediction of one object is wrong; recalls up to one half: 51 of 101
        ([(0, 0.9, LEFT), (0, 0.8, LEFT)], [(0, LEFT), (0, RIGHT)], 51 / 101),
        # another class
        ([(1, 0.9, LEFT)], [(0, LEFT)], 0.0),
        # all of a prediction lies on a crowd: it counts for nothing
        ([(0, 0.9, RIGHT), (0, 0.8, LEFT)], [(0, LEFT), (0, RIGHT, True)], 1.0),
        ([(0, 0.9, LEFT)], [(0, BOTH, True)], None),
        ([(0, 0.9, LEFT)], [], None),
    ],
)
def test_average_precision_of_tiny_images(predicted, true, ap) -> None:
    matches = InstanceMatches.of(
        [PredictedObject(*item) for item in predicted],
        [TrueObject(*item) for item in true],
        classes=2,
    )
    row = average_precision(matches).rows()[0]
    assert row["ap"] == (None if ap is None else pytest.approx(ap, abs=1e-12))


def test_without_images_nothing_is_defined() -> None:
    scores = average_precision(InstanceMatches.empty(2))
    assert set(scores.summary().values()) == {None}
    assert scores.rows()[1] == {
        "id": 1,
        "ap": None,
        "ap_50": None,
        "ap_75": None,
        "recall": None,
        "objects": 0,
    }


@pytest.mark.parametrize(
    ("predicted", "true", "message"),
    [
        ([(2, 0.5, LEFT)], [], "a predicted object of img has class 2, outside 0..1"),
        ([], [(-1, LEFT)], "a true object of img has class -1, outside 0..1"),
        ([(0, float("nan"), LEFT)], [], "a predicted object of img has no finite score"),
        ([(0, 0.5, LEFT)], [(0, rows("1"))], "1 x 4 pixels cannot be compared"),
        ([(0, 0.5, LEFT | {"counts": b"9"})], [], "the predicted masks of img: the run lengths"),
    ],
)
def test_faulty_objects_are_named(predicted, true, message) -> None:
    with pytest.raises(InputError, match=message):
        InstanceMatches.of(
            [PredictedObject(*item) for item in predicted],
            [TrueObject(*item) for item in true],
            classes=2,
            where="img",
        )


def test_stored_columns_must_fit() -> None:
    row = InstanceMatches.of([PredictedObject(0, 0.5, LEFT)], [], classes=2).to_row()
    with pytest.raises(InputError, match="evaluate its shard anew"):
        InstanceMatches.from_row(row | {"outcomes": b""})
    with pytest.raises(InputError, match="matches of 3 and of 2 classes"):
        InstanceMatches.empty(2) + InstanceMatches.empty(3)
