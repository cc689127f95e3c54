import logging
import os
from pathlib import Path

import pytest
from fsspec.implementations.local import LocalFileSystem

from seg_assets.data.files import open_folder, read_bytes
from seg_assets.errors import ImageError, InputError, StoreError
from seg_assets_tests.data.conftest import S3Server, write_files


def test_files_are_listed_by_relative_name(tmp_path: Path) -> None:
    write_files(tmp_path, {"b.jpg": b"1", "deep/er/a.jpg": b"1", "deep/c d.txt": b""})
    assert sorted(open_folder(tmp_path).files()) == ["b.jpg", "deep/c d.txt", "deep/er/a.jpg"]


def test_hidden_files_and_folders_are_left_out(tmp_path: Path) -> None:
    write_files(tmp_path, {"a.jpg": b"1", ".b.jpg": b"1", ".git/c.jpg": b"1", "x/._d.jpg": b"1"})
    assert list(open_folder(tmp_path).files()) == ["a.jpg"]


def test_the_folders_in_a_folder_are_told(tmp_path: Path) -> None:
    write_files(tmp_path, {"a.jpg": b"1", "z/b.jpg": b"1", "deep/er/a.jpg": b"1"})
    assert open_folder(tmp_path).top_folders() == ["deep", "z"]


def test_a_folder_below_a_hidden_one_can_be_asked_for(tmp_path: Path) -> None:
    write_files(tmp_path, {".cache/a.jpg": b"1"})
    assert list(open_folder(tmp_path / ".cache").files()) == ["a.jpg"]


@pytest.mark.parametrize("name", ["a::b.jpg", "a#b.jpg", "a%20b?.jpg", "[a]*.jpg", "ä/ö ü.jpg"])
def test_names_with_signs_of_urls_and_patterns_are_plain_names(tmp_path: Path, name: str) -> None:
    write_files(tmp_path, {name: b"content"})
    folder = open_folder(tmp_path)
    assert list(folder.files()) == [name]
    assert read_bytes(folder.uri_of(folder.child(name))) == b"content"


def test_a_relative_path_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_files(tmp_path, {"photos/a.jpg": b"1"})
    monkeypatch.chdir(tmp_path)
    folder = open_folder("photos")
    assert folder.uri_of(folder.child("a.jpg")) == str(tmp_path / "photos/a.jpg")


def test_links_to_files_are_followed_and_links_to_folders_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_files(tmp_path, {"in/a.jpg": b"1", "out/b.jpg": b"2", "out/c.jpg": b"3"})
    (tmp_path / "in/b.jpg").symlink_to(tmp_path / "out/b.jpg")
    (tmp_path / "in/circle").symlink_to(tmp_path)
    with caplog.at_level(logging.WARNING):
        assert sorted(open_folder(tmp_path / "in").files()) == ["a.jpg", "b.jpg"]
    assert "in/circle is a link to a folder and is not followed" in caplog.text


def test_a_name_in_another_encoding_is_refused(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/gr\xfcn.jpg")).write_bytes(b"1")
    with pytest.raises(InputError, match=r"not valid UTF-8: rename it"):
        list(open_folder(tmp_path).files())


def test_kind_tells_files_folders_and_nothing_apart(tmp_path: Path) -> None:
    write_files(tmp_path, {"a.jpg": b""})
    folder = open_folder(tmp_path)
    assert folder.kind() == "folder"
    assert folder.kind(folder.child("a.jpg")) == "file"
    assert folder.kind(folder.child("b.jpg")) is None
    assert folder.kind(folder.child("a.jpg/b")) is None


@pytest.mark.parametrize(
    ("offset", "size", "expected"),
    [
        (None, None, b"0123456789"),
        (0, 3, b"012"),
        (4, 3, b"456"),
        (7, None, b"789"),
        (7, 3, b"789"),
        (3, 0, b""),
    ],
)
def test_a_range_of_bytes_is_read(
    tmp_path: Path, offset: int | None, size: int | None, expected: bytes
) -> None:
    write_files(tmp_path, {"a": b"0123456789"})
    assert read_bytes(str(tmp_path / "a"), offset, size) == expected


@pytest.mark.parametrize(("offset", "size"), [(8, 3), (10, 1), (50, 2), (0, 11)])
def test_a_range_behind_the_end_is_an_image_error(tmp_path: Path, offset: int, size: int) -> None:
    write_files(tmp_path, {"a": b"0123456789"})
    with pytest.raises(ImageError, match=rf"/a ends before byte {offset + size}: it has changed"):
        read_bytes(str(tmp_path / "a"), offset, size)


@pytest.mark.parametrize("name", ["gone.jpg", "folder", "file/below.jpg"])
def test_a_missing_file_is_an_image_error(tmp_path: Path, name: str) -> None:
    write_files(tmp_path, {"folder/x": b"", "file": b""})
    with pytest.raises(ImageError, match="is not there: put the file back or register its shard"):
        read_bytes(str(tmp_path / name))


def test_an_unknown_protocol_is_an_input_error() -> None:
    with pytest.raises(InputError, match=r"^nosuch://a/b cannot be opened .* use a local path"):
        read_bytes("nosuch://a/b")


def test_s3_is_listed_and_read_like_a_folder(s3_server: S3Server) -> None:
    names = {"files/a.jpg": b"0123456789", "files/deep/b c.jpg": b"1", "files/.hidden": b""}
    write_files(s3_server.root / "bucket", names)
    folder = open_folder("s3://bucket/files/", s3_server.storage_options)
    assert folder.kind() == "folder"
    assert folder.kind(folder.child("a.jpg")) == "file"
    assert folder.kind(folder.child("b.jpg")) is None
    assert sorted(folder.files()) == ["a.jpg", "deep/b c.jpg"]
    assert folder.top_files() == [".hidden", "a.jpg"]
    assert folder.top_folders() == ["deep"]
    uri = folder.uri_of(folder.child("a.jpg"))
    assert uri == "s3://bucket/files/a.jpg"
    assert read_bytes(uri, storage_options=s3_server.storage_options) == b"0123456789"
    assert read_bytes(uri, 3, 4, s3_server.storage_options) == b"3456"


@pytest.mark.parametrize(("offset", "size"), [(8, 3), (50, 2)])
def test_s3_range_behind_the_end_is_an_image_error(
    s3_server: S3Server, offset: int, size: int
) -> None:
    write_files(s3_server.root / "bucket", {"short/a": b"0123456789"})
    with pytest.raises(ImageError, match="ends before byte"):
        read_bytes("s3://bucket/short/a", offset, size, s3_server.storage_options)


def test_s3_missing_object_is_an_image_error(s3_server: S3Server) -> None:
    with pytest.raises(ImageError, match=r"^s3://bucket/gone\.jpg is not there"):
        read_bytes("s3://bucket/gone.jpg", storage_options=s3_server.storage_options)


def test_s3_wrong_credentials_are_not_the_images_fault(s3_server: S3Server) -> None:
    write_files(s3_server.root / "bucket", {"secret/a": b"1"})
    options = {**s3_server.storage_options, "secret": "wrong"}
    with pytest.raises(StoreError, match=r"check the connection, the endpoint and the credentials"):
        read_bytes("s3://bucket/secret/a", storage_options=options)


def test_s3_that_does_not_answer_is_a_store_error(monkeypatch: pytest.MonkeyPatch) -> None:
    options = {
        "key": "key",
        "secret": "secret",
        "endpoint_url": "http://127.0.0.1:9",
        "config_kwargs": {"retries": {"max_attempts": 1}, "connect_timeout": 2},
    }
    monkeypatch.setattr("s3fs.S3FileSystem.retries", 1)
    with pytest.raises(StoreError, match=r"^s3://bucket/a cannot be read .* check the connection"):
        read_bytes("s3://bucket/a", storage_options=options)
    with pytest.raises(StoreError, match="check the connection"):
        list(open_folder("s3://bucket/a", options).files())


def test_a_forbidden_file_is_an_image_error_and_a_forbidden_folder_an_input_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    folder = open_folder(tmp_path)
    monkeypatch.setattr(LocalFileSystem, "cat_file", refuse)
    monkeypatch.setattr(LocalFileSystem, "ls", refuse)
    with pytest.raises(ImageError, match=r"/a may not be read: give this user access to it$"):
        read_bytes(str(tmp_path / "a"))
    with pytest.raises(InputError, match=rf"^{tmp_path} may not be read: give this user access"):
        list(folder.files())


def test_s3_files_that_have_come_since_are_listed(s3_server: S3Server) -> None:
    bucket = s3_server.root / "bucket"
    write_files(bucket, {"growing/deep/a": b"1"})
    folder = open_folder("s3://bucket/growing", s3_server.storage_options)
    assert list(folder.files()) == ["deep/a"]
    write_files(bucket, {"growing/deep/b": b"1"})
    again = open_folder("s3://bucket/growing", s3_server.storage_options)
    assert sorted(again.files()) == ["deep/a", "deep/b"]
    assert again.kind(again.child("deep/b")) == "file"


def test_pipes_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    assert list(open_folder(tmp_path).files()) == []
