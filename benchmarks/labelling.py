"""Naming the regions of an image with SEEM: all in one pass, against the whole network per region.

    python benchmarks/labelling.py [--regions 100] [--peer-regions 10] [--size 384x512] [--pairs 5]

The other side does what the original pipeline does, with this project's own networks: for every
region it erodes a full-size mask, runs backbone, pixel decoder and query decoder with the one
prompt, enlarges the mask of the matched query to the image, and takes the class. Both sides draw
the same points, so classes and probabilities can be compared.

At full size one such pass takes seconds. With --peer-regions below --regions the other side names
only so many regions in each pair; its time for all is then computed from these, and said so.

Weights are random (SEEM Focal-L at its real size, or --config demo), so classes mean nothing; the
time does not depend on them. Regions are ellipses painted over one another.
"""

import argparse
import statistics
import time

import cv2
import numpy as np
import torch
from pairs import interleave, report
from torch.nn import functional as F

from seg_assets.labels.fusion import RegionAnswer, RegionLabel, answers_of, fuse_answers
from seg_assets.labels.params import LabelParams
from seg_assets.labels.prompts import ellipse_kernel, region_prompts
from seg_assets.labels.seem_labeler import SeemImage, SeemLabeler
from seg_assets.masks.region_map import RegionMap
from seg_assets.modeling.seem.config import SEEM_CONFIGS
from seg_assets.modeling.seem.model import Seem
from seg_assets.modeling.seem.postprocess import chosen_masks, match_region


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", choices=sorted(SEEM_CONFIGS), default="focal_l")
    parser.add_argument("--size", default="384x512", help="height x width")
    parser.add_argument("--regions", type=int, default=100)
    parser.add_argument("--peer-regions", type=int, help="of the other side; all by default")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", default="float32")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    height, width = map(int, options.size.split("x"))
    params = LabelParams(precision=options.precision)
    labeler = random_labeler(options.config, params)
    region_map = painted_ellipses(height, width, options.regions)
    asked = region_map.visible()[0].tolist()[: options.peer_regions]
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)
    print(
        f"SEEM {options.config}, {height} x {width} pixels, {options.regions} regions, "
        f"{options.threads} thread(s), {options.precision}"
    )
    steps(labeler, image, region_map)

    plain = labeler.read(image)  # its pass without a prompt is given to the other side

    def one_by_one():
        return whole_network_per_region(labeler, image, region_map, asked, plain)

    def together():
        return labeler.label_regions(labeler.read(image), region_map)

    def compare(expected, found) -> None:
        found = {label.region_id: label for label in found}
        difference = 0.0
        for label in expected:
            own = found[label.region_id]
            same = (own.source_id, own.class_id, own.fallback)
            if same != (label.source_id, label.class_id, label.fallback):
                raise SystemExit(f"region {label.region_id}: {own} is not {label}")
            difference = max(difference, abs(own.score - label.score))
        print(f"  {len(expected)} labels equal, probabilities to {difference:.1e}")

    taken = interleave(one_by_one, together, options.pairs, compare)
    if len(asked) == options.regions:
        report(f"{options.regions} regions", taken)
        return
    print(f"the other side named {len(asked)} of {options.regions} regions")
    for kind in ("user", "wall"):
        ratios = [
            getattr(theirs, kind) / len(asked) * options.regions / getattr(own, kind)
            for theirs, own in taken
        ]
        print(
            f"{options.regions} regions, {kind}: computed from {len(asked)} on the other side, "
            f"{statistics.median(ratios):.1f}x "
            f"(pairs from {min(ratios):.1f}x to {max(ratios):.1f}x)"
        )


def random_labeler(config: str, params: LabelParams) -> SeemLabeler:
    torch.manual_seed(0)
    model = Seem(SEEM_CONFIGS[config]).eval().requires_grad_(False)
    for weight in (model.predictor.query_feat.weight, model.predictor.query_embed.weight):
        torch.nn.init.normal_(weight)
    texts = F.normalize(torch.randn(134, SEEM_CONFIGS[config].hidden), dim=-1)
    return SeemLabeler(model, texts, params)


def painted_ellipses(height: int, width: int, regions: int) -> RegionMap:
    """Exactly so many visible regions, large ones below small ones."""
    random = np.random.default_rng(1)
    ids = np.zeros((height, width), np.int32)
    for region in range(regions, 0, -1):
        size = 8 + int(0.25 * min(height, width) * region / regions)
        at = (int(random.integers(width)), int(random.integers(height)))
        axes = tuple(int(side) for side in random.integers(6, size, 2))
        cv2.ellipse(ids, at, axes, float(random.integers(180)), 0, 360, region, -1)
    present = np.unique(ids[ids > 0])
    ids = np.searchsorted(present, ids) + (ids > 0)
    missing = regions - len(present)  # covered ones come back as small squares in a row
    for i in range(missing):
        ids[:6, 8 * i : 8 * i + 6] = len(present) + 1 + i
    return RegionMap(ids.astype(np.int32), np.arange(regions))


@torch.inference_mode()
def whole_network_per_region(
    labeler: SeemLabeler,
    image: np.ndarray,
    region_map: RegionMap,
    asked: list[int],
    plain: SeemImage,
) -> list[RegionLabel]:
    """Every region through the whole network, as the original pipeline does it."""
    model, size = labeler.model, image.shape[:2]
    answers: dict[int, RegionAnswer] = {}
    for region_id in asked:
        mask = eroded_as_upstream((region_map.ids == region_id).astype(np.uint8))
        pixels = torch.from_numpy(image).permute(2, 0, 1)
        features = model.encode_image(pixels)
        prompt = model.read_masks(features, torch.from_numpy(mask.astype(bool))[None])
        prediction = model.decode(features, labeler.text_table, regions=[prompt])
        match = match_region(prediction, prompt.query)
        chosen_masks(prediction, features, match.query, size)  # drawn there, and thrown away
        logits = prediction.logits[0, match.query].float().numpy()
        answers[region_id] = answers_of(logits, labeler.params.top_k)[0]
    ids = np.where(np.isin(region_map.ids, asked), region_map.ids, 0)
    return fuse_answers(
        RegionMap(ids, region_map.mask_ids),
        answers,
        plain.label_map,
        labeler.class_map,
        lambda region_id: plain.factors.region_scores(ids == region_id),
    )


def eroded_as_upstream(mask: np.ndarray) -> np.ndarray:
    eroded = cv2.erode(mask, ellipse_kernel(11))
    if not eroded.any():
        return mask
    if eroded.sum() / mask.sum() < 0.3:
        eroded = cv2.erode(mask, ellipse_kernel(3))
    return eroded


def steps(labeler: SeemLabeler, image: np.ndarray, region_map: RegionMap) -> None:
    """Our seconds by step; the second of two rounds, so that nothing is compiled in it."""
    for last in (False, True):
        clock = Clock(last)
        pixels = torch.tensor(image).permute(2, 0, 1)
        with torch.inference_mode():
            features = labeler.model.encode_image(pixels)
            clock("backbone and pixel decoder")
            prediction = labeler.model.decode(features, labeler.text_table)
            features.masks(prediction.mask_embeddings)
            clock("decoder without prompt, masks")
        seen = labeler.read(image)
        clock.skip()
        seen.factors.argmax()
        clock("SEEM's own map from its factors")
        prompts = region_prompts(region_map.ids, labeler.params)
        clock("prompts of all regions")
        answers = labeler.ask(seen.features, prompts)
        clock("decoder, all regions")
        fuse_answers(
            region_map,
            answers,
            seen.label_map,
            labeler.class_map,
            lambda i, factors=seen.factors: factors.region_scores(region_map.ids == i),
        )
        clock("votes and labels")


class Clock:
    def __init__(self, loud: bool) -> None:
        self.loud, self.started = loud, time.process_time()

    def __call__(self, step: str) -> None:
        if self.loud:
            print(f"  {step}: {time.process_time() - self.started:.3f} s", flush=True)
        self.skip()

    def skip(self) -> None:
        self.started = time.process_time()


if __name__ == "__main__":
    main()
