import json
from collections.abc import Callable
from xml.etree import ElementTree

import numpy as np
import pytest

from seg_assets.classes.table import load_class_table
from seg_assets.exports.label_studio import export_label_studio
from seg_assets.exports.request import ExportRequest, Maps
from seg_assets.storage.store import Store
from seg_assets_tests.exports.conftest import GOOD, files_below, stored_map
from seg_assets_tests.exports.test_brush_rle import read_bits

Requests = Callable[..., ExportRequest]


def opacity(result: dict) -> np.ndarray:
    """The brush, by a reader that knows the format only: (H, W) bool."""
    values = np.array(read_bits(bytes(result["value"]["rle"])))
    pixels = values.reshape(result["original_height"], result["original_width"], 4)
    assert (pixels == pixels[..., :1]).all()
    assert set(np.unique(pixels).tolist()) <= {0, 255}
    return pixels[..., 3] > 0


@pytest.mark.parametrize("maps", ["semantic", "seem", "ssa"])
def test_brushes_paint_the_map_again(finished: Store, request_of: Requests, maps: Maps) -> None:
    summary = export_label_studio(request_of(maps=maps))
    table = load_class_table(summary.classes or "")
    count = 0
    for shard, image_ids in GOOD.items():
        tasks = json.loads((summary.out / "tasks" / f"{shard}.json").read_bytes())
        assert [task["data"]["image_id"] for task in tasks] == image_ids
        for task, image_id in zip(tasks, image_ids, strict=True):
            image = task["data"]["image"]
            assert image == f"/data/local-files/?d=images/{shard}/{image_id}.png"
            (prediction,) = task["predictions"]
            painted = np.full((96, 128), 255, np.uint8)
            for result in prediction["result"]:
                assert result["type"] == "brushlabels"
                assert result["value"]["format"] == "rle"
                (name,) = result["value"]["brushlabels"]
                inside = opacity(result)
                assert (painted[inside] == 255).all()
                painted[inside] = table.id_of(name)
            np.testing.assert_array_equal(painted, stored_map(finished, maps, shard, image_id))
            ids = [result["id"] for result in prediction["result"]]
            assert len(set(ids)) == len(ids)
            count += len(ids)
    assert count == summary.objects


def test_a_region_has_its_score_and_the_prediction_their_mean(
    finished: Store, request_of: Requests
) -> None:
    out = export_label_studio(request_of(maps="semantic")).out
    for shard, image_ids in GOOD.items():
        tasks = json.loads((out / "tasks" / f"{shard}.json").read_bytes())
        for task, image_id in zip(tasks, image_ids, strict=True):
            (prediction,) = task["predictions"]
            regions = finished.open_shard("region_labels", shard).rows(image_id)
            scores = sorted(r["score"] for r in prediction["result"] if "score" in r)
            assert scores == sorted(row["score"] for row in regions)
            assert prediction["score"] == pytest.approx(np.mean(scores))
            areas = sorted(int(opacity(r).sum()) for r in prediction["result"] if "score" in r)
            assert areas == sorted(row["area"] for row in regions)


def test_the_config_names_the_controls_and_labels_of_the_tasks(request_of: Requests) -> None:
    out = export_label_studio(request_of(shards=("right",), maps="merged")).out
    view = ElementTree.fromstring((out / "label_config.xml").read_text())
    (image,) = view.iter("Image")
    (brush,) = view.iter("BrushLabels")
    merged = load_class_table("merged19")
    assert [label.get("value") for label in brush] == list(merged.names)
    assert brush[0].get("background") == "#696969"
    (task, _) = json.loads((out / "tasks" / "right.json").read_bytes())
    key = (image.get("value") or "").removeprefix("$")
    assert key in task["data"]
    for result in task["predictions"][0]["result"]:
        assert result["from_name"] == brush.get("name")
        assert result["to_name"] == brush.get("toName") == image.get("name")


def test_images_may_lie_anywhere(request_of: Requests) -> None:
    request = request_of(shards=("right",), pictures="copy")
    out = export_label_studio(request, image_prefix="https://example.org/x/").out
    tasks = json.loads((out / "tasks" / "right.json").read_bytes())
    urls = [task["data"]["image"] for task in tasks]
    assert urls == ["https://example.org/x/city/a.png", "https://example.org/x/d.png"]
    assert files_below(out / "images") == ["city/a.png", "d.png"]
