from pathlib import Path

import numpy as np
import pytest

from seg_assets.data.ground_truth.open import open_ground_truth
from seg_assets.errors import ImageError, InputError, UnknownClassError
from seg_assets_tests.data.conftest import S3Server, encoded, picture, write_files

IDS = np.array([[0, 18, 255]], np.uint8)


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    files = {"b.png": encoded(IDS), "a/b.PNG": encoded(IDS), "a/b_readme.txt": b""}
    return write_files(tmp_path / "gt", files)


def test_pngs_have_the_relative_names_of_their_images(labels: Path) -> None:
    truth = open_ground_truth(labels, "png:cityscapes19")
    assert truth.table.name == "cityscapes19"
    assert truth.image_ids() == ("a/b", "b")
    assert truth.label_uri("a/b") == str(labels / "a/b.PNG")
    assert truth.label_uri("c/b") is None
    found = truth.read("b")
    np.testing.assert_array_equal(found.label_map, IDS)
    assert found.label_map.dtype == np.uint8
    assert (found.segment_ids, found.segment_classes, found.objects) == (None, {}, None)


def test_what_is_missing_damaged_or_outside_the_table_is_named(labels: Path) -> None:
    write_files(
        labels,
        {
            "high.png": encoded(np.array([[3, 19, 40]], np.uint8)),
            "cut.png": encoded(picture(40, 40))[:200],
            "colours.png": encoded(picture()),
        },
    )
    truth = open_ground_truth(labels, "png:cityscapes19")
    with pytest.raises(ImageError, match="no label file of image nowhere"):
        truth.read("nowhere")
    with pytest.raises(UnknownClassError, match=r"high.png holds class ids 19, 40, outside"):
        truth.read("high")
    for name in ("cut", "colours"):
        with pytest.raises(ImageError, match=f"{name}.png"):
            truth.read(name)


def test_a_folder_that_is_not_there_is_found_out_when_it_is_needed(tmp_path: Path) -> None:
    truth = open_ground_truth(tmp_path / "gone", "png:cityscapes19")
    with pytest.raises(InputError, match="the label folder .*gone is not there"):
        truth.image_ids()


def test_a_file_is_no_folder_of_labels(labels: Path) -> None:
    with pytest.raises(InputError, match="the label folder .*b.png is a file"):
        open_ground_truth(labels / "b.png", "png:cityscapes19").image_ids()


def test_two_labels_of_one_image_are_refused(labels: Path) -> None:
    write_files(labels, {"b.PNG": encoded(IDS)})
    with pytest.raises(InputError, match=r"b\.(png|PNG) and .*b\.(png|PNG) label the same image"):
        open_ground_truth(labels, "png:cityscapes19").image_ids()


def test_a_table_that_does_not_exist_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no class table 'cityscapes18'"):
        open_ground_truth(tmp_path, "png:cityscapes18")


def test_labels_may_lie_in_a_bucket(s3_server: S3Server) -> None:
    write_files(s3_server.root / "bucket/gt_png", {"a/b.png": encoded(IDS)})
    options = s3_server.storage_options
    truth = open_ground_truth("s3://bucket/gt_png", "png:cityscapes19", storage_options=options)
    assert truth.label_uri("a/b") == "s3://bucket/gt_png/a/b.png"
    np.testing.assert_array_equal(truth.read("a/b").label_map, IDS)
