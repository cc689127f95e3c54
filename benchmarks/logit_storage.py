"""Bytes of SEEM's scores per image: their factors, as stored, against dense scores as npz.

    python benchmarks/logit_storage.py --photos FOLDER
    python benchmarks/logit_storage.py --scenes 8
    python benchmarks/logit_storage.py --photos FOLDER --images 2 --random-full-size

The original pipeline keeps (H, W, 133) float16, uncompressed. Both sides are written from the same
float32 output of one network, and the classes that each gives back are compared with each other
and with those of the float32 scores: all three round, so pixels where two classes are next to
equal may differ. The factors are one row of `seem_logits` in a Parquet part of the store.
"""

import argparse
import io
import tempfile
from pathlib import Path

import numpy as np
import torch
from labelling import random_labeler
from torch.nn import functional as F

from seg_assets.data.images import read_image
from seg_assets.data.scenes import make_scene
from seg_assets.labels.logit_factors import LogitFactors
from seg_assets.labels.params import LabelParams
from seg_assets.labels.seem_labeler import SeemLabeler, load_seem_labeler, resize_image
from seg_assets.storage.store import Store


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--scenes", type=int, help="generated scenes of 384 x 384 pixels")
    parser.add_argument("--images", type=int, default=8, help="photos to take")
    parser.add_argument("--short-side", type=int, help="in which SEEM reads; native by default")
    parser.add_argument("--mask-tolerance", type=float, default=0.0)
    parser.add_argument("--random-full-size", action="store_true", help="Focal-L, random weights")
    options = parser.parse_args()
    torch.set_num_threads(1)
    params = LabelParams(short_side=options.short_side, mask_tolerance=options.mask_tolerance)
    if options.random_full_size:
        labeler = random_labeler("focal_l", params)
    else:
        labeler = load_seem_labeler("seem_demo", params)
    print("| image | pixels | queries kept | npz, MB | factors, MB | smaller | equal classes |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    ratios = []
    for name, image in images(options):
        ratios.append(measure(labeler, name, image))
    print(f"\nmedian: {np.median(ratios):.1f}x smaller (from {min(ratios):.1f}x)")


def images(options: argparse.Namespace):
    if options.photos:
        paths = sorted(p for p in options.photos.iterdir() if p.suffix in (".jpg", ".png"))
        for path in paths[: options.images]:
            yield path.name, read_image(str(path))
    for seed in range(options.scenes or 0):
        yield f"scene {seed}", make_scene(seed, 384).image


@torch.inference_mode()
def measure(labeler: SeemLabeler, name: str, image: np.ndarray) -> float:
    size = image.shape[:2]
    factors = labeler.read(image).factors
    exact = dense_scores(labeler, image)
    half = exact.astype(np.float16)
    npz = io.BytesIO()
    np.savez(npz, half.transpose(1, 2, 0))
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        with store.write_shard("seem_logits", "one", ["image"], {"by": "benchmark"}) as writer:
            writer.add("image", [factors.to_row("image")])
        stored = store.open_shard("seem_logits", "one")
        restored = LogitFactors.from_row(stored.rows("image")[0])
        taken = stored.manifest.totals["bytes"]
    classes, dense = restored.argmax(), half.argmax(axis=0)
    truth = exact.argmax(axis=0)
    ratio = npz.getbuffer().nbytes / taken
    print(
        f"| {name} | {size[1]} x {size[0]} | {len(factors.class_logits)} | "
        f"{npz.getbuffer().nbytes / 1e6:.1f} | {taken / 1e6:.2f} | {ratio:.1f}x | "
        f"{(classes == dense).mean():.5f} of the npz's; of float32's the npz has "
        f"{(dense == truth).mean():.5f}, the factors {(classes == truth).mean():.5f} |",
        flush=True,
    )
    return ratio


def dense_scores(labeler: SeemLabeler, image: np.ndarray) -> np.ndarray:
    """The definition in float32, with torch's own resizing: (classes, H, W)."""
    input_size = labeler.params.input_size(*image.shape[:2])
    pixels = torch.tensor(resize_image(image, input_size)).permute(2, 0, 1)
    features = labeler.model.encode_image(pixels)
    prediction = labeler.model.decode(features, labeler.text_table)
    masks = features.masks(prediction.mask_embeddings)
    masks = F.interpolate(masks, size=features.padded_size, mode="bilinear", align_corners=False)
    masks = masks[..., : input_size[0], : input_size[1]]
    if input_size != image.shape[:2]:
        masks = F.interpolate(masks, size=image.shape[:2], mode="bilinear", align_corners=False)
    probabilities = prediction.logits[0].softmax(-1)[:, :-1]
    return torch.einsum("qc,qhw->chw", probabilities, masks[0].sigmoid()).numpy()


if __name__ == "__main__":
    main()
