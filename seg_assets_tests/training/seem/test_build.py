"""From JSON to a task that trains; two steps on real street photos."""

import math
from pathlib import Path

import pytest

from seg_assets.errors import InputError
from seg_assets.training.config import TrainConfig
from seg_assets.training.loop import train
from seg_assets.training.registry import TASKS, build_task
from seg_assets.training.seem.task import SeemTask
from seg_assets_tests.modeling.seem.tiny import MANIFEST, install, tiny_seem

SCENES = {"kind": "scenes", "count": 2}
SMALL = {"image_size": 64, "small_images": True, "points": None, "network": "tiny"}


@pytest.fixture(autouse=True)
def _tiny_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, tiny_seem().state_dict())


def test_the_task_has_a_name() -> None:
    assert TASKS["seem"] == "seg_assets.training.seem.build:build_seem_task"


def test_a_task_is_built_from_plain_values() -> None:
    task = build_task("seem", {"train": SCENES, "strategy": "everything", **SMALL})
    assert isinstance(task, SeemTask)
    assert len(task) == 2
    assert task.base["config"] == "tiny"
    assert task.evaluate() == {}


def test_training_starts_from_a_model_of_the_manifest() -> None:
    task = build_task(
        "seem", {"train": SCENES, "strategy": "adapter_head", **SMALL, "base": "tiny"}
    )
    assert isinstance(task, SeemTask)
    assert task.base["name"] == "tiny"
    assert len(str(task.base["sha256"])) == 64
    state, wanted = task.model.state_dict(), tiny_seem().state_dict()
    assert all(state[name].equal(tensor) for name, tensor in wanted.items())


def test_a_base_with_adapters_gets_no_second_ones(tmp_path: Path) -> None:
    fields = MANIFEST.split("[wrong]")[1].replace('"huge"', '"tiny"')
    with (tmp_path / "manifest.toml").open("a") as manifest:
        manifest.write(f"\n[adapted]{fields}[adapted.adapters]\nbackbone = false\n")
    values = {"train": SCENES, **SMALL, "base": "adapted"}
    with pytest.raises(InputError, match="adapted has adapters already, .* 'whole_head', 'lora'"):
        build_task("seem", {**values, "strategy": "adapter_both"})
    task = build_task("seem", {**values, "strategy": "whole_head"})
    assert not [name for name in task.trainable() if "adapters" in name]
    assert [name for name in task.weights() if "adapters" in name]  # frozen, and kept


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"network": "huge"}, "no SEEM network 'huge'"),
        ({"base": "nobody"}, "no model is called 'nobody'"),
        ({"strategy": "all"}, "task seem, strategy"),
        ({"num_classes": 134}, "num_classes is 134 .* has 133"),
        ({"train": {"kind": "scenes", "size": 3}}, "train.*size"),
        ({"colour": 1}, "colour"),
    ],
)
def test_mistakes_are_named(values: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build_task("seem", {"train": SCENES, **SMALL, **values})  # type: ignore[dict-item]


def test_two_steps_on_camvid_are_finite(shared_dir: Path, tmp_path: Path) -> None:
    folder = str(shared_dir / "data" / "camvid")
    task = build_task(
        "seem",
        {
            "train": {"kind": "camvid", "folder": folder, "limit": 8},
            "held_out": {"kind": "camvid", "folder": folder, "split": "val", "limit": 2},
            "strategy": "everything",
            "num_classes": 11,
            "image_size": 96,
            "small_images": True,
            "network": "tiny",
            "spatial": 1.0,
            "grounding": 1.0,
            "rounds": 2,
        },
    )
    config = TrainConfig(steps=2, batch_size=4, device="cpu")
    result = train(task, config, tmp_path / "run")
    assert result.step == 2
    assert result.skipped == 0
    assert math.isfinite(result.metrics["mIoU"])
    assert {"IoU-Sky", "IoU-Road"} <= result.metrics.keys()
