import gzip
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform

from seg_assets.data.ct.volumes import read_case
from seg_assets.errors import ImageError, InputError
from seg_assets_tests.data.ct.conftest import write_volume

# 2 x 3 x 4 voxels of 1.5 x 2 x 5 mm whose axes run to the patient's right, to the front, and up
AFFINE = np.diag([1.5, 2.0, 5.0, 1.0])
VOXELS = np.arange(24, dtype=np.int16).reshape(2, 3, 4) - 5
LABELS = (np.arange(24) % 3).astype(np.uint8).reshape(2, 3, 4)


def write_case(folder: Path, axes: str = "RAS") -> tuple[Path, Path]:
    """The same patient, stored along other axes."""
    turn = ornt_transform(io_orientation(AFFINE), axcodes2ornt(tuple(axes)))
    folder.mkdir(exist_ok=True)
    paths = []
    for name, voxels in (("image", VOXELS), ("label", LABELS)):
        path = folder / f"{name}.nii.gz"
        nibabel.save(nibabel.Nifti1Image(voxels, AFFINE).as_reoriented(turn), path)
        paths.append(path)
    return paths[0], paths[1]


@pytest.mark.parametrize("axes", ["RAS", "LPS", "LAS", "SPL", "AIR"])
def test_any_order_of_axes_gives_the_radiologists_view(tmp_path: Path, axes: str) -> None:
    case = read_case(*write_case(tmp_path, axes))
    # columns from right to left, rows from front to back, slices upwards
    expected = VOXELS[::-1, ::-1].transpose(2, 1, 0)
    np.testing.assert_array_equal(case.intensities, expected)
    np.testing.assert_array_equal(case.labels, LABELS[::-1, ::-1].transpose(2, 1, 0))
    assert case.file_axes == axes
    assert case.spacing == (5.0, 2.0, 1.5)
    assert case.intensities.dtype == np.float32
    assert case.labels.dtype == np.uint8


def test_the_front_right_of_the_patient_is_the_upper_left_of_a_slice(tmp_path: Path) -> None:
    image, label = write_case(tmp_path)
    marked = np.zeros((2, 3, 4), np.int16)
    marked[1, 2, 3] = 9  # the furthest to the right, the front and the head
    write_volume(image, marked, AFFINE)
    case = read_case(image, label)
    assert np.argwhere(case.intensities == 9).tolist() == [[3, 0, 0]]


def test_image_and_labels_may_be_stored_along_different_axes(tmp_path: Path) -> None:
    image, _ = write_case(tmp_path / "a", "RAS")
    _, label = write_case(tmp_path / "b", "PIR")
    case = read_case(image, label)
    np.testing.assert_array_equal(case.labels, LABELS[::-1, ::-1].transpose(2, 1, 0))


def test_intensities_are_scaled_as_the_header_says(tmp_path: Path) -> None:
    image, label = write_case(tmp_path)
    scaled = nibabel.Nifti1Image(VOXELS, AFFINE)
    scaled.header.set_slope_inter(2, -1024)
    nibabel.save(scaled, image)
    expected = 2 * VOXELS[::-1, ::-1].transpose(2, 1, 0) - 1024
    np.testing.assert_array_equal(read_case(image, label).intensities, expected)


@pytest.mark.parametrize(
    ("labels", "affine", "message"),
    [
        (
            LABELS[:, :, :3],
            AFFINE,
            r"label\.nii\.gz has 2 x 3 x 3 voxels, its image .*image\.nii\.g",
        ),
        (LABELS[0], AFFINE, r"label\.nii\.gz has 3 x 4 voxels: give a volume of three axes"),
        (LABELS * np.float32(0.5), AFFINE, r"label\.nii\.gz holds other values than whole numbers"),
        (LABELS.astype(np.int16) * 200, AFFINE, r"label\.nii\.gz holds other values than whole"),
        (LABELS.astype(np.int16) - 1, AFFINE, r"label\.nii\.gz holds other values than whole"),
        (LABELS, AFFINE * 1.6, r"label\.nii\.gz lies up to \d+\.\d mm beside its image .*resample"),
    ],
)
def test_labels_that_do_not_fit_are_refused(
    tmp_path: Path, labels: np.ndarray, affine: np.ndarray, message: str
) -> None:
    image, label = write_case(tmp_path)
    affine = affine.copy()
    affine[3] = 0, 0, 0, 1
    write_volume(label, labels, affine)
    with pytest.raises(ImageError, match=message):
        read_case(image, label)


def test_intensities_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    image, label = write_case(tmp_path)
    voxels = VOXELS.astype(np.float32)
    voxels[0, 0, 0] = np.nan
    write_volume(image, voxels, AFFINE)
    with pytest.raises(ImageError, match=r"image\.nii\.gz has intensities that are not finite"):
        read_case(image, label)


def test_a_volume_over_time_is_refused(tmp_path: Path) -> None:
    image, label = write_case(tmp_path)
    write_volume(image, np.zeros((2, 3, 4, 5), np.int16), AFFINE)
    with pytest.raises(ImageError, match=r"has 2 x 3 x 4 x 5 voxels: give a volume of three axes"):
        read_case(image, label)


def damaged(data: bytes) -> dict[str, bytes]:
    plain = gzip.decompress(data)
    return {
        "empty": b"",
        "text": b"no volume",
        "cut": data[:-20],
        "cut before it was compressed": gzip.compress(plain[:-10]),
        "changed": data[:60] + bytes([data[60] ^ 255]) + data[61:],
    }


@pytest.mark.parametrize(
    "damage", ["empty", "text", "cut", "cut before it was compressed", "changed"]
)
def test_damaged_files_are_refused_by_name(tmp_path: Path, damage: str) -> None:
    image, label = write_case(tmp_path)
    image.write_bytes(damaged(image.read_bytes())[damage])
    with pytest.raises(ImageError, match=r"image\.nii\.gz is truncated, damaged or no NIfTI file"):
        read_case(image, label)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    image, label = write_case(tmp_path)
    label.unlink()
    with pytest.raises(ImageError, match=r"label\.nii\.gz is not there"):
        read_case(image, label)


def test_a_missing_package_is_named_with_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, label = write_case(tmp_path)
    monkeypatch.setitem(sys.modules, "nibabel", None)
    with pytest.raises(InputError, match=r"needs nibabel, .*: install .* seg_assets\[ct\]$"):
        read_case(image, label)
