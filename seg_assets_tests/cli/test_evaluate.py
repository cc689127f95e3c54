"""`seg-assets evaluate` as its users call it: folders of maps, what is missing, the report."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from seg_assets.classes.table import load_class_table
from seg_assets.cli.app import main
from seg_assets.storage.png import encode_label_map

TABLE = load_class_table("camvid11")
TRUTH = np.array([[3, 3, 8, 255], [3, 4, 8, 8]], np.uint8)  # Road, Car, Pavement


def write(folder: Path, name: str, label_map: np.ndarray) -> None:
    path = folder / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_label_map(label_map, TABLE.palette()))


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    for name in ("a", "b"):
        write(tmp_path / "truth", name, TRUTH)
    return tmp_path / "truth"


@pytest.fixture
def perfect(tmp_path: Path) -> Path:
    for name in ("a", "b"):
        write(tmp_path / "perfect", name, TRUTH)
    return tmp_path / "perfect"


def evaluate(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["evaluate", *map(str, arguments)])


PNG = ("--gt-format", "png:camvid11")


def test_maps_that_are_the_truth_score_one(perfect: Path, truth: Path):
    result = evaluate(perfect, truth, *PNG)
    assert result.exit_code == 0, result.output
    heads, numbers, images = result.stdout.splitlines()
    assert heads.split()[:2] == ["labels", "mIoU"]
    assert set(numbers.split()[1:]) == {"1.0000"}
    told = "2 images compared, in the classes of camvid11; label maps read as png:camvid11"
    assert images == told
    assert result.stderr == ""


def test_numbers_are_those_of_all_pixels_together(perfect: Path, truth: Path, tmp_path: Path):
    write(perfect, "b", np.full((2, 4), 3, np.uint8))
    result = evaluate(perfect, truth, *PNG, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    scores = json.loads((tmp_path / "out" / "report.json").read_text())["scores"]["labels"]
    ious = {row["name"]: row["iou"] for row in scores["classes"] if row["iou"] is not None}
    # of 14 labelled pixels Road: 6 true, 10 predicted; Car: 6 true, 3 found; Pavement: 2 and 1
    assert ious == pytest.approx({"Road": 6 / 10, "Car": 3 / 6, "Pavement": 1 / 2})
    assert scores["aacc"] == pytest.approx(10 / 14)


def test_several_label_sets_stand_side_by_side(perfect: Path, truth: Path, tmp_path: Path):
    for name in ("a", "b"):
        write(tmp_path / "roads", name, np.full((2, 4), 3, np.uint8))
    titled = ("--title", "ours", "--against", f"all road={tmp_path / 'roads'}")
    result = evaluate(perfect, truth, *PNG, *titled, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    rows = {line[:8].strip(): line.split()[-6:] for line in result.stdout.splitlines()[1:3]}
    assert float(rows["ours"][0]) == 1
    assert float(rows["all road"][0]) < 0.5
    page = (tmp_path / "out" / "index.html").read_text()
    assert "all road" in page
    head = (tmp_path / "out" / "per_class.csv").read_text().splitlines()[0]
    assert head.startswith("class,IoU ours,IoU all road,accuracy,precision,boundary F")


def test_what_has_no_partner_is_counted_and_told(perfect: Path, truth: Path):
    write(perfect, "only_here", TRUTH)
    write(truth, "only_there", TRUTH)
    result = evaluate(perfect, truth, *PNG)
    assert result.exit_code == 0
    assert "2 images compared" in result.stdout
    assert "1 x no ground truth, such as labels: only_here" in result.stderr
    assert "1 x no prediction, such as only_there" in result.stderr


def test_an_image_that_one_label_set_lacks_is_compared_and_counted_once(
    perfect: Path, truth: Path, tmp_path: Path
):
    write(truth, "c", TRUTH)
    write(tmp_path / "theirs", "a", TRUTH)
    (tmp_path / "theirs" / "c.png").write_text("no picture")
    (perfect / "a.png").unlink()
    against = ("--title", "ours", "--against", f"theirs={tmp_path / 'theirs'}")
    result = evaluate(perfect, truth, *PNG, *against, "--out", tmp_path / "out")
    assert result.exit_code == 1
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert list(report["scores"]) == ["ours", "theirs"]
    assert report["images_per_method"] == {"ours": 1, "theirs": 1}
    assert (report["images"], report["images_failed"]) == (2, 1)
    assert {reason: found["count"] for reason, found in report["missing"].items()} == {
        "no labels of ours": 1,
        "no labels of theirs": 1,
        "unreadable prediction": 1,
    }


def test_what_cannot_be_compared_is_told_and_fails(perfect: Path, truth: Path):
    write(perfect, "b", TRUTH[:1])
    write(truth, "c", TRUTH)
    write(perfect, "c", TRUTH + np.uint8(70))
    write(truth, "d", TRUTH)
    (perfect / "d.png").write_text("no picture")
    result = evaluate(perfect, truth, *PNG)
    assert result.exit_code == 1
    assert "1 images compared" in result.stdout
    assert "1 x other size, such as b: the label map of b (labels) is 4x1 but" in result.stderr
    assert "1 x unknown ids" in result.stderr
    assert "1 x unreadable prediction" in result.stderr
    assert "Error: 3 of 4 images could not be compared" in result.stderr


def test_maps_in_finer_classes_are_brought_into_those_of_the_comparison(
    truth: Path, tmp_path: Path
):
    city = load_class_table("cityscapes19")
    ids = [city.id_of(name) for name in ("road", "car", "sidewalk")]
    fine = np.select([TRUTH == 3, TRUTH == 8, TRUTH == 4], ids, 255).astype(np.uint8)
    for name in ("a", "b"):
        write(tmp_path / "fine", name, fine)
    written = ("--pred-format", "png:cityscapes19", "--classes", "camvid11")
    result = evaluate(tmp_path / "fine", truth, *PNG, *written)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[1].split()[1] == "1.0000"


def test_the_worst_images_are_drawn(perfect: Path, truth: Path, tmp_path: Path):
    write(perfect, "b", np.full((2, 4), 3, np.uint8))
    for name in ("a", "b"):
        (tmp_path / "photos").mkdir(exist_ok=True)
        Image.new("RGB", (4, 2), (90, 120, 150)).save(tmp_path / "photos" / f"{name}.jpg")
    out = ("--out", tmp_path / "out", "--images", tmp_path / "photos")
    result = evaluate(perfect, truth, *PNG, *out)
    assert result.exit_code == 0, result.output
    page = (tmp_path / "out" / "index.html").read_text()
    right = "of the pixels right (labels)"
    assert page.index(f"b, 42.9% {right}") < page.index(f"a, 100.0% {right}")
    assert page.count("data:image/jpeg") == 2


def test_a_damaged_photo_costs_its_picture_only(perfect: Path, truth: Path, tmp_path: Path):
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.new("RGB", (4, 2), (90, 120, 150)).save(photos / "a.jpg")
    (photos / "b.jpg").write_bytes((photos / "a.jpg").read_bytes()[:300])
    result = evaluate(perfect, truth, *PNG, "--out", tmp_path / "out", "--images", photos)
    assert result.exit_code == 0, result.output
    assert "b.jpg" in result.stderr
    assert "not drawn" in result.stderr
    assert (tmp_path / "out" / "index.html").read_text().count("data:image/jpeg") == 1


def test_a_report_that_cannot_be_written_is_told_before_the_work(
    perfect: Path, truth: Path, tmp_path: Path
):
    (tmp_path / "out").write_text("a file")
    result = evaluate(perfect, truth, *PNG, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "choose another --out" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere", "truth", *PNG), "nowhere is not there"),
        (("perfect", "truth"), "label format of"),
        (("perfect", "truth", *PNG, "--against", "other"), "write it as TITLE=PATH"),
        (("perfect", "truth", *PNG, "--against", "=perfect"), "with a title of its own"),
        (("perfect", "truth", *PNG, "--out", "s3://bucket/x"), "is no folder of this machine"),
        (("perfect", "truth", *PNG, "--images", "photos"), "give --out as well"),
        (("perfect", "truth", *PNG, "--classes", "cats"), "cats"),
        (("strangers", "truth", *PNG), "no image in common, such as x here and such as a there"),
    ],
)
def test_mistakes_are_one_sentence(
    perfect: Path, truth: Path, monkeypatch: pytest.MonkeyPatch, arguments, message: str
):
    write(perfect.parent / "strangers", "x", TRUTH)
    monkeypatch.chdir(perfect.parent)
    result = evaluate(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_panoptic_quality_where_the_truth_knows_objects(shared_dir: Path, tmp_path: Path):
    panoptic = shared_dir / "data" / "coco_panoptic" / "panoptic.json"
    result = evaluate(panoptic, panoptic, "--pred-format", "coco_panoptic", "--out", tmp_path)
    assert result.exit_code == 0, result.output
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["panoptic"]["labels"]["all"]["pq"] == 1
    assert report["instances"] == {}  # nobody says how sure the segments are


def test_photos_that_are_not_there_are_told_before_the_work(
    perfect: Path, truth: Path, tmp_path: Path
):
    nowhere = tmp_path / "nowhere"
    result = evaluate(perfect, truth, *PNG, "--out", tmp_path / "out", "--images", nowhere)
    assert result.exit_code == 2
    assert "nowhere is not there" in result.stderr
    assert result.stdout == ""
    assert not (tmp_path / "out").exists()
