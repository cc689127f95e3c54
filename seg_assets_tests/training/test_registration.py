"""Trainings of two steps get names, and what is loaded by name is what was trained."""

import hashlib
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from seg_assets.classes.table import load_class_table
from seg_assets.errors import CheckpointError, InputError
from seg_assets.modeling.manifest import entry, weights_path
from seg_assets.modeling.sam import load_sam
from seg_assets.modeling.seem.load import load_seem
from seg_assets.modeling.seem.lora import merge_lora
from seg_assets.training.config import TrainConfig
from seg_assets.training.loop import train
from seg_assets.training.registration import register_run
from seg_assets.training.registry import build_task
from seg_assets.training.sam.normalisation import NORMALISATIONS
from seg_assets.training.task import Task
from seg_assets_tests.stages.conftest import MANIFEST
from seg_assets_tests.training.line import LineTask, line_config
from seg_assets_tests.training.small_data import CATEGORIES, SEEM_PARAMS, write_panoptic

LOOP = TrainConfig(steps=2, batch_size=1, lr=1e-2, save_every=2, device="cpu")
# whether the file holds all weights, so that it needs no base
WHOLE = {
    "adapter_head": False,
    "adapter_both": False,
    "whole_head": True,
    "adapter_backbone_whole_head": True,
    "lora": False,
    "everything": True,
}

TrainSeem = Callable[..., Task]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_panoptic(tmp_path_factory.mktemp("data") / "blocks")


@pytest.fixture
def own_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "manifest.toml").write_text(f"# my own\n{MANIFEST}")
    monkeypatch.setenv("SEG_MODELS_DIR", str(folder))
    return folder


@pytest.fixture
def train_seem(dataset: Path, own_models: Path, tmp_path: Path) -> TrainSeem:
    """Train for two steps into `tmp_path`/<name>; no evaluation, so only the last weights."""

    def run(name: str, base: str | None = "seem_demo", **params: Any) -> Task:
        data = {"kind": "panoptic", "folder": str(dataset)}
        task = build_task("seem", {**SEEM_PARAMS, "train": data, "base": base, **params})
        train(task, LOOP, tmp_path / name)
        return task

    return run


def assert_same(loaded: torch.nn.Module, trained: torch.nn.Module) -> None:
    expected, found = trained.state_dict(), loaded.state_dict()
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name


@pytest.mark.parametrize("strategy", WHOLE)
def test_a_seem_of_each_strategy_is_loaded_by_name_as_it_was_trained(
    strategy: str, train_seem: TrainSeem, own_models: Path, tmp_path: Path
) -> None:
    task = train_seem("run", strategy=strategy)
    registered = register_run("mine", tmp_path / "run")
    assert (registered.checkpoint, registered.step, registered.metrics) == ("last", 2, {})
    model = entry("mine", kind="seem")
    assert model == registered.model
    assert (model.base is None) == WHOLE[strategy]
    assert (model.adapters is None) == ("adapter" not in strategy)
    loaded = load_seem("mine")
    if strategy == "lora":
        merge_lora(task.model)
        for name, tensor in task.model.state_dict().items():
            torch.testing.assert_close(loaded.model.state_dict()[name], tensor)
    else:
        assert_same(loaded.model, task.model)


def test_weights_hash_and_class_table_lie_beside_the_manifest(
    train_seem: TrainSeem, own_models: Path, tmp_path: Path
) -> None:
    train_seem("run")
    register_run("mine", tmp_path / "run")
    model = entry("mine")
    weights = weights_path(model)
    assert weights.parent == own_models / "weights"
    assert hashlib.sha256(weights.read_bytes()).hexdigest() == model.sha256
    assert weights.stat().st_size == model.bytes
    table = load_class_table(model.classes)
    assert [(c.name, c.color, c.is_thing) for c in table.classes] == [
        (c.name, c.color, c.is_thing) for c in CATEGORIES.categories
    ]
    # what was there is still there, comments as well
    text = (own_models / "manifest.toml").read_text()
    assert text.startswith("# my own\n")
    assert list(tomllib.loads(text)) == ["sam_tiny", "mine"]
    # the run's folder is not needed any more
    (tmp_path / "run" / "last.safetensors").unlink()
    assert load_seem("mine").trained


def test_a_bundled_class_table_is_named_and_not_copied(own_models: Path, tmp_path: Path) -> None:
    data = {"kind": "scenes", "count": 2}
    task = build_task("seem", {**SEEM_PARAMS, "train": data, "base": "seem_demo"})
    train(task, LOOP.model_copy(update={"steps": 1}), tmp_path / "run")
    assert register_run("mine", tmp_path / "run").model.classes == "coco133"
    assert [path.suffix for path in (own_models / "weights").iterdir()] == [".safetensors"]


def test_lora_on_a_fine_tuned_model_lies_on_the_same_base(
    train_seem: TrainSeem, own_models: Path, tmp_path: Path
) -> None:
    train_seem("first", strategy="adapter_head")
    register_run("first", tmp_path / "first")
    task = train_seem("second", base="first", strategy="lora")
    second = register_run("second", tmp_path / "second").model
    assert second.base == "seem_demo"
    assert second.adapters == entry("first").adapters
    merge_lora(task.model)
    loaded = load_seem("second").model.state_dict()
    for name, tensor in task.model.state_dict().items():
        torch.testing.assert_close(loaded[name], tensor)


def test_weights_are_not_put_on_another_base(
    train_seem: TrainSeem, own_models: Path, tmp_path: Path
) -> None:
    train_seem("run")
    register_run("mine", tmp_path / "run")
    manifest = own_models / "manifest.toml"
    manifest.write_text(manifest.read_text().replace("base_sha256 = ", 'base_sha256 = "0" # '))
    with pytest.raises(CheckpointError, match="mine was trained on other weights of seem_demo"):
        load_seem("mine")


def test_a_run_of_random_weights_has_a_licence_that_nobody_has_given(
    train_seem: TrainSeem, own_models: Path, tmp_path: Path
) -> None:
    train_seem("run", base=None, strategy="everything")
    model = register_run("mine", tmp_path / "run").model
    assert (model.config, model.licence, model.base) == ("demo", "NOASSERTION", None)


def test_adapters_on_random_weights_cannot_be_named(
    train_seem: TrainSeem, own_models: Path, tmp_path: Path
) -> None:
    train_seem("run", base=None)
    with pytest.raises(InputError, match=r"its base \(random weights\) is no model"):
        register_run("mine", tmp_path / "run")


def sam_task(**params: Any) -> Task:
    data = {"format": "scenes", "path": "1000000:1000002", "options": {"size": 64}}
    held_out = {**data, "path": "0:1"}
    return build_task(
        "sam_box",
        {
            "base": "sam_tiny",
            "train": data,
            "held_out": held_out,
            "objects_per_image": 2,
            "eval_objects": 2,
            **params,
        },
    )


@pytest.mark.parametrize("save", ["whole", "trained"])
def test_d4_a_sam_is_run_on_pixels_as_it_was_trained_on(
    save: str, own_models: Path, tmp_path: Path
) -> None:
    task = sam_task(save=save, normalisation="unit")
    train(task, LOOP, tmp_path / "run")
    registered = register_run("mine", tmp_path / "run", "last")
    assert registered.metrics.keys() >= {"miou", "miou_original"}
    assert (registered.model.base is None) == (save == "whole")
    loaded = load_sam("mine").model
    assert loaded.get_buffer("pixel_mean").flatten().tolist() == [0.0, 0.0, 0.0]
    assert loaded.get_buffer("pixel_std").flatten().tolist() == list(NORMALISATIONS["unit"].std)
    assert_same(loaded, task.model)
    # the base keeps its own
    assert load_sam("sam_tiny").model.get_buffer("pixel_mean").flatten()[0] > 100


def test_the_best_weights_get_the_name_unless_the_last_are_asked_for(
    own_models: Path, tmp_path: Path
) -> None:
    train(sam_task(), LOOP.model_copy(update={"evaluate_at_start": True}), tmp_path / "run")
    best, last = (load_file(tmp_path / "run" / f"{n}.safetensors") for n in ("best", "last"))
    registered = register_run("mine", tmp_path / "run")
    assert registered.checkpoint == "best"
    for which, expected in (("best", best), ("last", last)):
        register_run("mine", tmp_path / "run", which)  # pyright: ignore[reportArgumentType]
        found = load_sam("mine").model.state_dict()
        assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_what_is_no_run_of_a_sam_or_seem_is_refused(own_models: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no best\.safetensors or last\.safetensors"):
        register_run("mine", tmp_path / "nothing")
    train(LineTask(), line_config(), tmp_path / "run")
    with pytest.raises(InputError, match="has trained line, which is neither a SAM nor a SEEM"):
        register_run("mine", tmp_path / "run")
    assert "mine" not in (own_models / "manifest.toml").read_text()
