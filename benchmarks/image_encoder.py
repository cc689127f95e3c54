"""SAM's image encoder: the package's module against ours, seconds, memory and bits.

    python benchmarks/image_encoder.py [--config vit_b] [--depth 3] [--pairs 5] [--threads 1]

Weights are random, with relative positions and position embedding drawn too; neither time nor
memory depends on them. Both sides run in turn in one process; each pair gives a ratio, and the
median of the ratios counts. A pass at full depth takes ViT-B tens of seconds with the package:
`--depth 3` runs the first three blocks, which are windowed and global in the proportion of all
twelve (6 of ViT-L, 8 of ViT-H likewise). Peaks come from a process of their own for each side, and
are what a first call adds to a process that holds weights and pixels.

With two threads on a machine that others use too, set OMP_WAIT_POLICY=passive: threads that wait
for one another otherwise spin, which counts as user time, and most for the side of many small
operations, ours.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple


class Seconds(NamedTuple):
    user: float
    system: float
    wall: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="vit_b")
    parser.add_argument("--depth", type=int, help="transformer blocks; all of the configuration's")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--dtype", default="float32", help="of ours")
    parser.add_argument("--exact", action="store_true", help="compare both with float64 as well")
    parser.add_argument("--peak-of", choices=["package", "ours"], help="in a process of its own")
    options = parser.parse_args()

    import torch

    torch.set_num_threads(options.threads)
    encoder, pixels, sides = build(options)
    if options.peak_of:
        print(peak_mib(sides[options.peak_of], pixels))
        return
    print(
        f"{options.config}, {len(encoder.blocks)} blocks, {pixels.shape[-1]} pixels a side, "
        f"{options.threads} thread(s), ours in {options.dtype}"
    )
    for name in sides:
        command = [sys.executable, *sys.argv, "--peak-of", name]
        peak = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        print(f"peak above weights and pixels, {name}: {peak:.0f} MiB")
    compare_bits(encoder, pixels, sides, exact=options.exact)
    if options.pairs:
        compare_seconds(pixels, sides, options.pairs)


def build(options: argparse.Namespace) -> tuple[Any, Any, dict[str, Callable]]:
    """The encoder, pixels for it, and the two ways to run it."""
    import torch

    from seg_assets.modeling.mask_models.sam.image_encoder import EncoderRunner
    from seg_assets.modeling.sam import SAM_CONFIGS, build_sam

    torch.manual_seed(0)
    config = SAM_CONFIGS[options.config]
    depth = options.depth or config.encoder_depth
    encoder = build_sam(replace(config, encoder_depth=depth)).image_encoder
    with torch.no_grad():
        for name, parameter in encoder.named_parameters():
            if "rel_pos" in name or "pos_embed" in name:
                parameter.normal_(std=0.1)
    pixels = torch.randn(1, 3, config.image_size, config.image_size)
    run = EncoderRunner(encoder, dtype=getattr(torch, options.dtype))
    return encoder, pixels, {"package": torch.inference_mode()(encoder.__call__), "ours": run}


def peak_mib(run: Callable, pixels: Any) -> float:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    run(pixels)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def compare_bits(encoder: Any, pixels: Any, sides: dict[str, Callable], *, exact: bool) -> None:
    """Differences between the sides, which is also what warms them up."""
    import torch

    package, ours = (run(pixels) for run in sides.values())
    print(
        f"bit-equal: {torch.equal(package, ours)}; greatest difference "
        f"{(package - ours).abs().max():.1e} where values spread by {package.std():.2f}"
    )
    if exact:
        with torch.inference_mode():
            truth = encoder.double()(pixels.double())
        encoder.float()
        for name, features in (("package", package), ("ours", ours)):
            error = (features - truth).abs()
            print(f"from float64, {name}: mean {error.mean():.2e}, greatest {error.max():.2e}")


def compare_seconds(pixels: Any, sides: dict[str, Callable], pairs: int) -> None:
    taken: dict[str, list[Seconds]] = {name: [] for name in sides}
    for pair in range(pairs):
        for name in sorted(sides, reverse=bool(pair % 2)):
            before, started = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
            sides[name](pixels)
            wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF)
            system = after.ru_stime - before.ru_stime
            taken[name].append(Seconds(after.ru_utime - before.ru_utime, system, wall))
    print("\n| seconds, median of pairs | user | system | wall |\n| --- | --- | --- | --- |")
    for name, runs in taken.items():
        medians = [statistics.median(kind) for kind in zip(*runs, strict=True)]
        print(f"| {name} | " + " | ".join(f"{value:.2f}" for value in medians) + " |")
    pairwise = list(zip(taken["package"], taken["ours"], strict=True))
    for label, of in (
        ("user", lambda seconds: seconds.user),
        ("user and system", lambda seconds: seconds.user + seconds.system),
        ("wall", lambda seconds: seconds.wall),
    ):
        ratios = sorted(of(package) / of(ours) for package, ours in pairwise)
        print(
            f"{label}: {statistics.median(ratios):.2f}x, "
            f"pairs from {ratios[0]:.2f} to {ratios[-1]:.2f}"
        )


if __name__ == "__main__":
    main()
