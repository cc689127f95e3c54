import dataclasses
import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from seg_assets.classes.table import ClassTable, SemanticClass, load_class_table
from seg_assets.errors import InputError, StoreError
from seg_assets.modeling.download import verify
from seg_assets.modeling.manifest import ModelEntry, entry, manifest, weights_path
from seg_assets.modeling.own_models import add_own_model, check_own_name
from seg_assets.modeling.seem.adapter_config import AdapterConfig

HAND_WRITTEN = """\
# what I have collected

[by_hand]  # from a friend
title = "a SAM of a friend"
kind = "sam"
config = "vit_b"
file = "friend.pth"
licence = "MIT"
input_size = 1024
input_side = "long"
mean = [1, 2, 3]
std = [4, 5, 6]
"""
TABLE = ClassTable(
    "mine2",
    'two "classes"',
    (SemanticClass(0, "wall", (1, 2, 3), False), SemanticClass(1, "Tür", (250, 0, 9), None)),
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEG_MODELS_DIR", str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "run" / "best.safetensors"
    path.parent.mkdir()
    path.write_bytes(b"weights of a test")
    return path


@pytest.fixture
def model() -> ModelEntry:
    return dataclasses.replace(entry("seem_demo"), name="mine", title="mine", seed=None, file=None)


def test_a_model_is_found_verified_and_complete(
    folder: Path, weights: Path, model: ModelEntry
) -> None:
    adapters = AdapterConfig(backbone=False, decoder_width=8)
    wanted = dataclasses.replace(model, base="seem_demo", base_sha256="ab", adapters=adapters)
    add_own_model(wanted, weights, TABLE)
    found = entry("mine", kind="seem")
    sha256 = hashlib.sha256(b"weights of a test").hexdigest()
    assert found == dataclasses.replace(
        wanted,
        sha256=sha256,
        bytes=17,
        file=f"weights/mine-{sha256[:8]}.safetensors",
        classes=str(folder / "weights" / f"mine-{sha256[:8]}.toml"),
    )
    assert verify(found) == "known hash"
    assert load_class_table(found.classes) == TABLE
    weights.unlink()
    assert weights_path(found).read_bytes() == b"weights of a test"


def test_other_entries_and_comments_stay_as_they_are(
    folder: Path, weights: Path, model: ModelEntry
) -> None:
    folder.mkdir()
    (folder / "manifest.toml").write_text(HAND_WRITTEN)
    add_own_model(model, weights)
    text = (folder / "manifest.toml").read_text()
    assert text.startswith(HAND_WRITTEN)
    add_own_model(dataclasses.replace(model, name="second"), weights)
    assert (folder / "manifest.toml").read_text().startswith(text)
    assert {"by_hand", "mine", "second"} <= manifest().keys()
    assert sorted(p.name for p in folder.iterdir()) == [
        ".manifest.toml.lock",
        "manifest.toml",
        "weights",
    ]


def test_a_model_of_the_same_name_is_replaced_with_its_files(
    folder: Path, weights: Path, model: ModelEntry
) -> None:
    add_own_model(model, weights, TABLE)
    weights.write_bytes(b"better weights")
    add_own_model(dataclasses.replace(model, title="better"), weights)
    found = entry("mine")
    assert (found.title, found.classes) == ("better", "coco133")
    assert [path.name for path in (folder / "weights").iterdir()] == [Path(str(found.file)).name]
    add_own_model(dataclasses.replace(model, title="same weights"), weights)
    assert entry("mine").title == "same weights"
    assert weights_path(entry("mine")).read_bytes() == b"better weights"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("sam_vit_h", "a model that comes with the project is called 'sam_vit_h'"),
        ("by_hand", "has a model 'by_hand' that no training wrote"),
        ("my seem", "'my seem' is no name"),
        ("../up", "is no name"),
        ("", "'' is no name"),
    ],
)
def test_names_that_cannot_be_taken(
    name: str, message: str, folder: Path, weights: Path, model: ModelEntry
) -> None:
    folder.mkdir()
    (folder / "manifest.toml").write_text(HAND_WRITTEN)
    with pytest.raises(InputError, match=message):
        add_own_model(dataclasses.replace(model, name=name), weights)
    assert (folder / "manifest.toml").read_text() == HAND_WRITTEN
    assert not (folder / "weights").exists()


def test_the_project_s_own_folder_is_not_written_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEG_MODELS_DIR", raising=False)
    with pytest.raises(InputError, match="set SEG_MODELS_DIR to a folder of yours"):
        check_own_name("mine")


def test_a_folder_that_cannot_be_written_is_said(
    tmp_path: Path, weights: Path, model: ModelEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("SEG_MODELS_DIR", str(tmp_path / "file" / "models"))
    with pytest.raises(StoreError, match="models"):
        add_own_model(model, weights)


def test_processes_that_add_models_at_once_lose_none(folder: Path, weights: Path) -> None:
    script = (
        "import dataclasses, sys\n"
        "from pathlib import Path\n"
        "from seg_assets.modeling.manifest import entry\n"
        "from seg_assets.modeling.own_models import add_own_model\n"
        "model = dataclasses.replace(entry('seem_demo'), seed=None, file=None)\n"
        "for number in range(10):\n"
        "    name = f'{sys.argv[1]}_{number}'\n"
        f"    add_own_model(dataclasses.replace(model, name=name), Path({str(weights)!r}))\n"
    )
    started = [subprocess.Popen([sys.executable, "-c", script, name]) for name in ("a", "b")]
    assert [process.wait() for process in started] == [0, 0]
    assert {f"{name}_{number}" for name in "ab" for number in range(10)} <= manifest().keys()
