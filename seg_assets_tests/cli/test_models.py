import hashlib

import pytest
from click.testing import CliRunner

from seg_assets.cli import main
from seg_assets_tests.modeling.file_server import FileServer

CONTENT = b"PK\x03\x04" + bytes(2_000_000)

MANIFEST = """
[mine]
title = "a model of this test"
kind = "sam"
config = "vit_b"
url = "{url}"
licence = "MIT"
input_size = 64
input_side = "long"
mean = [1, 2, 3]
std = [4, 5, 6]
"""

SHIPPED = "sam_demo: right (known hash)\nseem_demo: right (known hash)\n"


@pytest.fixture
def server():
    with FileServer(CONTENT).running() as server:
        yield server


@pytest.fixture
def folder(tmp_path, monkeypatch, server):
    monkeypatch.setenv("SEG_MODELS_DIR", str(tmp_path))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    mine = MANIFEST.format(url=server.url)
    chance = mine.replace("[mine]", "[chance]").replace(f'url = "{server.url}"', "seed = 3")
    (tmp_path / "manifest.toml").write_text(mine + chance)
    return tmp_path


def run(*arguments, status=0):
    result = CliRunner().invoke(main, ["models", *arguments])
    assert result.exit_code == status, result.output
    return result


def line_of(result, name):
    return next(line for line in result.stdout.splitlines() if line.startswith(name))


def test_the_list_says_what_each_model_is_and_whether_it_is_here(folder):
    result = run("list")
    assert line_of(result, "sam_vit_h").split("  ")[-1] == "not downloaded"
    assert "2,565 MB" in line_of(result, "sam_vit_h")
    assert line_of(result, "seem_demo").endswith("here")
    assert line_of(result, "chance").endswith("random weights (seed 3)")
    assert line_of(result, "mine").split()[-3:] == ["MIT", "not", "downloaded"]
    run("download", "mine")
    assert line_of(run("list"), "mine").endswith("here")
    assert "2 MB" in line_of(run("list"), "mine")


def test_the_list_sees_files_of_a_wrong_size_and_unfinished_ones(folder):
    (folder / "weights").mkdir()
    (folder / "weights" / "sam_vit_b_01ec64.pth").write_bytes(b"short")
    (folder / "weights" / "sam_vit_l_0b3195.pth.part").write_bytes(bytes(3_000_000))
    result = run("list")
    assert line_of(result, "sam_vit_b").endswith("damaged: wrong size")
    assert line_of(result, "sam_vit_l").endswith("3 MB downloaded so far")


def test_a_download_says_where_the_file_is_and_that_its_hash_is_unknown(folder):
    result = run("download", "mine")
    assert result.stdout == f"mine: {folder}/weights/weights.pt\n"
    assert "No hash of mine is published" in result.stderr
    assert hashlib.sha256(CONTENT).hexdigest() in result.stderr


def test_downloading_again_only_verifies(folder, server):
    run("download", "mine")
    run("download", "mine")
    assert len(server.requests) == 1
    run("download", "--force", "mine")
    assert len(server.requests) == 2


def test_an_unknown_name_stops_before_any_download(folder, server):
    result = run("download", "mine", "yours", status=2)
    assert "no model is called 'yours'" in result.stderr
    assert server.requests == []


def test_random_weights_cannot_be_downloaded(folder):
    assert "has nothing to download" in run("download", "sam_demo", status=2).stderr


def test_a_missing_file_on_the_server_is_one_line(folder, server):
    server.statuses.append(404)
    result = run("download", "mine", status=1)
    assert result.stderr.startswith(f"Error: {server.url} answered 404 Not Found")
    assert result.stderr.count("\n") == 1


def test_verify_checks_all_that_is_here(folder):
    assert run("verify").stdout == SHIPPED
    run("download", "mine")
    assert run("verify").stdout == SHIPPED + "mine: right (own record)\n"


def test_verify_goes_on_after_a_damaged_file_and_fails_in_the_end(folder):
    run("download", "mine")
    (folder / "weights" / "sam_vit_b_01ec64.pth").write_bytes(b"<html>sign in</html>")
    result = run("verify", status=1)
    assert result.stdout == SHIPPED + "mine: right (own record)\n"
    assert "is a web page, not a weights file" in result.stderr
    assert result.stderr.endswith("Error: 1 of 4 did not pass: sam_vit_b\n")


def test_verify_of_a_missing_file_says_how_to_get_it(folder):
    assert "models download sam_vit_b`" in run("verify", "sam_vit_b", status=1).stderr
