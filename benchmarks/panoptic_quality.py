"""Counting panoptic quality: panopticapi's way against ours, by turns.

    python benchmarks/panoptic_quality.py [--pairs 7] [--calls 5]

Maps of 1500 x 2250 segment ids as they come out of the PNG files, whose decoding is not timed. One
other side does what panopticapi's loop over images does, in our own words: areas by np.unique of
the prediction, overlaps by np.unique of both ids in one number of 64 bits, then pair by pair. The
other one takes a mask per segment, as the definition reads and many evaluators do it.
"""

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np

MOST_MASKS = 500  # above so many segments the way with masks takes minutes


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--calls", type=int, default=20, help="in each timing")
    options = parser.parse_args()

    from maps_of_regions import blob_maps, noise_maps, scene_maps

    noise = [m.astype(np.int32) + 1 for m in noise_maps(0, 30)]
    for name, (prediction, truth) in (
        ("a scene", scene_maps(2)[2:]),
        ("100 blobs", blob_maps(0, 133, 100)[2:]),
        ("noise", noise),
    ):
        measure(name, prediction * 257, truth * 300, options.pairs, options.calls)


def measure(name: str, prediction: np.ndarray, truth: np.ndarray, pairs: int, calls: int) -> None:
    from pairs import interleave, report

    from seg_assets.metrics.panoptic import count_panoptic

    classes = 20
    truth[:, -30:] = 0
    segments = []
    for ids in (prediction, truth):
        present = np.unique(ids[ids > 0]).tolist()
        segments.append({i: (i // 7) % classes for i in present})
    areas = {i: int((truth == i).sum()) for i in segments[1]}  # the JSON file has them
    crowds = set(list(segments[1])[:1])
    print(f"{name}: {len(segments[0])} predicted and {len(segments[1])} true segments", flush=True)

    def ours() -> np.ndarray:
        sums = count_panoptic(
            prediction, segments[0], truth, segments[1], classes=classes, crowds=crowds
        )
        return np.stack([sums.iou, sums.matched, sums.wrong, sums.missed])

    ours()  # compiled or read from the cache

    def theirs() -> np.ndarray:
        return segment_by_segment(prediction, truth, *segments, areas, crowds, classes)

    taken = interleave(
        repeated(theirs, calls),
        repeated(ours, calls),
        pairs,
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12),
    )
    report(f"  panopticapi's way, {calls} calls", taken)
    if len(areas) > MOST_MASKS:
        return

    def by_masks() -> np.ndarray:
        return mask_by_mask(prediction, truth, *segments, crowds, classes)

    taken = interleave(
        by_masks,
        repeated(ours, 1),
        pairs,
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12),
    )
    report("  a mask per segment, 1 call", taken)


def segment_by_segment(
    prediction: np.ndarray,
    truth: np.ndarray,
    predicted_classes: dict[int, int],
    true_classes: dict[int, int],
    true_areas: dict[int, int],
    crowds: set[int],
    classes: int,
) -> np.ndarray:
    """IoU, matched, wrong and missed by class, (4, classes)."""
    sums = np.zeros((4, classes))
    predicted_areas = dict(
        zip(*(part.tolist() for part in np.unique(prediction, return_counts=True)), strict=True)
    )
    both = truth.astype(np.uint64) * 256**3 + prediction.astype(np.uint64)
    shared = {
        (int(pair) // 256**3, int(pair) % 256**3): int(count)
        for pair, count in zip(*np.unique(both, return_counts=True), strict=True)
    }
    true_hits, predicted_hits = set(), set()
    for (t, p), pixels in shared.items():
        if t not in true_classes or p not in predicted_classes or t in crowds:
            continue
        if true_classes[t] != predicted_classes[p]:
            continue
        union = true_areas[t] + predicted_areas[p] - pixels - shared.get((0, p), 0)
        if pixels / union > 0.5:
            sums[:2, true_classes[t]] += pixels / union, 1
            true_hits.add(t)
            predicted_hits.add(p)
    crowd_of_class = {true_classes[t]: t for t in true_classes if t in crowds}
    for t, class_id in true_classes.items():
        if t not in true_hits and t not in crowds:
            sums[3, class_id] += 1
    for p, class_id in predicted_classes.items():
        if p in predicted_hits:
            continue
        excused = shared.get((0, p), 0)
        if class_id in crowd_of_class:
            excused += shared.get((crowd_of_class[class_id], p), 0)
        if excused / predicted_areas[p] <= 0.5:
            sums[2, class_id] += 1
    return sums


def mask_by_mask(
    prediction: np.ndarray,
    truth: np.ndarray,
    predicted_classes: dict[int, int],
    true_classes: dict[int, int],
    crowds: set[int],
    classes: int,
) -> np.ndarray:
    """IoU, matched, wrong and missed by class, (4, classes)."""
    sums = np.zeros((4, classes))
    known = truth > 0
    hits = set()
    for t, class_id in true_classes.items():
        if t in crowds:
            continue
        mask, found = truth == t, False
        for p in np.unique(prediction[mask]).tolist():
            if predicted_classes.get(p) != class_id:
                continue
            other = prediction == p
            iou = (mask & other).sum() / (mask | (other & known)).sum()
            if iou > 0.5:
                sums[:2, class_id] += iou, 1
                hits.add(p)
                found = True
        if not found:
            sums[3, class_id] += 1
    for p, class_id in predicted_classes.items():
        if p in hits:
            continue
        other = prediction == p
        excused = (other & ~known).sum()
        for t in crowds:
            if true_classes[t] == class_id:
                excused += (other & (truth == t)).sum()
        if excused / other.sum() <= 0.5:
            sums[2, class_id] += 1
    return sums


def repeated(call: Callable[[], Any], calls: int) -> Callable[[], Any]:
    def run() -> Any:
        for _ in range(calls - 1):
            call()
        return call()

    return run


if __name__ == "__main__":
    main()
