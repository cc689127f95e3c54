"""The chain at its real sizes on one image: SAM ViT-B and SEEM Focal-L, seconds per stage.

    python benchmarks/full_size_models.py IMAGE [--points-per-side 8] [--threads 1]

Without downloaded weights nothing is lost for a measurement of time: the networks are built at full
size with seeded random weights, through a manifest of their own. All masks are kept, so that there
are regions to label; names and shapes mean nothing.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

MODEL = """
[{name}]
title = "{config} with random weights"
kind = "{kind}"
config = "{config}"
seed = 0
licence = "Apache-2.0"
input_size = {size}
input_side = "{side}"
mean = [123.675, 116.28, 103.53]
std = [58.395, 57.12, 57.375]
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image")
    parser.add_argument("--points-per-side", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sam = MODEL.format(name="sam_b", kind="sam", config="vit_b", size=1024, side="long")
        seem = MODEL.format(name="seem_l", kind="seem", config="focal_l", size=512, side="short")
        Path(folder, "manifest.toml").write_text(sam + seem)
        os.environ["SEG_MODELS_DIR"] = folder
        measure(options.image, options.points_per_side, options.threads)


def measure(path: str, points_per_side: int, threads: int) -> None:
    import torch

    from seg_assets.data.images import read_image
    from seg_assets.labels.seem_labeler import load_seem_labeler
    from seg_assets.masks.generator import load_mask_generator
    from seg_assets.masks.params import MaskParams
    from seg_assets.masks.region_map import paint_regions
    from seg_assets.stages.run import Stopwatch, peak_memory_mib

    torch.set_num_threads(threads)
    params = MaskParams(
        points_per_side=points_per_side,
        pred_iou_thresh=0.0,
        stability_score_thresh=0.0,
        stability_score_offset=0.0,
        box_nms_thresh=1.0,
        min_mask_region_area=50,
    )
    image = read_image(path)
    watch = Stopwatch()
    started = time.process_time()
    with watch.time("load SAM"):
        generator = load_mask_generator("sam_b", params)
    with watch.time("masks"):
        records = generator.find(image)
    with watch.time("load SEEM and its class texts"):
        labeler = load_seem_labeler("seem_l")
    with watch.time("SEEM, image"):
        seem_image = labeler.read(image)
    regions = paint_regions(records, *image.shape[:2])
    with watch.time("SEEM, all regions"):
        labels = labeler.label_regions(seem_image, regions)
    height, width = image.shape[:2]
    print(f"image {width} x {height}, {points_per_side}^2 points, {threads} thread(s)")
    print(f"{len(records)} masks, {len(labels)} regions\n")
    print("| stage | seconds |\n| --- | --- |")
    for step, seconds in watch.seconds.items():
        print(f"| {step} | {seconds:.1f} |")
    print(f"\nCPU seconds in all: {time.process_time() - started:.0f}")
    print(f"peak memory: {peak_memory_mib() / 1024:.2f} GiB")


if __name__ == "__main__":
    main()
