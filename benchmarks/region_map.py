"""Overlapping masks made disjoint: the pairwise loop of SAM-and-SEEM against painting run lengths.

    python benchmarks/region_map.py --size 1500x2250 --masks 100 --pairs 5

Pairs run by turns in one process, and the maps are compared. The pairwise loop is given decoded
masks, ours begins with run lengths.
"""

import argparse
from typing import Any

import numpy as np


def pairwise(records: list[Any], masks: list[np.ndarray]) -> np.ndarray:
    """The rule as upstream runs it: every mask loses what it shares with each smaller one."""
    order = sorted(range(len(records)), key=lambda i: records[i].area)
    disjoint = [masks[i].copy() for i in order]
    for i in reversed(range(len(disjoint))):
        for smaller in range(i):
            disjoint[i] = np.logical_xor(
                disjoint[i], np.logical_and(disjoint[i], disjoint[smaller])
            )
    ids = np.zeros(masks[0].shape, np.int64)
    for rank, mask in enumerate(disjoint):
        ids += (rank + 1) * mask
    return ids


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="1500x2250")
    parser.add_argument("--masks", type=int, default=100)
    parser.add_argument("--pairs", type=int, default=5)
    options = parser.parse_args()

    import torch
    from pairs import interleave, report
    from sam_like_scene import describe, sam_like_scene

    from seg_assets.masks.region_map import paint_regions

    torch.set_num_threads(1)
    rows, columns = map(int, options.size.split("x"))
    scene = sam_like_scene((rows, columns), options.masks)
    print(describe(scene) + ", 1 thread")
    records = scene.records
    masks = [np.ascontiguousarray(record.rle.decode()) for record in records]

    def ours() -> np.ndarray:
        return paint_regions(records, rows, columns).ids

    ours()  # loads the kernels, or compiles them
    taken = interleave(
        lambda: pairwise(records, masks), ours, options.pairs, np.testing.assert_array_equal
    )
    report("region map, pairwise loop", taken)


if __name__ == "__main__":
    main()
