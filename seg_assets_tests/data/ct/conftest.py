"""Small NIfTI files."""

from pathlib import Path

import nibabel
import numpy as np


def write_volume(path: Path, voxels: np.ndarray, affine: np.ndarray | None = None) -> Path:
    """Voxels in the order of the file; by default its axes run right, anterior, superior."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4) if affine is None else affine), path)
    return path
