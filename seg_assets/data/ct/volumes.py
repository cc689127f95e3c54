"""Read NIfTI volumes and their labels in one orientation.

Whatever the order of a file's axes, a volume here is (D, H, W): slices from the feet to the head,
rows from front to back, columns from the patient's right to the left. A slice so looks as on a
radiologist's screen: the patient's right is on the left of the picture, the front above.
"""

import zlib
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from seg_assets.errors import ImageError, InputError

SUFFIXES = (".nii.gz", ".nii")
ORIENTATION = "slices feet to head, rows front to back, columns patient's right to left"

# nibabel's axis codes name the ends that indices grow towards
_COLUMNS_ROWS_SLICES = ("L", "P", "S")

# what reading a cut or changed file ends with
_DAMAGES = (OSError, EOFError, ValueError, zlib.error)


@dataclass(frozen=True)
class CtCase:
    """A volume with its labels.

    Attributes:
        intensities: (D, H, W) float32.
        labels: (D, H, W) uint8, 0 = background.
        file_axes: the ends that the axes of the file run to, such as "RAS".
        spacing: millimetres between slices, rows and columns.
    """

    intensities: np.ndarray
    labels: np.ndarray
    file_axes: str
    spacing: tuple[float, float, float]


def read_case(image: Path, label: Path) -> CtCase:
    """Read a volume and its labels, and turn both into this module's orientation.

    Raises:
        ImageError: a file is missing, damaged, not of three axes, or the two do not cover the same
            voxels; intensities are not finite; labels are no whole numbers from 0 to 255.
        InputError: nibabel is not installed.
    """
    nibabel = _nibabel()
    (volume, file_axes), (label_volume, _) = _open(nibabel, image), _open(nibabel, label)
    if volume.shape != label_volume.shape:
        raise ImageError(
            f"{label} has {_by(label_volume.shape)} voxels, its image {image} {_by(volume.shape)}: "
            "give the labels of this image"
        )
    _check_place(volume, label_volume, image, label)
    intensities, labels = _values(volume, image), _values(label_volume, label)
    if not np.isfinite(intensities).all():
        raise ImageError(f"{image} has intensities that are not finite: convert it again")
    if not ((labels >= 0) & (labels <= 255) & (labels % 1 == 0)).all():
        raise ImageError(f"{label} holds other values than whole numbers from 0 to 255: convert it")
    columns, rows, slices = np.linalg.norm(volume.affine[:3, :3], axis=0).tolist()
    return CtCase(intensities, labels.astype(np.uint8), file_axes, (slices, rows, columns))


def _nibabel() -> Any:
    try:
        return import_module("nibabel")
    except ModuleNotFoundError as error:
        raise InputError(
            "reading NIfTI needs nibabel, which is not installed: "
            "install the project with its extra, seg_assets[ct]"
        ) from error


def _open(nibabel: Any, path: Path) -> tuple[Any, str]:
    """A volume whose axes are turned to columns, rows, slices, and the axes of its file."""
    if not path.is_file():
        raise ImageError(f"{path} is not there: put the file back")
    orientations = nibabel.orientations
    try:
        volume = nibabel.load(path)
        if len(volume.shape) != 3 or 0 in volume.shape:
            raise ImageError(f"{path} has {_by(volume.shape)} voxels: give a volume of three axes")
        turn = orientations.ornt_transform(
            orientations.io_orientation(volume.affine),
            orientations.axcodes2ornt(_COLUMNS_ROWS_SLICES),
        )
        return volume.as_reoriented(turn), "".join(nibabel.aff2axcodes(volume.affine))
    except (nibabel.filebasedimages.ImageFileError, *_DAMAGES) as error:
        raise _damaged(path, error) from error


def _values(volume: Any, path: Path) -> np.ndarray:
    """The voxels, scaled as the file's header says, (D, H, W) float32."""
    try:
        return np.ascontiguousarray(np.asarray(volume.dataobj, np.float32).transpose(2, 1, 0))
    except _DAMAGES as error:
        raise _damaged(path, error) from error


def _check_place(volume: Any, label_volume: Any, image: Path, label: Path) -> None:
    """Refuse labels of which a corner lies more than half a voxel away from the image's."""
    ends = np.array(volume.shape) - 1
    corners = np.array([(*(ends * corner), 1) for corner in np.ndindex(2, 2, 2)]).T  # (4, 8)
    apart = float(np.abs((volume.affine - label_volume.affine) @ corners)[:3].max())
    if apart > np.linalg.norm(volume.affine[:3, :3], axis=0).min() / 2:
        raise ImageError(
            f"{label} lies up to {apart:.1f} mm beside its image {image}: resample the labels to "
            "the image's voxels"
        )


def _damaged(path: Path, error: Exception) -> ImageError:
    return ImageError(f"{path} is truncated, damaged or no NIfTI file ({error}): fetch it again")


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
