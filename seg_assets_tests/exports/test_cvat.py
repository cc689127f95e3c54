import io
import zipfile
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from seg_assets.classes.table import ClassTable, SemanticClass, load_class_table
from seg_assets.data.panoptic.segments import describe_segments
from seg_assets.errors import InputError
from seg_assets.exports.cvat import _Writer as Writer
from seg_assets.exports.cvat import export_cvat, number_objects, object_colors
from seg_assets.exports.folder import ExportFolder
from seg_assets.exports.request import ExportRequest, Maps
from seg_assets.exports.things import thing_names
from seg_assets.storage.store import Store
from seg_assets_tests.exports.conftest import GOOD, stored_map
from seg_assets_tests.exports.literal import TABLE, image_of, rows_of

Requests = Callable[..., ExportRequest]


def read_labels(archive: zipfile.ZipFile) -> dict[tuple[int, ...], str]:
    """Colour -> name, as CVAT reads labelmap.txt."""
    labels = {}
    for line in archive.read("labelmap.txt").decode().splitlines():
        if not line.startswith("#"):
            name, color, parts, actions = line.split(":")
            assert parts == actions == ""
            labels[tuple(map(int, color.split(",")))] = name
    return labels


def read_colors(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    with Image.open(io.BytesIO(archive.read(name))) as picture:
        assert picture.mode == "RGB"
        return np.array(picture)


@pytest.mark.parametrize("maps", ["semantic", "merged", "seem", "ssa"])
def test_colours_lead_back_to_the_map(finished: Store, request_of: Requests, maps: Maps) -> None:
    summary = export_cvat(request_of(maps=maps))
    table = load_class_table(summary.classes or "")
    things = thing_names(table)
    objects = 0
    for shard, image_ids in GOOD.items():
        with zipfile.ZipFile(summary.out / f"{shard}.zip") as archive:
            assert archive.testzip() is None
            labels = read_labels(archive)
            assert len(labels) == len(table) + 1
            names = archive.read("ImageSets/Segmentation/default.txt").decode().splitlines()
            assert names == [f"{shard}/{image_id}" for image_id in image_ids]
            for image_id, name in zip(image_ids, names, strict=True):
                classes = read_colors(archive, f"SegmentationClass/{name}.png")
                numbers = read_colors(archive, f"SegmentationObject/{name}.png")
                found = np.array([labels[tuple(c)] for c in classes.reshape(-1, 3).tolist()])
                stored = stored_map(finished, maps, shard, image_id)
                expected = [table.name_of(i) for i in stored.ravel().tolist()]
                assert found.tolist() == expected
                # an object has one class; stuff is one object
                flat = numbers.reshape(-1, 3) @ [1, 256, 65536]
                pairs = set(zip(flat.tolist(), found.tolist(), strict=True))
                assert len({number for number, _ in pairs}) == len(pairs)
                assert 0 not in {number for number, _ in pairs}
                stuff = [class_name for _, class_name in pairs if class_name not in things]
                assert len(set(stuff)) == len(stuff)
                objects += len(pairs)
    assert objects == summary.objects


def test_unlabelled_pixels_are_background_in_both_masks(tmp_path) -> None:
    labels = rows_of("01.", "111", none=255)
    with ExportFolder(tmp_path / "out") as folder, Writer(folder, TABLE, things=None) as writer:
        writer.add(image_of(labels, rows_of("12.", "322")))
        writer.end_shard("shard")
    with zipfile.ZipFile(tmp_path / "out" / "shard.zip") as archive:
        named = read_labels(archive)
        classes = read_colors(archive, "SegmentationClass/one.png").tolist()
        found = [[named[tuple(color)] for color in row] for row in classes]
        numbers = read_colors(archive, "SegmentationObject/one.png")
    assert found == [["sky", "car", "background"], ["car", "car", "car"]]
    assert len({tuple(color) for row in numbers.tolist() for color in row}) == 4
    assert numbers[0, 2].tolist() == [0, 0, 0]
    assert numbers[0, 1].tolist() == numbers[1, 1].tolist() != numbers[1, 0].tolist()


def test_the_same_labels_give_the_same_zip(request_of: Requests, tmp_path) -> None:
    for name in ("first", "second"):
        export_cvat(request_of(out=tmp_path / name))
    for shard in GOOD:
        first, second = (tmp_path / name / f"{shard}.zip" for name in ("first", "second"))
        assert first.read_bytes() == second.read_bytes()


def test_object_colours_are_pascal_vocs() -> None:
    # the first colours of VOC's own palette
    assert object_colors(9).tolist() == [
        [0, 0, 0],
        [128, 0, 0],
        [0, 128, 0],
        [128, 128, 0],
        [0, 0, 128],
        [128, 0, 128],
        [0, 128, 128],
        [128, 128, 128],
        [64, 0, 0],
    ]
    assert len(np.unique(object_colors(256), axis=0)) == 256


def test_more_than_255_objects_share_numbers_within_their_class() -> None:
    ids = np.repeat(np.arange(1, 301), np.arange(300, 0, -1))[None]
    categories = {i: 1 + i % 3 for i in range(1, 301)}
    numbers = number_objects(describe_segments(ids, categories))
    assert set(numbers.values()) == set(range(1, 256))
    assert [numbers[i] for i in range(1, 253)] == list(range(1, 253))  # the largest stay alone
    classes_of = {}
    for segment, number in numbers.items():
        classes_of.setdefault(number, set()).add(categories[segment])
    assert all(len(classes) == 1 for classes in classes_of.values())
    few = number_objects(describe_segments(ids[:, :300], categories))
    assert few == {1: 1}


@pytest.mark.parametrize("name", ["a:b", "#sharp", "two\nlines"])
def test_names_that_the_list_cannot_hold_are_refused(tmp_path, name: str) -> None:
    table = ClassTable("own", "own", (SemanticClass(0, name, (1, 2, 3)),))
    with pytest.raises(InputError, match="CVAT's list of labels cannot hold the name"):
        Writer(ExportFolder(tmp_path / "out"), table, things=None)
