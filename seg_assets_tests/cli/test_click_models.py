"""`seg-assets models click` with the small SAM that ships, on real annotations."""

import csv
from pathlib import Path

import numpy as np
from click.testing import CliRunner
from PIL import Image

from seg_assets.cli.app import main


def run(*arguments: object):
    return CliRunner().invoke(main, ["models", "click", *map(str, arguments)])


def write_voc(root: Path) -> None:
    """Two images in VOC's layout: a bright square on dark ground, with its object."""
    for name in ("JPEGImages", "SegmentationClass", "SegmentationObject"):
        (root / name).mkdir(parents=True)
    for image_id in ("a", "b"):
        ids = np.zeros((64, 64), np.uint8)
        ids[16:48, 16:48] = 1
        Image.fromarray(np.stack([ids * 200 + 20] * 3, axis=-1)).save(
            root / "JPEGImages" / f"{image_id}.jpg"
        )
        Image.fromarray(ids * np.uint8(15)).save(root / "SegmentationClass" / f"{image_id}.png")
        Image.fromarray(ids).save(root / "SegmentationObject" / f"{image_id}.png")


def test_objects_are_clicked_and_told_one_by_one(tmp_path: Path):
    write_voc(tmp_path)
    out = tmp_path / "clicks.csv"
    arguments = ("sam_demo", tmp_path / "JPEGImages", tmp_path, "--gt-format", "voc")
    result = run(*arguments, "--out", out)
    assert result.exit_code == 0, result.output
    # a square and the background in each of two images
    assert "4 objects in 2 images: 1-IoU 0." in result.stdout
    with out.open() as file:
        rows = list(csv.DictReader(file))
    squares = [row for row in rows if row["area"] == "1024"]
    assert [row["image_id"] for row in squares] == ["a", "b"]
    assert all(float(row["best_iou"]) >= float(row["chosen_iou"]) for row in rows)
    assert all(16 <= int(row["x"]) < 48 for row in squares)


def test_a_damaged_image_is_named_and_the_others_are_clicked(tmp_path: Path):
    write_voc(tmp_path)
    (tmp_path / "JPEGImages" / "a.jpg").write_text("no picture")
    result = run("sam_demo", tmp_path / "JPEGImages", tmp_path, "--gt-format", "voc")
    assert result.exit_code == 1
    assert "2 objects in 1 images" in result.stdout
    assert "1 of 2 images failed, the first is a:" in result.stderr


def test_truth_without_objects_is_refused(tmp_path: Path):
    write_voc(tmp_path)
    images, truth = tmp_path / "JPEGImages", tmp_path / "SegmentationClass"
    result = run("sam_demo", images, truth, "--gt-format", "png:voc21")
    assert result.exit_code == 2
    assert "the ground truth of a knows classes only: clicks need objects" in result.stderr


def test_images_without_truth_are_refused(tmp_path: Path):
    write_voc(tmp_path)
    Image.new("RGB", (64, 64)).save(tmp_path / "stranger.jpg")
    result = run("sam_demo", tmp_path / "stranger.jpg", tmp_path, "--gt-format", "voc")
    assert result.exit_code == 2
    assert "has no truth for any image" in result.stderr


def test_a_csv_that_cannot_be_written_is_told_before_the_work(tmp_path: Path):
    write_voc(tmp_path)
    out = tmp_path / "nowhere" / "clicks.csv"
    result = run("sam_demo", tmp_path / "JPEGImages", tmp_path, "--out", out)
    assert result.exit_code == 2
    assert "clicks.csv cannot be written: there is no folder" in result.stderr
    assert result.stdout == ""
