"""Mean logits per mask: scaled to the image and averaged, against the adjoint of the scaling.

    python benchmarks/mean_logits.py --size 1500x2250 --masks 100 --classes 150 --pairs 5

Pairs run by turns in one process, and the means are compared. The direct way scales the logits of
a few classes at a time, so that they fit into memory, and is given decoded masks and their boxes;
ours begins with run lengths.
"""

import argparse
from typing import Any

import numpy as np

CLASSES_AT_ONCE = 10


def direct(logits: Any, boxes: list[Any], masks: list[Any], size: tuple[int, int]) -> np.ndarray:
    """torch scales, indexes and averages, in float32 as a model gives it: (N, C)."""
    import torch
    from torch.nn.functional import interpolate

    means = []
    for some in logits.split(CLASSES_AT_ONCE):
        scaled = interpolate(some[None], size, mode="bilinear", align_corners=False)[0]
        found = [
            scaled[:, rows, columns][:, mask].mean(1)
            for (rows, columns), mask in zip(boxes, masks, strict=True)
        ]
        means.append(torch.stack(found))
    return torch.cat(means, 1).numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="1500x2250")
    parser.add_argument("--masks", type=int, default=100)
    parser.add_argument("--classes", type=int, default=150)
    parser.add_argument("--pairs", type=int, default=5)
    options = parser.parse_args()

    import torch
    from pairs import interleave, report
    from sam_like_scene import describe, sam_like_scene

    from seg_assets.labels.mean_logits import mean_logits

    torch.set_num_threads(1)
    size = tuple(map(int, options.size.split("x")))
    scene = sam_like_scene((size[0], size[1]), options.masks, options.classes)
    print(describe(scene) + f", logits {scene.logits.shape}, 1 thread")
    rles = [record.rle for record in scene.records]
    logits = torch.from_numpy(scene.logits)
    boxes = []
    for x, y, w, h in (record.bbox for record in scene.records):
        boxes.append((slice(y, y + h + 1), slice(x, x + w + 1)))
    masks = [
        torch.from_numpy(np.ascontiguousarray(rle.decode()[box]))
        for rle, box in zip(rles, boxes, strict=True)
    ]

    def compare(theirs: np.ndarray, ours: np.ndarray) -> None:
        """To float32's rounding over a sum of many pixels."""
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4)
        print(f"  greatest difference {np.abs(ours - theirs).max():.1e}")

    mean_logits(rles[:1], scene.logits)  # loads the kernels, or compiles them
    taken = interleave(
        lambda: direct(logits, boxes, masks, (size[0], size[1])),
        lambda: mean_logits(rles, scene.logits),
        options.pairs,
        compare,
    )
    report("mean logits, scaled and averaged", taken)


if __name__ == "__main__":
    main()
