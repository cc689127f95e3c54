"""`seg-assets train`, from data to a model that labels by its name, with the smallest nets."""

import csv
import json
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from seg_assets.cli import main
from seg_assets.modeling.manifest import entry
from seg_assets.training.demo.recipes import DemoModel
from seg_assets.training.demo.shipping import ShippedFile
from seg_assets.training.result import TrainResult
from seg_assets_tests.stages.conftest import MANIFEST, write_pictures
from seg_assets_tests.training.small_data import SEEM_PARAMS, write_panoptic

SEEM_SETTINGS = [f"{key}={value}" for key, value in SEEM_PARAMS.items() if key != "points"]
LOOP = ["batch_size=1", "save_every=1", "schedule=constant"]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Any:
    root = tmp_path_factory.mktemp("training")
    write_panoptic(root / "blocks", train=2)
    write_pictures(root / "photos", 1)
    (root / "models").mkdir()
    (root / "models" / "manifest.toml").write_text(MANIFEST)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEG_MODELS_DIR", str(root / "models"))
        patch.delenv("SEG_DEVICES", raising=False)
        patch.chdir(root)
        yield root


def run(*arguments: str, status: int = 0) -> Result:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == status, result.output
    return result


@pytest.fixture(scope="module")
def trained(workplace: Path) -> Result:
    return run(
        *("train", "seem", "--data", "blocks", "--base", "seem_demo", "--name", "mine"),
        *("--strategy", "whole_head", *SEEM_SETTINGS, "points.count=64", *LOOP, "steps=2"),
    )


def test_a_seem_is_trained_measured_and_named(trained: Result, workplace: Path) -> None:
    lines = trained.stdout.splitlines()
    assert lines[0].startswith("seem: saved at step 2 of 2; best mIoU 0.")
    assert lines[0].endswith(" at the start")
    assert lines[1] == "the run is in runs/mine; runs/mine/curves.png shows how it went"
    assert lines[2].startswith("mine is the best of the run, after ")
    assert "--seem mine`, or in Dagster with SEG_SEEM_MODEL=mine" in lines[2]
    with Image.open(workplace / "runs" / "mine" / "curves.png") as curves:
        assert curves.format == "PNG"
    description = json.loads((workplace / "runs" / "mine" / "config.json").read_text())
    assert description["config"]["steps"] == 2


def test_models_list_and_verify_know_it(trained: Result) -> None:
    (line,) = [x for x in run("models", "list").stdout.splitlines() if x.startswith("mine ")]
    assert "seem, whole_head, from seem_demo: mIoU 0." in line
    assert line.endswith("here")
    assert run("models", "verify", "mine").stdout == "mine: right (known hash)\n"


def test_label_uses_it_by_name(trained: Result, workplace: Path) -> None:
    masks = ["points_per_side=4", "pred_iou_thresh=0", "stability_score_thresh=0"]
    run(
        *("label", "photos/images", "--out", "labelled", "--sam", "sam_tiny", "--seem", "mine"),
        *(word for setting in masks for word in ("--mask-param", setting)),
        *("--label-param", "short_side=64"),
    )
    with (workplace / "labelled" / "classes.csv").open() as file:
        names = [row["name"] for row in csv.DictReader(file)]
    assert names == ["building", "sky", "car", "road"]


def test_show_tells_state_and_metrics(trained: Result, workplace: Path) -> None:
    (workplace / "runs" / "mine" / "curves.png").unlink()
    said = run("train", "show", "runs/mine").stdout
    assert "strategy    whole_head" in said
    assert "saved at step 2 of 2" in said
    assert "metric" in said
    assert "mIoU" in said
    assert said.endswith("curves: runs/mine/curves.png\n")
    assert (workplace / "runs" / "mine" / "curves.png").is_file()


def test_a_run_gets_other_names_later(trained: Result) -> None:
    said = run("models", "add", "its-last", "runs/mine", "--checkpoint", "last").stdout
    assert said.startswith("its-last is the last of the run, after 2 steps (sha256 ")
    assert entry("its-last", kind="seem").sha256 in said
    assert run("models", "add", "sam_vit_h", "runs/mine", status=2).stderr.startswith(
        "Error: a model that comes with the project is called 'sam_vit_h'"
    )
    assert "has no best.safetensors" in run("models", "add", "x", "photos", status=2).stderr


def test_a_sam_is_trained_and_fresh_begins_anew(workplace: Path) -> None:
    arguments = [
        *("train", "sam", "--data", "1000000:1000004", "--format", "scenes"),
        *("--data-option", "size=64", "--held-out", "0:2", "--held-out-option", "size=64"),
        *("--task", "sam_box", "--base", "sam_tiny", "--out", "runs/box", *LOOP, "steps=1"),
        *("objects_per_image=2", "eval_objects=2", "precision=fp32"),
    ]
    said = run(*arguments).stdout
    assert "sam_box: saved at step 1 of 1; best miou 0." in said
    assert said.splitlines()[-1] == "`seg-assets models add NAME runs/box` gives the sam a name"
    (workplace / "runs" / "box" / "mark").write_text("the first run")
    assert "the run that was in runs/box is now" in run(*arguments, "--fresh").stdout
    assert (workplace / "runs" / "box.old-1" / "mark").is_file()
    assert not (workplace / "runs" / "box" / "mark").exists()


SEEM_DATA = ["--data", "blocks", "--base", "seem_demo", "--out", "runs/none"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["seem", *SEEM_DATA, "learning_rate=1"], "there is no setting 'learning_rate'"),
        (["seem", *SEEM_DATA, "lr=fast"], "lr=fast: "),
        (["seem", *SEEM_DATA, "--name", "sam_vit_h"], "comes with the project"),
        (["seem", "--data", "blocks"], "say where the run shall lie"),
        (["seem", *SEEM_DATA, "--processes", "2", "--device", "cpu"], "2 processes need"),
        (["seem", "--data", "1-9", "--format", "scenes", "--out", "x"], "no range of scenes"),
        (["sam", "--data", "a.json", "--out", "x", "--data-option", "images"], "NAME=VALUE"),
        (
            ["sam", "--data", "a.json", "--out", "x", "--preset", "coco_box", "--task", "sam_box"],
            "give the preset coco_box or the task sam_box, not both",
        ),
        (["show", "blocks"], "is no folder of a training run"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(
    arguments: list[str], message: str, workplace: Path
) -> None:
    result = run("train", *arguments, status=2)
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (workplace / "runs" / "none").exists()


def test_the_demo_is_trained_by_its_recipes(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def train_demo(out: Path, *, models: tuple[str, ...], length: float) -> dict[str, DemoModel]:
        asked.append((out, models, length))
        file = ShippedFile(out / "weights", "abc", 5_000)
        return {
            name: DemoModel(TrainResult(out / name, 7, {}, 0.5, 6, 0, 0, 12.0), file)
            for name in models
        }

    monkeypatch.setattr("seg_assets.training.demo.recipes.train_demo", train_demo)
    said = run("train", "demo", "--out", "there", "--only", "sam", "--length", "0.01").stdout
    assert said == (
        "sam: 7 steps in 12 s, best 0.500 at 6; there/sam\n"
        "  there/weights: 5,000 bytes, sha256 abc\n"
    )
    run("train", "demo")
    assert asked == [(Path("there"), ("sam",), 0.01), (Path("runs/demo"), ("seem", "sam"), 1.0)]


@pytest.mark.parametrize("command", ["sam", "seem", "demo", "show"])
def test_every_command_explains_itself(command: str) -> None:
    said = run("train", command, "--help").output
    assert f"Usage: main train {command}" in said
    assert isinstance(main, click.Group)
