import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from seg_assets.cli import main
from seg_assets.data.panoptic.reader import open_panoptic
from seg_assets_tests.stages.conftest import write_pictures


def run(*arguments: str, status: int = 0) -> Result:
    result = CliRunner().invoke(main, ["data", *arguments])
    assert result.exit_code == status, result.output
    return result


def test_ct_volumes_become_pictures(tmp_path: Path) -> None:
    nibabel = pytest.importorskip("nibabel", reason="the extra ct is not installed")
    labels = np.zeros((32, 32, 3), np.uint8)
    labels[4:20, 4:20] = 1
    volumes = {"images": labels.astype(np.int16) * 100, "labels": labels}
    for case in ("a", "b"):
        for kind, volume in volumes.items():
            folder = tmp_path / kind
            folder.mkdir(exist_ok=True)
            nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), folder / f"{case}.nii.gz")
    said = run(
        *("ct", str(tmp_path / "images"), str(tmp_path / "labels"), "--out", str(tmp_path / "out")),
        *("size=32", "min_voxels", "10", "train_share=0.5"),
    ).stdout
    assert said.splitlines()[:2] == ["train: 3 slices of 1 cases", "val: 3 slices of 1 cases"]
    report = json.loads((tmp_path / "out" / "preparation.json").read_text())
    assert report["params"]["size"] == 32
    assert len(list((tmp_path / "out" / "train" / "images").iterdir())) == 3


def test_a_split_is_built_from_pictures_and_labels(tmp_path: Path) -> None:
    write_pictures(tmp_path, 2)
    sky, car = (
        {"id": 5, "name": "sky", "color": [1, 2, 3], "isthing": 0},
        {"id": 2, "name": "car", "color": [9, 8, 7], "isthing": 1},
    )
    (tmp_path / "mine.json").write_text(json.dumps([sky, car]))
    arguments = [
        *("panoptic", str(tmp_path / "images"), "--labels", str(tmp_path / "labels")),
        *("--label-format", "png:base28", "--out", str(tmp_path / "set"), "--split", "train"),
    ]
    said = run(*arguments, "--classes", str(tmp_path / "mine.json")).stdout
    assert said.startswith("train: 2 images with ")
    dataset = open_panoptic(tmp_path / "set", "train")
    assert [category.name for category in dataset.categories.categories] == ["sky", "car"]
    run(*arguments, "--limit", "1")
    dataset = open_panoptic(tmp_path / "set", "train")
    assert len(dataset) == 1
    assert len(dataset.categories) == 28


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ct", "a", "b", "--out", "c", "siz=3"], "there is no setting 'siz'; did you mean size?"),
        (["ct", "nowhere", "b", "--out", "c"], "the folder of images nowhere is not there"),
        (["panoptic", "nowhere", "--out", "c", "--split", "train"], "nowhere"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(*arguments, status=2)
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
