"""`seg-assets prompt` (row P7), with the small demo SAM."""

import json
import subprocess
import sys

import click
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from seg_assets.cli import main
from seg_assets.cli.prompt_types import PROMPT_TYPES
from seg_assets.masks.predictor import load_prompt_predictor
from seg_assets.masks.prompts import Prompts
from seg_assets.masks.rle import Rle
from seg_assets.viz.prompts import BOX, NEGATIVE, POSITIVE

# One run of each type: --type and coordinates.
RUNS = {
    "point": ["--point", "50,37", "--point", "112,62,0"],
    "box": ["--box", "42,20,70,87"],
    "point_box": ["--box", "42,20,70,87", "--point", "57,75,0"],
    "batch_point": ["--point", "50,37", "--point", "112,62"],
    "batch_box": ["--box", "42,20,70,87", "--box", "90,10,140,60", "--box", "0,0,160,96"],
    "batch_point_box": [
        "--box", "42,20,70,87", "--point", "50,37,1", "--box", "90,10,140,60",
        "--point", "112,62,0",
    ],
}  # fmt: skip
MASKS = {
    "point": ["point_1", "point_2", "point_3", "two_point"],
    "box": ["box"],
    "point_box": ["point_box"],
    "batch_point": ["batch_point_1", "batch_point_2"],
    "batch_box": ["batch_box_1", "batch_box_2", "batch_box_3"],
    "batch_point_box": ["batch_point_box_1", "batch_point_box_2"],
}
PICTURES = {name: [name] for name in MASKS} | {"point": MASKS["point"]}


@pytest.fixture
def photo(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SEG_SAM_MODEL", raising=False)
    colours = np.random.default_rng(2).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    Image.fromarray(colours).resize((160, 96), Image.Resampling.BICUBIC).save("photo.png")
    return tmp_path / "photo.png"


def run(*arguments, status=0):
    given = ["prompt", "photo.png", "--out", "out", "--model", "sam_demo", "--device", "cpu"]
    result = CliRunner().invoke(main, [*given, *map(str, arguments)])
    assert result.exit_code == status, result.output
    return result


def files(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("kind", PROMPT_TYPES)
def test_each_type_writes_its_masks_pictures_and_numbers(photo, kind):
    result = run("--type", kind, *RUNS[kind])
    folder = photo.parent / "out" / "photo"
    expected = [f"{kind}.json"]
    expected += [f"{name}.png" for name in MASKS[kind]]
    expected += [f"{name}.jpg" for name in PICTURES[kind]]
    assert files(folder) == sorted(expected)
    assert [line.split(":")[0] for line in result.stdout.splitlines()[:-1]] == MASKS[kind]
    assert result.stdout.splitlines()[-1] == "the results are in out/photo"

    told = json.loads((folder / f"{kind}.json").read_text())
    assert (told["image"], told["height"], told["width"]) == ("photo.png", 96, 160)
    assert (told["model"], told["type"]) == ("sam_demo", kind)
    masks = [
        mask for step in told["steps"] for object_ in step["objects"] for mask in object_["masks"]
    ]
    assert [mask["file"] for mask in masks] == [f"{name}.png" for name in MASKS[kind]]
    for mask in masks:
        with Image.open(folder / mask["file"]) as picture:
            pixels = np.array(picture)
        assert pixels.shape == (96, 160)
        assert set(np.unique(pixels)) <= {0, 255}
        rle = Rle.from_coco(mask["segmentation"])
        np.testing.assert_array_equal(rle.decode(), pixels == 255)
        assert mask["area"] == (pixels == 255).sum()
        assert isinstance(mask["predicted_iou"], float)
    for name in PICTURES[kind]:
        with Image.open(folder / f"{name}.jpg") as picture:
            assert picture.size == (160, 96)


def test_all_types_have_files_of_their_own(photo):
    """P4: upstream's batch_point_box writes over the picture of point_box."""
    for kind, coordinates in RUNS.items():
        run("--type", kind, *coordinates)
    names = files(photo.parent / "out" / "photo")
    assert len(names) == sum(1 + len(MASKS[kind]) + len(PICTURES[kind]) for kind in RUNS)


def test_the_numbers_are_the_predictor_s(photo):
    """Two points: the best of the first point's masks is fed back, as in Python."""
    run("--type", "point", *RUNS["point"])
    folder = photo.parent / "out" / "photo"
    told = json.loads((folder / "point.json").read_text())
    predictor = load_prompt_predictor("sam_demo")
    embedding = predictor.embed(np.array(Image.open(photo).convert("RGB")))
    first = predictor.predict(
        embedding, Prompts.of_object(points=[(50, 37)], labels=[1]), multimask=True
    )
    both = Prompts.of_object(
        points=[(50, 37), (112, 62)], labels=[1, 0], mask_logits=first.best_logits[0]
    )
    second = predictor.predict(embedding, both)
    (one,), (two,) = (step["objects"] for step in told["steps"])
    assert [mask["predicted_iou"] for mask in one["masks"]] == first.predicted_ious[0].tolist()
    assert (one["points"], one["labels"], one["box"]) == ([[50, 37]], [1], None)
    assert one["mask_input"] is None
    assert two["mask_input"] == f"point_{first.best[0] + 1}"
    assert (two["points"], two["labels"]) == ([[50, 37], [112, 62]], [1, 0])
    (mask,) = two["masks"]
    assert mask["predicted_iou"] == float(second.predicted_ious[0, 0])
    np.testing.assert_array_equal(Rle.from_coco(mask["segmentation"]).decode(), second.masks[0, 0])


def test_one_point_is_enough(photo):
    run("--type", "point", "--point", "50,37")
    assert "two_point.jpg" not in files(photo.parent / "out" / "photo")


def test_more_points_refine_one_mask(photo):
    run("--point", "50,37", "--point", "112,62,0", "--point", "60,40")
    assert "all_points.png" in files(photo.parent / "out" / "photo")


@pytest.mark.parametrize(
    ("coordinates", "kind"),
    [
        (["--point", "50,37"], "point"),
        (["--box", "42,20,120,87"], "box"),
        (["--box", "42,20,120,87", "--box", "2,3,40,50"], "batch_box"),
        (["--box", "42,20,120,87", "--point", "50,37", "--point", "60,70,0"], "point_box"),
        (
            ["--box", "42,20,120,87", "--point", "50,37", "--box", "2,3,40,50", "--point", "9,9"],
            "batch_point_box",
        ),
    ],
)
def test_without_a_type_the_coordinates_tell_it(photo, coordinates, kind):
    run(*coordinates)
    assert f"{kind}.json" in files(photo.parent / "out" / "photo")


def test_pictures_show_the_prompts(photo):
    run("--type", "point_box", "--box", "42,20,120,87", "--point", "57,75,0", "--point", "90,40")
    with Image.open(photo.parent / "out" / "photo" / "point_box.jpg") as picture:
        pixels = np.array(picture).astype(int)
    # JPEG colours are not exact
    assert np.abs(pixels[75, 57] - NEGATIVE).max() < 60
    assert np.abs(pixels[40, 90] - POSITIVE).max() < 60
    assert np.abs(np.median(pixels[30:80, 120], axis=0) - BOX).max() < 60


def test_the_model_is_that_of_the_settings(photo, tmp_path, monkeypatch):
    monkeypatch.setenv("SEG_SAM_MODEL", "sam_demo")
    arguments = ["prompt", "photo.png", "--out", "out", "--box", "1,2,30,40", "--type", "box"]
    assert CliRunner().invoke(main, [*arguments, "--device", "cpu"]).exit_code == 0
    monkeypatch.setenv("SEG_SAM_MODEL", "sam_vit_h")
    monkeypatch.setenv("SEG_MODELS_DIR", str(tmp_path))
    result = CliRunner().invoke(main, [*arguments, "--device", "cpu"])
    assert result.exit_code == 1
    assert "seg-assets models download sam_vit_h" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--type", "nix"], "'nix' is not one of 'point', 'box', 'point_box', 'batch_point'"),
        (["--type", "box"], "--type box takes one --box and no --point; got 0 --point and 0 --box"),
        (["--point", "5"], "--point 5: write it as X,Y,LABEL"),
        (["--type", "box", "--box", "1,2,3"], "--box 1,2,3: write it as X0,Y0,X1,Y1"),
        (["--type", "box", "--box", "9,2,3,4"], "the box 9,2,3,4 is empty or its corners"),
        (["--point", "500,37"], "the point 500,37 lies outside the image, which is 160 x 96"),
        (["--point", "5,5", "--point", "-1,3,0"], "the point -1,3 lies outside the image"),
        (["--type", "box", "--box", "0,0,300,40"], "the box 0,0,300,40 sticks out of the image"),
        (["--point", "5,5", "--model", "nix"], "no model is called 'nix'"),
        (["--point", "5,5", "--model", "seem_demo"], "'seem_demo' is no sam model"),
        (["--point", "5,5", "--device", "tpu"], "'tpu'"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(photo, arguments, message):
    result = run(*arguments, status=2)
    assert message in result.stderr
    assert "Traceback" not in result.output
    assert not (photo.parent / "out").exists()


@pytest.mark.parametrize("image", ["nowhere.png", "."])
def test_an_image_that_is_not_there_is_wrong_usage(photo, image):
    result = CliRunner().invoke(main, ["prompt", image, "--out", "out", "--point", "1,1"])
    assert result.exit_code == 2
    assert f"{image} is no file that is there" in result.stderr


def test_wrong_coordinates_are_told_before_weights_are_read(photo, monkeypatch):
    monkeypatch.setattr("seg_assets.modeling.mask_models.load.load_mask_model", _must_not_be_called)
    run("--point", "500,37", status=2)


def _must_not_be_called(*_):
    raise AssertionError("the weights were read")


def test_a_file_that_is_no_image_is_failed_work(photo):
    photo.write_text("no image")
    assert "is not an image" in run("--point", "5,5", status=1).stderr


def test_a_folder_that_cannot_be_written_is_one_line(photo):
    (photo.parent / "out").write_text("in the way")
    result = run("--point", "5,5", status=1)
    assert result.stderr.splitlines()[-1].startswith("Error: out/photo/point_1.jpg cannot be")


def test_show_opens_the_pictures(photo, monkeypatch):
    opened = []
    monkeypatch.setattr(click, "launch", opened.append)
    run("--type", "batch_box", *RUNS["batch_box"])
    assert opened == []
    run("--type", "batch_box", *RUNS["batch_box"], "--show")
    assert opened == ["out/photo/batch_box.jpg"]


def test_help_lists_the_types_and_imports_no_torch():
    script = (
        "import sys\n"
        "from seg_assets.cli import main\n"
        "try:\n"
        "    main(['prompt', '--help'])\n"
        "except SystemExit as stop:\n"
        "    assert not stop.code\n"
        "print({'torch', 'cv2', 'matplotlib'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    assert lines[-1] == "set()"
    explained = {line.split()[0] for line in lines if line.startswith("  ") and line.split()}
    assert set(PROMPT_TYPES) <= explained
