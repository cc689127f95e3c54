import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from seg_assets.errors import InputError
from seg_assets.modeling.sam import TINY
from seg_assets.training.config import TrainConfig
from seg_assets.training.loop import train
from seg_assets.training.registry import build_task
from seg_assets.training.sam.box import SamBoxTask
from seg_assets.training.sam.point import SamPointTask

ENTRY = """
[sam_test]
title = "for a test"
kind = "sam"
config = "tiny"
licence = "Apache-2.0"
input_size = 128
input_side = "long"
mean = [123.675, 116.28, 103.53]
std = [58.395, 57.12, 57.375]
seed = 5
"""


@pytest.fixture(autouse=True)
def _own_manifest(tmp_path, monkeypatch):
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "manifest.toml").write_text(ENTRY)
    monkeypatch.setenv("SEG_MODELS_DIR", str(folder))


def _coco(folder: Path) -> str:
    """Two pictures, 40 x 60, with a rectangle each."""
    (folder / "pictures").mkdir()
    images, annotations = [], []
    for number in (1, 2):
        pixels = np.random.default_rng(number).integers(0, 256, (40, 60, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "pictures" / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "height": 40, "width": 60})
        annotations.append(
            {
                "id": number,
                "image_id": number,
                "category_id": 1,
                "bbox": [10, 5, 20, 25],
                "area": 500,
                "iscrowd": 0,
                "segmentation": [[10, 5, 30, 5, 30, 30, 10, 30]],
            }
        )
    path = folder / "instances.json"
    categories = [{"id": 1, "name": "box"}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    path.write_text(json.dumps(content))
    return str(path)


def test_tasks_are_made_from_json(tmp_path):
    data = {
        "format": "coco",
        "path": _coco(tmp_path),
        "options": {"images": str(tmp_path / "pictures")},
    }
    params = json.loads(json.dumps({"base": "sam_test", "train": data, "held_out": data}))
    box = build_task("sam_box", {**params, "preset": "flare_box"})
    assert isinstance(box, SamBoxTask)
    assert len(box) == 2
    assert box.sam.image_encoder.img_size == TINY.image_size
    assert box.description()["normalisation"] == {"mean": [0.0] * 3, "std": [255.0] * 3}
    assert box.params.noise.kind == "outward"
    sample = box.sample(0, np.random.default_rng(0))
    assert sample.masks.shape == (1, 128, 128)
    assert box.evaluate()["objects"] == 2
    # what is trained goes into the checkpoint's description as plain JSON
    assert json.loads(json.dumps(box.description())) == box.description()

    point = build_task("sam_point", {**params, "preset": "sa1b_point"})
    assert isinstance(point, SamPointTask)
    assert point.sample(1, np.random.default_rng(0)).plan.draws.shape == (1, 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objects_per_image": 0}, "objects_per_image: Input should be greater"),
        ({"loss": {"dice": "cubic"}}, r"task sam_box, loss\.dice: "),
        ({"base": "sam_none"}, "no model is called 'sam_none'"),
        ({"train": {"format": "coko", "path": "x"}}, "no data set format 'coko'"),
        ({"num_iter": 3}, "num_iter: Extra inputs"),
        ({"preset": "boxes"}, "no recipe for SAM is called 'boxes'"),
    ],
)
def test_mistakes_are_named(changes: dict, message: str):
    params = {"base": "sam_test", "train": {"format": "scenes", "path": "0:1"}}
    with pytest.raises(InputError, match=message):
        build_task("sam_box", params | changes)


@pytest.mark.parametrize("cache", ["none", "disk"])
def test_boxes_on_real_coco_photographs(shared_dir, tmp_path, cache: str):
    """Three steps: real sizes, crowds, polygons; only the decoder changes."""
    data = {
        "format": "coco",
        "path": str(shared_dir / "data/coco_instances/instances_val2017.json"),
        "options": {"images": str(shared_dir / "data/coco_instances/images/val2017")},
    }
    task = build_task(
        "sam_box",
        {
            "base": "sam_test",
            "preset": "coco_box",
            "train": data,
            "cache": cache,
            "cache_dir": str(tmp_path / "embeddings") if cache == "disk" else None,
        },
    )
    before = {name: tensor.clone() for name, tensor in task.weights().items()}
    config = TrainConfig(steps=3, batch_size=2, lr=1e-4, device="cpu")
    result = train(task, config, tmp_path / "run")
    assert (result.step, result.skipped, result.empty) == (3, 0, 0)
    rows = [json.loads(row) for row in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    losses = [row["loss"] for row in rows if "loss" in row]
    assert len(losses) == 3
    assert np.isfinite(losses).all()
    changed = {name for name, old in before.items() if not torch.equal(old, task.weights()[name])}
    assert changed == task.trainable()
    described = json.loads((tmp_path / "run/last.json").read_text())
    assert described["description"]["normalisation"]["mean"] == [123.675, 116.28, 103.53]
    assert bool(list(tmp_path.glob("embeddings/*/*/*.safetensors"))) == (cache == "disk")
