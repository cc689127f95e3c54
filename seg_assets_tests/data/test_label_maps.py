from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seg_assets.data.label_maps import label_table, read_label_map
from seg_assets.errors import ImageError, InputError, UnknownClassError
from seg_assets_tests.data.conftest import encoded, picture

IDS = np.array([[0, 1, 11], [12, 254, 255]], np.uint8)


def indexed(values: np.ndarray) -> Image.Image:
    image = Image.fromarray(values, "P")
    image.putpalette(list(range(255, -1, -1)) * 3)
    return image


@pytest.mark.parametrize(
    ("label_format", "table"),
    [
        ("camvid", "camvid11"),
        ("ade20k", "ade150"),
        ("png:cityscapes19", "cityscapes19"),
        ("png:my/own.toml", "my/own.toml"),
        ("cityscapes", "cityscapes19"),
        ("cityscapes_ids", "cityscapes19"),
        ("foggy_driving", "cityscapes19"),
        ("voc", "voc21"),
        ("voc:my/own.toml", "my/own.toml"),
        ("coco_panoptic", "coco133"),
        ("coco_instances:base28", "base28"),
    ],
)
def test_a_label_format_names_its_class_table(label_format: str, table: str) -> None:
    assert label_table(label_format) == table


@pytest.mark.parametrize(
    "label_format", ["", "png:", "png", "voc:", "camvid:base28", "cityscapes19", "CamVid", "auto"]
)
def test_an_unknown_label_format_is_refused(label_format: str) -> None:
    with pytest.raises(InputError, match=r"use one of camvid, .* or png:<class table>"):
        label_table(label_format)
    with pytest.raises(InputError, match="label format"):
        read_label_map("/anywhere", label_format)


@pytest.mark.parametrize(
    "image",
    [Image.fromarray(IDS), indexed(IDS), Image.fromarray(IDS.astype(np.uint16))],
    ids=["grey", "indexed", "16 bits"],
)
def test_stored_numbers_are_the_ids(tmp_path: Path, image: Image.Image) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encoded(image))
    ids = read_label_map(str(path), "png:ade150")
    assert ids.dtype == np.uint8
    np.testing.assert_array_equal(ids, IDS)


def test_transparency_does_not_change_ids(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encoded(indexed(IDS), transparency=0))
    np.testing.assert_array_equal(read_label_map(str(path), "png:ade150"), IDS)


def test_camvids_unlabelled_becomes_255_and_nothing_else_changes(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encoded(IDS))
    expected = [[0, 1, 255], [12, 254, 255]]
    np.testing.assert_array_equal(read_label_map(str(path), "camvid"), expected)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (encoded(picture()), r"holds colours \(RGB\), not class ids: convert it"),
        (encoded(np.array([[0, 300]], np.uint16)), r"holds the id 300: ids go up to 254"),
        (encoded(picture(), "JPEG"), r"not an image of a known format \(PNG\)"),
        (encoded(IDS)[:40], "fetch it again|remove it"),
        (b"", r"is empty \(0 bytes\)"),
        (b"text", "not an image of a known format"),
    ],
    ids=["colours", "large id", "jpeg", "truncated", "empty", "text"],
)
def test_files_without_ids_are_refused(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "label.png"
    path.write_bytes(data)
    with pytest.raises(ImageError, match=message) as caught:
        read_label_map(str(path), "png:ade150")
    assert str(path) in str(caught.value)


def test_a_missing_label_is_an_image_error(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="gone.png is not there"):
        read_label_map(str(tmp_path / "gone.png"), "camvid")


def test_real_labels_hold_the_classes_of_their_tables(shared_dir: Path) -> None:
    camvid = sorted((shared_dir / "data/camvid/labels/val").glob("*.png"))[0]
    assert set(np.unique(read_label_map(str(camvid), "camvid"))) <= {*range(11), 255}
    cityscapes = sorted((shared_dir / "data/cityscapes/trainIds").glob("*.png"))[0]
    ids = read_label_map(str(cityscapes), "png:cityscapes19")
    assert set(np.unique(ids)) <= {*range(19), 255}


def test_ade20k_counts_from_one_and_writes_zero_for_no_label(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encoded(Image.fromarray(np.array([[0, 1, 150]], np.uint8))))
    np.testing.assert_array_equal(read_label_map(str(path), "ade20k"), [[255, 0, 149]])


def test_cityscapes_label_ids_become_train_ids_by_the_published_table(
    tmp_path: Path, shared_dir: Path
) -> None:
    """The samples' own trainIds were made from the same label ids by their authors' table."""
    labels = shared_dir / "data/cityscapes/labelIds"
    for path in sorted(labels.glob("*.png")):
        expected = np.asarray(Image.open(shared_dir / "data/cityscapes/trainIds" / path.name))
        np.testing.assert_array_equal(read_label_map(str(path), "cityscapes_ids"), expected)


def test_labels_outside_the_benchmark_are_no_label(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encoded(np.array([[0, 6, 7, 10], [26, 29, 33, 255]], np.uint8)))
    expected = [[255, 255, 0, 255], [13, 255, 18, 255]]
    np.testing.assert_array_equal(read_label_map(str(path), "cityscapes_ids"), expected)


@pytest.mark.parametrize(
    ("label_format", "ids", "message"),
    [
        ("ade20k", [[0, 150, 151, 200]], "holds 151, 200: ADE20K's labels go from 1 to 150"),
        ("cityscapes_ids", [[34, 33, 254]], "holds 34, 254: Cityscapes' label ids go from 0 to 33"),
    ],
)
def test_numbers_that_the_data_set_does_not_use_are_named(
    tmp_path: Path, label_format: str, ids: list, message: str
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encoded(np.array(ids, np.uint8)))
    with pytest.raises(UnknownClassError, match=message):
        read_label_map(str(path), label_format)


def test_a_format_of_one_file_for_all_images_is_not_read_as_a_png() -> None:
    with pytest.raises(InputError, match="coco_panoptic describes its images in one JSON file"):
        read_label_map("/anywhere/a.png", "coco_panoptic")
