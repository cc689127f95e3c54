"""The name of the weights in a result's provenance."""

import hashlib
from pathlib import Path

import pytest

from seg_assets.errors import CheckpointError
from seg_assets.modeling.identity import checkpoint_identity
from seg_assets.modeling.manifest import ModelEntry, weights_path

HASH = "ab" * 32


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEG_MODELS_DIR", str(tmp_path))
    return tmp_path


def model(**fields) -> ModelEntry:
    return ModelEntry(
        name="mine",
        title="mine",
        kind="sam",
        config="tiny",
        licence="Apache-2.0",
        input_size=64,
        input_side="long",
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        **fields,
    )


def write_weights(entry: ModelEntry, data: bytes) -> Path:
    path = weights_path(entry)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_random_weights_are_named_by_seed_and_configuration() -> None:
    assert checkpoint_identity(model(seed=7)) == "seed 7 of tiny"


def test_a_file_counts_more_than_the_seed() -> None:
    entry = model(seed=7)
    write_weights(entry, b"trained")
    assert checkpoint_identity(entry) == hashlib.sha256(b"trained").hexdigest()


def test_a_published_hash_is_taken_without_reading_the_file() -> None:
    entry = model(url="https://example.org/mine.pth", sha256=HASH)
    write_weights(entry, b"loading it holds the bytes against the hash")
    assert checkpoint_identity(entry) == HASH


def test_without_a_published_hash_the_file_is_hashed_and_changes_show() -> None:
    entry = model(file="mine.safetensors")
    write_weights(entry, b"one")
    assert checkpoint_identity(entry) == hashlib.sha256(b"one").hexdigest()
    write_weights(entry, b"two")
    assert checkpoint_identity(entry) == hashlib.sha256(b"two").hexdigest()


def test_missing_weights_say_how_to_get_them() -> None:
    with pytest.raises(CheckpointError, match="run `seg-assets models download mine`"):
        checkpoint_identity(model(url="https://example.org/mine.pth", sha256=HASH))
    with pytest.raises(CheckpointError, match="put the file there"):
        checkpoint_identity(model(file="mine.safetensors"))


def test_a_file_on_a_base_is_named_with_its_base(models: Path) -> None:
    (models / "manifest.toml").write_text(
        """
        [below]
        title = "whole"
        kind = "sam"
        config = "tiny"
        file = "below.pth"
        licence = "Apache-2.0"
        input_size = 64
        input_side = "long"
        mean = [0, 0, 0]
        std = [1, 1, 1]
        """
    )
    tuned = model(file="mine.safetensors", base="below")
    write_weights(tuned, b"one")
    with pytest.raises(CheckpointError, match="the weights of below are not at"):
        checkpoint_identity(tuned)
    names = []
    for content in (b"two", b"three"):
        (models / "below.pth").write_bytes(content)
        names.append(checkpoint_identity(tuned))
    own, first, second = (hashlib.sha256(data).hexdigest() for data in (b"one", b"two", b"three"))
    assert names == [f"{own} on {first}", f"{own} on {second}"]
