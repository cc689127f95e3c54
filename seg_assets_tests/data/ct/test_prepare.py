import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from seg_assets.data.ct.components import Removed
from seg_assets.data.ct.params import CtParams
from seg_assets.data.ct.prepare import find_cases, prepare_ct, train_cases
from seg_assets.data.ct.report import CtReport
from seg_assets.data.formats.instance_png import PngInstances
from seg_assets.errors import ImageError, InputError
from seg_assets_tests.data.ct.conftest import write_volume

# Thresholds scaled to volumes of 20 x 20 x 20 voxels; pictures keep the size of the slices.
SMALL: dict[str, Any] = {"min_voxels": 60, "min_pixels": 6, "size": 20}
# of files whose axes run to the left, to the back and up, as the prepared slices do
AFFINE = np.diag([-1.0, -1.0, 1.0, 1.0])


def synthetic() -> tuple[np.ndarray, np.ndarray]:
    """Intensities and labels, (D, H, W)."""
    hounsfield = np.full((20, 20, 20), -1000, np.int16)
    labels = np.zeros((20, 20, 20), np.uint8)
    labels[3:9, 2:8, 2:8] = 1  # 216 voxels: stays, in 6 slices
    labels[3, 18, 15:20] = 1  # 5 voxels apart from it: too few in the volume
    labels[9:14, 2, 2:6] = 1  # joined to it; 4 pixels in each of 5 more slices: too few there
    labels[5:9, 10:14, 10:14] = 3  # 64 voxels: stays
    labels[14:16, 10:14, 10:14] = 4  # 32 voxels: too few
    labels[10:19, 12:20, 2:10] = 12  # large, but asked to go
    hounsfield[labels > 0] = 40
    hounsfield[labels == 3] = 3000
    return hounsfield, labels


def write_cases(root: Path, names: list[str], channel: str = "_0000") -> tuple[Path, Path]:
    hounsfield, labels = synthetic()
    for name in names:
        write_volume(root / f"images/{name}{channel}.nii.gz", hounsfield.transpose(2, 1, 0), AFFINE)
        write_volume(root / f"labels/{name}.nii.gz", labels.transpose(2, 1, 0), AFFINE)
    return root / "images", root / "labels"


def prepared(root: Path, names: list[str], **values: Any) -> CtReport:
    images, labels = write_cases(root, names)
    return prepare_ct(images, labels, root / "out", CtParams(**{**SMALL, **values}))


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# D2
def test_labels_and_small_parts_go_and_only_slices_with_labels_are_written(tmp_path: Path) -> None:
    report = prepared(tmp_path, ["case_1"])
    case = report.cases[0]
    assert case.removed_label_voxels == 9 * 8 * 8
    assert case.small_in_volume == Removed(2, 5 + 32)
    assert case.small_in_slices == Removed(5, 5 * 4)
    assert (case.slices, case.empty_slices) == (6, 14)
    names = [f"case_1-{number:03d}.png" for number in range(3, 9)]
    assert files(tmp_path / "out") == sorted(
        ["preparation.json", "train/classes.json"]
        + [f"train/{folder}/{name}" for folder in ("images", "instances") for name in names]
    )
    for number, name in zip(range(3, 9), names, strict=True):
        expected = np.zeros((20, 20), np.uint8)
        expected[2:8, 2:8] = 1
        if number >= 5:
            expected[10:14, 10:14] = 3
        written = np.asarray(Image.open(tmp_path / "out/train/instances" / name))
        np.testing.assert_array_equal(written, expected)


def test_intensities_are_windowed(tmp_path: Path) -> None:  # D2: HU -1000 -> 0, 3000 -> the largest
    prepared(tmp_path, ["case_1"])
    picture = np.asarray(Image.open(tmp_path / "out/train/images/case_1-005.png"))
    assert picture[19, 0] == 0
    assert (picture[10:14, 10:14] == 255).all()
    assert (picture[2:8, 2:8] == 128).all()


def test_the_output_is_a_data_set_of_organs(tmp_path: Path) -> None:
    prepared(tmp_path, ["case_1"], size=40)
    data = PngInstances(str(tmp_path / "out/train"))
    assert [image.image_id for image in data] == [f"case_1-{n:03d}" for n in range(3, 9)]
    assert len(data.class_names) == 12
    assert "duodenum" not in data.class_names
    image = data[5]
    assert image.image.shape == (40, 40, 3)
    assert (image.image == image.image[:, :, :1]).all()  # grey in three channels
    assert [data.class_names[c] for c in image.class_ids] == ["liver", "spleen"]
    assert image.boxes.tolist() == [[4, 4, 16, 16], [20, 20, 28, 28]]


def test_four_of_five_sorted_cases_train(tmp_path: Path) -> None:  # D2
    report = prepared(tmp_path, ["c5", "c1", "c4", "c2", "c3"])
    assert [(case.case, case.split) for case in report.cases] == [
        ("c1", "train"),
        ("c2", "train"),
        ("c3", "train"),
        ("c4", "train"),
        ("c5", "val"),
    ]
    assert (report.slices("train"), report.slices("val")) == (24, 6)
    assert len(PngInstances(str(tmp_path / "out/val"))) == 6


@pytest.mark.parametrize(("count", "trained"), [(50, 40), (1, 1), (2, 1), (4, 3), (10, 8)])
def test_the_split_rounds_down_but_trains_on_something(count: int, trained: int) -> None:  # D2
    names = [f"FLARE22_Tr_{number:04d}" for number in range(1, count + 1)]
    assert train_cases(names[::-1], 0.8) == names[:trained]


def test_the_defaults_are_those_of_flare22() -> None:  # D2
    params = CtParams()
    low, high = params.level - params.width / 2, params.level + params.width / 2
    assert (low, high) == (-160, 240)
    assert (params.removed_labels, params.min_voxels, params.min_pixels) == ((12,), 1000, 100)
    assert (params.size, params.train_share, params.slice_min_max) == (1024, 0.8, False)


def test_every_slice_can_be_stretched_to_all_values(tmp_path: Path) -> None:  # D2: [0, 1] per slice
    prepared(tmp_path, ["case_1"], slice_min_max=True)
    folder = tmp_path / "out/train/images"
    assert np.asarray(Image.open(folder / "case_1-003.png")).max() == 255  # 128 by the volume
    content = json.loads((tmp_path / "out/preparation.json").read_text())
    assert content["normalisation"] == "min-max of the slice to 0..255; divide by 255 for [0, 1]"


def test_slices_are_resized_smoothly_and_labels_are_not(tmp_path: Path) -> None:
    prepared(tmp_path, ["case_1"], size=37)
    picture = np.asarray(Image.open(tmp_path / "out/train/images/case_1-005.png"))
    ids = np.asarray(Image.open(tmp_path / "out/train/instances/case_1-005.png"))
    assert picture.shape == ids.shape == (37, 37)
    assert set(np.unique(ids)) == {0, 1, 3}
    assert len(np.unique(picture)) > 3


def test_mr_keeps_its_zeros_and_its_percentiles(tmp_path: Path) -> None:
    images, labels = write_cases(tmp_path, ["case_1"])
    intensities = np.zeros((20, 20, 20), np.float32)
    intensities[2:18, 2:18, 2:18] = np.linspace(100, 900, 16)
    write_volume(images / "case_1_0000.nii.gz", intensities.transpose(2, 1, 0), AFFINE)
    prepare_ct(images, labels, tmp_path / "out", CtParams(**SMALL, modality="mr"))
    picture = np.asarray(Image.open(tmp_path / "out/train/images/case_1-005.png"))
    # the lower end, 100, would be 0 as well: what is outside is told by its frame
    assert not picture[:2].any()
    assert picture[5, 3:18].tolist() == sorted(picture[5, 3:18].tolist())
    assert picture[5, 17] == 255
    content = json.loads((tmp_path / "out/preparation.json").read_text())
    assert content["intensities"] == "cut to the percentiles 0.5 and 99.5 of the voxels above 0"


def test_the_report_says_what_was_done(tmp_path: Path) -> None:
    report = prepared(tmp_path, ["a", "b"])
    content = json.loads((tmp_path / "out/preparation.json").read_text())
    assert content["intensities"] == "Hounsfield units cut to [-160, 240]"
    assert content["normalisation"] == "min-max of the volume to 0..255; divide by 255 for [0, 1]"
    assert content["split"] == {"train": ["a"], "val": ["b"]}
    assert content["slices"] == {"train": 6, "val": 6}
    assert CtParams.model_validate(content["params"]) == report.params
    assert content["cases"][0] == {
        "case": "a",
        "split": "train",
        "file_axes": "LPS",
        "shape": [20, 20, 20],
        "spacing": [1.0, 1.0, 1.0],
        "intensity_range": [-1000.0, 3000.0],
        "slices": 6,
        "empty_slices": 14,
        "removed_label_voxels": 576,
        "small_in_volume": {"parts": 2, "pixels": 37},
        "small_in_slices": {"parts": 5, "pixels": 20},
    }


def test_two_runs_write_the_same_bytes(tmp_path: Path) -> None:
    images, labels = write_cases(tmp_path, ["a", "b"])
    for name in ("one", "two"):
        prepare_ct(images, labels, tmp_path / name, CtParams(**SMALL))
    assert files(tmp_path / "one") == files(tmp_path / "two")
    for name in files(tmp_path / "one"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_nothing_is_left_of_a_run_that_fails(tmp_path: Path) -> None:
    images, labels = write_cases(tmp_path, ["a", "b"])
    (images / "b_0000.nii.gz").write_bytes(b"no volume")
    before = files(tmp_path)
    with pytest.raises(ImageError, match=r"b_0000\.nii\.gz is truncated, damaged or no NIfTI"):
        prepare_ct(images, labels, tmp_path / "out", CtParams(**SMALL))
    assert files(tmp_path) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "labels"]


def test_a_folder_with_files_is_not_written_into(tmp_path: Path) -> None:
    images, labels = write_cases(tmp_path, ["a"])
    (tmp_path / "out").mkdir()
    prepare_ct(images, labels, tmp_path / "out", CtParams(**SMALL))  # an empty one is taken
    with pytest.raises(InputError, match="out is there already: remove it or name another folder"):
        prepare_ct(images, labels, tmp_path / "out", CtParams(**SMALL))


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    images, labels = write_cases(tmp_path, ["a"])
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match=r"file/out cannot be written .*: choose another folder$"):
        prepare_ct(images, labels, tmp_path / "file/out", CtParams(**SMALL))


def test_cases_are_paired_by_name_with_or_without_channel(tmp_path: Path) -> None:
    write_cases(tmp_path, ["b"])
    write_cases(tmp_path, ["a"], channel="")
    (tmp_path / "images/notes.txt").write_bytes(b"")
    found = find_cases(tmp_path / "images", tmp_path / "labels")
    assert [(case.case, case.image.name, case.label.name) for case in found] == [
        ("a", "a.nii.gz", "a.nii.gz"),
        ("b", "b_0000.nii.gz", "b.nii.gz"),
    ]


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        (
            "labels/b.nii.gz",
            r"b_0000\.nii\.gz has no labels b\.nii\.gz in .*labels: put them there",
        ),
        ("images/b_0000.nii.gz", r"b\.nii\.gz has no image b_0000\.nii\.gz in .*images: put it"),
    ],
)
def test_a_case_without_its_partner_is_named(tmp_path: Path, gone: str, message: str) -> None:
    write_cases(tmp_path, ["a", "b"])
    (tmp_path / gone).unlink()
    with pytest.raises(InputError, match=message):
        find_cases(tmp_path / "images", tmp_path / "labels")


def test_missing_and_empty_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the folder of images .*gone is not there"):
        find_cases(tmp_path / "gone", tmp_path)
    with pytest.raises(InputError, match=r"holds no files that end in \.nii\.gz or \.nii$"):
        find_cases(tmp_path, tmp_path)


def test_one_case_stored_twice_is_refused(tmp_path: Path) -> None:
    images, labels = write_cases(tmp_path, ["a"])
    write_cases(tmp_path, ["a"], channel="")
    with pytest.raises(InputError, match=r"a\.nii\.gz and .*a_0000\.nii\.gz are the same case"):
        find_cases(images, labels)


def test_labels_without_a_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.nii\.gz holds the label 3, which class_names does"):
        prepared(tmp_path, ["a"], class_names={1: "liver", 4: "pancreas"})


def test_cases_without_any_label_left_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no slice of the 1 cases in .*images has a label left"):
        prepared(tmp_path, ["a"], min_voxels=1000)


def test_progress_is_logged_by_case(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        prepared(tmp_path, ["a", "b"])
    assert "b, 2 of 2: 6 slices for val" in caplog.text


def test_a_real_abdomen_shows_its_organs_where_they_are(shared_dir: Path, tmp_path: Path) -> None:
    source = shared_dir / "data/medical_ct"
    for name in ("a", "b"):
        for folder, file in (("images", "example_ct_sm"), ("labels", "example_seg_flare22")):
            (tmp_path / folder).mkdir(exist_ok=True)
            suffix = "_0000" if folder == "images" else ""
            (tmp_path / folder / f"{name}{suffix}.nii.gz").symlink_to(source / f"{file}.nii.gz")
    # 3 mm voxels, 27 times the volume and 16 times the area of FLARE22's
    params = CtParams(min_voxels=40, min_pixels=6, size=128)
    report = prepare_ct(tmp_path / "images", tmp_path / "labels", tmp_path / "out", params)
    assert [case.split for case in report.cases] == ["train", "val"]
    assert report.cases[0].file_axes == "RAS"
    assert report.cases[0].intensity_range == (-1100, 1207)
    assert report.cases[0].removed_label_voxels > 0
    data = PngInstances(str(tmp_path / "out/val"))
    assert len(data) == report.slices("val") > 20
    image = data[len(data) // 2]
    named = {data.class_names[c]: box for c, box in zip(image.class_ids, image.boxes, strict=True)}
    middle = {name: (box[:2] + box[2:]) / 2 for name, box in named.items()}  # x, y
    # the patient's right is on the left of the picture, the front above
    assert middle["liver"][0] < 64 < middle["spleen"][0]
    assert middle["right kidney"][0] < middle["aorta"][0] < middle["left kidney"][0]
    assert middle["stomach"][1] < middle["aorta"][1]
    liver = image.masks[[data.class_names[c] for c in image.class_ids].index("liver")]
    # 40 to 80 HU lie at 128 to 153 of 255
    assert 115 < image.image[liver].mean() < 165
