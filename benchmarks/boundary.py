"""Boundary IoU and boundary F of a label map: class by class, as published, against ours, by turns.

    python benchmarks/boundary.py [--pairs 5]

Maps of 1500 x 2250 pixels. The other side makes a mask of each class that occurs and, for boundary
IoU, takes its erosion away (cv2.erode over a frame of one pixel, as the paper's code does); for
boundary F it takes contours and measures the distance to the other contour (cv2.distanceTransform,
which is faster than a dilation by a disc). Ours gives both at once for all classes.
"""

import argparse

import numpy as np


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pairs", type=int, default=5)
    options = parser.parse_args()

    import cv2
    from maps_of_regions import blob_maps, scene_maps
    from pairs import interleave, report

    from seg_assets.classes.table import load_class_table
    from seg_assets.metrics.boundary import BoundarySums

    cv2.setNumThreads(1)
    table = load_class_table("coco133")
    for name, (prediction, truth) in (
        ("a scene", scene_maps(2)[:2]),
        ("100 blobs", blob_maps(0, 133, 100)[:2]),
    ):
        prediction[prediction == 255], truth[truth == 255] = 0, 0
        present = np.union1d(prediction, truth).tolist()
        print(f"{name}: {len(present)} classes in truth or prediction", flush=True)

        def ours(prediction=prediction, truth=truth, present=present) -> np.ndarray:
            sums = BoundarySums.of(prediction, truth, table)
            rows = [sums.band_shared, sums.band_predicted, sums.band_true]
            rows += [sums.near_predicted, sums.contour_predicted]
            rows += [sums.near_true, sums.contour_true]
            return np.stack(rows)[:, present]

        def theirs(prediction=prediction, truth=truth, present=present) -> np.ndarray:
            return np.array([one_class(prediction == c, truth == c) for c in present]).T

        ours()  # compiled or read from the cache
        taken = interleave(theirs, ours, options.pairs, np.testing.assert_array_equal)
        report("  class by class", taken)


def one_class(prediction: np.ndarray, truth: np.ndarray) -> list[int]:
    """The seven sums of `BoundarySums` of one class."""
    import cv2

    diagonal = float(np.hypot(*truth.shape))
    distance = round(0.02 * diagonal)
    bands, contours, near = [], [], []
    for mask in (prediction, truth):
        framed = cv2.copyMakeBorder(mask.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT)
        eroded = cv2.erode(framed, np.ones((3, 3), np.uint8), iterations=distance)
        bands.append(mask & (eroded[1:-1, 1:-1] == 0))
        cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
        inner = cv2.erode(mask.astype(np.uint8), cross)  # cv2 takes what lies outside as inside
        contours.append(mask & (inner == 0))
    for mine, other in (contours, contours[::-1]):
        far = np.full(mine.shape, np.inf)
        if other.any():
            far = cv2.distanceTransform(
                (~other).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE
            )
        near.append(mine & (far <= 0.0075 * diagonal))
    maps = [bands[0] & bands[1], *bands, near[0], contours[0], near[1], contours[1]]
    return [int(found.sum()) for found in maps]


if __name__ == "__main__":
    main()
