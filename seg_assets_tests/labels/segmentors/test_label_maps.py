"""Label maps on disk as a segmentor."""

import os
from pathlib import Path

import fsspec
import numpy as np
import pytest
from PIL import Image

from seg_assets.classes.table import load_class_table
from seg_assets.errors import ImageError, InputError, UnknownClassError
from seg_assets.labels.segmentors.label_maps import (
    StoredLabelMaps,
    check_label_map_folder,
    label_maps_digest,
)
from seg_assets.storage.png import encode_label_map

MAP = np.array([[0, 1, 10], [5, 255, 255]], np.uint8)
IMAGE = np.zeros((2, 3, 3), np.uint8)
OWN_TABLE = """
name = "two"
title = "Two classes"
classes = [
    { id = 0, name = "no", color = [1, 2, 3] },
    { id = 1, name = "yes", color = [4, 5, 6] },
]
"""


def write(path: Path, ids: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(ids).save(path)


def test_a_map_is_found_by_the_image_id(tmp_path):
    write(tmp_path / "val" / "a.b.png", MAP)
    found = StoredLabelMaps(str(tmp_path), "camvid11").segment("val/a.b", IMAGE)
    np.testing.assert_array_equal(found.label_map, MAP)
    assert found.label_map.dtype == np.uint8
    assert found.logits is None


def test_palette_pictures_count_by_their_indices(tmp_path):
    palette = load_class_table("camvid11").palette()
    (tmp_path / "a.png").write_bytes(encode_label_map(MAP, palette))
    found = StoredLabelMaps(str(tmp_path), "camvid11").segment("a", IMAGE)
    np.testing.assert_array_equal(found.label_map, MAP)


def test_maps_behind_a_url_and_a_table_of_your_own(tmp_path):
    table = tmp_path / "two.toml"
    table.write_text(OWN_TABLE)
    write(tmp_path / "a.png", np.array([[1, 0, 255]], np.uint8))
    memory = fsspec.filesystem("memory")
    memory.pipe("/label_maps_test/a.png", (tmp_path / "a.png").read_bytes())
    maps = StoredLabelMaps("memory://label_maps_test", str(table))
    assert maps.classes.names == ("no", "yes")
    assert maps.segment("a", IMAGE[:1]).label_map.tolist() == [[1, 0, 255]]


def test_a_missing_map_is_an_error_of_its_image(tmp_path):
    with pytest.raises(ImageError, match=r"a\.png is not there"):
        StoredLabelMaps(str(tmp_path), "camvid11").segment("a", IMAGE)


def test_a_map_that_changes_has_another_sign(tmp_path):
    maps = StoredLabelMaps(str(tmp_path), "camvid11")
    signs = [maps.sign_of("val/a")]
    write(tmp_path / "val" / "a.png", MAP)
    signs += [maps.sign_of("val/a"), maps.sign_of("val/a")]
    os.utime(tmp_path / "val" / "a.png", (1, 1))
    signs.append(maps.sign_of("val/a"))
    write(tmp_path / "val" / "a.png", np.zeros((40, 40), np.uint8))
    os.utime(tmp_path / "val" / "a.png", (1, 1))
    signs.append(maps.sign_of("val/a"))
    assert signs[0] == ""
    assert signs[1] == signs[2]
    assert len(set(signs)) == 4


def test_a_damaged_map_is_an_error_of_its_image(tmp_path):
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    with pytest.raises(ImageError, match=r"a\.png"):
        StoredLabelMaps(str(tmp_path), "camvid11").segment("a", IMAGE)


def test_another_size_than_the_image_is_refused(tmp_path):
    write(tmp_path / "a.png", MAP.T.copy())
    with pytest.raises(ImageError, match="is 2 x 3 pixels and its image 3 x 2"):
        StoredLabelMaps(str(tmp_path), "camvid11").segment("a", IMAGE)


def test_ids_outside_the_table_are_named(tmp_path):
    write(tmp_path / "a.png", MAP + np.uint8(1))  # 255 wraps to 0, 10 becomes 11
    with pytest.raises(UnknownClassError, match=r"a\.png holds class id 11, outside"):
        StoredLabelMaps(str(tmp_path), "camvid11").segment("a", IMAGE)


def test_colours_are_no_ids(tmp_path):
    write(tmp_path / "a.png", IMAGE)
    with pytest.raises(ImageError, match="colours"):
        StoredLabelMaps(str(tmp_path), "camvid11").segment("a", IMAGE)


def test_an_unknown_table_is_refused_at_once(tmp_path):
    with pytest.raises(InputError, match="no class table 'camvid'"):
        StoredLabelMaps(str(tmp_path), "camvid")


def test_the_folder_must_be_there(tmp_path):
    write(tmp_path / "a.png", MAP)
    check_label_map_folder(str(tmp_path))
    for missing in (tmp_path / "no", tmp_path / "a.png"):
        with pytest.raises(InputError, match="no folder of label maps"):
            check_label_map_folder(str(missing))
        with pytest.raises(InputError, match="no folder of label maps"):
            label_maps_digest(str(missing))


def test_the_digest_follows_the_maps_and_nothing_else(tmp_path):
    write(tmp_path / "val" / "a.png", MAP)
    before = label_maps_digest(str(tmp_path))
    assert label_maps_digest(f"{tmp_path}/") == before
    (tmp_path / "notes.txt").write_text("words")
    assert label_maps_digest(str(tmp_path)) == before
    write(tmp_path / "val" / "b.png", MAP)
    more = label_maps_digest(str(tmp_path))
    (tmp_path / "val" / "b.png").rename(tmp_path / "val" / "c.png")
    renamed = label_maps_digest(str(tmp_path))
    (tmp_path / "val" / "a.png").write_bytes(b"")
    changed = label_maps_digest(str(tmp_path))
    assert len({before, more, renamed, changed}) == 4


def test_the_digest_of_an_object_store_follows_the_content(tmp_path, s3_root, s3):
    url, store = "s3://bucket/ssa_label_maps", fsspec.filesystem("s3", **s3)
    digests = set()
    for ids in (MAP, MAP[::-1].copy()):
        write(tmp_path / "a.png", ids)
        store.pipe(f"{url}/a.png", (tmp_path / "a.png").read_bytes())
        found = StoredLabelMaps(url, "camvid11", s3).segment("a", IMAGE)
        np.testing.assert_array_equal(found.label_map, ids)
        digests.add(label_maps_digest(url, s3))
    assert len(digests) == 2
