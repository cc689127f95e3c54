import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from seg_assets.classes.table import load_class_table
from seg_assets.cli import main
from seg_assets.labels.segmentors.label_maps import StoredLabelMaps
from seg_assets.labels.ssa_json import read_ssa_json
from seg_assets.labels.ssa_labeler import SsaLabeler
from seg_assets.labels.ssa_params import SSA_MASK_PRESETS, SSA_PRESETS, SsaParams
from seg_assets.masks.params import MaskParams
from seg_assets_tests.cli.test_label import OWN_SEEM, ROOMS
from seg_assets_tests.conftest import REPOSITORY
from seg_assets_tests.stages.conftest import EVERYTHING, MANIFEST

CAMVID = load_class_table("camvid11")
NAMES = ("a", "city/b", "city/c")
EVERY_MASK = [
    argument
    for name, value in EVERYTHING.model_dump(exclude_unset=True).items()
    for argument in ("--mask-param", f"{name}={value}")
]
TINY = ("--sam", "sam_tiny", "--device", "cpu", "--masks", "reference", *EVERY_MASK)
MAPS = ("--segmentor", "maps:labels:camvid11")
RUN = ("photos", "--out", "out", *TINY, *MAPS)


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three photos and their label maps in the current folder; models sam_tiny and seem_rooms."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "manifest.toml").write_text(MANIFEST + OWN_SEEM)
    (tmp_path / "models" / "rooms.toml").write_text(ROOMS)
    monkeypatch.setenv("SEG_MODELS_DIR", str(tmp_path / "models"))
    for i, name in enumerate(NAMES):
        write(tmp_path / "photos" / f"{name}.png", photo(i))
        write(tmp_path / "labels" / f"{name}.png", label_map(i))
    return tmp_path


def photo(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (48, 64, 3)).astype(np.uint8)


def label_map(seed: int) -> np.ndarray:
    """(48, 64) in blocks of 16 pixels."""
    blocks = np.random.default_rng(seed).integers(0, len(CAMVID), (3, 4))
    return np.kron(blocks, np.ones((16, 16))).astype(np.uint8)


def write(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def run(*arguments, status=0):
    result = CliRunner().invoke(main, ["ssa", *map(str, arguments)])
    assert result.exit_code == status, result.output
    return result


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def read_map(path):
    with Image.open(path) as picture:
        assert picture.mode == "P"
        return np.asarray(picture)


def files_of(*names):
    """What the folder holds of these images."""
    return sorted(
        path
        for name in names
        for path in (
            f"done/{name}.json",
            f"json/{name}_semantic.json",
            f"maps/{name}.png",
            f"overlays/{name}.jpg",
            f"segmentor/{name}.png",
        )
    )


TABLES = ["classes.csv", "errors.csv", "settings.json"]


def test_every_image_gets_json_maps_and_an_overlay(tiny):
    result = run(*RUN)
    assert "3 images: 3 labelled, 0 were done already, 0 failed" in result.stdout
    assert files(tiny / "out") == sorted([*files_of(*NAMES), *TABLES])
    assert [row["name"] for row in rows(tiny / "out" / "classes.csv")] == list(CAMVID.names)
    assert rows(tiny / "out" / "errors.csv") == []
    for i, name in enumerate(NAMES):
        np.testing.assert_array_equal(read_map(tiny / f"out/segmentor/{name}.png"), label_map(i))
        with Image.open(tiny / f"out/overlays/{name}.jpg") as picture:
            assert picture.size == (64, 48)


def test_the_files_are_those_of_the_page(tiny):
    run("photos/a.png", "--out", "out", *TINY, *MAPS)
    page = (Path(__file__).parents[2] / "docs" / "ssa.md").read_text(encoding="utf-8")
    section = page.split("\n| file | content |\n| --- | --- |\n")[1].split("\n\n")[0]
    told = [line.split("|")[1].strip().replace("IMAGE", "a") for line in section.splitlines()]
    assert sorted(told) == files(tiny / "out")


def test_the_files_hold_what_the_labeler_says(tiny):
    run(*RUN, "--param", "min_vote_share=0.3", "--param", "top_k=2")
    params = SsaParams(segmentor="maps:labels:camvid11", min_vote_share=0.3, top_k=2)
    labeler = SsaLabeler.load(sam="sam_tiny", params=params, mask_params=EVERYTHING)
    for i, name in enumerate(NAMES):
        expected = labeler(photo(i), name)
        assert len(expected.records) > 0
        content = json.loads((tiny / f"out/json/{name}_semantic.json").read_text())
        assert content["image"]["file_name"] == f"{name[-1]}.png"
        found = read_ssa_json(content, CAMVID, name)
        assert found.records == expected.records
        assert found.votes == expected.votes
        np.testing.assert_array_equal(found.label_map, expected.label_map)
        label_map = read_map(tiny / f"out/maps/{name}.png")
        np.testing.assert_array_equal(label_map, expected.label_map)


def test_images_keep_their_numbers_when_others_come(tiny):
    write(tiny / "photos" / "sa_17.jpg", photo(5))
    write(tiny / "labels" / "sa_17.png", label_map(5))

    def numbers(out):
        return {
            path.name: json.loads(path.read_text())["image"]["image_id"]
            for path in (tiny / out / "json").rglob("*.json")
        }

    run("photos", "--out", "out", *TINY, *MAPS)
    before = numbers("out")
    assert before["sa_17_semantic.json"] == 17
    assert len(set(before.values())) == 4
    assert max(before.values()) < 2**53  # JavaScript reads them, too
    run("photos", "--out", "two", *TINY, *MAPS, "--limit", 2)
    assert numbers("two").items() < before.items()


@pytest.mark.parametrize("name", SSA_PRESETS)
def test_a_preset_brings_segmentor_parameters_and_masks(tiny, monkeypatch, name):
    given = {}

    def load(**options):
        given.update(options)
        raise KeyboardInterrupt

    monkeypatch.setattr(SsaLabeler, "load", load)
    run("photos", "--out", "out", "--sam", "sam_tiny", "--preset", name, *MAPS, status=1)
    preset = SsaParams.preset(name)
    assert given["params"] == preset.model_copy(update={"segmentor": MAPS[1]})
    assert given["mask_params"] == MaskParams.preset(SSA_MASK_PRESETS[name])
    run(
        "photos", "--out", "out", "--sam", "sam_tiny", "--preset", name, *MAPS, "--masks", "demo",
        "--mask-param", "points_per_side=3", "--param", "align_corners=false", status=1,
    )  # fmt: skip
    assert given["params"].align_corners is False
    assert given["mask_params"] == MaskParams.preset("demo").model_copy(
        update={"points_per_side": 3}
    )


def test_the_preset_names_the_segmentor(tiny, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "seg_assets.labels.segmentors.load.segmentor_classes",
        lambda spec, params: asked.append(spec) or CAMVID,
    )
    monkeypatch.setattr("seg_assets.labels.segmentors.load.segmentor_identity", lambda spec: "abc")
    monkeypatch.setattr(SsaLabeler, "load", lambda **options: _stop())
    run("photos", "--out", "out", "--sam", "sam_tiny", "--preset", "cityscapes", status=1)
    assert asked == ["hf:nvidia/segformer-b5-finetuned-cityscapes-1024-1024"]


def _stop():
    raise KeyboardInterrupt


def test_seem_alone_is_the_model_of_the_environment(tiny, monkeypatch):
    monkeypatch.setenv("SEG_SEEM_MODEL", "seem_rooms")
    run("photos/a.png", "--out", "out", *TINY)
    settings = json.loads((tiny / "out" / "settings.json").read_text())
    assert settings["segmentor"]["name"] == "seem:seem_rooms"
    assert [row["name"] for row in rows(tiny / "out" / "classes.csv")] == [
        "kitchen", "bath", "garden",
    ]  # fmt: skip
    assert read_map(tiny / "out/maps/a.png").max() < 3


@pytest.mark.filterwarnings("ignore:Backbone")  # of transformers, about a default of its own
def test_the_logits_of_a_hugging_face_model_vote(tiny):
    pytest.importorskip("transformers", minversion="5.0")
    import seg_assets.modeling.torchvision_cpu  # noqa: F401

    # isort: split
    from seg_assets_tests.labels.segmentors.hugging_face.tiny_models import CLASSES, save_model

    save_model("segformer", tiny / "network")
    run("photos/a.png", "--out", "out", *TINY, "--segmentor", "hf:network", "--param",
        "rule=mean_logits")  # fmt: skip
    classes = [row["name"] for row in rows(tiny / "out" / "classes.csv")]
    assert classes == [name.strip() for name in CLASSES.values()]
    content = json.loads((tiny / "out/json/a_semantic.json").read_text())
    assert content["annotations"]
    assert {entry["class_name"] for entry in content["annotations"]} <= set(classes)


def test_an_image_without_masks_has_the_segmentors_map(tiny):
    nothing = ("--mask-param", "pred_iou_thresh=1", "--mask-param", "stability_score_thresh=1")
    run("photos/a.png", "--out", "out", *TINY, *MAPS, *nothing)
    content = json.loads((tiny / "out/json/a_semantic.json").read_text())
    assert content["annotations"] == []
    np.testing.assert_array_equal(read_map(tiny / "out/maps/a.png"), label_map(0))


def test_a_bad_image_and_a_missing_map_do_not_stop_the_others(tiny):
    (tiny / "photos" / "text.jpg").write_text("no image")
    (tiny / "labels" / "city" / "b.png").unlink()
    write(tiny / "labels" / "city" / "c.png", label_map(2).T.copy())
    result = run(*RUN, status=1)
    assert "4 images: 1 labelled, 0 were done already, 3 failed" in result.stdout
    assert result.stderr.endswith("\nError: 3 of 4 images failed: out/errors.csv says why\n")
    errors = rows(tiny / "out" / "errors.csv")
    assert [row["image_id"] for row in errors] == ["city/b", "city/c", "text"]
    assert "b.png is not there" in errors[0]["message"]
    assert "is 48 x 64 pixels and its image 64 x 48" in errors[1]["message"]
    assert "is not an image" in errors[2]["message"]
    assert files(tiny / "out") == sorted([*files_of("a"), *TABLES])


def test_a_second_run_does_only_what_is_missing(tiny):
    (tiny / "labels" / "city" / "b.png").unlink()
    run(*RUN, status=1)
    before = (tiny / "out" / "maps/a.png").stat().st_mtime_ns
    write(tiny / "labels" / "city" / "b.png", label_map(1))
    write(tiny / "labels" / "city" / "c.png", label_map(7)[::-1])
    assert "3 images: 2 labelled, 1 were done already" in run(*RUN).stdout
    assert (tiny / "out" / "maps/a.png").stat().st_mtime_ns == before
    found = read_map(tiny / "out/segmentor/city/c.png")
    np.testing.assert_array_equal(found, label_map(7)[::-1])
    assert rows(tiny / "out" / "errors.csv") == []


def test_what_was_deleted_and_what_is_another_picture_now_is_done_again(tiny):
    run(*RUN)
    (tiny / "out" / "json" / "a_semantic.json").unlink()
    write(tiny / "photos" / "city" / "b.png", photo(9)[:32])
    write(tiny / "labels" / "city" / "b.png", label_map(9)[:32])
    assert "3 images: 2 labelled, 1 were done already" in run(*RUN).stdout
    assert (tiny / "out" / "json" / "a_semantic.json").is_file()
    assert read_map(tiny / "out/maps/city/b.png").shape == (32, 64)


def test_when_all_is_done_nothing_is_loaded(tiny, monkeypatch):
    run(*RUN)
    monkeypatch.setattr(SsaLabeler, "load", lambda **options: _stop())
    assert "3 images: 0 labelled, 3 were done already" in run(*RUN).stdout


@pytest.mark.parametrize("finished", [0, 1, 2])
def test_an_interrupted_run_goes_on(tiny, monkeypatch, finished):
    segment = StoredLabelMaps.segment

    def interrupt(self, image_id, image):
        if image_id == NAMES[finished]:
            raise KeyboardInterrupt
        return segment(self, image_id, image)

    with monkeypatch.context() as patched:
        patched.setattr(StoredLabelMaps, "segment", interrupt)
        run(*RUN, status=1)
    expected = f"3 images: {3 - finished} labelled, {finished} were done already"
    assert expected in run(*RUN).stdout
    assert files(tiny / "out") == sorted([*files_of(*NAMES), *TABLES])


STOPS_AT_THE_SECOND_IMAGE = """
import sys, time
from seg_assets.cli import main
from seg_assets.labels.segmentors.label_maps import StoredLabelMaps

segment = StoredLabelMaps.segment
def stop(self, image_id, image):
    if image_id != "a":
        print("stopped", flush=True)
        time.sleep(600)
    return segment(self, image_id, image)
StoredLabelMaps.segment = stop
main(["ssa", *sys.argv[1:]])
"""


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_files(tiny):
    run("photos", "--out", "whole", *TINY, *MAPS)
    process = subprocess.Popen(
        [sys.executable, "-c", STOPS_AT_THE_SECOND_IMAGE, *RUN],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "stopped\n"
        process.kill()
    assert files(tiny / "out") == sorted([*files_of("a"), "classes.csv", "settings.json"])
    assert "3 images: 2 labelled, 1 were done already" in run(*RUN).stdout
    for name in files(tiny / "whole"):
        assert (tiny / "out" / name).read_bytes() == (tiny / "whole" / name).read_bytes(), name
    assert files(tiny / "out") == files(tiny / "whole")


@pytest.mark.parametrize("last", ["json", "maps", "segmentor", "overlays", "done"])
def test_an_image_counts_as_done_when_all_its_files_are_written(tiny, monkeypatch, last):
    replace = Path.replace

    def kill(self, target):
        if f"out/{last}/" in str(target):
            raise KeyboardInterrupt
        return replace(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", kill)
        run("photos/a.png", "--out", "out", *TINY, *MAPS, status=1)
    again = run("photos/a.png", "--out", "out", *TINY, *MAPS)
    assert "1 images: 1 labelled, 0 were done already" in again.stdout


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (["--param", "min_vote_share=0.5"], "ssa"),
        (["--mask-param", "points_per_side=3"], "masks"),
        (["--segmentor", "maps:photos/..:camvid11"], "segmentor"),
        (["--segmentor", "maps:labels:cityscapes19"], "segmentor, classes"),
    ],
)
def test_other_settings_do_not_mix_with_what_is_there(tiny, change, named):
    run(*RUN)
    again = run(*RUN, *change, status=2)
    assert f"out holds results with other settings ({named})" in again.stderr


def test_other_settings_replace_what_is_there_when_asked(tiny):
    run(*RUN)
    again = run(*RUN, "--segmentor", "maps:labels:cityscapes19", "--overwrite")
    assert "3 images: 3 labelled, 0 were done already" in again.stdout
    cityscapes = load_class_table("cityscapes19").names
    assert [row["name"] for row in rows(tiny / "out" / "classes.csv")] == list(cityscapes)


def test_a_mistake_replaces_nothing(tiny):
    run(*RUN)
    wrong = run(*RUN, "--param", "rule=mean_logits", "--overwrite", status=2)
    assert "without logits" in wrong.stderr
    assert "3 images: 0 labelled, 3 were done already" in run(*RUN).stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere is not there"),
        (["photos", "--out", "photos/out"], "lies inside photos"),
        (["photos", "--sam", "nix"], "no model is called 'nix'"),
        (["photos", "--preset", "nix"], "'--preset'"),
        (["photos", "--masks", "nix"], "'--masks'"),
        (["photos", "--device", "tpu"], "'tpu'"),
        (["photos", "--param", "top_k"], "--param top_k: write it as NAME=VALUE"),
        (["photos", "--param", "nix=1"], "there is no 'nix'; choose one of: segmentor, rule"),
        (["photos", "--param", "min_vote_share=7"], "--param min_vote_share: Input should be"),
        (["photos", "--param", "rule=nix"], "--param rule: Input should be 'majority' or"),
        (["photos", "--param", "rule=mean_logits"], "gives labels without logits"),
        (["photos", "--mask-param", "nix=1"], "there is no 'nix'; choose one of"),
        (["photos", "--segmentor", "nix"], "the segmentor 'nix' is not known"),
        (["photos", "--segmentor", "maps:labels"], "lack their class table"),
        (["photos", "--segmentor", "maps:labels:nix"], "there is no class table 'nix'"),
        (["photos", "--segmentor", "maps:nix:camvid11"], "no folder of label maps at nix"),
        (["photos", "--segmentor", "seem:nix"], "no model is called 'nix'"),
        (["photos", "--segmentor", "seem", "--seem", "sam_tiny"], "'sam_tiny' is no seem model"),
    ],
)
def test_mistakes_are_one_sentence_and_leave_nothing(tiny, arguments, message):
    result = run("--out", "out", *TINY, *MAPS, *arguments, status=2)
    assert message in result.stderr
    assert result.stderr.strip().splitlines()[-1].startswith("Error: ")
    assert "Traceback" not in result.output
    assert not (tiny / "out").exists()


def test_the_folder_of_another_command_is_not_filled(tiny):
    (tiny / "out").mkdir()
    (tiny / "out" / "settings.json").write_text('{"sam": 1, "seem": 2}')
    assert "results with other settings (sam, masks" in run(*RUN, status=2).stderr
    (tiny / "out" / "settings.json").write_text("[]")
    assert "is of something else: choose another --out" in run(*RUN, status=2).stderr
