from dataclasses import replace

import dagster as dg
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from seg_assets.cli import main
from seg_assets.data.shards import list_shards, load_shard, register_shards
from seg_assets.storage.store import Store


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.setenv("SEG_DATA_DIR", str(tmp_path / "data"))
    for city in ("bath", "york"):
        (tmp_path / "photos" / city).mkdir(parents=True)
        for number in range(3):
            save_image(tmp_path / "photos" / city / f"{number}.png")
    return tmp_path


@pytest.fixture
def store(folder):
    return Store(folder / "data")


@pytest.fixture
def dagster_home(folder, monkeypatch):
    home = folder / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    return home


def save_image(path):
    Image.fromarray(np.zeros((4, 5, 3), np.uint8)).save(path)


def run(*arguments, status=0):
    result = CliRunner().invoke(main, ["shards", *map(str, arguments)])
    assert result.exit_code == status, result.output
    return result


def partitions():
    with dg.DagsterInstance.get() as instance:
        return instance.get_dynamic_partitions("shards")


def test_a_folder_becomes_shards_and_images_stay_where_they_are(folder, store):
    result = run("add", folder / "photos", "--shard-size", 2, "--prefix", "trip")
    assert "6 images in 3 shards, 3 of them new or changed" in result.stdout
    assert "trip_0000 to trip_0002" in result.stdout
    assert list_shards(store) == ["trip_0000", "trip_0001", "trip_0002"]
    image = load_shard(store, "trip_0000").images[0]
    assert (image.image_id, image.uri) == ("bath/0", str(folder / "photos" / "bath" / "0.png"))


def test_without_an_instance_it_is_said_that_dagster_does_not_know(folder):
    assert "DAGSTER_HOME is not set" in run("add", folder / "photos").stderr


def test_adding_again_changes_nothing(folder):
    run("add", folder / "photos")
    assert "0 of them new or changed" in run("add", folder / "photos").stdout


def test_other_images_under_the_same_name_need_a_word(folder, store):
    run("add", folder / "photos")
    save_image(folder / "photos" / "9.png")
    assert "photos_0000" in run("add", folder / "photos", status=2).stderr
    run("add", folder / "photos", "--replace")
    assert len(load_shard(store, "photos_0000").images) == 7


def test_labels_and_their_format_are_kept(folder, store):
    (folder / "truth" / "bath").mkdir(parents=True)
    save_image(folder / "truth" / "bath" / "0.png")
    options = ("--labels", folder / "truth", "--label-format", "png:camvid11")
    run("add", folder / "photos", *options)
    shard = load_shard(store, "photos_0000")
    assert (shard.label_format, shard.label_source) == ("png:camvid11", str(folder / "truth"))
    assert [bool(image.label_uri) for image in shard.images] == [True] + [False] * 5


def test_images_without_truth_and_truth_without_an_image_are_told(folder):
    (folder / "truth" / "bath").mkdir(parents=True)
    for name in ("0", "1", "7", "8", "9"):
        save_image(folder / "truth" / "bath" / f"{name}.png")
    options = ("--labels", folder / "truth", "--label-format", "png:camvid11")
    result = run("add", folder / "photos", *options)
    assert "2 of 6 images have ground truth (png:camvid11, classes camvid11)" in result.stdout
    assert "4 images without ground truth, bath/2 first" in result.stderr
    assert "ground truth of 3 images that are not there, bath/7 first" in result.stderr
    limited = run("add", folder / "photos", *options, "--limit", 1, "--prefix", "few")
    assert "1 of 1 images have ground truth" in limited.stdout
    assert "that are not there" not in limited.stderr


def test_a_shard_of_an_older_release_learns_where_its_labels_lie(folder, store):
    (folder / "truth" / "bath").mkdir(parents=True)
    save_image(folder / "truth" / "bath" / "0.png")
    options = ("--labels", folder / "truth", "--label-format", "png:camvid11")
    run("add", folder / "photos", *options)
    shard = load_shard(store, "photos_0000")
    old = replace(shard, label_source=None)
    register_shards(store, [old], replace=True)
    assert load_shard(store, "photos_0000") == old
    assert "1 of them new or changed" in run("add", folder / "photos", *options).stdout
    assert load_shard(store, "photos_0000") == shard


def test_a_limit_takes_the_first_images(folder, store):
    run("add", folder / "photos", "--limit", 4)
    ids = [image.image_id for image in load_shard(store, "photos_0000").images]
    assert ids == ["bath/0", "bath/1", "bath/2", "york/0"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere is not there"),
        (["empty"], "holds no images"),
        (["empty.tar"], "empty.tar"),
        (["photos", "--labels", "truth"], "truth is not there"),
        (["photos", "--labels", "photos"], "the label format of photos is not recognised"),
        (["photos", "--labels", "photos", "--label-format", "jpg"], "'jpg' is unknown"),
        (["photos", "--label-format", "camvid"], "give --labels too"),
        (["photos", "--shard-size", "0"], "'--shard-size'"),
        (["photos", "--format", "jpg"], "'--format'"),
        (["photos", "--prefix", "a/b"], "'a/b'"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(folder, monkeypatch, arguments, message):
    monkeypatch.chdir(folder)
    (folder / "empty").mkdir()
    (folder / "empty.tar").touch()
    result = run("add", *arguments, status=2)
    assert message in result.stderr
    assert "Traceback" not in result.output


def test_the_list_shows_what_is_finished(folder, store):
    assert "No shards are registered" in run("list").stdout
    run("add", folder / "photos", "--shard-size", 3)
    with store.write_shard("raw_images", "photos_0000", ["bath/0"], {}) as writer:
        writer.fail("bath/0", "raw_images", "it is a test")
    assert run("list").stdout.splitlines() == [
        "photos_0000\t3 images\tno labels\traw_images",
        "photos_0001\t3 images\tno labels\tnothing done yet",
    ]


def test_another_store_can_be_named(folder):
    run("add", folder / "photos", "--store", folder / "elsewhere")
    assert list_shards(Store(folder / "elsewhere")) == ["photos_0000"]
    assert "photos_0000" in run("list", "--store", folder / "elsewhere").stdout
    assert "No shards" in run("list").stdout


def test_removing_forgets_the_shard_and_keeps_its_results(folder, store):
    run("add", folder / "photos", "--shard-size", 3)
    with store.write_shard("raw_images", "photos_0000", ["bath/0"], {}) as writer:
        writer.fail("bath/0", "raw_images", "it is a test")
    run("remove", "photos_0000")
    assert list_shards(store) == ["photos_0001"]
    assert store.shards("raw_images") == ["photos_0000"]


def test_removing_with_results_deletes_them(folder, store):
    run("add", folder / "photos")
    with store.write_shard("raw_images", "photos_0000", ["bath/0"], {}) as writer:
        writer.fail("bath/0", "raw_images", "it is a test")
    run("remove", "--results", "photos_0000")
    assert store.shards("raw_images") == []


def test_an_unknown_shard_stops_before_anything_is_removed(folder, store):
    run("add", folder / "photos")
    result = run("remove", "photos_0000", "photos_0009", status=2)
    assert "photos_0009" in result.stderr
    assert list_shards(store) == ["photos_0000"]


def test_shards_come_and_go_as_dagster_partitions(folder, dagster_home):
    result = run("add", folder / "photos", "--shard-size", 2)
    assert "Dagster knows them as partitions 'shards'" in result.stdout
    names = ["photos_0000", "photos_0001", "photos_0002"]
    assert sorted(partitions()) == names
    run("add", folder / "photos", "--shard-size", 2)
    assert sorted(partitions()) == names
    run("remove", "photos_0001")
    assert sorted(partitions()) == ["photos_0000", "photos_0002"]


@pytest.mark.parametrize("home", ["home", "/nowhere/at/all"])
def test_a_wrong_dagster_home_stops_before_anything_is_registered(folder, store, monkeypatch, home):
    monkeypatch.chdir(folder)
    (folder / "home").mkdir()
    monkeypatch.setenv("DAGSTER_HOME", home)
    assert f"DAGSTER_HOME is {home}" in run("add", folder / "photos", status=2).stderr
    assert list_shards(store) == []
