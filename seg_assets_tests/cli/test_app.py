import subprocess
import sys

import pytest
from click.testing import CliRunner

from seg_assets.cli import main
from seg_assets.cli.app import COMMANDS

HEAVY = {"torch", "cv2", "matplotlib", "pandas", "dagster"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["models", "list"],
        ["shards", "list"],
        ["label", "--help"],
        ["ssa", "--help"],
        ["demo", "--help"],
        ["train", "sam", "--help"],
        ["train", "seem", "--help"],
        ["data", "ct", "--help"],
        ["data", "panoptic", "--help"],
        ["models", "add", "--help"],
    ],
)
def test_quick_commands_import_nothing_heavy(arguments, tmp_path):
    script = (
        "import sys\n"
        "from seg_assets.cli import main\n"
        "try:\n"
        f"    main({arguments!r})\n"
        "except SystemExit as stop:\n"
        "    assert not stop.code, stop.code\n"
        f"print('heavy:', {HEAVY!r} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "heavy: set()"
    assert len(done.stdout) > 60


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command):
    result = CliRunner().invoke(main, [command, "--help"])
    assert result.exit_code == 0
    assert f"Usage: main {command}" in result.output


def test_the_version_is_the_package_s():
    result = CliRunner().invoke(main, ["--version"])
    assert result.exit_code == 0
    assert result.output.startswith("seg-assets, version ")


def test_an_unknown_command_is_wrong_usage():
    assert CliRunner().invoke(main, ["frobnicate"]).exit_code == 2


def test_a_users_mistake_is_one_line_and_status_2():
    result = CliRunner().invoke(main, ["models", "download", "nothing_like_it"])
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: no model is called 'nothing_like_it'; choose one of: ")
    assert result.stderr.count("\n") == 1


def test_failed_work_is_one_line_and_status_1(tmp_path, monkeypatch):
    monkeypatch.setenv("SEG_MODELS_DIR", str(tmp_path))
    result = CliRunner().invoke(main, ["models", "verify", "sam_vit_b"])
    assert result.exit_code == 1
    assert "Traceback" not in result.output


def test_seg_debug_shows_the_traceback(monkeypatch):
    monkeypatch.setenv("SEG_DEBUG", "1")
    result = CliRunner().invoke(main, ["models", "download", "nothing_like_it"])
    assert type(result.exception).__name__ == "InputError"


def test_settings_may_come_from_a_dotenv_file(tmp_path, monkeypatch):
    monkeypatch.delenv("SEG_MODELS_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text(f"SEG_MODELS_DIR={tmp_path}/mine\n")
    result = CliRunner().invoke(main, ["models", "list"])
    # load_dotenv sets it for this process: take it back when the test ends
    monkeypatch.setenv("SEG_MODELS_DIR", "")
    assert f"Downloads are kept in {tmp_path}/mine" in result.output
