import io
import json
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pytest
from pycocotools.coco import COCO

from seg_assets.classes.record import table_record
from seg_assets.classes.table import ClassTable, SemanticClass, load_class_table
from seg_assets.errors import InputError
from seg_assets.exports.coco_instances import export_coco_instances
from seg_assets.exports.request import ExportRequest, Maps
from seg_assets.exports.things import thing_names
from seg_assets.storage.store import Store
from seg_assets_tests.exports.conftest import RIGHT, good_images, stored_map

# pycocotools' own arrays do not know a keyword of NumPy 2
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

Requests = Callable[..., ExportRequest]


def read(out: Path) -> COCO:
    with redirect_stdout(io.StringIO()):
        return COCO(str(out / "instances.json"))


def check(coco: COCO, annotation: dict) -> np.ndarray:
    """What is true of each annotation; returns its mask, bool."""
    mask = coco.annToMask(annotation).astype(bool)
    rows, columns = np.nonzero(mask)
    x, y = columns.min(), rows.min()
    assert annotation["bbox"] == [x, y, columns.max() - x + 1, rows.max() - y + 1]
    assert annotation["area"] == mask.sum()
    assert annotation["iscrowd"] == 0
    return mask


@pytest.mark.parametrize("maps", ["semantic", "merged", "ssa"])
def test_regions_are_disjoint_and_have_the_pixels_and_classes_of_the_map(
    finished: Store, request_of: Requests, maps: Maps
) -> None:
    summary = export_coco_instances(request_of(maps=maps, pictures="copy"))
    coco = read(summary.out)
    table = load_class_table(summary.classes or "")
    things = thing_names(table)
    assert {item["name"] for item in coco.loadCats(coco.getCatIds())} == things
    assert coco.getImgIds() == [number for *_, number in good_images()]
    found = 0
    for shard, image_id, name, number in good_images():
        (entry,) = coco.loadImgs(number)
        assert (entry["file_name"], entry["height"], entry["width"]) == (f"{name}.png", 96, 128)
        assert (summary.out / "images" / entry["file_name"]).is_file()
        labels = stored_map(finished, maps, shard, image_id)
        covered = np.zeros(labels.shape, bool)
        rows = finished.open_shard("sam_masks", shard).rows(image_id)
        whole = [coco.annToMask({"image_id": number, "segmentation": _rle(row)}) for row in rows]
        for annotation in coco.loadAnns(coco.getAnnIds(number)):
            mask = check(coco, annotation)
            (category,) = coco.loadCats(annotation["category_id"])
            assert (labels[mask] == table.id_of(category["name"])).all()
            assert not covered[mask].any()
            assert any(not (mask & (of_mask == 0)).any() for of_mask in whole)  # inside of one
            assert 0 <= annotation["score"] <= 1
            covered |= mask
            found += 1
        # what is left of the things lies in no mask
        left = np.isin(labels, [table.id_of(item) for item in things]) & ~covered
        painted = np.any(whole, axis=0)
        if maps == "ssa":  # masks that were not kept left the segmentor's labels
            kept = [r["kept"] for r in finished.open_shard("ssa_masks", shard).rows(image_id)]
            painted = np.any([m for m, k in zip(whole, kept, strict=True) if k], axis=0)
        assert not (left & painted).any()
    assert found == summary.objects
    assert found > 5


def _rle(row: dict) -> dict:
    return {"size": [row["height"], row["width"]], "counts": row["rle_counts"]}


def test_whole_masks_are_those_of_the_store(finished: Store, request_of: Requests) -> None:
    summary = export_coco_instances(request_of(maps="ssa"), masks="whole", stuff=True)
    coco = read(summary.out)
    names = load_class_table("coco133").names
    for shard, image_id, _, number in good_images():
        masks = finished.open_shard("sam_masks", shard).rows(image_id)
        votes = finished.open_shard("ssa_masks", shard).rows(image_id)
        annotations = coco.loadAnns(coco.getAnnIds(number))
        expected = [(m, v) for m, v in zip(masks, votes, strict=True) if v["kept"]]
        assert len(annotations) == len(expected)
        for annotation, (mask, vote) in zip(annotations, expected, strict=True):
            stored = coco.annToMask({"image_id": number, "segmentation": _rle(mask)})
            np.testing.assert_array_equal(check(coco, annotation), stored)
            (category,) = coco.loadCats(annotation["category_id"])
            assert category["name"] == names[vote["class_id"]]
            assert annotation["score"] == vote["vote_share"]


def test_stuff_is_one_annotation_per_class(finished: Store, request_of: Requests) -> None:
    summary = export_coco_instances(request_of(), stuff=True)
    coco = read(summary.out)
    base = load_class_table("base28")
    assert len(coco.getCatIds()) == 28
    seen = 0
    for shard, image_id, _, number in good_images():
        labels = stored_map(finished, "semantic", shard, image_id)
        annotations = coco.loadAnns(coco.getAnnIds(number))
        for name in set(base.names) - thing_names(base):
            (category,) = coco.getCatIds(catNms=[name])
            found = [a for a in annotations if a["category_id"] == category]
            expected = labels == base.id_of(name)
            assert len(found) == expected.any()
            for annotation in found:
                np.testing.assert_array_equal(check(coco, annotation), expected)
                assert "score" not in annotation
                seen += 1
    assert seen > 10


def test_maps_without_masks_give_connected_parts(finished: Store, request_of: Requests) -> None:
    summary = export_coco_instances(request_of(maps="seem"))
    coco = read(summary.out)
    assert summary.objects > 0
    for annotation in coco.loadAnns(coco.getAnnIds()):
        check(coco, annotation)
        assert "score" not in annotation
    with pytest.raises(InputError, match="SEEM's own maps are not made of masks"):
        export_coco_instances(request_of(maps="seem"), masks="whole")


def test_things_may_be_chosen(request_of: Requests) -> None:
    summary = export_coco_instances(request_of(things=("sky", "person")))
    names = [item["name"] for item in read(summary.out).dataset["categories"]]
    assert names == ["sky", "person"]


def test_classes_without_things_are_refused(store: Store, tmp_path: Path) -> None:
    own = ClassTable("own", "own", (SemanticClass(0, "bolt", (9, 9, 9)),))
    for asset in ("ssa_masks", "ssa_maps"):
        reader = store.open_shard(asset, RIGHT)
        rows = dict(iter(reader))
        with store.write_shard(
            asset, RIGHT, reader.image_ids, {"classes": table_record(own)}
        ) as writer:
            for image_id, found in rows.items():
                writer.add(image_id, found)
    request = ExportRequest(store, tmp_path / "out", shards=(RIGHT,), maps="ssa")
    with pytest.raises(InputError, match="no class of own is known to be a thing: name the things"):
        export_coco_instances(request)
    assert not (tmp_path / "out").exists()


def test_records_have_the_keys_of_real_files(request_of: Requests, shared_dir: Path) -> None:
    out = export_coco_instances(request_of()).out
    found = json.loads((out / "instances.json").read_bytes())
    real = json.loads((shared_dir / "data/coco_instances/instances_val2017.json").read_bytes())
    assert real["annotations"][0].keys() <= found["annotations"][0].keys()
    assert real["categories"][0].keys() <= found["categories"][0].keys()
    assert {"id", "file_name", "height", "width"} <= real["images"][0].keys()
    assert found["images"][0].keys() == {"id", "file_name", "height", "width"}
