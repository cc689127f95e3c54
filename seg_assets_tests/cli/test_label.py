import csv
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from PIL import Image

from seg_assets.classes.mapping import load_class_map
from seg_assets.classes.table import load_class_table
from seg_assets.cli import main
from seg_assets.errors import StoreError
from seg_assets.labels.fusion import Proposal, RegionLabel
from seg_assets.masks.records import MaskRecord
from seg_assets.masks.region_map import paint_regions
from seg_assets.masks.rle import Rle
from seg_assets.pipeline import LabelledImage, Pipeline
from seg_assets_tests.stages.conftest import EVERYTHING, MANIFEST

MODELS = ("--sam", "sam_demo", "--seem", "seem_demo", "--device", "cpu")
SKY, TREE = 2, 4  # of base28
SKY_COCO = 119


class FakePipeline:
    """Finds one mask, the left half of the image, and calls it sky; all else is tree."""

    def __init__(self, merged_classes="merged19", **options):
        self.options = options
        self.merge = load_class_map("base28", merged_classes)
        self.calls = 0
        self.error = None

    def __call__(self, image):
        self.calls += 1
        if self.error is not None:
            raise self.error
        height, width = image.shape[:2]
        mask = np.zeros((height, width), np.bool_)
        mask[:, : width // 2] = True
        box = (0, 0, width // 2 - 1, height - 1)
        record = MaskRecord(
            rle=Rle.encode(mask),
            bbox=box,
            area=int(mask.sum()),
            predicted_iou=0.9,
            stability_score=0.9,
            point_coords=((1.0, 1.0),),
            crop_box=(0, 0, width, height),
        )
        region = RegionLabel(
            region_id=1,
            mask_id=0,
            area=record.area,
            source_id=SKY_COCO,
            class_id=SKY,
            score=0.75,
            margin=0.5,
            vote_share=0.25,
            fallback=False,
            proposals=(Proposal(SKY_COCO, 0.75),),
        )
        semantic_map = np.where(mask, SKY, TREE).astype(np.uint8)
        return LabelledImage(
            image=image,
            masks=(record,),
            region_map=paint_regions([record], height, width),
            regions=(region,),
            seem_map=np.full((height, width), TREE, np.uint8),
            semantic_map=semantic_map,
            merged_map=self.merge.apply(semantic_map),
            source_classes=load_class_table("coco133"),
            semantic_classes=self.merge.source,
            merged_classes=self.merge.target,
        )


@pytest.fixture
def fake(monkeypatch):
    """The pipelines that were loaded."""
    loaded = []

    def load(**options):
        loaded.append(FakePipeline(**options))
        return loaded[-1]

    monkeypatch.setattr(Pipeline, "load", load)
    return loaded


@pytest.fixture
def photos(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "city/b.jpg", "city/c.png"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((6, 8, 3), 90, np.uint8)).save(path)
    return tmp_path / "photos"


def run(*arguments, status=0):
    result = CliRunner().invoke(main, ["label", *map(str, arguments)])
    assert result.exit_code == status, result.output
    return result


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_image_gets_maps_an_overlay_and_rows(photos, tmp_path, fake):
    result = run(photos, "--out", "out", *MODELS)
    assert "3 images: 3 labelled, 0 were done already, 0 failed" in result.stdout
    names = ("a", "city/b", "city/c")
    expected = ["classes.csv", "errors.csv", "regions.csv", "regions.parquet", "settings.json"]
    expected += [f"maps/{table}/{name}.png" for table in ("base28", "merged19") for name in names]
    expected += [f"maps/seem_base28/{name}.png" for name in names]
    expected += [f"overlays/{name}.jpg" for name in names]
    expected += [f"regions/{name}.parquet" for name in names]
    assert files(tmp_path / "out") == sorted(expected)
    with Image.open(tmp_path / "out/maps/base28/city/b.png") as picture:
        assert picture.mode == "P"
        assert np.asarray(picture)[0].tolist() == [SKY] * 4 + [TREE] * 4
    with Image.open(tmp_path / "out/overlays/city/b.jpg") as picture:
        assert picture.size == (8, 6)


def test_the_table_names_classes_and_says_how_sure_they_are(photos, tmp_path, fake):
    run(photos, "--out", "out", *MODELS)
    table = rows(tmp_path / "out" / "regions.csv")
    assert [row["image_id"] for row in table] == ["a", "city/b", "city/c"]
    assert table[0] == {
        "image_id": "a", "region_id": "1", "mask_id": "0", "class_id": "2", "class_name": "sky",
        "source_id": "119", "source_name": "sky-other-merged", "area": "24", "x": "0", "y": "0",
        "width": "3", "height": "5", "score": "0.75", "margin": "0.5", "vote_share": "0.25",
        "fallback": "false",
    }  # fmt: skip
    parquet = pq.read_table(tmp_path / "out" / "regions.parquet")
    assert parquet.column("image_id").to_pylist() == ["a", "city/b", "city/c"]
    assert parquet.column("class_name").to_pylist() == ["sky"] * 3


def test_the_classes_are_listed_with_their_colours(photos, tmp_path, fake):
    run(photos, "--out", "out", *MODELS)
    listed = rows(tmp_path / "out" / "classes.csv")
    assert {row["classes"] for row in listed} == {"base28", "merged19"}
    assert len(listed) == 28 + 19


def test_the_finer_classes_need_no_merged_map(photos, tmp_path, fake):
    run(photos, "--out", "out", "--classes", "base28", *MODELS)
    assert sorted(p.name for p in (tmp_path / "out" / "maps").iterdir()) == [
        "base28", "seem_base28",
    ]  # fmt: skip


def test_parameters_reach_the_models(photos, tmp_path, fake):
    run(
        photos, "--out", "out", *MODELS, "--masks", "ssa", "--mask-param", "points_per_side=8",
        "--mask-param", "pred_iou_thresh=0.5", "--label-param", "max_side=256",
        "--label-param", "short_side=none",
    )  # fmt: skip
    options = fake[0].options
    assert (options["sam"], options["seem"], options["device"]) == ("sam_demo", "seem_demo", "cpu")
    masks = options["mask_params"]
    assert (masks.points_per_side, masks.pred_iou_thresh, masks.crop_n_layers) == (8, 0.5, 1)
    assert (options["label_params"].max_side, options["label_params"].short_side) == (256, None)
    settings = json.loads((tmp_path / "out" / "settings.json").read_text())
    assert settings["masks"]["points_per_side"] == 8
    assert settings["sam"]["model"] == "sam_demo"


def test_a_bad_image_is_recorded_and_the_others_are_labelled(photos, tmp_path, fake):
    (photos / "text.jpg").write_text("no image")
    (photos / "city" / "cut.jpg").write_bytes((photos / "city" / "b.jpg").read_bytes()[:300])
    result = run(photos, "--out", "out", *MODELS, status=1)
    assert "5 images: 3 labelled, 0 were done already, 2 failed" in result.stdout
    assert result.stderr == "Error: 2 of 5 images failed: out/errors.csv says why\n"
    errors = rows(tmp_path / "out" / "errors.csv")
    assert [row["image_id"] for row in errors] == ["city/cut", "text"]
    assert "is not an image" in errors[1]["message"]
    assert len(rows(tmp_path / "out" / "regions.csv")) == 3


def test_a_second_run_does_only_what_is_missing(photos, tmp_path, fake):
    (photos / "text.jpg").write_text("no image")
    run(photos, "--out", "out", *MODELS, status=1)
    before = (tmp_path / "out" / "maps/base28/a.png").stat().st_mtime_ns
    Image.new("RGB", (8, 6)).save(photos / "text.jpg")
    Image.new("RGB", (8, 6)).save(photos / "new.png")
    result = run(photos, "--out", "out", *MODELS)
    assert "5 images: 2 labelled, 3 were done already, 0 failed" in result.stdout
    assert fake[1].calls == 2
    assert (tmp_path / "out" / "maps/base28/a.png").stat().st_mtime_ns == before
    ids = [row["image_id"] for row in rows(tmp_path / "out" / "regions.csv")]
    assert ids == ["a", "city/b", "city/c", "new", "text"]
    assert rows(tmp_path / "out" / "errors.csv") == []


def test_another_picture_of_the_same_name_is_labelled_anew(photos, tmp_path, fake):
    run(photos, "--out", "out", *MODELS)
    Image.new("RGB", (31, 17)).save(next(photos.glob("a.*")))
    assert "3 images: 1 labelled, 2 were done" in run(photos, "--out", "out", *MODELS).output
    with Image.open(tmp_path / "out" / "maps/base28/a.png") as label_map:
        assert label_map.size == (31, 17)


def test_when_all_is_done_no_model_is_loaded(photos, fake):
    run(photos, "--out", "out", *MODELS)
    run(photos, "--out", "out", *MODELS)
    assert len(fake) == 1


def test_an_interrupted_run_goes_on(photos, tmp_path, fake, monkeypatch):
    calls = FakePipeline.__call__

    def interrupt(self, image):
        if self.calls == 1:
            raise KeyboardInterrupt
        return calls(self, image)

    with monkeypatch.context() as patched:
        patched.setattr(FakePipeline, "__call__", interrupt)
        run(photos, "--out", "out", *MODELS, status=1)
    assert "3 images: 2 labelled, 1 were done" in run(photos, "--out", "out", *MODELS).stdout
    assert not [name for name in files(tmp_path / "out") if name.endswith(".tmp")]


def test_other_settings_do_not_mix_with_what_is_there(photos, tmp_path, fake):
    run(photos, "--out", "out", *MODELS)
    changed = (photos, "--out", "out", *MODELS, "--masks", "ssa")
    assert "results with other settings (masks)" in run(*changed, status=2).stderr
    assert "3 images: 3 labelled" in run(*changed, "--overwrite").stdout


def test_a_single_image_and_a_limit(photos, tmp_path, fake):
    run(photos / "city" / "b.jpg", "--out", "one", *MODELS)
    assert [row["image_id"] for row in rows(tmp_path / "one" / "regions.csv")] == ["b"]
    run(photos, "--out", "two", "--limit", 2, *MODELS)
    assert [row["image_id"] for row in rows(tmp_path / "two" / "regions.csv")] == ["a", "city/b"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere", "--out", "out"], "nowhere is not there"),
        (["photos", "--out", "photos/out"], "lies inside photos"),
        (["photos", "--out", "out", "--sam", "nix"], "no model is called 'nix'"),
        (["photos", "--out", "out", "--sam", "seem_demo"], "'seem_demo' is no sam model"),
        (["photos", "--out", "out", "--masks", "nix"], "'--masks'"),
        (["photos", "--out", "out", "--device", "tpu"], "'tpu'"),
        (["photos", "--out", "out", "--mask-param", "points"], "write it as NAME=VALUE"),
        (["photos", "--out", "out", "--mask-param", "nix=1"], "there is no 'nix'; choose one of"),
        (
            ["photos", "--out", "out", "--mask-param", "pred_iou_thresh=7"],
            "--mask-param pred_iou_thresh: Input should be less than or equal to 1",
        ),
        (["photos", "--out", "out", "--label-param", "erosion_size=4"], "must be odd"),
        (["photos"], "'--out'"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(photos, fake, arguments, message):
    given = [*MODELS, *arguments]  # of an option given twice, click takes the last
    result = run(*given, status=2)
    assert message in result.stderr
    assert "Traceback" not in result.output


def test_missing_weights_say_how_to_get_them(photos, tmp_path, fake, monkeypatch):
    monkeypatch.setenv("SEG_MODELS_DIR", str(tmp_path / "models"))
    result = run(photos, "--out", "out", "--device", "cpu", status=1)
    assert "seg-assets models download sam_vit_h" in result.stderr


def test_a_file_in_the_place_of_the_folder_is_one_line(photos, tmp_path, fake):
    (tmp_path / "out").write_text("in the way")
    assert "cannot be read" in run(photos, "--out", "out", *MODELS, status=2).stderr


def test_a_folder_that_cannot_be_written_is_one_line(photos, tmp_path, fake):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "maps").write_text("in the way")
    result = run(photos, "--out", "out", *MODELS, status=1)
    assert result.stderr.startswith("Error: out/maps/base28/a.png cannot be written")
    assert "Traceback" not in result.output


def test_storage_that_does_not_answer_stops_the_run(photos, fake, monkeypatch):
    monkeypatch.setattr(FakePipeline, "__call__", _raising(StoreError("the disk is gone")))
    assert run(photos, "--out", "out", *MODELS, status=1).stderr == "Error: the disk is gone\n"


def test_a_fault_of_the_set_up_is_not_taken_for_bad_images(photos, fake, monkeypatch):
    monkeypatch.setattr(FakePipeline, "__call__", _raising(ZeroDivisionError("oops")))
    result = CliRunner().invoke(main, ["label", str(photos), "--out", "out", *MODELS])
    assert isinstance(result.exception, ZeroDivisionError)


def test_one_unexpected_error_is_recorded_with_its_kind(photos, tmp_path, fake, monkeypatch):
    calls = FakePipeline.__call__

    def fail_once(self, image):
        if self.calls == 1:
            self.calls += 1
            raise ZeroDivisionError("oops")
        return calls(self, image)

    monkeypatch.setattr(FakePipeline, "__call__", fail_once)
    run(photos, "--out", "out", *MODELS, status=1)
    errors = rows(tmp_path / "out" / "errors.csv")
    assert errors == [{"image_id": "city/b", "message": "ZeroDivisionError: oops"}]


def _raising(error):
    def call(self, image):
        raise error

    return call


OWN_SEEM = """
[seem_rooms]
title = "three rooms"
kind = "seem"
config = "demo"
seed = 0
classes = "rooms.toml"
licence = "Apache-2.0"
input_size = 64
input_side = "short"
mean = [123.675, 116.28, 103.53]
std = [58.395, 57.12, 57.375]
"""
ROOMS = """
name = "rooms"
title = "three rooms, and no map to anywhere"
classes = [
    { id = 0, name = "kitchen", color = [200, 0, 0] },
    { id = 1, name = "bath", color = [0, 200, 0] },
    { id = 2, name = "garden", color = [0, 0, 200] },
]
"""


@pytest.fixture
def rooms(tmp_path, monkeypatch):
    """The arguments for tiny models, of which the SEEM has three classes of its own."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "manifest.toml").write_text(MANIFEST + OWN_SEEM)
    (tmp_path / "models" / "rooms.toml").write_text(ROOMS)
    monkeypatch.setenv("SEG_MODELS_DIR", str(tmp_path / "models"))
    settings = [
        f"{name}={value}" for name, value in EVERYTHING.model_dump(exclude_unset=True).items()
    ]
    params = [argument for setting in settings for argument in ("--mask-param", setting)]
    return ("--sam", "sam_tiny", "--seem", "seem_rooms", "--device", "cpu", *params)


def test_a_seem_with_classes_of_its_own_labels_in_them(photos, tmp_path, rooms):
    run(photos / "a.png", "--out", "out", *rooms)
    out = tmp_path / "out"
    assert sorted(path.name for path in (out / "maps").iterdir()) == ["rooms", "seem_rooms"]
    names = ["kitchen", "bath", "garden"]
    assert [row["name"] for row in rows(out / "classes.csv")] == names
    with Image.open(out / "maps/rooms/a.png") as picture:
        assert np.asarray(picture).max() < 3
    for row in rows(out / "regions.csv"):
        assert row["source_name"] == [*names, ""][int(row["source_id"])]
        assert row["class_name"] == names[int(row["class_id"])]
    settings = json.loads((out / "settings.json").read_text())
    assert {table["name"] for table in settings["classes"].values()} == {"rooms"}


def test_other_classes_of_the_same_model_do_not_mix(photos, tmp_path, rooms):
    run(photos / "a.png", "--out", "out", *rooms)
    (tmp_path / "models" / "rooms.toml").write_text(ROOMS.replace("garden", "park"))
    again = run(photos / "a.png", "--out", "out", *rooms, status=2)
    assert "results with other settings (classes)" in again.stderr


@pytest.mark.parametrize("classes", ["base28", "camvid11", "nix", "nix.toml"])
def test_classes_that_the_model_cannot_reach_are_one_line(photos, tmp_path, rooms, classes):
    result = run(photos, "--out", "out", *rooms, "--classes", classes, status=2)
    assert result.stderr.count("\n") == 1
    assert classes in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_demo_models_label_an_image_for_real(photos, tmp_path):
    gradient = np.linspace(0, 255, 96 * 128 * 3).reshape(96, 128, 3).astype(np.uint8)
    Image.fromarray(gradient).save(tmp_path / "one.png")
    result = run("one.png", "--out", "out", *MODELS, "--mask-param", "points_per_side=2")
    assert "1 images: 1 labelled" in result.stdout
    assert "random" not in result.stderr
    with Image.open(tmp_path / "out/maps/base28/one.png") as picture:
        assert picture.size == (128, 96)
