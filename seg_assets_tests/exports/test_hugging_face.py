import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from seg_assets.exports.hugging_face import export_hugging_face
from seg_assets.exports.request import ExportRequest, Maps
from seg_assets.storage.store import Store
from seg_assets_tests.exports.conftest import files_below, good_images, stored_map

Requests = Callable[..., ExportRequest]

# In a process of its own: it has a cache and threads, and warns of other packages.
LOAD = """
import json, sys
import numpy as np
from datasets import load_dataset
data = load_dataset(sys.argv[1], split="train")
labels = data.features["classes"].feature
np.savez(
    sys.argv[2],
    **{f"image_{i}": np.array(row["image"].convert("RGB")) for i, row in enumerate(data)},
    **{f"map_{i}": np.array(row["label_map"]) for i, row in enumerate(data)},
)
print(json.dumps({
    "columns": data.column_names,
    "features": {name: type(feature).__name__ for name, feature in data.features.items()},
    "image_ids": data["image_id"][:],
    "shards": data["shard"][:],
    "names": labels.names,
    "classes": [[labels.int2str(i) for i in row] for row in data["classes"]],
}))
"""


def load(out: Path, tmp_path: Path) -> tuple[dict, dict[str, np.ndarray]]:
    import json

    pytest.importorskip("datasets", reason="the package datasets is not installed")
    environment = {
        **os.environ,
        "HF_HOME": str(tmp_path / "cache"),
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    }
    run = subprocess.run(
        [sys.executable, "-c", LOAD, str(out), str(tmp_path / "arrays.npz")],
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1]), dict(np.load(tmp_path / "arrays.npz"))


@pytest.mark.parametrize("maps", ["merged", "ssa"])
def test_load_dataset_gives_images_and_maps_pixel_by_pixel(
    finished: Store, request_of: Requests, tmp_path: Path, maps: Maps
) -> None:
    from seg_assets.classes.table import load_class_table

    summary = export_hugging_face(request_of(maps=maps))
    told, arrays = load(summary.out, tmp_path)
    assert told["columns"] == ["image", "label_map", "image_id", "shard", "classes"]
    assert told["features"]["image"] == told["features"]["label_map"] == "Image"
    table = load_class_table(summary.classes or "")
    assert told["names"] == list(table.names)
    assert len(told["image_ids"]) == summary.images == 5
    for index, (shard, image_id, *_) in enumerate(good_images()):
        assert (told["shards"][index], told["image_ids"][index]) == (shard, image_id)
        labels = stored_map(finished, maps, shard, image_id)
        np.testing.assert_array_equal(arrays[f"map_{index}"], labels)
        (row,) = finished.open_shard("raw_images", shard).rows(image_id)
        with Image.open(row["uri"]) as picture:
            np.testing.assert_array_equal(arrays[f"image_{index}"], np.array(picture))
        present = [table.name_of(i) for i in np.unique(labels).tolist()]
        assert told["classes"][index] == present


def test_files_are_cut_by_size_and_numbered(request_of: Requests, tmp_path: Path) -> None:
    whole = export_hugging_face(request_of(out=tmp_path / "one"))
    assert files_below(whole.out / "data") == ["train-00000-of-00001.parquet"]
    cut = export_hugging_face(request_of(out=tmp_path / "many"), bytes_per_file=1)
    names = files_below(cut.out / "data")
    assert names == [f"train-{i:05d}-of-00005.parquet" for i in range(5)]
    rows = [row for name in names for row in pq.read_table(cut.out / "data" / name).to_pylist()]
    assert rows == pq.read_table(whole.out / "data" / "train-00000-of-00001.parquet").to_pylist()


def test_images_may_be_left_out(request_of: Requests) -> None:
    out = export_hugging_face(request_of(pictures="none")).out
    table = pq.read_table(out / "data" / "train-00000-of-00001.parquet")
    assert table.column_names == ["label_map", "image_id", "shard", "classes"]
    card = (out / "README.md").read_text()
    assert "| image |" not in card
    assert "| label_map |" in card


def test_the_card_lists_the_classes_and_where_the_files_are(request_of: Requests) -> None:
    import yaml

    out = export_hugging_face(request_of(maps="merged")).out
    _, header, text = (out / "README.md").read_text().split("---\n", 2)
    (config,) = yaml.safe_load(header)["configs"]
    (split,) = config["data_files"]
    assert list(out.glob(split["path"])) == [out / "data" / "train-00000-of-00001.parquet"]
    assert "| 7 | person | 176, 48, 96 |" in text
    assert "5 images" in text
