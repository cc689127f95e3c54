import csv
import json
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from seg_assets.exports.request import ExportRequest, Maps
from seg_assets.exports.semantic_png import export_semantic_png
from seg_assets.storage.store import Store
from seg_assets_tests.exports.conftest import good_images, stored_map

TABLES = {"semantic": "base28", "merged": "merged19", "seem": "base28", "ssa": "coco133"}


@pytest.mark.parametrize("maps", TABLES)
def test_every_pixel_is_that_of_the_store_and_has_its_classes_colour(
    finished: Store, request_of: Callable[..., ExportRequest], maps: Maps
) -> None:
    summary = export_semantic_png(request_of(maps=maps))
    assert (summary.classes, summary.maps) == (TABLES[maps], maps)
    listed = json.loads((summary.out / "classes.json").read_text())
    assert listed["name"] == TABLES[maps]
    colors = {item["id"]: item["color"] for item in listed["classes"]}
    rows = list(csv.DictReader((summary.out / "classes.csv").read_text().splitlines()))
    assert [(int(row["id"]), row["name"]) for row in rows] == [
        (item["id"], item["name"]) for item in listed["classes"]
    ]
    for shard, image_id, name, _ in good_images():
        with Image.open(summary.out / "labels" / f"{name}.png") as picture:
            assert picture.mode == "P"
            ids, rgb = np.array(picture), np.array(picture.convert("RGB"))
        np.testing.assert_array_equal(ids, stored_map(finished, maps, shard, image_id))
        np.testing.assert_array_equal(
            rgb, np.array([colors[i] for i in ids.ravel()]).reshape(rgb.shape)
        )
