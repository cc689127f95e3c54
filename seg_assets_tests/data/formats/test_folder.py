from pathlib import Path

import numpy as np
import pytest

from seg_assets.data.formats.folder import find_folder_images, image_ids
from seg_assets.data.ground_truth.open import open_ground_truth
from seg_assets.data.ground_truth.reader import GroundTruth
from seg_assets.data.images import read_image
from seg_assets.data.label_maps import read_label_map
from seg_assets.data.shards import ImageRef
from seg_assets.errors import InputError
from seg_assets_tests.data.conftest import S3Server, encoded, picture, write_files


def found_ids(images: list[ImageRef]) -> list[str]:
    return [image.image_id for image in images]


def test_all_images_below_a_folder_are_found_whatever_the_case_of_their_extension(
    tmp_path: Path,
) -> None:
    names = ["b.jpg", "a.JPG", "c.jpeg", "deep/er/d.PNG", "e.bmp", "f.tif", "g.tiff", "h.WebP"]
    others = ["notes.txt", "a.json", "jpg", "x.gif", ".hidden.jpg", "deep/.cache/x.jpg"]
    write_files(tmp_path, dict.fromkeys(names + others, b"x"))
    images = find_folder_images(tmp_path)
    assert found_ids(images) == ["a", "b", "c", "deep/er/d", "e", "f", "g", "h"]
    assert images[3].uri == str(tmp_path / "deep/er/d.PNG")
    assert all(image.offset is None and image.label_uri is None for image in images)


def test_ids_are_sorted_character_by_character() -> None:
    names = ["frame_10.jpg", "frame_2.jpg", "Z.jpg", "a.jpg", "a/b.jpg"]
    assert list(image_ids(names)) == ["Z", "a", "a/b", "frame_10", "frame_2"]


def test_files_that_would_share_an_id_keep_their_extensions() -> None:
    names = ["x/a.jpg", "x/a.png", "x/b.jpg", "y/a.jpg", "c.v1.jpg", "c.v2.jpg"]
    assert image_ids(names) == {
        "c.v1": "c.v1.jpg",
        "c.v2": "c.v2.jpg",
        "x/a.jpg": "x/a.jpg",
        "x/a.png": "x/a.png",
        "x/b": "x/b.jpg",
        "y/a": "y/a.jpg",
    }


def test_an_id_that_looks_like_a_kept_name_is_told_apart_or_refused() -> None:
    with pytest.raises(InputError, match=r"a\.jpg.* would both have the image id a\.jpg"):
        image_ids(["a.jpg", "a.png", "a.jpg.png"])


def test_one_image_file_is_a_source_too(tmp_path: Path) -> None:
    write_files(tmp_path, {"a.jpg": b"x", "b.jpg": b"x"})
    assert find_folder_images(tmp_path / "b.jpg") == [ImageRef("b", str(tmp_path / "b.jpg"))]


@pytest.mark.parametrize(
    ("files", "source", "message"),
    [
        ({}, "", r" holds no images: give files ending in \.jpg, \.jpeg, "),
        ({"a.txt": b""}, "", r" holds no images"),
        ({"a.txt": b""}, "a.txt", r"a\.txt holds no images"),
        ({}, "gone", r"gone is not there: give a folder or an image that exists$"),
    ],
    ids=["empty", "no image", "text file", "missing"],
)
def test_a_source_without_images_is_refused(
    tmp_path: Path, files: dict[str, bytes], source: str, message: str
) -> None:
    write_files(tmp_path, files)
    with pytest.raises(InputError, match=message):
        find_folder_images(tmp_path / source)


def pngs(folder: Path) -> GroundTruth:
    return open_ground_truth(folder, "png:base28")


def test_labels_are_matched_by_image_id(tmp_path: Path) -> None:
    write_files(tmp_path, dict.fromkeys(["in/a.jpg", "in/x/b.jpg", "in/x/c.jpg"], b"x"))
    write_files(tmp_path, dict.fromkeys(["gt/a.png", "gt/x/b.PNG", "gt/c.png", "gt/b.txt"], b"x"))
    images = find_folder_images(tmp_path / "in", truth=pngs(tmp_path / "gt"))
    assert {image.image_id: image.label_uri for image in images} == {
        "a": str(tmp_path / "gt/a.png"),
        "x/b": str(tmp_path / "gt/x/b.PNG"),
        "x/c": None,
    }


def test_images_may_lie_inside_the_folder_of_the_labels(tmp_path: Path) -> None:
    write_files(tmp_path, dict.fromkeys(["images/a.png", "a.png", "images/b.png"], b"x"))
    images = find_folder_images(tmp_path / "images", truth=pngs(tmp_path))
    assert {image.image_id: image.label_uri for image in images} == {
        "a": str(tmp_path / "a.png"),
        "b": None,
    }


def test_labels_inside_the_source_are_no_images(tmp_path: Path) -> None:
    write_files(tmp_path, dict.fromkeys(["a.jpg", "b.jpg", "labels/a.png", "labels2/c.png"], b"x"))
    images = find_folder_images(tmp_path, truth=pngs(tmp_path / "labels"))
    assert found_ids(images) == ["a", "b", "labels2/c"]


@pytest.mark.parametrize(
    ("label_root", "message"),
    [
        ("gone", r"the label folder .*gone is not there"),
        (
            "other",
            r"no image of .*in has ground truth in .*other: it is of 1 images such as b, .* a$",
        ),
        ("in", r"is given for images and labels: put the labels into a folder of their own$"),
    ],
)
def test_label_folders_that_cannot_be_meant_are_refused(
    tmp_path: Path, label_root: str, message: str
) -> None:
    write_files(tmp_path, {"in/a.jpg": b"x", "other/b.png": b"x"})
    with pytest.raises(InputError, match=message):
        find_folder_images(tmp_path / "in", truth=pngs(tmp_path / label_root))


def test_an_s3_prefix_is_a_folder(s3_server: S3Server) -> None:
    options = s3_server.storage_options
    write_files(
        s3_server.root / "bucket/photos",
        {
            "in/a.png": encoded(picture(seed=1)),
            "in/x/b c.JPG": encoded(picture(seed=2), "PNG"),
            "gt/a.png": encoded(picture(seed=3)[:, :, 0]),
        },
    )
    truth = open_ground_truth("s3://bucket/photos/gt/", "png:ade150", storage_options=options)
    images = find_folder_images("s3://bucket/photos/in", truth=truth, storage_options=options)
    assert images == [
        ImageRef("a", "s3://bucket/photos/in/a.png", label_uri="s3://bucket/photos/gt/a.png"),
        ImageRef("x/b c", "s3://bucket/photos/in/x/b c.JPG"),
    ]
    np.testing.assert_array_equal(read_image(images[0], options), picture(seed=1))
    np.testing.assert_array_equal(read_image(images[1], options), picture(seed=2))
    label = read_label_map(str(images[0].label_uri), "png:ade150", options)
    np.testing.assert_array_equal(label, picture(seed=3)[:, :, 0])


def test_a_missing_s3_prefix_is_refused(s3_server: S3Server) -> None:
    with pytest.raises(InputError, match=r"^s3://bucket/gone is not there"):
        find_folder_images("s3://bucket/gone", storage_options=s3_server.storage_options)
