"""How time and memory of "segment everything" grow with points, masks and pixels; draws a plot.

    python benchmarks/mask_scaling.py --out docs/pictures/mask_scaling.png

ViT-B with random weights and planted masks, as in `mask_generation.py`, on one thread. The package
is measured as far as it answers within a minute. Peak memory is that of a process of its own, above
the weights, with 4 x 4 to 32 x 32 points of `sam_demo` on a generated scene.
"""

import argparse
import subprocess
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

POINTS = {"ours": (4, 8, 16, 32), "package": (4, 8)}
MASKS = {"ours": (4, 8, 16, 32), "package": (4, 8, 16)}
SIZES = {
    "ours": ("240x320", "480x640", "960x1280", "1500x2250", "4000x4000", "8000x8000"),
    "package": ("240x320", "480x640", "960x1280", "1500x2250"),
}

PEAK = """
import sys, torch
from pairs import peak_above
torch.set_num_threads(1)
from seg_assets.data.scenes import make_scene
from seg_assets.masks.generator import MaskGenerator
from seg_assets.modeling.sam import load_sam
sam, image = load_sam("sam_demo").model, make_scene(0, 384).image
def run(side):
    MaskGenerator(sam, points_per_side=side, pred_iou_thresh=0.4, stability_score_thresh=0.7,
                  stability_score_offset=0.5).find(image)
run(2)  # compiled kernels and warm caches are not what grows
print(peak_above(lambda: run(int(sys.argv[1]))))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="the plot, a PNG")
    options = parser.parse_args()

    import torch

    torch.set_num_threads(1)
    points = {
        side: [
            (n * n, seconds(side, size="480x640", stage="all", points_per_side=n)[0]) for n in many
        ]
        for side, many in POINTS.items()
    }
    masks = {
        side: [seconds(side, size="480x640", stage="post", points_per_side=n)[::-1] for n in many]
        for side, many in MASKS.items()
    }
    pixels = {
        side: [
            (
                int(size.split("x")[0]) * int(size.split("x")[1]),
                seconds(side, size=size, stage="post", points_per_side=8)[0],
            )
            for size in sizes
        ]
        for side, sizes in SIZES.items()
    }
    memory = {"ours": [(n * n, peak_mib(n)) for n in (4, 8, 16, 32)]}
    draw(
        options.out,
        [
            ("points, encoder included", "seconds of user time", points),
            ("masks traced, 480 x 640", "seconds of user time", masks),
            ("pixels of the image, 64 points", "seconds of user time", pixels),
            ("points of sam_demo", "MiB above a run with 4 points", memory),
        ],
    )


def seconds(side: str, **settings: Any) -> tuple[float, int]:
    """User time of a second run, and how many masks were promising."""
    from mask_generation import plan_logits, set_up
    from pairs import timed

    from seg_assets.masks.params import MaskParams

    options = Namespace(
        photo=None, model="vit_b", preset="reference", precision="float32", **settings
    )
    image, sides = set_up(options)
    run = sides[side]
    if options.stage == "post":
        run(image)
    taken = timed(lambda: run(image))[1].user
    params = MaskParams(points_per_side=options.points_per_side)
    ious = plan_logits(image.shape[:2], params)["ious"][0]
    masks = int((ious > params.pred_iou_thresh).sum())
    print(f"{side}, {settings}: {taken:.3f} s, {masks} masks", flush=True)
    return taken, masks


def peak_mib(points_per_side: int) -> float:
    command = [sys.executable, "-c", PEAK, str(points_per_side)]
    here = Path(__file__).parent
    answer = subprocess.run(command, check=True, capture_output=True, text=True, cwd=here)
    print(f"{points_per_side}^2 points of sam_demo: {float(answer.stdout):.1f} MiB", flush=True)
    return float(answer.stdout)


def draw(path: Path, panels: list[tuple[str, str, dict[str, list[tuple[float, float]]]]]) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    colours = {"package": "#b0562c", "ours": "#1f6f8b"}
    figure, axes = plt.subplots(1, len(panels), figsize=(16, 4), layout="constrained")
    for axis, (x_label, y_label, lines) in zip(axes, panels, strict=True):
        for side, values in lines.items():
            x, y = zip(*values, strict=True)
            axis.plot(x, y, "o-", color=colours[side], label=side)
        axis.set_xscale("log")
        if "seconds" in y_label:
            axis.set_yscale("log")
        else:
            axis.set_ylim(0, max(64, *y))
        axis.set_xlabel(x_label)
        axis.set_ylabel(y_label)
        axis.grid(alpha=0.3)
        axis.legend()
    figure.savefig(path, dpi=80)
    plt.close(figure)


if __name__ == "__main__":
    main()
