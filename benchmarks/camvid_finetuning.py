"""The small SEEM fine-tuned on CamVid by each strategy: validation mIoU before and after.

    python benchmarks/camvid_finetuning.py shared/data/camvid [--out runs/camvid] [--steps 300]

SEEM's own map and the map of SAM's regions with SEEM's names, both in CamVid's 11 classes, with the
same SAM masks for all. A strategy whose run is finished is not trained again. The scores of the
model before any fine-tuning go from COCO's classes to CamVid's by the project's class map.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

STRATEGIES = (
    "adapter_head",
    "adapter_both",
    "whole_head",
    "adapter_backbone_whole_head",
    "lora",
    "everything",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("camvid", type=Path)
    parser.add_argument("--out", type=Path, default=Path("runs/camvid"))
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--lr", type=float, default=5e-4)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--limit", type=int, help="so many images of each split only")
    parser.add_argument("--sam", default="sam_demo")
    parser.add_argument("--seem", default="seem_demo")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--strategies", nargs="+", choices=STRATEGIES, default=STRATEGIES)
    compare(parser.parse_args())


def compare(options: argparse.Namespace) -> None:
    import os

    import torch

    from seg_assets.data.formats.camvid import LABEL_FORMAT, find_camvid_images
    from seg_assets.data.images import read_image
    from seg_assets.data.label_maps import read_label_map
    from seg_assets.labels.params import LabelParams

    torch.set_num_threads(options.threads)
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    os.environ["SEG_MODELS_DIR"] = str(options.out.resolve() / "models")
    images = [
        (read_image(ref.uri), read_label_map(str(ref.label_uri), LABEL_FORMAT))
        for ref in find_camvid_images(options.camvid)["val"][: options.limit]
    ]
    regions = find_regions(options.sam, [image for image, _ in images])

    print(f"{len(images)} images, seed 42, {options.steps} steps of 8 images, lr {options.lr}\n")
    print("| strategy | trained values | SEEM | SAM + SEEM | minutes |")
    print("| --- | --- | --- | --- | --- |")
    coco = LabelParams(semantic_classes="camvid11", short_side=options.size)
    before = score(options.seem, coco, images, regions)
    print(f"| none | | {before['SEEM']:.3f} | {before['SAM + SEEM']:.3f} | |", flush=True)
    own = LabelParams(semantic_classes="source", short_side=options.size)
    curves = {}
    for strategy in options.strategies:
        name, run = finetune(strategy, options)
        after = score(name, own, images, regions)
        trained = run.config["trained"]["parameters"]
        cells = [strategy, f"{trained:,}", f"{after['SEEM']:.3f}", f"{after['SAM + SEEM']:.3f}"]
        print("| " + " | ".join([*cells, f"{run.seconds / 60:.1f}"]) + " |", flush=True)
        curves[strategy] = [
            (row["step"], row["metrics"]["mIoU"]) for row in run.rows if row["kind"] == "evaluate"
        ]
    draw(curves, options.out / "curves.png")
    print(f"\ncurves: {options.out / 'curves.png'}")


def find_regions(sam: str, images: Sequence[np.ndarray]) -> list:
    """SAM's region map of every image, once for all strategies."""
    from seg_assets.masks.generator import load_mask_generator
    from seg_assets.masks.params import MaskParams
    from seg_assets.masks.region_map import paint_regions

    preset = "demo" if sam == "sam_demo" else "upstream"
    generator = load_mask_generator(sam, MaskParams.preset(preset))
    return [paint_regions(generator.find(image), *image.shape[:2]) for image in images]


def score(seem: str, params, images: Sequence, regions: Sequence) -> Mapping[str, float]:
    from seg_assets.labels.fusion import paint_labels
    from seg_assets.labels.seem_labeler import load_seem_labeler
    from seg_assets.metrics.confusion import ConfusionMatrix
    from seg_assets.metrics.semantic import semantic_scores

    labeler = load_seem_labeler(seem, params)
    table = labeler.class_map.target
    counts = {name: ConfusionMatrix.empty(table) for name in ("SEEM", "SAM + SEEM")}
    for (image, truth), region_map in zip(images, regions, strict=True):
        seen = labeler.read(image)
        named = labeler.label_regions(seen, region_map)
        fused = paint_labels(region_map, named, seen.label_map)
        counts["SEEM"] += ConfusionMatrix.of(seen.label_map, truth, table)
        counts["SAM + SEEM"] += ConfusionMatrix.of(fused, truth, table)
    return {name: semantic_scores(found).miou for name, found in counts.items()}


def finetune(strategy: str, options: argparse.Namespace) -> tuple:
    """Train unless that is done already, and give the result a name."""
    from seg_assets.training.launch import run_job
    from seg_assets.training.recipe import seem_recipe
    from seg_assets.training.record import read_run
    from seg_assets.training.registration import register_run

    data = {"kind": "camvid", "folder": str(options.camvid.resolve()), "limit": options.limit}
    params = {
        "train": {**data, "split": "train"},
        "held_out": {**data, "split": "val"},
        "strategy": strategy,
        "base": options.seem,
        "image_size": options.size,
        "small_images": True,
        "points": None,  # masks of so few cells are compared on all of them
        "spatial": 0.5,
        "grounding": 0.5,
    }
    loop = {
        "steps": options.steps,
        "epochs": None,
        "batch_size": 8,
        "lr": options.lr,
        "warmup_steps": 20,
        "schedule": "cosine",
        "evaluate_every": max(1, options.steps // 3),
        "evaluate_at_start": True,
    }
    run_dir = options.out / strategy
    run_job(seem_recipe(params, loop).job(run_dir))
    name = f"camvid_{strategy}"
    register_run(name, run_dir)
    return name, read_run(run_dir)


def draw(curves: Mapping[str, Sequence[tuple[int, float]]], path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for name, points in curves.items():
        axes.plot(*zip(*points, strict=True), marker="o", markersize=3, label=name)
    axes.set(xlabel="step", ylabel="mIoU on CamVid's val split, 11 classes")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path)


if __name__ == "__main__":
    main()
