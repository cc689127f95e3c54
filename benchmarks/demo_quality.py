"""What the demo's small models are worth on held-out scenes, against masks that know nothing.

    python benchmarks/demo_quality.py [--first-seed 0] [--scenes 24] [--view close] [KEY=VALUE ...]

KEY=VALUE changes the mask preset `demo`, e.g. points_per_side=24. Objects are those of at least
0.4 % of their scene. Training never sees seeds below 1,000.
"""

import argparse
import json
import time
from collections import defaultdict

import numpy as np

SIZES = {"0.4 to 1.5 %": (0.004, 0.015), "1.5 to 6 %": (0.015, 0.06), "over 6 %": (0.06, 1.01)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--scenes", type=int, default=24)
    parser.add_argument("--size", type=int, default=384)
    parser.add_argument("--view", choices=["close", "wide"], default="close")
    parser.add_argument("--short-side", type=int, default=128)
    parser.add_argument("--sam", default="sam_demo")
    parser.add_argument("--seem", default="seem_demo")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("changes", nargs="*", metavar="KEY=VALUE")
    options = parser.parse_args()
    changes = {k: json.loads(v) for k, v in (c.split("=") for c in options.changes)}
    measure(options, changes)


def measure(options: argparse.Namespace, changes: dict[str, float]) -> None:
    import torch

    from seg_assets.classes.mapping import load_class_map
    from seg_assets.cli.demo_objects import DISC_RADII, SMALLEST_SHARE
    from seg_assets.data.scenes import make_scene
    from seg_assets.labels.params import LabelParams
    from seg_assets.masks.params import MASK_PRESETS, MaskParams
    from seg_assets.metrics.best_mask import grid_discs, match_objects
    from seg_assets.metrics.confusion import ConfusionMatrix
    from seg_assets.metrics.semantic import semantic_scores
    from seg_assets.pipeline import Pipeline

    torch.set_num_threads(options.threads)
    params = MaskParams.model_validate(MASK_PRESETS["demo"] | changes)
    label_params = LabelParams(short_side=options.short_side)
    pipeline = Pipeline.load(
        sam=options.sam, seem=options.seem, mask_params=params, label_params=label_params
    )
    truth_map = load_class_map("coco133", pipeline.merge.target)
    ious: dict[str, list[tuple[float, float]]] = defaultdict(list)
    confusions = {
        name: ConfusionMatrix.empty(truth_map.target) for name in ("SAM + SEEM", "SEEM alone")
    }
    masks, coverage = [], []
    begun = time.monotonic()
    for seed in range(options.first_seed, options.first_seed + options.scenes):
        scene = make_scene(seed, options.size, view=options.view)
        result = pipeline(scene.image)
        masks.append(len(result.masks))
        coverage.append(result.coverage)
        smallest = int(SMALLEST_SHARE * scene.instance_map.size)
        decoded = (record.rle.decode().astype(bool) for record in result.masks)
        discs = grid_discs(options.size, options.size, params.points_per_side or 16, DISC_RADII)
        for name, found in (("SAM", decoded), ("discs", discs)):
            for match in match_objects(scene.instance_map, found, smallest=smallest):
                ious[name].append((match.iou, match.area / scene.instance_map.size))
        truth = truth_map.apply(scene.label_map)
        alone = pipeline.merge.apply(result.seem_map)
        for name, labels in (("SAM + SEEM", result.merged_map), ("SEEM alone", alone)):
            confusions[name] += ConfusionMatrix.of(labels, truth, truth_map.target)
    seconds = (time.monotonic() - begun) / options.scenes

    print(f"{options.scenes} {options.view} scenes from seed {options.first_seed}, ", end="")
    print(f"{options.size} pixels a side;")
    print(f"{np.mean(masks):.1f} masks and {100 * np.mean(coverage):.1f} % covered per scene,")
    print(f"{seconds:.1f} s per scene with {options.threads} thread(s)\n")
    print(
        "| best mask of an object | objects | mean IoU | found (IoU >= 0.5) | " + " | ".join(SIZES)
    )
    print("| --- | --- | --- | --- |" + " --- |" * len(SIZES))
    for name, pairs in ious.items():
        values, areas = np.array(pairs).T
        by_size = [values[(areas >= low) & (areas < high)].mean() for low, high in SIZES.values()]
        cells = [name, len(values), *(f"{v:.3f}" for v in (values.mean(), (values >= 0.5).mean()))]
        print("| " + " | ".join(map(str, [*cells, *(f"{v:.3f}" for v in by_size)])) + " |")
    print("\n| merged map | mIoU | pixel accuracy |\n| --- | --- | --- |")
    for name, confusion in confusions.items():
        scores = semantic_scores(confusion)
        print(f"| {name} | {scores.miou:.3f} | {scores.aacc:.3f} |")


if __name__ == "__main__":
    main()
