"""docs/exports.md says what is true."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from seg_assets.classes.table import load_class_table
from seg_assets.cli import main
from seg_assets.cli.export import FORMATS
from seg_assets.exports.things import thing_names
from seg_assets.storage.store import Store
from seg_assets_tests.conftest import REPOSITORY

PAGE = (REPOSITORY / "docs" / "exports.md").read_text()
COMMANDS = [shlex.split(line) for line in PAGE.splitlines() if line.startswith("seg-assets ")]


def test_every_format_is_listed_and_described() -> None:
    listed = re.findall(r"^\| \[`(\w+)`\]\(#\w+\)", PAGE, re.MULTILINE)
    described = [h for h in re.findall(r"^## (\w+)$", PAGE, re.MULTILINE) if h.islower()]
    assert listed == described == list(FORMATS)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[2])
def test_commands_run(
    finished: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("data").symlink_to(finished.root)
    result = CliRunner().invoke(main, command[1:])
    assert result.exit_code == 0, result.output


def test_the_first_python_block_runs(
    finished: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("data").symlink_to(finished.root)
    block = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0]
    exec(compile(block, "exports.md", "exec"), {})
    images, missing, _ = capsys.readouterr().out.split()
    assert (images, missing) == ("5", "1")


def test_the_things_of_base28_are_those_that_are_listed() -> None:
    (listed,) = re.findall(r"in base28 ([\w,\s]+)\. A thing is", PAGE)
    names = set(re.split(r",\s+|\s+and\s+", listed.replace("\n", " ")))
    assert names == thing_names(load_class_table("base28"))
