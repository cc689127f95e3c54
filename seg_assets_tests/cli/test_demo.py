"""`seg-assets demo`, end to end, and what it refuses to write over."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from seg_assets.cli import main
from seg_assets.storage.store import Store
from seg_assets_tests.conftest import REPOSITORY


@pytest.mark.slow
def test_the_demo_labels_scenes_and_says_where_to_look(tmp_path: Path) -> None:
    out = tmp_path / "out"
    (tmp_path / "tmp").mkdir()
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("SEG_", "DAGSTER_"))}
    done = subprocess.run(
        [sys.executable, "-c", "from seg_assets.cli import main; main()", "demo"]
        + ["--scenes", "2", "--size", "64", "--out", str(out)],
        env={
            **inherited,
            "PYTHONPATH": str(REPOSITORY),
            "OMP_NUM_THREADS": "1",
            "TMPDIR": str(tmp_path / "tmp"),
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = dict(line.split(maxsplit=1) for line in done.stdout.splitlines() if " " in line)
    assert said["pictures"].startswith(f"{out}/pictures ")
    assert said["results"].startswith(f"{out}/store ")
    assert said["report"].startswith(f"{out}/store/evaluation_report/index.html ")
    assert "mIoU of SEEM alone 0." in said["beside"]
    assert f"DAGSTER_HOME={out}/dagster" in said["graph"]
    assert "dagster dev -m seg_assets.definitions" in done.stdout
    assert "discs in their place would have 0." in done.stdout
    assert "random" not in done.stdout + done.stderr

    pictures = sorted((out / "pictures").iterdir())
    assert [picture.name for picture in pictures] == ["scene_0000000.png", "scene_0000001.png"]
    with Image.open(pictures[0]) as picture:
        assert picture.width > 5 * 64
    report = json.loads((out / "store" / "evaluation_report" / "report.json").read_text())
    assert (report["images"], report["images_without_truth"], report["images_failed"]) == (2, 0, 0)
    assert set(report["scores"]) == {"sam_seem", "seem", "ssa"}
    assert (out / "store" / "evaluation_report" / "index.html").is_file()
    assert Store(out / "store").shards("merged_maps") == ["scenes_0000"]


def test_it_never_writes_into_a_folder_of_others(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_text("precious")
    result = CliRunner().invoke(main, ["demo", "--out", str(tmp_path)])
    assert result.exit_code == 2
    assert f"{tmp_path} holds something else than a demo: choose another --out" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]


def test_it_never_writes_over_a_file(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_text("precious")
    result = CliRunner().invoke(main, ["demo", "--out", str(tmp_path / "photo.jpg")])
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1, result.stderr
    assert (tmp_path / "photo.jpg").read_text() == "precious"
