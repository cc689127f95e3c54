"""SSA's vote: the loop of Semantic-Segment-Anything and a box-cropped NumPy loop against ours.

    python benchmarks/voting.py --size 1500x2250 --masks 100 --pairs 5

Pairs run by turns in one process, and what both sides give is compared. All begin with run lengths
and a label map, but for the row in which NumPy is given decoded masks. The runs of the label map
are built anew each time.
"""

import argparse
from typing import Any

import numpy as np


def ssa_loop(
    annotations: list[dict[str, Any]], label_map: Any, *, paint: bool
) -> tuple[list[int], Any]:
    """The rule as SSA runs it: each mask decoded, indexed and counted in torch at full size."""
    import torch
    from pycocotools import mask as coco

    result, winners = label_map.clone(), []
    for annotation in annotations:
        inside = torch.tensor(coco.decode(annotation["segmentation"])).bool()
        labels = label_map[inside]
        if len(torch.unique(labels)) == 1:
            winner = labels[0]
        else:
            winner = torch.bincount(labels.flatten()).topk(1).indices[0]
        if paint:
            result[inside] = winner
        winners.append(int(winner))
    return winners, result


def box_counts(boxes: list[Any], masks: list[np.ndarray], label_map: np.ndarray) -> np.ndarray:
    """The counts by NumPy, (N, 256): masks decoded before, each looked at inside its box only."""
    found = zip(boxes, masks, strict=True)
    return np.array([np.bincount(label_map[box][m[box]], minlength=256) for box, m in found])


def decode(annotations: list[dict[str, Any]]) -> list[np.ndarray]:
    """The masks, (H, W) bool, row by row, as NumPy likes them."""
    from pycocotools import mask as coco

    pixels = (coco.decode(annotation["segmentation"]) for annotation in annotations)
    return [np.ascontiguousarray(mask).view(bool) for mask in pixels]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="1500x2250")
    parser.add_argument("--masks", type=int, default=100)
    parser.add_argument("--classes", type=int, default=19)
    parser.add_argument(
        "--cell", type=int, default=150, help="how fine the segments are, in pixels"
    )
    parser.add_argument("--pairs", type=int, default=5)
    options = parser.parse_args()

    import torch
    from pairs import interleave, report
    from sam_like_scene import describe, sam_like_scene

    from seg_assets.labels.ssa import paint_order, paint_votes, vote_masks
    from seg_assets.labels.voting import count_mask_votes

    torch.set_num_threads(1)
    rows, columns = map(int, options.size.split("x"))
    scene = sam_like_scene((rows, columns), options.masks, options.classes, options.cell)
    print(describe(scene) + ", 1 thread")
    records = [scene.records[i] for i in paint_order(scene.records)]
    annotations = [scene.annotations[i] for i in paint_order(scene.records)]
    masks, label_map = [record.rle for record in records], scene.label_map
    tensor = torch.from_numpy(label_map.astype(np.int64))

    def our_map() -> tuple[list[int], np.ndarray]:
        votes = vote_masks(records, label_map)
        return [vote.class_id for vote in votes], paint_votes(records, votes, label_map)

    def same_map(theirs: Any, ours: Any) -> None:
        # A tie goes to any class in torch and to the lowest in ours.
        assert theirs[0] == ours[0]
        np.testing.assert_array_equal(theirs[1].numpy(), ours[1])

    def our_counts() -> np.ndarray:
        return count_mask_votes(masks, label_map)

    our_map()  # loads the kernels, or compiles them
    pairs = options.pairs
    taken = interleave(lambda: ssa_loop(annotations, tensor, paint=True), our_map, pairs, same_map)
    report("map, SSA's loop", taken)
    taken = interleave(
        lambda: ssa_loop(annotations, tensor, paint=False)[0],
        lambda: our_counts().argmax(1).tolist(),
        pairs,
        np.testing.assert_array_equal,
    )
    report("classes, SSA's loop without painting", taken)
    boxes = []
    for x, y, w, h in (annotation["bbox"] for annotation in annotations):
        boxes.append((slice(y, y + h + 1), slice(x, x + w + 1)))
    decoded = decode(annotations)
    taken = interleave(
        lambda: box_counts(boxes, decoded, label_map),
        our_counts,
        pairs,
        np.testing.assert_array_equal,
    )
    report("counts, box-cropped NumPy on decoded masks", taken)
    taken = interleave(
        lambda: box_counts(boxes, decode(annotations), label_map),
        our_counts,
        pairs,
        np.testing.assert_array_equal,
    )
    report("counts, box-cropped NumPy with decoding", taken)


if __name__ == "__main__":
    main()
