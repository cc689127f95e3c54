import json
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from seg_assets.classes.record import table_record
from seg_assets.classes.table import load_class_table
from seg_assets.cli import main
from seg_assets.cli.export import FORMATS
from seg_assets.data.formats.folder import find_folder_images
from seg_assets.data.shards import Shard, register_shards
from seg_assets.stages.raw_images import record_raw_images
from seg_assets.storage.png import png_cell
from seg_assets.storage.store import Store
from seg_assets_tests.stages.conftest import write_pictures

CAR = 13


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A shard of two images with SEEM's maps and no masks."""
    write_pictures(tmp_path, 2)
    return labelled(tmp_path)


def labelled(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store")
    shard = Shard("both", tuple(find_folder_images(tmp_path / "images")))
    register_shards(store, [shard])
    record_raw_images(store, shard)
    table = load_class_table("base28")
    ids = [image.image_id for image in shard.images]
    with store.write_shard("sam_masks", "both", ids, {}) as writer:
        for image_id in ids:
            writer.add(image_id, [])
    told = {"classes": table_record(table), "source_classes": table_record(table)}
    with store.write_shard("seem_labels", "both", ids, told) as writer:
        for image_id in ids:
            labels = np.zeros((48, 64), np.uint8)
            labels[10:30, 10:30] = CAR
            cell = png_cell(labels, table.palette(), image_id)
            writer.add(image_id, [{"label_map": cell, "source_map": cell}])
    return store


def run(store: Store, out: Path, *arguments: str, status: int = 0) -> Result:
    options = ["--out", str(out), "--store", store.root]
    result = CliRunner().invoke(main, ["export", *options, *arguments])
    assert result.exit_code == status, result.output
    return result


@pytest.mark.parametrize("form", FORMATS)
def test_each_format_is_written_and_says_where_to_look(
    store: Store, tmp_path: Path, form: str
) -> None:
    said = run(store, tmp_path / "out", form, "--maps", "seem").stdout.strip().splitlines()[-1]
    assert said.startswith(f"{form}: 2 images of 1 shard in the classes base28")
    assert said.endswith(f"look in {tmp_path / 'out'}")
    assert (tmp_path / "out" / "export.json").is_file()


def test_options_reach_the_export(store: Store, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ["semantic_png", "--shards", "both", "--maps", "seem", "--images", "copy"]
    run(store, out, *arguments)
    assert (out / "images" / "picture_000.png").is_file()
    assert np.unique(np.array(Image.open(out / "labels" / "picture_001.png"))).tolist() == [0, CAR]
    message = run(store, out, *arguments, status=2).stderr
    assert "holds an export already" in message
    run(store, out, *arguments, "--overwrite")
    said = run(store, tmp_path / "coco", "coco_instances", "--maps", "seem", "--stuff").stdout
    assert ", 4 annotations;" in said
    arguments = ["coco_instances", "--maps", "seem", "--things", "car, person"]
    assert ", 2 annotations;" in run(store, tmp_path / "things", *arguments).stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cvat", "--maps", "seem", "--masks", "whole"], "--masks is an option of coco_instances"),
        (["sa1b", "--stuff"], "--stuff is an option of coco_instances"),
        (["sa1b", "--image-prefix", "x"], "--image-prefix is an option of label_studio"),
        (["cvat", "--maps", "seem", "--shards", "a,,b"], "--shards 'a,,b' holds an empty name"),
        (["cvat", "--maps", "seem", "--things", "cat"], "no class 'cat'"),
        (["sa1b", "--things", "car"], "--things is an option of coco_instances, coco_panop"),
        (["semantic_png", "--maps", "seem", "--out", "s3://bucket/x"], "is no folder of this mach"),
        (["cvat"], "no shard of .* has finished"),
        (["pascal"], "'pascal' is not one of"),
    ],
)
def test_wrong_usage_is_one_sentence_and_status_2(
    store: Store, tmp_path: Path, arguments: list[str], message: str
) -> None:
    said = run(store, tmp_path / "out", *arguments, status=2).stderr
    assert re.search(message, said)
    assert "Traceback" not in said
    assert not (tmp_path / "out").exists()


def test_a_file_with_two_extensions_does_not_take_the_place_of_another(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for name, grey in (("x.png", 10), ("x.png.png", 200)):
        Image.new("L", (64, 48), grey).save(tmp_path / "images" / name)
    out = tmp_path / "out"
    run(labelled(tmp_path), out, "coco_instances", "--maps", "seem", "--images", "copy")
    names = ["x.png", "x.png.png"]
    told = json.loads((out / "instances.json").read_text())["images"]
    assert [image["file_name"] for image in told] == names
    assert [Image.open(out / "images" / name).getpixel((0, 0)) for name in names] == [10, 200]


def test_images_that_fail_now_give_status_1_and_those_that_failed_before_do_not(
    store: Store, tmp_path: Path
) -> None:
    picture = tmp_path / "images" / "picture_000.png"
    Image.new("RGB", (64, 48)).save(picture)
    arguments = ["semantic_png", "--maps", "seem"]
    run(store, tmp_path / "maps", *arguments)
    result = run(store, tmp_path / "copied", *arguments, "--images", "copy", status=1)
    assert "1 images could not be exported" in result.stderr
    assert (tmp_path / "copied" / "labels" / "picture_001.png").is_file()
    reader = store.open_shard("seem_labels", "both")
    rows, told = reader.rows("picture_000"), {"classes": "base28", "by": "test"}
    with store.write_shard("seem_labels", "both", reader.image_ids, told) as writer:
        writer.add("picture_000", rows)
        writer.fail("picture_001", "seem", "no memory")
    result = run(store, tmp_path / "one", *arguments)
    assert result.stdout.startswith("semantic_png: 1 images of 1 shard")
    assert "1 images have no results" in result.stderr
    assert "seem failed: no memory" in (tmp_path / "one" / "errors.csv").read_text()
