import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seg_assets.classes.table import load_class_table
from seg_assets.data.panoptic.reader import open_panoptic
from seg_assets.data.panoptic.segments import find_faults
from seg_assets.exports.coco_panoptic import export_coco_panoptic
from seg_assets.exports.request import ExportRequest, Maps
from seg_assets.exports.things import thing_names
from seg_assets.storage.store import Store
from seg_assets_tests.exports.conftest import good_images, stored_map

Requests = Callable[..., ExportRequest]
ALL_MAPS = ["semantic", "merged", "seem", "ssa"]


def read_ids(path: Path) -> np.ndarray:
    """Segment ids of a panoptic PNG, by COCO's formula."""
    with Image.open(path) as picture:
        assert picture.mode == "RGB"
        pixels = np.array(picture).astype(np.int64)
    return pixels[..., 0] + 256 * pixels[..., 1] + 256**2 * pixels[..., 2]


@pytest.mark.parametrize("maps", ALL_MAPS)
def test_what_panopticapi_asks_of_a_file_is_true(
    finished: Store, request_of: Requests, maps: Maps
) -> None:
    summary = export_coco_panoptic(request_of(maps=maps))
    content = json.loads((summary.out / "panoptic.json").read_bytes())
    table = load_class_table(summary.classes or "")
    categories = {item["id"]: item for item in content["categories"]}
    assert {item["name"] for item in categories.values() if item["isthing"]} == thing_names(table)
    images = {item["id"]: item for item in content["images"]}
    assert [item["image_id"] for item in content["annotations"]] == list(images)
    assert list(images) == [number for *_, number in good_images()]
    segments = 0
    for (shard, image_id, name, number), entry in zip(
        good_images(), content["annotations"], strict=True
    ):
        assert entry["file_name"] == f"{name}.png"
        assert images[number]["file_name"] == f"{name}.png"
        ids = read_ids(summary.out / "panoptic" / entry["file_name"])
        assert ids.shape == (images[number]["height"], images[number]["width"])
        listed = [segment["id"] for segment in entry["segments_info"]]
        assert len(set(listed)) == len(listed)
        assert set(listed) == set(np.unique(ids).tolist()) - {0}
        labels = stored_map(finished, maps, shard, image_id)
        np.testing.assert_array_equal(ids == 0, labels == 255)
        stuff: Counter[int] = Counter()
        for segment in entry["segments_info"]:
            inside = ids == segment["id"]
            category = categories[segment["category_id"]]
            assert (labels[inside] == table.id_of(category["name"])).all()
            rows, columns = np.nonzero(inside)
            x, y = columns.min(), rows.min()
            assert segment["bbox"] == [x, y, columns.max() - x + 1, rows.max() - y + 1]
            assert segment["area"] == inside.sum()
            assert segment["iscrowd"] in ((0, 1) if category["isthing"] else (0,))
            stuff[segment["category_id"]] += not category["isthing"]
            segments += 1
        assert max(stuff.values()) <= 1
    assert segments == summary.objects
    assert segments > 20


@pytest.mark.parametrize("maps", ALL_MAPS)
def test_our_own_reader_finds_a_split_without_faults(
    finished: Store, request_of: Requests, maps: Maps
) -> None:
    out = export_coco_panoptic(request_of(maps=maps, pictures="copy")).out
    dataset = open_panoptic(str(out.parent), out.name)
    assert len(dataset) == 5
    for index, (shard, image_id, _, number) in enumerate(good_images()):
        sample = dataset[index]
        assert sample.image_id == number
        assert find_faults(sample.segmented, dataset.categories) == []
        semantic = sample.segmented.semantic(dataset.categories)
        np.testing.assert_array_equal(semantic, stored_map(finished, maps, shard, image_id))
        (row,) = finished.open_shard("raw_images", shard).rows(image_id)
        with Image.open(row["uri"]) as picture:
            np.testing.assert_array_equal(sample.image, np.array(picture))


def test_each_mask_of_a_thing_is_a_segment(finished: Store, request_of: Requests) -> None:
    """Two people side by side are two segments."""
    out = export_coco_panoptic(request_of(maps="semantic")).out
    content = json.loads((out / "panoptic.json").read_bytes())
    base = load_class_table("base28")
    things = {base.id_of(name) for name in thing_names(base)}
    isthing = {item["id"]: item["isthing"] for item in content["categories"]}
    entries = {item["image_id"]: item["segments_info"] for item in content["annotations"]}
    several = 0
    for shard, image_id, _, number in good_images():
        regions = finished.open_shard("region_labels", shard).rows(image_id)
        expected = Counter(row["class_id"] for row in regions if row["class_id"] in things)
        found = Counter(
            segment["category_id"] - 1
            for segment in entries[number]
            if isthing[segment["category_id"]] and not segment["iscrowd"]
        )
        assert found == expected
        several += sum(count > 1 for count in expected.values())
    assert several > 0


def test_records_have_the_keys_of_real_files(request_of: Requests, shared_dir: Path) -> None:
    out = export_coco_panoptic(request_of()).out
    found = json.loads((out / "panoptic.json").read_bytes())
    real = json.loads((shared_dir / "data/coco_panoptic/panoptic.json").read_bytes())
    assert found.keys() == real.keys()
    assert found["annotations"][0].keys() == real["annotations"][0].keys()
    segments = [content["annotations"][0]["segments_info"][0] for content in (found, real)]
    assert segments[0].keys() == segments[1].keys()
    assert {"id", "name", "isthing", "color"} <= found["categories"][0].keys()
