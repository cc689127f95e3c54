from pathlib import Path

import pytest

from seg_assets.data.formats.camvid import find_camvid_images, is_camvid
from seg_assets.data.images import read_image
from seg_assets.data.label_maps import read_label_map
from seg_assets.data.shards import ImageRef
from seg_assets.errors import InputError
from seg_assets_tests.data.conftest import write_files

PAIRS = b"images/val/b.jpg labels/val/b.png\n\nimages/val/a.jpg labels/val/a.png\n"


@pytest.fixture
def camvid(tmp_path: Path) -> Path:
    train = b"images/train/c.jpg labels/train/c.png"
    names = ["images/val/a.jpg", "labels/val/a.png"]
    return write_files(
        tmp_path, {**dict.fromkeys(names, b"x"), "val.txt": PAIRS, "train.txt": train}
    )


def test_every_split_lists_its_pairs(camvid: Path) -> None:
    splits = find_camvid_images(camvid)
    assert list(splits) == ["train", "val"]
    assert splits["val"] == [
        ImageRef(
            f"val/{name}",
            str(camvid / f"images/val/{name}.jpg"),
            label_uri=str(camvid / f"labels/val/{name}.png"),
        )
        for name in ("a", "b")
    ]


def test_one_split_can_be_the_source(camvid: Path) -> None:
    assert list(find_camvid_images(camvid / "val.txt")) == ["val"]


def test_the_layout_is_recognised(camvid: Path) -> None:
    assert is_camvid(camvid)
    (camvid / "val.txt").unlink()
    (camvid / "train.txt").unlink()
    assert not is_camvid(camvid)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"images/a.jpg\n", r"^line 1 of .*val\.txt is 'images/a\.jpg': write the image's path"),
        (b"\nimages/a.jpg labels/a.png x", r"^line 2 of "),
        (b"/SegNet/a.png /SegNet/b.png", r"both relative to the list$"),
        (b"images/../../a.jpg labels/a.png", r"^line 1 of "),
        (b"\n\n", r"val\.txt lists no images: give one pair of paths per line$"),
        (b"\xff\xfe\x00", r"val\.txt is not a text file"),
        (b"images/a.jpg l/a.png\nimages/a.jpg l/b.png", r"^line 2 of .* lists images/a\.jpg again"),
    ],
)
def test_lists_that_are_no_pairs_are_refused(camvid: Path, content: bytes, message: str) -> None:
    (camvid / "val.txt").write_bytes(content)
    with pytest.raises(InputError, match=message):
        find_camvid_images(camvid / "val.txt")


def test_a_folder_without_lists_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds none of test\.txt, train\.txt, val\.txt"):
        find_camvid_images(tmp_path)
    with pytest.raises(InputError, match=r"gone\.txt cannot be read: give a split's list"):
        find_camvid_images(tmp_path / "gone.txt")


def test_real_frames_have_labels_of_their_size(shared_dir: Path) -> None:
    splits = find_camvid_images(shared_dir / "data/camvid")
    assert {split: len(images) for split, images in splits.items()} == {"train": 367, "val": 101}
    first = splits["val"][0]
    assert first.image_id == "val/0016E5_07959"
    label = read_label_map(str(first.label_uri), "camvid")
    assert label.shape == read_image(first).shape[:2] == (360, 480)
