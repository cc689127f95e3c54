from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict

from seg_assets.classes.toml_file import read_toml_file
from seg_assets.errors import InputError


class Garden(BaseModel):
    model_config = ConfigDict(extra="forbid")

    trees: int


def test_a_file_becomes_the_model(tmp_path: Path) -> None:
    (tmp_path / "garden.toml").write_text("trees = 3\n")
    assert read_toml_file(tmp_path / "garden.toml", Garden) == Garden(trees=3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"trees = ", "is not a TOML file"),
        (b"\xff\xfe\x00", "is not a TOML file"),
        (b"", "trees: Field required"),
        (b"trees = 'many'", "trees: Input should be a valid integer"),
        (b"trees = 3\nshrubs = 2", "shrubs: Extra inputs are not permitted"),
    ],
)
def test_a_faulty_file_is_one_sentence_with_its_path(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "garden.toml"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_toml_file(path, Garden)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read .*nowhere\.toml: No such file"):
        read_toml_file(tmp_path / "nowhere.toml", Garden)
    with pytest.raises(InputError, match="cannot read .*Is a directory"):
        read_toml_file(tmp_path, Garden)
