"""Segment everything: the segment-anything package against ours, by turns in one process.

    python benchmarks/mask_generation.py --size 1500x2250 --stage post
    python benchmarks/mask_generation.py --size 480x640 --stage all --pairs 5
    python benchmarks/mask_generation.py --size 1500x2250 --preset ssa --stage all --pairs 1
    python benchmarks/mask_generation.py --photo street.jpg --model sam_demo

Weights of the large models are random here, so masks are planted: encoder and decoder do all their
work, and then logits as SAM makes them (`sam_like_logits.py`) take the place of the decoder's,
on both sides. `--stage post` plants them without running either: from logits to records.
With a trained model and a photograph nothing is planted. The annotations of both sides are compared
in the same run. `--stage memory` measures each side's peak above the weights in a process of its
own.
"""

import argparse
import itertools
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="480x640", help="rows x columns of the image")
    parser.add_argument("--photo", help="an image file instead")
    parser.add_argument("--model", default="vit_b", help="a configuration; or of the manifest")
    parser.add_argument("--preset", default="reference")
    parser.add_argument("--points-per-side", type=int)
    parser.add_argument("--stage", choices=["post", "all", "memory"], default="all")
    parser.add_argument("--precision", default="float32", help="of ours")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--peak-of", choices=["package", "ours"], help=argparse.SUPPRESS)
    options = parser.parse_args()

    import torch
    from pairs import interleave, peak_above, report

    torch.set_num_threads(options.threads)
    if options.stage == "memory" and options.peak_of is None:
        peaks = {}
        for side in ("package", "ours"):
            command = [sys.executable, *sys.argv]
            command += ["--peak-of", side]
            answer = subprocess.run(command, check=True, capture_output=True, text=True)
            peaks[side] = float(answer.stdout.split()[-1])
            print(f"peak above weights and planted logits, {side}: {peaks[side]:.0f} MiB")
        print(f"ours / package: {peaks['ours'] / peaks['package']:.3f}")
        return
    image, sides = set_up(options)
    if options.peak_of:
        print(peak_above(lambda: sides[options.peak_of](image)))
        return
    print(
        f"{options.model}, {image.shape[0]} x {image.shape[1]}, preset {options.preset}, "
        f"{options.threads} thread(s), ours in {options.precision}, stage {options.stage}"
    )
    package, ours = (partial(sides[name], image) for name in ("package", "ours"))
    taken = interleave(package, ours, options.pairs, compare)
    report(options.stage, taken)


def set_up(options: argparse.Namespace) -> tuple[np.ndarray, dict[str, Any]]:
    """The image, and both generators' `generate`."""
    import torch

    from seg_assets.data.images import read_image
    from seg_assets.masks.generator import MaskGenerator
    from seg_assets.masks.params import MaskParams
    from seg_assets.masks.upscaling.tracer import torch_rounding
    from seg_assets.modeling.mask_models.sam.model import SegmentAnythingModel
    from seg_assets.modeling.sam import SAM_CONFIGS, build_sam, load_sam

    # isort: split
    from segment_anything import SamAutomaticMaskGenerator

    params = MaskParams.preset(options.preset)
    changes: dict[str, Any] = {"precision": options.precision}
    if options.points_per_side:
        changes["points_per_side"] = options.points_per_side
    params = params.model_copy(update=changes)
    arguments = params.that_decide_masks()
    del arguments["precision"]

    if options.model not in SAM_CONFIGS:
        sam = load_sam(options.model).model
        model = SegmentAnythingModel(sam, options.precision)
        package_sam = sam
    else:
        torch.manual_seed(0)
        sam = build_sam(SAM_CONFIGS[options.model])
        with torch.no_grad():
            for name, parameter in sam.named_parameters():
                if parameter.dim() == 1 or "rel_pos" in name:
                    parameter.add_(torch.randn_like(parameter) * 0.1)
    if options.photo:
        image = read_image(options.photo)
    else:
        rows, columns = map(int, options.size.split("x"))
        coarse = np.random.default_rng(0).integers(0, 256, (rows // 50 + 1, columns // 50 + 1, 3))
        image = np.repeat(np.repeat(coarse, 50, 0), 50, 1)[:rows, :columns].astype(np.uint8)
    if options.model in SAM_CONFIGS:
        planted = plan_logits(image.shape[:2], params)
        package_sam = plant_into_package(sam, planted, runs=options.stage != "post")
        model = plant_into_ours(sam, planted, params, options)

    torch_rounding()  # loads the kernels, or compiles them
    theirs = SamAutomaticMaskGenerator(package_sam, output_mode="coco_rle", **arguments)
    ours = MaskGenerator.from_params(model, params)

    def run_package(pixels: np.ndarray) -> list[dict[str, Any]]:
        return theirs.generate(pixels)

    return image, {"package": run_package, "ours": ours.generate}


def plan_logits(image_size: tuple[int, int], params: Any) -> dict[str, Any]:
    """Logits and scores for the points of every crop, which both sides go through."""

    from sam_like_logits import sam_like_logits

    from seg_assets.masks.crops import plan_crops, point_grids

    crops = plan_crops(*image_size, params.crop_n_layers, params.crop_overlap_ratio)
    logits, ious = [], []
    drawn: dict[Any, Any] = {}
    for crop in crops:
        size = (crop.y1 - crop.y0, crop.x1 - crop.x0)
        side = round(len(point_grids(params)[crop.layer]) ** 0.5)
        key = (size, side)
        if key not in drawn:
            drawn[key] = sam_like_logits(size, side, seed=len(drawn))
        logits.append(drawn[key][0])
        ious.append(drawn[key][1])
    return {"logits": logits, "ious": [i - 0.88 + params.pred_iou_thresh for i in ious]}


class Planted:
    """Hands out planted logits in the order of the points, crop by crop, image after image."""

    def __init__(self, planted: dict[str, Any]) -> None:
        self.logits, self.ious = planted["logits"], planted["ious"]
        self.crop = self.point = 0

    def next(self, points: int) -> tuple[Any, Any]:
        logits, ious = self.logits[self.crop], self.ious[self.crop]
        part = slice(self.point, self.point + points)
        self.point += points
        if self.point == len(logits):
            self.crop, self.point = (self.crop + 1) % len(self.logits), 0
        return logits[part], ious[part]


def plant_into_package(sam: Any, planted: dict[str, Any], *, runs: bool) -> Any:
    """A copy of the model that shares the weights and answers with planted logits."""
    import copy

    import torch

    source = Planted(planted)

    class Decoder(torch.nn.Module):
        def __init__(self, decoder: Any) -> None:
            super().__init__()
            self.decoder = decoder

        def forward(self, **arguments: Any) -> tuple[Any, Any]:
            if runs:
                self.decoder(**arguments)
            return source.next(len(arguments["sparse_prompt_embeddings"]))

    class NoEncoder(torch.nn.Module):
        img_size = sam.image_encoder.img_size

        def forward(self, pixels: Any) -> Any:
            side = self.img_size // 16
            return torch.zeros(len(pixels), sam.prompt_encoder.embed_dim, side, side)

    copied = copy.copy(sam)
    copied._modules = dict(sam._modules)
    copied.mask_decoder = Decoder(sam.mask_decoder)
    if not runs:
        copied.image_encoder = NoEncoder()
    return copied


def plant_into_ours(
    sam: Any, planted: dict[str, Any], params: Any, options: argparse.Namespace
) -> Any:
    """Our mask model, whose decoder decides by planted scores and answers with planted logits."""
    from seg_assets.modeling.mask_models.protocol import ImageEmbedding, PointMasks
    from seg_assets.modeling.mask_models.sam.model import SegmentAnythingModel
    from seg_assets.modeling.mask_models.sam.point_decoder import PointDecoder

    crops = itertools.cycle(
        [wanted_masks(*crop, params) for crop in zip(*planted.values(), strict=True)]
    )

    class Decoder(PointDecoder):
        """Does all its work; only scores and logits are others."""

        def decode(self, *arguments: Any, **options: Any) -> Iterator[PointMasks]:
            self.crop = next(self.crops)
            return super().decode(*arguments, **options)

        def _decode_batch(self, image: Any, points: Any, first: int, keep: Any, inside: Any):
            logits, ious = (values[first : first + len(points)] for values in self.crop)
            found = super()._decode_batch(image, points, first, lambda _: keep(ious), inside)
            wanted = keep(ious)
            return [PointMasks(logits[wanted], ious[wanted], batch.points) for batch in found]

    class Model(SegmentAnythingModel):
        def embed(self, images: Any) -> list[ImageEmbedding]:
            if options.stage != "post":
                return super().embed(images)
            return [ImageEmbedding(None, _frame(self, image)) for image in images]

        def decode_points(self, *arguments: Any) -> Iterator[PointMasks]:
            if options.stage != "post":
                return super().decode_points(*arguments)
            return iter(next(crops))

    Decoder.crops = itertools.cycle(list(zip(planted["logits"], planted["ious"], strict=True)))
    model = Model(sam, options.precision)
    model._points.__class__ = Decoder
    return model


def wanted_masks(logits: Any, ious: Any, params: Any) -> list[Any]:
    """What a decoder that skips unwanted masks yields for four points at a time."""
    from seg_assets.modeling.mask_models.protocol import PointMasks

    wanted = ious > params.pred_iou_thresh
    batches = []
    for start in range(0, len(logits), 4):
        part = slice(start, start + 4)
        indices = start + wanted[part].nonzero()[:, 0]
        batches.append(PointMasks(logits[part][wanted[part]], ious[part][wanted[part]], indices))
    return [batch for batch in batches if len(batch.logits)]


def _frame(model: Any, image: np.ndarray) -> Any:
    from seg_assets.modeling.mask_models.frame import MaskFrame
    from seg_assets.modeling.pixels import scaled_size

    square = model.sam.image_encoder.img_size
    size = image.shape[:2]
    return MaskFrame(size, scaled_size(*size, square), square, model.logits_size)


def compare(package: list[dict[str, Any]], ours: list[dict[str, Any]]) -> None:
    """How far the annotations of both sides agree."""
    from pycocotools import mask as coco

    equal = sum(own == other for own, other in zip(ours, package, strict=False))
    print(f"annotations: {len(package)} and {len(ours)}, {equal} equal in every field")
    if equal == len(package) == len(ours):
        return
    ious = coco.iou(
        [a["segmentation"] for a in package], [a["segmentation"] for a in ours], [0] * len(ours)
    )
    best = ious.max(1)
    print(
        f"best IoU of the package's masks with ours: mean {best.mean():.5f}, "
        f"least {best.min():.4f}, "
        f"{(best > 0.99).mean():.1%} over 0.99"
    )


if __name__ == "__main__":
    main()
