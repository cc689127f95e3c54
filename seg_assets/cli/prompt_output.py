"""What `seg-assets prompt` decodes and writes: pictures, masks, and all the rest as JSON.

<image>/<step>.jpg           the image under the masks, with its prompts
<image>/<step>.png           a mask, 8-bit grey, 255 = object
<image>/<step>_1.png, ...    masks where there are several: candidates, or objects of a batch
<image>/<type>.json          model, prompts, predicted IoUs and COCO run lengths of all masks

A step is called as its prompt type; the second step of "point" is "two_point",
or "all_points" where there are more.
"""

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from seg_assets.errors import StoreError
from seg_assets.masks.predictor import PromptPredictor
from seg_assets.masks.prompted_masks import PromptedMasks
from seg_assets.masks.prompts import Prompts
from seg_assets.masks.rle import Rle
from seg_assets.viz.prompts import draw_prompted_masks


@dataclass(frozen=True)
class PromptStep:
    """One call of the decoder.

    Attributes:
        name: Of the prompt type, "two_point" or "all_points".
        prompts: What it was given.
        found: What it made of that.
        fed_back: Name of the mask whose logits are among the prompts; None without one.
    """

    name: str
    prompts: Prompts
    found: PromptedMasks
    fed_back: str | None = None

    def mask_names(self) -> list[list[str]]:
        """File names without suffix, [object][candidate]."""
        objects, candidates = self.found.predicted_ious.shape
        if candidates == 1 and not self.name.startswith("batch_"):
            return [[self.name]]
        return [
            [f"{self.name}_{n * candidates + m + 1}" for m in range(candidates)]
            for n in range(objects)
        ]


def decode_steps(
    predictor: PromptPredictor, image: np.ndarray, name: str, prompts: Prompts
) -> list[PromptStep]:
    """Encode the image once, and decode the prompts of a type.

    The first point of "point" gives three candidates; with more points, all of them and the best
    candidate's logits give one mask. All other types give one mask per object.

    Raises:
        InputError: A prompt lies outside the image.
    """
    embedding = predictor.embed(image)
    if name != "point" or prompts.points is None or prompts.labels is None:
        return [PromptStep(name, prompts, predictor.predict(embedding, prompts))]
    first = Prompts(points=prompts.points[:, :1], labels=prompts.labels[:, :1])
    step = PromptStep(name, first, predictor.predict(embedding, first, multimask=True))
    if prompts.points.shape[1] == 1:
        return [step]
    both = Prompts(points=prompts.points, labels=prompts.labels, mask_logits=step.found.best_logits)
    best = step.mask_names()[0][int(step.found.best[0])]
    name = "two_point" if prompts.points.shape[1] == 2 else "all_points"
    return [step, PromptStep(name, both, predictor.predict(embedding, both), best)]


def write_step(folder: Path, image: np.ndarray, step: PromptStep) -> list[Path]:
    """Write a step's masks, and pictures of them: one per candidate, each with all objects.

    Returns:
        The pictures.

    Raises:
        StoreError: The folder cannot be written.
    """
    names = step.mask_names()
    pictures = []
    for candidate in range(len(names[0])):
        masks = step.found.masks[:, candidate]
        name = step.name if len(names[0]) == 1 else names[0][candidate]
        pictures.append(folder / f"{name}.jpg")
        # subsampling 0: colours at full resolution, else thin lines fade
        _save(pictures[-1], _draw(image, masks, step.prompts), quality=90, subsampling=0)
        for n, mask in enumerate(masks):
            _save(folder / f"{names[n][candidate]}.png", np.where(mask, np.uint8(255), np.uint8(0)))
    return pictures


def describe_step(step: PromptStep) -> dict[str, Any]:
    """A step in JSON's terms: per object its prompts and its masks."""
    objects = []
    for n, names in enumerate(step.mask_names()):
        masks = [
            {
                "file": f"{name}.png",
                "predicted_iou": float(step.found.predicted_ious[n, m]),
                **_describe_mask(Rle.encode(step.found.masks[n, m])),
            }
            for m, name in enumerate(names)
        ]
        prompts = step.prompts
        objects.append(
            {
                "points": _listed(prompts.points, n),
                "labels": _listed(prompts.labels, n),
                "box": _listed(prompts.boxes, n),
                "mask_input": step.fed_back,
                "masks": masks,
            }
        )
    return {"name": step.name, "objects": objects}


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON file.

    Raises:
        StoreError: It cannot be written.
    """
    _write(path, (json.dumps(content, indent=2) + "\n").encode())


def lines(step: PromptStep) -> Iterator[str]:
    """One line per mask, for people."""
    for n, names in enumerate(step.mask_names()):
        for m, name in enumerate(names):
            score, area = step.found.predicted_ious[n, m], int(step.found.masks[n, m].sum())
            yield f"{name}: predicted IoU {score:.3f}, {area} pixels"


def _draw(image: np.ndarray, masks: np.ndarray, prompts: Prompts) -> np.ndarray:
    points = None if prompts.points is None else prompts.points.reshape(-1, 2)
    labels = None if prompts.labels is None else prompts.labels.reshape(-1)
    return draw_prompted_masks(image, masks, points, labels, prompts.boxes)


def _describe_mask(rle: Rle) -> dict[str, Any]:
    x0, y0, x1, y1 = rle.corners
    bbox = [x0, y0, x1 - x0, y1 - y0]  # SA-1B's: distances between the outermost pixels
    return {"area": rle.area, "bbox": bbox, "segmentation": rle.to_coco()}


def _listed(values: np.ndarray | None, n: int) -> list[Any] | None:
    return None if values is None else values[n].tolist()


def _save(path: Path, pixels: np.ndarray, **options: int) -> None:
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, format="PNG" if path.suffix == ".png" else "JPEG", **options)
    _write(path, data.getvalue())


def _write(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except OSError as error:
        raise StoreError(
            f"{path} cannot be written ({error.strerror}): choose another --out or make room"
        ) from error
