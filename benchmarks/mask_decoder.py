"""Our point decoder against the segment-anything package's prompt encoder and mask decoder.

    python benchmarks/mask_decoder.py [--points 64] [--pairs 5] [--threads 1] [--survive 0.66]
                                      [--config vit_b] [--rows 1024 --columns 1024]

ViT-B sizes with seeded random weights; both sides take turns in one process. The package decodes 64
points at a time, as its mask generator does, and every mask of the whole square. Ours decodes the
same points three times: all masks of the whole square; those of a share of the points
(`--survive`), as if no mask of the others had a sufficient score; those, and of the square only the
part that shows the image (`--rows`, `--columns` of the model's input: 768 x 1024 for a 480 x 640
image).

A row gives the median over the pairs of the package's user seconds over ours, the least user and
wall seconds of ours, scaled to 1,024 points, and minor page faults per point. Then come relative
errors of both against the package's decoder in float64, on the first points.
"""

import argparse
import copy
import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from seg_assets.modeling.mask_models.sam.point_decoder import PointDecoder
from seg_assets.modeling.sam import SAM_CONFIGS, Sam, build_sam

PACKAGE_BATCH = 64
ALL_POINTS = 1024
CHECKED = 8


@dataclass(frozen=True)
class Cost:
    """What a run cost."""

    user: float
    wall: float
    faults: int


def _random_sam(name: str) -> Sam:
    """A seeded SAM. Its image encoder, which takes no part, has one block."""
    torch.manual_seed(0)
    sam = build_sam(replace(SAM_CONFIGS[name], encoder_depth=1, global_attention=()))
    with torch.no_grad():
        for parameter in sam.mask_decoder.parameters():
            # constant at first: without differences there, terms of the algebra would vanish
            if parameter.dim() == 1 and float(parameter.std()) == 0:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return sam


@torch.inference_mode()
def _package(
    sam: Sam, features: Tensor, points: Tensor, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor]:
    """Logits and predicted IoUs of the last batch."""
    decoder = sam.mask_decoder
    if dtype != torch.float32:
        decoder = copy.deepcopy(decoder).to(dtype)
    logits, ious = torch.empty(0), torch.empty(0)
    for batch in points.split(PACKAGE_BATCH):
        labels = torch.ones((len(batch), 1), dtype=torch.int)
        sparse, dense = sam.prompt_encoder((batch[:, None], labels), None, None)
        logits, ious = decoder(
            image_embeddings=features.to(dtype),
            image_pe=sam.prompt_encoder.get_dense_pe().to(dtype),
            sparse_prompt_embeddings=sparse.to(dtype),
            dense_prompt_embeddings=dense.to(dtype),
            multimask_output=True,
        )
    return logits, ious


def _measure(run: Callable[[], object]) -> Cost:
    wall, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    run()
    after, elapsed = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter() - wall
    return Cost(after.ru_utime - before.ru_utime, elapsed, after.ru_minflt - before.ru_minflt)


def _error(found: Tensor, exact: Tensor) -> float:
    return float((found.double() - exact).norm() / exact.norm())


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--config", choices=SAM_CONFIGS, default="vit_b")
    parser.add_argument("--points", type=int, default=64)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--survive", type=float, default=0.66)
    parser.add_argument("--rows", type=int, default=768)
    parser.add_argument("--columns", type=int, default=1024)
    parser.add_argument("--points-per-batch", type=int, default=None)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    sam = _random_sam(options.config)
    config = SAM_CONFIGS[options.config]
    grid, side = config.image_size // config.patch_size, config.image_size
    features = torch.randn(1, config.prompt_dim, grid, grid)
    points = torch.rand(options.points, 2) * side
    decoder = PointDecoder(sam)
    ious = torch.cat([_package(sam, features, batch)[1] for batch in points.split(PACKAGE_BATCH)])
    best = ious.max(1).values
    bar = float(best.quantile(1 - options.survive))

    def ours(keep: Callable[[Tensor], Tensor], input_size: tuple[int, int]) -> None:
        image = decoder.prepare(features)
        for _ in decoder.decode(image, points, keep, input_size, options.points_per_batch):
            pass

    def every(predicted_ious: Tensor) -> Tensor:
        return torch.ones_like(predicted_ious, dtype=torch.bool)

    def surviving(predicted_ious: Tensor) -> Tensor:
        return (predicted_ious.max(1, keepdim=True).values >= bar).expand_as(predicted_ious)

    image_part = (options.rows, options.columns)
    runs = {
        "all masks, whole square": lambda: ours(every, (side, side)),
        f"{options.survive:.0%} of the points": lambda: ours(surviving, (side, side)),
        f"the same, {options.rows} x {options.columns}": lambda: ours(surviving, image_part),
    }
    for run in runs.values():
        run()  # compiles
    packages, costs = [], {name: [] for name in runs}
    for _ in range(options.pairs):
        packages.append(_measure(lambda: _package(sam, features, points)))
        for name, run in runs.items():
            costs[name].append(_measure(run))

    scale = ALL_POINTS / options.points
    print(f"{options.points} points, {options.threads} thread(s), {options.pairs} pairs")
    print(f"{'':32}{'ratio':>8}{'user s':>10}{'wall s':>10}{'wall ratio':>12}{'faults':>10}")
    for name, own in {"package": packages, **costs}.items():
        ratio = statistics.median(p.user / o.user for p, o in zip(packages, own, strict=True))
        walls = statistics.median(p.wall / o.wall for p, o in zip(packages, own, strict=True))
        user = scale * min(cost.user for cost in own)
        wall = scale * min(cost.wall for cost in own)
        faults = statistics.median(cost.faults for cost in own) / options.points
        print(f"{name:32}{ratio:8.2f}{user:10.1f}{wall:10.1f}{walls:12.2f}{faults:10.0f}")

    exact, exact_ious = _package(sam, features, points[:CHECKED], torch.float64)
    single, single_ious = _package(sam, features, points[:CHECKED])
    image = decoder.prepare(features)
    found = list(decoder.decode(image, points[:CHECKED], every, (side, side)))
    logits = torch.cat([masks.logits for masks in found]).view(exact.shape)
    found_ious = torch.cat([masks.predicted_ious for masks in found]).view(exact_ious.shape)
    print("relative error against float64: logits, predicted IoUs")
    print(f"  package  {_error(single, exact):.1e}, {_error(single_ious, exact_ious):.1e}")
    print(f"  ours     {_error(logits, exact):.1e}, {_error(found_ious, exact_ious):.1e}")


if __name__ == "__main__":
    main()
