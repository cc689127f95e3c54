"""Segmentors alone and with SSA, their labels voted into SAM's masks, on CamVid's validation split.

    python benchmarks/ssa_camvid.py shared/data/camvid --weights shared/data/weights/semantic

The segmentors are small networks with published weights: an ESPNet trained on CamVid, and two
ESPNetv2 trained on Cityscapes, whose classes the project's class map turns into CamVid's. The masks
are those of the small SAM that ships, with several settings; superpixels; and the segments of the
ground truth, which show what the vote does in masks that are right. "True names" are masks that the
ground truth votes for, over the segmentor's own map: what better names could gain.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from ssa_camvid_masks import SOURCES, find_masks, read_truth

THRESHOLDS = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95)
RULES = ("majority", "mean_logits")
TRUTH = "true names"
SHEET_IMAGES = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("camvid", type=Path)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/ssa_camvid"))
    parser.add_argument("--masks", nargs="+", choices=SOURCES, default=SOURCES)
    parser.add_argument("--only-masks", action="store_true")
    parser.add_argument("--every", type=int, default=1, help="only every so many-th image")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()

    import torch

    from seg_assets.data.formats.camvid import find_camvid_images

    torch.set_num_threads(options.threads)
    images = find_camvid_images(options.camvid)["val"][:: options.every]
    masks = {name: find_masks(name, images, options.out / "masks") for name in options.masks}
    print(f"{len(images)} images", flush=True)
    if options.only_masks:
        return
    report_masks(images, masks)
    for name, segmentor in segmentors(options.weights).items():
        report_segmentor(name, segmentor, images, masks, options.out)


def segmentors(weights: Path) -> dict[str, Any]:
    from seg_assets_tests.reference.espnet import CamvidEspNet
    from seg_assets_tests.reference.espnet_v2 import CityscapesEspNetV2

    return {
        "ESPNet, CamVid": CamvidEspNet(weights / "espnet_p_2_q_8_camvid.pth"),
        "ESPNetv2 2.0, Cityscapes": CityscapesEspNetV2(
            weights / "espnetv2_s_2.0_city_1024x512.pth"
        ),
        "ESPNetv2 0.5, Cityscapes": CityscapesEspNetV2(
            weights / "espnetv2_s_0.5_city_1024x512.pth"
        ),
    }


def report_masks(images: Sequence, masks: Mapping[str, list[list]]) -> None:
    """How many masks there are, what they cover and how pure they are."""
    from seg_assets.classes.table import IGNORE_ID
    from seg_assets.labels.voting import count_mask_votes

    print("\n| masks | per image | coverage | purity of the pixels | masks purer than 0.9 |")
    print("| --- | --- | --- | --- | --- |")
    for setting, of_images in masks.items():
        covered, counts = [], []
        for image, records in zip(images, of_images, strict=True):
            truth = read_truth(image)
            inside = np.zeros(truth.shape, bool)
            for record in records:
                inside |= record.rle.decode()
            covered.append(inside.mean())
            counts.append(count_mask_votes([record.rle for record in records], truth))
        votes = np.concatenate(counts)[:, :IGNORE_ID]
        best, all_pixels = votes.max(1), votes.sum(1)
        shares = best / np.maximum(all_pixels, 1)
        print(
            f"| {setting} | {len(votes) / len(images):.1f} | {np.mean(covered):.3f} | "
            f"{best.sum() / all_pixels.sum():.3f} | {(shares > 0.9).mean():.3f} |",
            flush=True,
        )


def report_segmentor(
    name: str, segmentor: Any, images: Sequence, masks: Mapping[str, list[list]], out: Path
) -> None:
    """A row of mIoU for each setting of the masks and rule of the vote, and a sheet of pictures."""
    from seg_assets.classes.mapping import load_class_map
    from seg_assets.data.images import read_image
    from seg_assets.metrics.confusion import ConfusionMatrix
    from seg_assets.metrics.semantic import semantic_scores

    mapping = load_class_map(segmentor.classes, "camvid11")
    empty = ConfusionMatrix.empty(mapping.target)
    alone = empty
    counts: dict[tuple[str, str, float], ConfusionMatrix] = {}
    shown = set(range(0, len(images), max(1, len(images) // SHEET_IMAGES)))
    rows, captions = [], []
    for index, image in enumerate(images):
        pixels, truth = read_image(image.uri), read_truth(image)
        found = segmentor.segment(image.image_id, pixels)
        alone += ConfusionMatrix.of(mapping.apply(found.label_map), truth, mapping.target)
        for setting, of_images in masks.items():
            painted = paint_all(of_images[index], found, truth, mapping)
            for key, label_map in painted.items():
                counted = ConfusionMatrix.of(label_map, truth, mapping.target)
                counts[setting, *key] = counts.get((setting, *key), empty) + counted
            if index in shown:
                rows.append(pictures(pixels, truth, found, painted, mapping))
                captions.append(f"{image.image_id}, masks: {setting}")
    scores = semantic_scores(alone)
    print(f"\n{name} alone: mIoU {scores.miou:.4f}, pixel accuracy {scores.aacc:.4f}\n")
    print("| masks | rule | " + " | ".join(f"{share:g}" for share in THRESHOLDS) + " |")
    print("| --- " * (len(THRESHOLDS) + 2) + "|")
    for setting in masks:
        for rule in (*RULES, TRUTH):
            cells = [
                f"{semantic_scores(counts[setting, rule, share]).miou:.4f}" for share in THRESHOLDS
            ]
            print(f"| {setting} | {rule} | " + " | ".join(cells) + " |", flush=True)
    report_classes(mapping.target, {"alone": alone, **best_and_plain(counts)})
    write_sheet(rows, captions, out / f"{name.replace(' ', '_').replace(',', '')}.png")


def paint_all(records: list, found: Any, truth: np.ndarray, mapping: Any) -> dict:
    """CamVid's map for each (rule, threshold); votes are taken in the segmentor's own classes."""
    from seg_assets.classes.mapping import ClassMap
    from seg_assets.labels.ssa import paint_votes, vote_masks
    from seg_assets.labels.ssa_params import SsaParams

    cases = {
        rule: (
            vote_masks(records, found.label_map, SsaParams(rule=rule), found.logits),
            found.label_map,
            mapping,
        )
        for rule in RULES
    }
    own = mapping.apply(found.label_map)
    cases[TRUTH] = vote_masks(records, truth), own, ClassMap.identity(mapping.target)
    painted = {}
    for rule, (votes, under, into) in cases.items():
        for share in THRESHOLDS:
            kept = [replace(vote, kept=vote.kept and vote.vote_share >= share) for vote in votes]
            painted[rule, share] = into.apply(paint_votes(records, kept, under))
    return painted


def best_and_plain(counts: Mapping) -> dict[str, Any]:
    """The plain vote of the first setting, and whichever vote has the highest mIoU."""
    from seg_assets.metrics.semantic import semantic_scores

    votes = {key: counted for key, counted in counts.items() if key[1] != TRUTH}
    best = max(votes, key=lambda key: semantic_scores(votes[key]).miou)
    plain = next(iter(votes))
    return {" ".join(map(str, key)): votes[key] for key in (plain, best)}


def report_classes(table: Any, counted: Mapping[str, Any]) -> None:
    from seg_assets.metrics.semantic import semantic_scores

    print("\n| IoU of | " + " | ".join(table.names) + " |")
    print("| --- " * (len(table) + 1) + "|")
    for name, counts in counted.items():
        print(f"| {name} | " + " | ".join(f"{v:.3f}" for v in semantic_scores(counts).iou) + " |")


def pictures(pixels: Any, truth: Any, found: Any, painted: Mapping, mapping: Any) -> list:
    from seg_assets.viz.overlay import overlay

    maps = (
        truth,
        mapping.apply(found.label_map),
        painted["majority", 0.0],
        painted["majority", 0.9],
        painted[TRUTH, 0.0],
    )
    return [pixels, *(overlay(pixels, each, mapping.target, alpha=0.7) for each in maps)]


def write_sheet(rows: list, captions: list[str], path: Path) -> None:
    from PIL import Image

    from seg_assets.viz.contact_sheet import contact_sheet

    titles = ["image", "truth", "segmentor", "SSA", "SSA, share 0.9", TRUTH]
    sheet = contact_sheet(rows, captions, titles=titles, cell_height=240)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sheet).save(path)
    print(f"\npictures: {path}", flush=True)


if __name__ == "__main__":
    main()
