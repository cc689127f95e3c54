"""What docs/prompts.md shows works as it stands there."""

import re
import shlex

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from seg_assets.cli import main
from seg_assets.cli.prompt_types import PROMPT_TYPES
from seg_assets_tests.conftest import REPOSITORY

PAGE = (REPOSITORY / "docs" / "prompts.md").read_text(encoding="utf-8")
COMMANDS = [shlex.split(line) for line in PAGE.splitlines() if line.startswith("seg-assets ")]
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.fixture(autouse=True)
def _photo(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEG_DEVICES", "cpu")
    Image.fromarray(np.full((100, 150, 3), 90, np.uint8)).save("photo.jpg")


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: f"{command[4]} {len(command)}")
def test_the_commands_of_the_page_run(command):
    result = CliRunner().invoke(main, command[1:])
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == "the results are in results/photo"


def test_the_page_shows_every_type():
    typed = [command for command in COMMANDS if "--type" in command]
    assert {command[command.index("--type") + 1] for command in typed} == set(PROMPT_TYPES)


def test_the_example_of_the_page_runs():
    (example,) = EXAMPLES
    found: dict = {}
    exec(example, found)  # the page is ours
    assert found["first"].masks.shape == (1, 3, 100, 150)
    assert found["better"].masks.shape == (1, 1, 100, 150)
    assert found["several"].masks.shape == (2, 1, 100, 150)
