"""What users get wrong, as runs of the graph: one sentence that helps, and no half file."""

import re
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from seg_assets.defs.resources import DevicesResource, ModelsResource, StoreResource
from seg_assets.storage.store import Store
from seg_assets_tests.defs.conftest import EVERYTHING_CONFIG, SHARD, RunJob, register
from seg_assets_tests.stages.conftest import MANIFEST, write_pictures

OWN_MODELS = """
[sam_mine]
title = "mine"
kind = "sam"
config = "tiny"
file = "mine.safetensors"
licence = "Apache-2.0"
input_size = 64
input_side = "long"
mean = [123.675, 116.28, 103.53]
std = [58.395, 57.12, 57.375]
"""


@pytest.fixture
def models(tmp_path: Path, environment: pytest.MonkeyPatch) -> Path:
    """An own models folder for one test."""
    folder = tmp_path / "models"
    (folder / "weights").mkdir(parents=True)
    (folder / "manifest.toml").write_text(MANIFEST + OWN_MODELS)
    environment.setenv("SEG_MODELS_DIR", str(folder))
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_pictures(tmp_path / "pictures", 2)
    register(tmp_path)
    return tmp_path


def sentence(result: dg.ExecuteInProcessResult) -> str:
    """The message of the one step that failed; it has no stack and is one line."""
    assert not result.success
    (event,) = result.get_step_failure_events()
    error = event.step_failure_data.error
    assert (error.stack, error.cause) == ([], None)
    assert error.message.count("\n") == 1
    return error.message.strip()


def results(root: Path) -> list[str]:
    """Files of any kind below the store, besides finished raw images and the shards' list."""
    files = (path for path in (root / "store").rglob("*") if path.is_file())
    names = [path.relative_to(root / "store").as_posix() for path in files]
    return [name for name in names if not name.startswith(("shards/", f"raw_images/{SHARD}/"))]


def other_content(models: Path) -> str:
    (models / "weights" / "sam_vit_b_01ec64.pth").write_bytes(b"an error page instead of weights")
    return "sam_vit_b"


def other_keys(models: Path) -> str:
    import torch
    from safetensors.torch import save_file

    save_file({"backbone.weight": torch.zeros(2, 2)}, models / "mine.safetensors")
    return "sam_mine"


def truncated(models: Path) -> str:
    other_keys(models)
    data = (models / "mine.safetensors").read_bytes()
    (models / "mine.safetensors").write_bytes(data[:-8])
    return "sam_mine"


@pytest.mark.parametrize(
    ("prepare", "expected"),
    [
        (
            other_content,
            r"\S+/weights/sam_vit_b_01ec64\.pth is damaged or another file: its sha256 is "
            r"[0-9a-f]{64}, expected ec2df62732614e.*; get it anew with "
            r"`seg-assets models download --force \w+`",
        ),
        (
            other_keys,
            r"\S+/mine\.safetensors does not fit Sam: keys \d+ missing \(.+\), "
            r"1 unknown \(backbone\.weight\); is it the checkpoint of another model\?",
        ),
        (truncated, r"\S+/mine\.safetensors is truncated or damaged: .*"),
        (
            lambda models: "sam_vit_h",
            r"the weights of sam_vit_h are not at \S+/models/weights/sam_vit_h_4b8939\.pth: "
            r"run `seg-assets models download sam_vit_h`",
        ),
        (
            lambda models: "sam_vit_x",
            r"no model is called 'sam_vit_x'; choose one of: sam_vit_b, .*sam_tiny.*",
        ),
        (
            lambda models: "seem_demo",
            r"'seem_demo' is no sam model; choose one of: sam_vit_b, .*sam_tiny.*",
        ),
    ],
    ids=["other content", "another model's keys", "truncated", "missing", "unknown", "other kind"],
)
def test_wrong_weights(
    root: Path, models: Path, run_job: RunJob, prepare: Callable[[Path], str], expected: str
) -> None:
    chosen = ModelsResource(sam=prepare(models), seem="seem_demo")
    message = sentence(run_job("mask_shards", root, models=chosen))
    assert re.fullmatch(expected, message), message
    assert results(root) == []


def test_a_device_that_is_not_there(root: Path, run_job: RunJob) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    devices = DevicesResource(devices="cuda:0")
    message = sentence(run_job("mask_shards", root, devices=devices, run_config=EVERYTHING_CONFIG))
    assert message.startswith("the device 'cuda:0' cannot be used here (")
    assert message.endswith("); use cpu, or set SEG_DEVICES to what this machine has")
    assert results(root) == []


def test_a_device_that_is_none(
    root: Path, run_job: RunJob, environment: pytest.MonkeyPatch
) -> None:
    with environment.context() as patch:
        patch.setenv("SEG_DEVICES", "gpu0")
        message = sentence(run_job("mask_shards", root, devices=DevicesResource()))
    assert message == (
        "'gpu0' in SEG_DEVICES is no device; write cpu, cpu:4 (four slots), or cuda:0,cuda:1"
    )
    assert results(root) == []


def test_a_partition_that_is_no_registered_shard(root: Path, run_job: RunJob) -> None:
    message = sentence(run_job("label_shards", root, shard="pictures_0001"))
    assert message == (
        f"no shard pictures_0001 is registered in {root}/store: did you mean {SHARD}?"
    )
    assert results(root) == []


def test_a_stage_before_the_one_it_needs(root: Path, run_job: RunJob) -> None:
    message = sentence(run_job("score_shards", root))
    assert message == (
        f"merged_maps has no finished shard {SHARD} in {root}/store/merged_maps: run `dagster "
        f"asset materialize -m seg_assets.definitions --select merged_maps --partition {SHARD}`"
    )
    assert results(root) == []


def test_unknown_merged_classes(copied: Path, run_job: RunJob) -> None:
    config = {"ops": {"merged_maps": {"config": {"classes": "merged20"}}}}
    before = sorted(path.read_bytes() for path in (copied / "store" / "merged_maps").rglob("*.*"))
    result = run_job("label_shards", copied, run_config={**EVERYTHING_CONFIG, **config})
    message = sentence(result)
    assert "merged20" in message
    after = sorted(path.read_bytes() for path in (copied / "store" / "merged_maps").rglob("*.*"))
    assert before == after


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        ("camvid12", "there is no class table 'camvid12'; choose from ade150, .*"),
        ("coco133", "there is no class map from 'base28' to 'coco133'; write base28_to_.*"),
    ],
)
def test_metrics_in_classes_that_cannot_be_reached(
    copied: Path, run_job: RunJob, classes: str, expected: str
) -> None:
    config = {"ops": {"evaluation_metrics": {"config": {"classes": classes}}}}
    message = sentence(run_job("score_shards", copied, run_config=config))
    assert re.fullmatch(expected, message), message


def test_a_store_that_cannot_be_written(root: Path, run_job: RunJob) -> None:
    """The store's folder for the masks is a file, which not even root can write into."""
    Store(root / "store").write_bytes("sam_masks", b"a file")
    message = sentence(run_job("mask_shards", root, run_config=EVERYTHING_CONFIG))
    assert message.startswith("cannot ")
    assert f"{root}/store/sam_masks" in message
    assert "remove it or choose another store" in message


def test_a_store_below_a_file(tmp_path: Path, run_job: RunJob) -> None:
    (tmp_path / "file").write_text("")
    store = StoreResource(root=str(tmp_path / "file" / "store"))
    message = sentence(run_job("label_shards", tmp_path, store=store))
    assert message == (
        f"cannot read {tmp_path}/file/store/shards/{SHARD}.parquet: a file stands where a folder "
        "should be; remove it or choose another store"
    )
