"""Turn CT or MR volumes with organ labels into pictures that a model of photos can be trained on.

Follows MedSAM's preparation of FLARE22: window, clean labels, keep the slices with labels, stretch
them to squares.
"""

import json
import logging
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from seg_assets.data.ct.components import Removed, remove_small_parts
from seg_assets.data.ct.intensity import percentiles_to_bytes, stretch_to_bytes, window_to_bytes
from seg_assets.data.ct.params import CtParams
from seg_assets.data.ct.report import CaseReport, CtReport, Split
from seg_assets.data.ct.volumes import SUFFIXES, CtCase, read_case
from seg_assets.data.formats.instance_png import CLASSES, IMAGES, INSTANCES
from seg_assets.errors import InputError

logger = logging.getLogger(__name__)

REPORT = "preparation.json"
# FLARE22 and others number the channels of an image behind its name; there is only one.
_CHANNEL = "_0000"


@dataclass(frozen=True)
class CaseFiles:
    """Where a case lies: its name, its volume, its labels."""

    case: str
    image: Path
    label: Path


def prepare_ct(
    images_dir: str | Path, labels_dir: str | Path, out: str | Path, params: CtParams
) -> CtReport:
    """Write the labelled slices of all cases as two data sets of format "png", all or nothing.

        out/preparation.json                       what was done: `CtReport`
        out/<train or val>/images/<case>-<zzz>.png     grey, 8 bits, size x size
        out/<train or val>/instances/<case>-<zzz>.png  label of each pixel, 8 bits
        out/<train or val>/classes.json                names of the labels

    zzz is the slice's number in its volume, from the feet upwards, from 0. Pictures are resized by
    Pillow's bicubic filter, which smooths when it shrinks; labels take the nearest pixel.

    Args:
        images_dir: volumes, <case>_0000.nii.gz or <case>.nii.gz; .nii does too.
        labels_dir: labels, <case>.nii.gz.
        out: a folder that does not exist yet, or is empty.
        params: what to do.

    Raises:
        InputError: a folder or a label is missing, `out` is taken, or no labelled slice is left.
        ImageError: a volume or its labels cannot be used; see `read_case`.
    """
    target = Path(out)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(f"{target} is there already: remove it or name another folder")
    files = find_cases(images_dir, labels_dir)
    train = set(train_cases([file.case for file in files], params.train_share))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as scratch:
            written = Path(scratch) / target.name
            reports = []
            for number, file in enumerate(files, start=1):
                split: Split = "train" if file.case in train else "val"
                reports.append(_prepare_case(file, split, written / split, params))
                logger.info(
                    "%s, %d of %d: %d slices for %s",
                    file.case,
                    number,
                    len(files),
                    reports[-1].slices,
                    split,
                )
            report = CtReport(params, tuple(reports))
            if not any(case.slices for case in reports):
                raise InputError(
                    f"no slice of the {len(files)} cases in {images_dir} has a label left: "
                    "lower min_voxels and min_pixels or give other labels"
                )
            _write_descriptions(written, report)
            written.rename(target)
    except OSError as error:
        raise InputError(f"{target} cannot be written ({error}): choose another folder") from error
    return report


def find_cases(images_dir: str | Path, labels_dir: str | Path) -> list[CaseFiles]:
    """Pair volumes with labels, sorted by the cases' names.

    Raises:
        InputError: a folder is missing or empty, or a file has no partner.
    """
    images = _volumes(images_dir, "images", _CHANNEL)
    labels = _volumes(labels_dir, "labels", "")
    for case in sorted(images.keys() ^ labels.keys()):
        if case in images:
            raise InputError(
                f"{images[case]} has no labels {case}{SUFFIXES[0]} in {labels_dir}: put them there"
            )
        raise InputError(
            f"{labels[case]} has no image {case}{_CHANNEL}{SUFFIXES[0]} in {images_dir}: "
            "put it there"
        )
    return [CaseFiles(case, images[case], labels[case]) for case in sorted(images)]


def train_cases(cases: list[str], share: float) -> list[str]:
    """The first `share` of the sorted names, rounded down, but at least one: 40 of 50 for 0.8."""
    return sorted(cases)[: max(1, int(len(cases) * share + 1e-9))]


def clean_labels(labels: np.ndarray, params: CtParams) -> tuple[np.ndarray, int, Removed, Removed]:
    """Remove labels and small parts of labels.

    Args:
        labels: (D, H, W) uint8, 0 = background.
        params: which labels, and how small.

    Returns:
        The cleaned copy, voxels of removed labels, small parts of the volume, and of the slices.
    """
    unwanted = np.isin(labels, params.removed_labels)
    cleaned = np.where(unwanted, np.uint8(0), labels)
    cleaned, in_volume = remove_small_parts(cleaned, params.min_voxels)
    in_slices = Removed()
    for number, picture in enumerate(cleaned):
        cleaned[number], removed = remove_small_parts(picture, params.min_pixels)
        in_slices += removed
    return cleaned, int(unwanted.sum()), in_volume, in_slices


def _prepare_case(file: CaseFiles, split: Split, folder: Path, params: CtParams) -> CaseReport:
    """Write the slices of one case."""
    case = read_case(file.image, file.label)
    unknown = set(np.unique(case.labels).tolist()) - {
        0,
        *params.class_names,
        *params.removed_labels,
    }
    if unknown:
        raise InputError(
            f"{file.label} holds the label {min(unknown)}, which class_names does not name: "
            "name it there"
        )
    labels, removed_voxels, in_volume, in_slices = clean_labels(case.labels, params)
    pixels = _to_bytes(case, params)
    kept = np.flatnonzero(labels.any(axis=(1, 2)))
    for number in kept:
        for name in (IMAGES, INSTANCES):
            (folder / name).mkdir(parents=True, exist_ok=True)
        name = f"{file.case}-{number:03d}.png"
        _picture(pixels[number], params).save(folder / IMAGES / name)
        ids = Image.fromarray(labels[number])
        ids.resize((params.size, params.size), Image.Resampling.NEAREST).save(
            folder / INSTANCES / name
        )
    depth, height, width = case.labels.shape
    return CaseReport(
        case=file.case,
        split=split,
        file_axes=case.file_axes,
        shape=(depth, height, width),
        spacing=case.spacing,
        intensity_range=(float(case.intensities.min()), float(case.intensities.max())),
        slices=len(kept),
        empty_slices=depth - len(kept),
        removed_label_voxels=removed_voxels,
        small_in_volume=in_volume,
        small_in_slices=in_slices,
    )


def _to_bytes(case: CtCase, params: CtParams) -> np.ndarray:
    if params.modality == "ct":
        return window_to_bytes(case.intensities, params.level, params.width)
    return percentiles_to_bytes(case.intensities, params.low_percentile, params.high_percentile)


def _picture(pixels: np.ndarray, params: CtParams) -> Image.Image:
    """Resize one slice, (H, W) uint8, in floating point: stretching comes before rounding."""
    grey = Image.fromarray(pixels.astype(np.float32))
    resized = np.asarray(grey.resize((params.size, params.size), Image.Resampling.BICUBIC))
    if params.slice_min_max:
        return Image.fromarray(stretch_to_bytes(resized))
    return Image.fromarray(np.rint(np.clip(resized, 0, 255)).astype(np.uint8))


def _write_descriptions(folder: Path, report: CtReport) -> None:
    (folder / REPORT).write_text(report.to_json())
    names = {
        str(label): name
        for label, name in sorted(report.params.class_names.items())
        if label not in report.params.removed_labels
    }
    for split in ("train", "val"):
        if (folder / split).is_dir():
            (folder / split / CLASSES).write_text(json.dumps(names, indent=2) + "\n")


def _volumes(folder: str | Path, what: str, ending: str) -> dict[str, Path]:
    """Name of the case -> path of the NIfTI files that lie directly in a folder."""
    root = Path(folder)
    if not root.is_dir():
        raise InputError(f"the folder of {what} {root} is not there: give a folder that exists")
    found: dict[str, Path] = {}
    for path in sorted(root.iterdir()):
        suffix = next((s for s in SUFFIXES if path.name.lower().endswith(s)), None)
        if suffix is None or path.name.startswith("."):
            continue
        name = path.name[: -len(suffix)].removesuffix(ending)
        if name in found:
            raise InputError(f"{found[name]} and {path} are the same case: remove one of them")
        found[name] = path
    if not found:
        raise InputError(f"{root} holds no files that end in {' or '.join(SUFFIXES)}")
    return found
