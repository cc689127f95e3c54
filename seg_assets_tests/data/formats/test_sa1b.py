import gzip
import io
import logging
import tarfile
from pathlib import Path

import numpy as np
import pytest
from fsspec.implementations.local import LocalFileSystem

from seg_assets.data.formats.sa1b import find_sa1b_files, find_tar_images
from seg_assets.data.images import read_image
from seg_assets.errors import ImageError, InputError, StoreError
from seg_assets_tests.data.conftest import S3Server, encoded, picture, write_files, write_tar

# As in SA-1B: each photo with its annotations behind it, names with a leading "./".
MEMBERS = {
    "./sa_20.jpg": encoded(picture(seed=20)),
    "./sa_20.json": b"{}",
    "./sa_3.jpg": encoded(picture(seed=3)),
    "./sa_3.json": b"{}",
}


def special_member(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type = kind
    member.linkname = target
    return member


def test_images_are_read_in_place(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "sa_000020.tar", MEMBERS)
    images = find_tar_images(path)
    assert [image.image_id for image in images] == ["sa_20", "sa_3"]
    assert {image.uri for image in images} == {str(path)}
    for image, seed in zip(images, (20, 3), strict=True):
        np.testing.assert_array_equal(read_image(image), picture(seed=seed))
    assert list(tmp_path.iterdir()) == [path]


def test_long_names_and_folders_are_ids(tmp_path: Path) -> None:
    long_name = "folder/" + "x" * 150 + ".jpg"
    path = write_tar(tmp_path / "a.tar", {long_name: encoded(picture())})
    images = find_tar_images(path)
    assert images[0].image_id == long_name.removesuffix(".jpg")
    np.testing.assert_array_equal(read_image(images[0]), picture())


def test_images_in_a_tar_on_s3_are_read_by_range(s3_server: S3Server, tmp_path: Path) -> None:
    filler = {f"./sa_{n}.jpg": encoded(picture(200, 300, seed=n)) for n in range(100, 108)}
    path = write_tar(tmp_path / "sa_000020.tar", {**filler, **MEMBERS})
    write_files(s3_server.root / "bucket", {"sa1b/sa_000020.tar": path.read_bytes()})
    options = s3_server.storage_options
    images = find_tar_images("s3://bucket/sa1b/sa_000020.tar", storage_options=options)
    local = find_tar_images(path)
    assert [(i.image_id, i.offset, i.size) for i in images] == [
        (i.image_id, i.offset, i.size) for i in local
    ]
    np.testing.assert_array_equal(read_image(images[-1], options), picture(seed=3))


def test_hostile_members_are_left_out_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_tar(
        tmp_path / "a.tar",
        {"good.jpg": encoded(picture()), "../up.jpg": b"x", "/etc/abs.jpg": b"x", "a//b.jpg": b"x"},
    )
    with tarfile.open(path, "a") as tar:
        tar.addfile(special_member("soft.jpg", tarfile.SYMTYPE, "/etc/passwd"))
        tar.addfile(special_member("hard.jpg", tarfile.LNKTYPE, "good.jpg"))
        tar.addfile(special_member("device.jpg", tarfile.CHRTYPE))
        tar.addfile(special_member("folder.jpg", tarfile.DIRTYPE))
    with caplog.at_level(logging.WARNING):
        images = find_tar_images(path)
    assert [image.image_id for image in images] == ["good"]
    assert (
        "'../up.jpg', '/etc/abs.jpg', 'a//b.jpg', 'soft.jpg', 'hard.jpg' and 2 more" in caplog.text
    )
    assert "are links, sparse or have unsafe names and are left out" in caplog.text


def test_the_last_of_two_members_with_one_name_counts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_tar(tmp_path / "a.tar", {"x.png": encoded(picture(seed=1))})
    newer = encoded(picture(seed=2))
    with tarfile.open(path, "a") as tar:
        member = tarfile.TarInfo("./x.png")
        member.size = len(newer)
        tar.addfile(member, io.BytesIO(newer))
    with caplog.at_level(logging.WARNING):
        images = find_tar_images(path)
    assert "'x.png' occur more than once; the last of each counts" in caplog.text
    np.testing.assert_array_equal(read_image(images[0]), picture(seed=2))


def test_hidden_members_and_other_files_are_no_images(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", {"._a.jpg": b"x", "a.jpg": b"x", "a.txt": b"x"})
    assert [image.image_id for image in find_tar_images(path)] == ["a"]


def test_an_empty_member_is_found_and_fails_alone(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", {"a.png": b"", "b.png": encoded(picture())})
    empty, good = find_tar_images(path)
    with pytest.raises(ImageError, match=r"^image a in .*a\.tar \(byte 512\) is empty \(0 bytes\)"):
        read_image(empty)
    np.testing.assert_array_equal(read_image(good), picture())


def damaged_tars() -> dict[str, tuple[bytes, str]]:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in MEMBERS.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    whole = buffer.getvalue()
    with tarfile.open(fileobj=io.BytesIO(whole)) as tar:
        second = tar.getmembers()[2]
    broken_header = bytearray(whole)
    broken_header[second.offset + 5] ^= 1
    return {
        "empty": (b"", r"is empty \(0 bytes\): fetch it again$"),
        "text": (b"no tar\n" * 200, r"is not a tar file, or is truncated or damaged"),
        "short text": (b"no tar", r"is not a tar file, or is truncated or damaged"),
        "in a member": (whole[: second.offset_data + 10], r"truncated or damaged"),
        "in a header": (
            whole[: second.offset + 100],
            r"is truncated or damaged at byte \d+, after 2",
        ),
        "between members": (
            whole[: second.offset],
            r"is truncated or damaged at byte \d+, after 2",
        ),
        "broken header": (bytes(broken_header), r"is truncated or damaged at byte \d+, after 2"),
        "compressed": (gzip.compress(whole), r"is compressed with gzip, .* decompress it first$"),
        "only zeros": (bytes(10240), r"holds no images"),
    }


@pytest.mark.parametrize("case", damaged_tars())
def test_damaged_tars_are_refused(tmp_path: Path, case: str) -> None:
    data, message = damaged_tars()[case]
    path = tmp_path / "sa_000001.tar"
    path.write_bytes(data)
    with pytest.raises(InputError, match=message) as caught:
        find_tar_images(path)
    assert str(path) in str(caught.value)


def test_a_missing_tar_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.tar is not there: give a tar file that exists$"):
        find_tar_images(tmp_path / "gone.tar")


def test_a_tar_without_images_is_refused(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", {"a.json": b"{}"})
    with pytest.raises(InputError, match=r"holds no images: give a tar file with \.jpg members$"):
        find_tar_images(path)


def test_tars_and_unpacked_images_are_told_apart(tmp_path: Path) -> None:
    names = ["sa_2.jpg", "sa_2.json", "deep/sa_10.JPG", "other.jpg", "b.tar", "deep/a.tar", "x.tgz"]
    write_files(tmp_path, dict.fromkeys(names, b"x"))
    files = find_sa1b_files(tmp_path)
    assert files.tars == {"b": str(tmp_path / "b.tar"), "deep/a": str(tmp_path / "deep/a.tar")}
    assert [image.image_id for image in files.loose] == ["deep/sa_10", "sa_2"]


def test_one_tar_is_a_source_too(tmp_path: Path) -> None:
    write_files(tmp_path, dict.fromkeys(["a.tar", "b.tar", "sa_1.jpg"], b"x"))
    files = find_sa1b_files(tmp_path / "a.tar")
    assert files.tars == {"a": str(tmp_path / "a.tar")}
    assert files.loose == []


def test_a_folder_without_sa1b_is_refused(tmp_path: Path) -> None:
    write_files(tmp_path, {"a.jpg": b"x"})
    with pytest.raises(InputError, match=r"holds neither tar files nor sa_<number>\.jpg"):
        find_sa1b_files(tmp_path)
    with pytest.raises(InputError, match="gone is not there"):
        find_sa1b_files(tmp_path / "gone")


def test_real_sa1b_photos_are_equal_from_folder_and_tar(shared_dir: Path, tmp_path: Path) -> None:
    folder = shared_dir / "data/sa1b/images"
    loose = find_sa1b_files(folder).loose
    assert [i.image_id for i in loose] == ["sa_10039", "sa_11025", "sa_192", "sa_414", "sa_8776"]
    photos = {f"./{photo.name}": photo.read_bytes() for photo in sorted(folder.glob("*.jpg"))[:2]}
    packed = find_tar_images(write_tar(tmp_path / "sa_000000.tar", photos))
    for inside, outside in zip(packed, loose, strict=False):
        assert inside.image_id == outside.image_id
        np.testing.assert_array_equal(read_image(inside), read_image(outside))


def test_a_connection_lost_on_the_way_is_a_store_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class BrokenFile(io.BytesIO):
        def read(self, *_: object) -> bytes:
            raise OSError("connection reset")

    path = write_tar(tmp_path / "a.tar", MEMBERS)
    monkeypatch.setattr(LocalFileSystem, "open", lambda *_, **__: BrokenFile())
    with pytest.raises(StoreError, match=r"a\.tar cannot be read \(OSError: connection reset\)"):
        find_tar_images(path)
