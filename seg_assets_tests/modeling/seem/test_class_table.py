import logging
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from seg_assets.classes.table import load_class_table
from seg_assets.errors import InputError
from seg_assets.modeling.checkpoints import LoadedModel
from seg_assets.modeling.seem import class_table
from seg_assets.modeling.seem.class_table import (
    build_text_table,
    clean_name,
    coco_names,
    load_text_table,
    prompt_templates,
)
from seg_assets.modeling.seem.load import load_seem
from seg_assets.modeling.seem.model import Seem
from seg_assets.modeling.seem.tokenizer import tokenize
from seg_assets_tests.modeling.seem.tiny import install, tiny_seem

NAMES = ("cat", "wall-other-merged")


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LoadedModel[Seem]:
    install(tmp_path, monkeypatch, tiny_seem().state_dict())
    return load_seem("tiny")


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return tmp_path / "weights"


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The names of every table that is really computed."""
    calls: list[tuple[str, ...]] = []

    def build(model: Seem, names: tuple[str, ...]) -> torch.Tensor:
        calls.append(names)
        return build_text_table(model, names)

    monkeypatch.setattr(class_table, "build_text_table", build)
    return calls


def test_templates_are_the_name_alone_and_eighty_sentences() -> None:
    templates = prompt_templates()
    assert len(set(templates)) == 81
    assert templates[0] == "{}."
    assert all(t.count("{}") == 1 and t.endswith(".") for t in templates)
    assert "a photo of a {}." in templates


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("wall-other-merged", "wall"),
        ("tree-merged", "tree"),
        ("door-stuff", "door"),
        ("window-other", "window"),
        ("floor-wood", "floor-wood"),
        ("cat", "cat"),
    ],
)
def test_suffixes_of_coco_are_dropped(name: str, said: str) -> None:
    assert clean_name(name) == said


def test_coco_has_133_names() -> None:
    assert len(coco_names()) == 133


def test_rows_are_mean_directions_and_the_last_one_is_no_object() -> None:
    model = tiny_seem()
    templates = ["{}.", "a photo of a {}."]
    table = build_text_table(model, NAMES, templates)
    assert table.shape == (3, 64)
    for row, name in zip(table, ("cat", "wall", "background"), strict=True):
        texts = tokenize([t.replace("{}", name) for t in templates], trim=False)
        sentences = model.language.encode(texts.ids)[1]
        mean = (sentences / sentences.norm(dim=1, keepdim=True)).mean(0)
        torch.testing.assert_close(row, mean / mean.norm(), rtol=0, atol=1e-6)


def test_braces_in_a_name_are_only_text() -> None:
    assert build_text_table(tiny_seem(), ["{0}"], ["{}."]).isfinite().all()


def test_an_empty_name_is_refused() -> None:
    with pytest.raises(InputError, match="class name .* is empty"):
        build_text_table(tiny_seem(), ["cat", "-other"])


def test_a_table_is_computed_once_per_checkpoint_and_names(
    loaded: LoadedModel[Seem], weights: Path, builds: list
) -> None:
    first = load_text_table(loaded, NAMES)
    assert torch.equal(load_text_table(loaded, NAMES), first)
    assert builds == [NAMES]
    load_text_table(loaded, ("dog",))
    assert builds == [NAMES, ("dog",)]
    names = sorted(path.name for path in weights.iterdir())
    assert [name.split(".")[0] for name in names] == ["tiny"] * 3
    assert not [name for name in names if name.startswith(".")]


def test_the_names_are_those_of_the_entrys_own_table(
    loaded: LoadedModel[Seem], builds: list
) -> None:
    street = load_class_table("camvid11")
    tuned = replace(loaded, entry=replace(loaded.entry, classes="camvid11"))
    assert load_text_table(tuned).shape == (len(street) + 1, 64)
    assert builds == [street.names]


def test_other_weights_have_a_table_of_their_own(
    loaded: LoadedModel[Seem], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, builds: list
) -> None:
    first = load_text_table(loaded, NAMES)
    state = tiny_seem().state_dict()
    state["sem_seg_head.predictor.lang_encoder.lang_proj"] = -state[
        "sem_seg_head.predictor.lang_encoder.lang_proj"
    ]
    install(tmp_path, monkeypatch, state)
    assert torch.equal(load_text_table(load_seem("tiny"), NAMES), -first)
    assert len(builds) == 2


@pytest.mark.parametrize("damage", ["truncated", "changed", "text", "of another model"])
def test_a_damaged_file_is_made_anew(
    loaded: LoadedModel[Seem],
    weights: Path,
    builds: list,
    damage: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    table = load_text_table(loaded, NAMES)
    (path,) = weights.glob("tiny.text-*")
    content = path.read_bytes()
    if damage == "truncated":
        path.write_bytes(content[:-20])
    elif damage == "changed":
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif damage == "text":
        path.write_text("not a table")
    else:
        save_file({"text_table": torch.zeros(2, 2)}, path)
    with caplog.at_level(logging.WARNING):
        assert torch.equal(load_text_table(loaded, NAMES), table)
    assert len(builds) == 2
    assert str(path) in caplog.text
    assert path.read_bytes() == content


def test_a_folder_that_cannot_be_written_only_costs_time(
    loaded: LoadedModel[Seem], weights: Path, builds: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    # not by mode bits: they do not bind the superuser that tests may run as
    monkeypatch.setattr(Path, "write_bytes", refuse)
    first = load_text_table(loaded, NAMES)
    assert torch.equal(load_text_table(loaded, NAMES), first)
    assert len(builds) == 2
    assert [path.name for path in weights.iterdir()] == ["tiny.pt"]


def test_seeded_weights_leave_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEG_MODELS_DIR", str(tmp_path))
    table = load_text_table(load_seem("seem_demo"), NAMES)
    assert table.shape == (3, 96)
    assert not list(tmp_path.iterdir())
