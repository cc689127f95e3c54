"""Average precision of masks: pycocotools and faster-coco-eval against ours, by turns.

    pip install -c constraints.txt faster-coco-eval
    python benchmarks/average_precision.py [--images 20] [--objects 100] [--pairs 5]

Random images of 480 x 640 pixels with so many true objects and as many predictions of 20 classes,
some of them crowds. All three begin with compressed run lengths and end with the twelve numbers,
which are compared. Loading and indexing the data set is not timed for the other two;
faster-coco-eval is asked for what COCO asks, without its extra curves.
"""

import argparse
import contextlib
import io
from typing import Any

import numpy as np

CLASSES = 20
Records = list[list[dict[str, Any]]]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--objects", type=int, default=100)
    parser.add_argument("--pairs", type=int, default=5)
    options = parser.parse_args()

    from faster_coco_eval import COCO as FasterCoco  # noqa: N811
    from faster_coco_eval import COCOeval_faster
    from pairs import interleave, report
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    random = np.random.default_rng(0)
    images = [draw(random, options.objects) for _ in range(options.images)]
    true, predicted = ([image[side] for image in images] for side in (0, 1))
    print(f"{options.images} images of {options.objects} objects, {CLASSES} classes", flush=True)

    peers = {
        "pycocotools": (COCO, lambda truth, found: COCOeval(truth, found, "segm")),
        "faster-coco-eval": (
            FasterCoco,
            lambda truth, found: COCOeval_faster(truth, found, "segm", extra_calc=False),
        ),
    }
    ours(true, predicted)  # compiled or read from the cache
    for name, (coco, evaluation) in peers.items():
        with contextlib.redirect_stdout(io.StringIO()):
            truth = index(coco, true)
            found = truth.loadRes([dict(item) for image in predicted for item in image])

        def theirs(truth: Any = truth, found: Any = found, evaluation: Any = evaluation) -> Any:
            with contextlib.redirect_stdout(io.StringIO()):
                asked = evaluation(truth, found)
                asked.evaluate()
                asked.accumulate()
                asked.summarize()
            return np.asarray(asked.stats)[:12]

        taken = interleave(theirs, lambda: ours(true, predicted), options.pairs, equal)
        report(f"  {name}", taken)


def equal(expected: np.ndarray, found: np.ndarray) -> None:
    np.testing.assert_allclose(found, expected, atol=1e-12)


def ours(true: Records, predicted: Records) -> np.ndarray:
    from seg_assets.metrics.average_precision import average_precision
    from seg_assets.metrics.instance_matches import InstanceMatches, PredictedObject, TrueObject

    parts = [
        InstanceMatches.of(
            [
                PredictedObject(item["category_id"] - 1, item["score"], item["segmentation"])
                for item in found
            ],
            [
                TrueObject(
                    item["category_id"] - 1,
                    item["segmentation"],
                    crowd=bool(item["iscrowd"]),
                    area=item["area"],
                )
                for item in truth
            ],
            classes=CLASSES,
        )
        for truth, found in zip(true, predicted, strict=True)
    ]
    scores = average_precision(InstanceMatches.join(parts, CLASSES)).summary()
    return np.array([-1 if value is None else value for value in scores.values()])


def index(coco: Any, true: Records) -> Any:
    truth = coco()
    truth.dataset = {
        "info": {},
        "images": [{"id": n + 1, "height": 480, "width": 640} for n in range(len(true))],
        "categories": [{"id": c + 1, "name": f"class {c}"} for c in range(CLASSES)],
        "annotations": [dict(item) for image in true for item in image],
    }
    truth.createIndex()
    return truth


_drawn = [0, 0]


def draw(random: np.random.Generator, objects: int) -> tuple[list[dict], list[dict]]:
    """True and predicted annotations of one image: ragged ellipses, moved a little."""
    from pycocotools import mask as pycocotools_mask

    coco: Any = pycocotools_mask
    y, x = np.ogrid[:480, :640]
    _drawn[0] += 1
    sides: tuple[list[dict], list[dict]] = ([], [])
    for _ in range(objects):
        cy, cx = random.uniform(0, 480), random.uniform(0, 640)
        size = random.uniform(8, 60, 2)
        class_id = int(random.integers(CLASSES)) + 1
        for side, annotations in enumerate(sides):
            shift = random.normal(0, 0.1, 2) * size * side
            ragged = 1 + 0.2 * np.sin(x / 5) + 0.2 * np.sin(y / 3 + side)
            squares = ((y - cy - shift[0]) / size[0]) ** 2 + ((x - cx - shift[1]) / size[1]) ** 2
            mask = np.asfortranarray(squares < ragged).astype(np.uint8)
            _drawn[1] += 1
            annotation = {
                "id": _drawn[1],
                "image_id": _drawn[0],
                "category_id": class_id,
                "segmentation": coco.encode(mask),
                "area": float(mask.sum()),
            }
            if side == 0:
                annotation["iscrowd"] = int(random.random() < 0.03)
            else:
                annotation["score"] = round(random.random(), 3)
            annotations.append(annotation)
    return sides


if __name__ == "__main__":
    main()
