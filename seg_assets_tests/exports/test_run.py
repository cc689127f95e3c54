"""What all formats share, seen through the smallest of them."""

import csv
import json
import logging
import resource
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from PIL import Image

from seg_assets.cli.export import FORMATS
from seg_assets.data.shards import Shard, load_shard, register_shards
from seg_assets.errors import ImageError, InputError, StoreError
from seg_assets.exports.coco_instances import export_coco_instances
from seg_assets.exports.request import ExportRequest, Maps
from seg_assets.exports.sa1b import export_sa1b
from seg_assets.exports.semantic_png import export_semantic_png
from seg_assets.stages.maps import merge_maps
from seg_assets.storage.store import Store
from seg_assets_tests.exports.conftest import BROKEN, GOOD, LEFT, RIGHT, files_below, stored_map

Requests = Callable[..., ExportRequest]


def test_images_without_results_are_counted_and_named(request_of: Requests) -> None:
    told = []
    request = request_of(progress=lambda done, total: told.append((done, total)))
    summary = export_semantic_png(request)
    assert (summary.images, summary.missing, summary.failed) == (5, 1, 0)
    assert told == [(done, 6) for done in range(1, 7)]
    rows = list(csv.DictReader((summary.out / "errors.csv").read_text().splitlines()))
    assert [(row["shard"], row["image_id"]) for row in rows] == [(LEFT, BROKEN)]
    assert rows[0]["message"].startswith("raw_images failed: ")
    said = json.loads((summary.out / "export.json").read_text())
    assert said["shards"] == [LEFT, RIGHT]
    assert (said["images"], said["missing"], said["failed"]) == (5, 1, 0)
    assert said["classes"] == "base28"


def test_one_shard_has_plain_names_and_two_with_one_id_have_folders(request_of: Requests) -> None:
    alone = export_semantic_png(request_of(shards=(RIGHT,)))
    assert files_below(alone.out / "labels") == ["city/a.png", "d.png"]
    assert not (alone.out / "errors.csv").exists()
    both = export_semantic_png(request_of(shards=(RIGHT, LEFT), overwrite=True))
    assert both.shards == (RIGHT, LEFT)
    expected = [f"{shard}/{image_id}.png" for shard, ids in GOOD.items() for image_id in ids]
    assert files_below(both.out / "labels") == sorted(expected)


def test_shards_without_a_common_id_have_plain_names(store: Store, tmp_path: Path) -> None:
    found = load_shard(store, RIGHT)
    only_d = Shard("other", tuple(i for i in found.images if i.image_id == "d"))
    register_shards(store, [only_d])
    _copy_shard(store, RIGHT, "other", ["d"])
    store.delete("semantic_maps", RIGHT)
    summary = export_semantic_png(ExportRequest(store, tmp_path / "out"))
    assert summary.shards == (LEFT, "other")
    assert summary.unfinished_shards == (RIGHT,)
    expected = sorted(["c.png", "city/a.png", "city/b.png", "d.png"])
    assert files_below(summary.out / "labels") == expected


def _copy_shard(store: Store, source: str, target: str, image_ids: list[str]) -> None:
    for asset in ("raw_images", "semantic_maps"):
        reader = store.open_shard(asset, source)
        provenance = {"classes": reader.manifest.provenance.get("classes")}
        with store.write_shard(asset, target, image_ids, provenance) as writer:
            for image_id in writer.pending:
                writer.add(image_id, reader.rows(image_id))


def test_a_picture_that_has_changed_fails_alone(store: Store, tmp_path: Path) -> None:
    reader = store.open_shard("raw_images", LEFT)
    moved = tmp_path / "moved.png"
    rows = {i: dict(reader.rows(i)[0]) for i in reader.image_ids}
    moved.write_bytes(Path(rows["c"]["uri"]).read_bytes() + b"more")
    rows["c"]["uri"] = str(moved)
    with store.write_shard("raw_images", LEFT, list(rows), {"by": "test"}) as writer:
        for image_id, row in rows.items():
            writer.add(image_id, [row])
    request = ExportRequest(store, tmp_path / "out", shards=(LEFT,), pictures="copy")
    summary = export_semantic_png(request)
    assert (summary.images, summary.missing, summary.failed) == (2, 0, 1)
    assert files_below(summary.out / "labels") == ["city/a.png", "city/b.png"]
    assert files_below(summary.out / "images") == ["city/a.png", "city/b.png"]
    assert "moved.png has changed since" in (summary.out / "errors.csv").read_text()


def test_where_no_image_can_be_exported_there_is_no_folder(store: Store, tmp_path: Path) -> None:
    with store.write_shard("semantic_maps", LEFT, ["c"], {"classes": "base28"}) as writer:
        writer.fail("c", "semantic_maps", "no memory")
    with pytest.raises(ImageError, match="none of 4 images could be exported: c of shard left"):
        export_semantic_png(ExportRequest(store, tmp_path / "out", shards=(LEFT,)))
    assert not (tmp_path / "out").exists()


def test_assets_of_two_generations_are_refused(store: Store, tmp_path: Path) -> None:
    reader = store.open_shard("sam_masks", LEFT)
    rows = {image_id: list(reversed(rows)) for image_id, rows in reader}
    with store.write_shard("sam_masks", LEFT, list(rows), {"by": "test"}) as writer:
        for image_id, masks in rows.items():
            writer.add(image_id, masks)
    request = ExportRequest(store, tmp_path / "out", shards=(LEFT,))
    with pytest.raises(StoreError, match="region_labels of shard left was made from other sam_m"):
        export_coco_instances(request)
    assert not (tmp_path / "out").exists()


def test_shards_in_different_classes_are_refused(store: Store, tmp_path: Path) -> None:
    merge_maps(store, RIGHT, classes="camvid11")
    request = ExportRequest(store, tmp_path / "out", maps="merged")
    with pytest.raises(InputError, match="maps of shard right are in other classes than .* left"):
        export_semantic_png(request)
    summary = export_semantic_png(replace(request, shards=(RIGHT,)))
    assert summary.classes == "camvid11"


@pytest.fixture
def small_disk() -> Callable[[int], AbstractContextManager[None]]:
    """Within the block no file can become larger: a disk that is full."""

    @contextmanager
    def limit(size: int) -> Iterator[None]:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limit


@pytest.mark.parametrize("form", FORMATS)
def test_a_full_disk_is_told_in_one_sentence_and_leaves_nothing(
    request_of: Requests,
    tmp_path: Path,
    small_disk: Callable[[int], AbstractContextManager[None]],
    form: str,
) -> None:
    export = getattr(import_module(f"seg_assets.exports.{form}"), f"export_{form}")
    whole = export(request_of(out=tmp_path / "whole")).out
    largest = max((whole / name).stat().st_size for name in files_below(whole))
    for size in (100, largest // 2, largest - 1):
        with small_disk(size), pytest.raises(StoreError, match=r"cannot write .*/out"):
            export(request_of())
        assert [entry.name for entry in tmp_path.iterdir()] == ["whole"]


def test_unknown_unfinished_and_repeated_shards_are_refused(
    store: Store, request_of: Requests, tmp_path: Path
) -> None:
    with pytest.raises(StoreError, match="no finished shard middle"):
        export_semantic_png(request_of(shards=("middle",)))
    with pytest.raises(InputError, match="named twice in left, left"):
        export_semantic_png(request_of(shards=(LEFT, LEFT)))
    empty = ExportRequest(Store(tmp_path / "empty"), tmp_path / "out")
    with pytest.raises(InputError, match="no shard of .* has finished raw_images, semantic_maps"):
        export_semantic_png(empty)
    store.delete("semantic_maps", LEFT)
    with pytest.raises(StoreError, match="semantic_maps has no finished shard left"):
        export_semantic_png(ExportRequest(store, tmp_path / "out", shards=(LEFT,)))
    assert not (tmp_path / "out").exists()


def test_the_same_store_gives_the_same_bytes(request_of: Requests, tmp_path: Path) -> None:
    for name in ("first", "second"):
        export_coco_instances(request_of(out=tmp_path / name))
    first, second = tmp_path / "first", tmp_path / "second"
    assert files_below(first) == files_below(second)
    for name in files_below(first):
        assert (first / name).read_bytes() == (second / name).read_bytes(), name


def test_pictures_are_copied_upright_and_lie_under_their_maps(store: Store, tmp_path: Path) -> None:
    """A photo with an orientation tag is turned; an upright PNG stays byte for byte."""
    reader = store.open_shard("raw_images", LEFT)
    rows = {i: dict(reader.rows(i)[0]) for i in reader.image_ids}
    turned = Image.open(rows["c"]["uri"]).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    turned.save(tmp_path / "turned.jpg", exif=exif)
    data = (tmp_path / "turned.jpg").read_bytes()
    import hashlib

    rows["c"] |= {
        "uri": str(tmp_path / "turned.jpg"),
        "format": "JPEG",
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    with store.write_shard("raw_images", LEFT, list(rows), {"by": "test"}) as writer:
        for image_id, row in rows.items():
            writer.add(image_id, [row])
    request = ExportRequest(store, tmp_path / "out", shards=(LEFT,), pictures="copy")
    out = export_semantic_png(request).out
    assert files_below(out / "images") == ["c.jpg", "city/a.png", "city/b.png"]
    copied = Image.open(out / "images" / "c.jpg")
    assert copied.getexif().get(0x0112, 1) == 1
    assert copied.size == (128, 96)
    original = np.asarray(turned.transpose(Image.Transpose.ROTATE_270)).astype(int)
    assert np.abs(np.asarray(copied) - original).mean() < 8  # JPEG, twice
    kept = (out / "images" / "city" / "a.png").read_bytes()
    assert kept == Path(rows["city/a"]["uri"]).read_bytes()


def test_masks_without_names_can_be_exported(store: Store, tmp_path: Path) -> None:
    for shard in GOOD:
        store.delete("region_labels", shard)
    summary = export_sa1b(ExportRequest(store, tmp_path / "out"))
    assert (summary.maps, summary.classes, summary.images) == (None, None, 5)
    with pytest.raises(InputError, match="has finished raw_images, sam_masks, region_labels"):
        export_coco_instances(ExportRequest(store, tmp_path / "other"))


def test_a_shard_that_is_left_out_is_logged(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store.delete("semantic_maps", RIGHT)
    with caplog.at_level(logging.WARNING, logger="seg_assets"):
        export_semantic_png(ExportRequest(store, tmp_path / "out"))
    assert "shard right is left out" in caplog.text
    labels = stored_map(store, "semantic", LEFT, "c")
    found = np.array(Image.open(tmp_path / "out" / "labels" / "c.png"))
    np.testing.assert_array_equal(found, labels)


def test_an_image_without_masks_is_exported_like_any_other(store: Store, tmp_path: Path) -> None:
    for asset in ("sam_masks", "region_labels", "ssa_masks"):
        reader = store.open_shard(asset, RIGHT)
        told = {**reader.manifest.provenance, "upstream": {}}
        with store.write_shard(asset, RIGHT, GOOD[RIGHT], told) as writer:
            for image_id in writer.pending:
                writer.add(image_id, [])
    for asset in ("seem_labels", "semantic_maps", "merged_maps", "ssa_maps"):
        reader = store.open_shard(asset, RIGHT)
        rows = dict(iter(reader))
        told = {**reader.manifest.provenance, "upstream": {}}
        with store.write_shard(asset, RIGHT, GOOD[RIGHT], told) as writer:
            for image_id, found in rows.items():
                writer.add(image_id, found)
    for form in FORMATS:
        for maps in get_args(Maps):
            out = tmp_path / f"{form}_{maps}"
            request = ExportRequest(store, out, shards=(RIGHT,), maps=maps)
            export = getattr(import_module(f"seg_assets.exports.{form}"), f"export_{form}")
            assert export(request).images == 2
