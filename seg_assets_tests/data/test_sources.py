import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from seg_assets.data.shards import Shard
from seg_assets.data.sources import find_shards
from seg_assets.errors import InputError
from seg_assets_tests.data.conftest import S3Server, encoded, picture, write_files, write_tar

PNG = encoded(picture())


def sizes(shards: list[Shard]) -> dict[str, int]:
    return {shard.name: len(shard.images) for shard in shards}


def photos(root: Path, count: int) -> Path:
    return write_files(root, {f"{number:03d}.jpg": b"x" for number in range(count)})


def camvid(root: Path) -> Path:
    files = {"images/x/a.jpg": b"", "labels/x/a.png": b""}
    for split, count in {"train": 5, "val": 3}.items():
        lines = [f"images/{split}/{n}.jpg labels/{split}/{n}.png" for n in range(count)]
        files[f"{split}.txt"] = "\n".join(lines).encode()
    return write_files(root, files)


def test_a_folder_is_cut_into_shards_named_after_it(tmp_path: Path) -> None:
    source = photos(tmp_path / "My photos", 7)
    assert sizes(find_shards(source, shard_size=3)) == {
        "My_photos_0000": 2,
        "My_photos_0001": 2,
        "My_photos_0002": 3,
    }
    assert sizes(find_shards(source)) == {"My_photos_0000": 7}
    assert sizes(find_shards(source, prefix="trip")) == {"trip_0000": 7}


def test_the_same_source_gives_the_same_shards(tmp_path: Path) -> None:
    source = photos(tmp_path / "photos", 20)
    shards = find_shards(source, shard_size=7)
    for photo in sorted(source.iterdir(), reverse=True):  # another order on the disk
        photo.rename(photo.with_suffix(".moved"))
        photo.with_suffix(".moved").rename(photo)
    assert find_shards(f"{source}/", shard_size=7) == shards


def test_one_image_is_a_shard(tmp_path: Path) -> None:
    photos(tmp_path, 2)
    assert sizes(find_shards(tmp_path / "001.jpg")) == {"001_0000": 1}


def test_each_tar_is_a_shard_named_after_it(tmp_path: Path) -> None:
    write_tar(tmp_path / "sa_000001.tar", {f"./sa_{n}.jpg": PNG for n in range(5)})
    write_tar(tmp_path / "sa_000000.tar", {"./sa_9.jpg": PNG})
    write_files(tmp_path, {"sa_77.jpg": b"x", "links.txt": b"x"})
    shards = find_shards(tmp_path, prefix="loose")
    assert sizes(shards) == {"loose_sa_000000": 1, "loose_sa_000001": 5, "loose_0000": 1}
    assert sizes(find_shards(tmp_path / "sa_000001.tar")) == {"sa_000001": 5}
    assert sizes(find_shards(tmp_path / "sa_000001.tar", shard_size=3)) == {
        "sa_000001_0000": 2,
        "sa_000001_0001": 3,
    }


def test_tars_whose_shards_would_share_a_name_are_refused(tmp_path: Path) -> None:
    write_files(tmp_path, {"a b.tar": b"x", "a_b.tar": b"x"})
    with pytest.raises(InputError, match=r"would both be the shard a_b: rename one of them$"):
        find_shards(tmp_path)


def test_camvids_splits_are_shards_with_labels(tmp_path: Path) -> None:
    shards = find_shards(camvid(tmp_path), shard_size=2)
    assert sizes(shards) == {
        "camvid_train_0000": 1,
        "camvid_train_0001": 2,
        "camvid_train_0002": 2,
        "camvid_val_0000": 1,
        "camvid_val_0001": 2,
    }
    assert {shard.label_format for shard in shards} == {"camvid"}
    assert sizes(find_shards(tmp_path / "val.txt")) == {"camvid_val_0000": 3}
    assert sizes(find_shards(tmp_path / "val.txt", prefix="streets")) == {"streets_val_0000": 3}


def test_the_limit_takes_the_first_images_of_the_whole_source(tmp_path: Path) -> None:
    source = camvid(tmp_path)
    assert sizes(find_shards(source, limit=6)) == {"camvid_train_0000": 5, "camvid_val_0000": 1}
    few = find_shards(photos(tmp_path / "photos", 9), limit=3, shard_size=2)
    assert sizes(few) == {"photos_0000": 1, "photos_0001": 2}
    assert [image.image_id for shard in few for image in shard.images] == ["000", "001", "002"]


def test_tars_behind_the_limit_are_not_even_read(tmp_path: Path) -> None:
    write_tar(tmp_path / "a.tar", {f"{n}.jpg": PNG for n in range(5)})
    write_files(tmp_path, {"b.tar": b""})
    assert sizes(find_shards(tmp_path, limit=4)) == {"a": 4}
    with pytest.raises(InputError, match=r"b\.tar is empty \(0 bytes\): fetch it again$"):
        find_shards(tmp_path)


def test_a_label_folder_gives_the_shards_its_format(tmp_path: Path) -> None:
    write_files(tmp_path, dict.fromkeys(["in/a.jpg", "in/b.jpg", "gt/a.png"], b"x"))
    (shard,) = find_shards(
        tmp_path / "in", label_root=tmp_path / "gt", label_format="png:cityscapes19"
    )
    assert (shard.label_format, shard.label_source) == ("png:cityscapes19", str(tmp_path / "gt"))
    assert [image.label_uri for image in shard.images] == [str(tmp_path / "gt/a.png"), None]


def test_a_label_format_that_is_not_named_is_looked_for(tmp_path: Path) -> None:
    city = "aachen/aachen_000000_000019"
    write_files(
        tmp_path,
        dict.fromkeys(
            [f"left/{city}_leftImg8bit.png", f"gt/{city}_gtFine_labelTrainIds.png"], b"x"
        ),
    )
    (shard,) = find_shards(tmp_path / "left", label_root=tmp_path / "gt")
    assert (shard.label_format, shard.label_source) == ("cityscapes", str(tmp_path / "gt"))
    (image,) = shard.images
    assert image.label_uri == str(tmp_path / f"gt/{city}_gtFine_labelTrainIds.png")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"format": "coco"},
            r"^the format 'coco' is unknown: use one of auto, folder, sa1b, camvid$",
        ),
        ({"shard_size": 0}, r"^the shard size is 0: give at least 1$"),
        ({"limit": 0}, r"^the limit is 0: give at least 1 image or leave it out$"),
        ({"label_root": "x"}, r"^x is not there: give ground truth that exists$"),
        ({"label_format": "camvid"}, r"^a label format says how labels are written: give the"),
        ({"label_root": "x", "label_format": "jpg"}, r"^the label format 'jpg' is unknown"),
        ({"prefix": "a/b"}, r"shard name 'a/b'"),
        (
            {"label_root": "x", "label_format": "camvid", "format": "sa1b"},
            r"^labels cannot be given with the format sa1b: use the format folder$",
        ),
    ],
)
def test_wrong_options_are_refused(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    photos(tmp_path, 1)
    with pytest.raises(InputError, match=message):
        find_shards(tmp_path, **options)


@pytest.mark.parametrize("image_format", ["auto", "folder", "sa1b"])
def test_a_missing_source_is_refused(tmp_path: Path, image_format: str) -> None:
    with pytest.raises(InputError, match=r"gone is not there: give "):
        find_shards(tmp_path / "gone", format=image_format)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"^{tmp_path} holds no images: give files ending in"):
        find_shards(tmp_path)


def test_sources_on_s3_are_recognised(s3_server: S3Server, tmp_path: Path) -> None:
    bucket = s3_server.root / "bucket/sources"
    options = s3_server.storage_options
    photos(bucket / "photos", 3)
    camvid(bucket / "camvid")
    write_tar(bucket / "sa1b/sa_000007.tar", {"./sa_1.jpg": PNG, "./sa_1.json": b"{}"})
    expected = {
        "photos": {"photos_0000": 3},
        "camvid": {"camvid_train_0000": 5, "camvid_val_0000": 3},
        "sa1b": {"sa_000007": 1},
        "sa1b/sa_000007.tar": {"sa_000007": 1},
        "camvid/val.txt": {"camvid_val_0000": 3},
    }
    for name, shards in expected.items():
        found = find_shards(f"s3://bucket/sources/{name}", storage_options=options)
        assert sizes(found) == shards
        assert all(i.uri.startswith("s3://bucket/sources/") for s in found for i in s.images)


def test_finding_images_imports_nothing_heavy() -> None:
    code = (
        "import sys, seg_assets.data.sources, seg_assets.data.images, seg_assets.data.label_maps\n"
        "heavy = {'torch', 'cv2', 'matplotlib', 'pandas', 'dagster'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
