import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seg_assets.classes.table import load_class_table
from seg_assets.data.formats.sa1b_masks import Sa1bInstances
from seg_assets.exports.request import ExportRequest, Maps
from seg_assets.exports.sa1b import export_sa1b
from seg_assets.labels.fusion import RegionLabel
from seg_assets.storage.store import Store
from seg_assets_tests.exports.conftest import RIGHT, good_images, stored_map

# pycocotools' own arrays do not know a keyword of NumPy 2
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

Requests = Callable[..., ExportRequest]
FIELDS = {
    "id",
    "segmentation",
    "bbox",
    "area",
    "predicted_iou",
    "stability_score",
    "point_coords",
    "crop_box",
}
NAMES = {"class_id", "class_name", "class_score", "class_proposals", "class_proposal_scores"}


def read(out: Path, name: str) -> dict:
    return json.loads((out / "sa1b" / f"{name}.json").read_bytes())


def test_the_fields_are_those_of_real_files(request_of: Requests, shared_dir: Path) -> None:
    real = json.loads((shared_dir / "data/sa1b/sa_226381_partial.json").read_bytes())
    out = export_sa1b(request_of()).out
    for _, _, name, _ in good_images():
        content = read(out, name)
        assert content["image"].keys() == real["image"].keys()
        for annotation in content["annotations"]:
            assert annotation.keys() - NAMES == real["annotations"][0].keys()
            for field, value in real["annotations"][0].items():
                assert type(annotation[field]) is type(value), field


@pytest.mark.parametrize("maps", ["semantic", "merged", "seem", "ssa"])
def test_masks_and_maps_come_back_pixel_by_pixel(
    finished: Store, request_of: Requests, maps: Maps
) -> None:
    from pycocotools import mask as coco

    summary = export_sa1b(request_of(maps=maps))
    ids = []
    for shard, image_id, name, number in good_images():
        content = read(summary.out, name)
        assert content["image"] == {
            "image_id": number,
            "width": 128,
            "height": 96,
            "file_name": f"{image_id.rpartition('/')[2]}.png",
        }
        rows = finished.open_shard("sam_masks", shard).rows(image_id)
        assert len(rows) == len(content["annotations"])
        for row, annotation in zip(rows, content["annotations"], strict=True):
            ids.append(annotation["id"])
            found = coco.decode(annotation["segmentation"])
            stored = {"size": [row["height"], row["width"]], "counts": row["rle_counts"]}
            np.testing.assert_array_equal(found, coco.decode(stored))
            assert annotation["area"] == found.sum()
            for field in FIELDS - {"id", "segmentation"}:
                assert annotation[field] == row[field], field
        painted = np.full((96, 128), 255)
        for class_id, segmentation in content["semantic_mask"].items():
            inside = coco.decode(segmentation) > 0
            assert (painted[inside] == 255).all()
            painted[inside] = int(class_id)
        np.testing.assert_array_equal(painted, stored_map(finished, maps, shard, image_id))
    assert ids == list(range(1, summary.objects + 1))


def test_regions_give_their_masks_class_score_and_proposals(
    finished: Store, request_of: Requests
) -> None:
    out = export_sa1b(request_of(maps="semantic")).out
    base, coco = load_class_table("base28"), load_class_table("coco133")
    compared = 0
    for shard, image_id, name, _ in good_images():
        annotations = read(out, name)["annotations"]
        rows = finished.open_shard("region_labels", shard).rows(image_id)
        regions = {row["mask_id"]: RegionLabel.from_row(row) for row in rows}
        for mask_id, annotation in enumerate(annotations):
            assert annotation.keys() == FIELDS | NAMES
            assert isinstance(annotation["class_proposals"], list)
            if mask_id not in regions:
                assert annotation["class_name"] is None
                assert annotation["class_proposals"] == []
                continue
            region = regions[mask_id]
            assert annotation["class_id"] == region.class_id
            assert annotation["class_name"] == base.name_of(region.class_id)
            assert annotation["class_score"] == region.score
            assert annotation["class_proposals"] == [
                (*coco.names, "others")[item.source_id] for item in region.proposals
            ]
            assert annotation["class_proposal_scores"] == [p.score for p in region.proposals]
            compared += 1
    assert compared > 10


def test_merged_classes_are_those_that_the_merged_map_shows(
    finished: Store, request_of: Requests, tmp_path: Path
) -> None:
    merged = export_sa1b(request_of(maps="merged")).out
    semantic = export_sa1b(request_of(maps="semantic", out=tmp_path / "semantic")).out
    pairs = set()
    for _, _, name, _ in good_images():
        both = zip(
            read(merged, name)["annotations"], read(semantic, name)["annotations"], strict=True
        )
        pairs |= {(found["class_name"], other["class_name"]) for found, other in both}
    assert {("structure", "building"), ("animals", "animal"), ("ground", "earth")} <= pairs
    assert all((found is None) == (other is None) for found, other in pairs)


def test_votes_give_names_and_those_below_the_threshold_only_proposals(
    finished: Store, request_of: Requests
) -> None:
    out = export_sa1b(request_of(maps="ssa")).out
    names = load_class_table("coco133").names
    kept = []
    for shard, image_id, name, _ in good_images():
        rows = finished.open_shard("ssa_masks", shard).rows(image_id)
        for row, annotation in zip(rows, read(out, name)["annotations"], strict=True):
            expected = names[row["class_id"]] if row["kept"] else None
            assert annotation["class_name"] == expected
            assert annotation["class_score"] == row["vote_share"]
            assert annotation["class_proposals"] == [names[p["class_id"]] for p in row["proposals"]]
            kept.append(row["kept"])
    assert True in kept
    assert False in kept


def test_masks_without_names_have_the_plain_fields(store: Store, tmp_path: Path) -> None:
    store.delete("region_labels", RIGHT)
    out = export_sa1b(ExportRequest(store, tmp_path / "out", shards=(RIGHT,))).out
    content = read(out, "city/a")
    assert content.keys() == {"image", "annotations"}
    assert content["annotations"][0].keys() == FIELDS
    assert not (out / "classes.json").exists()


def test_names_of_sa1b_keep_their_numbers_and_its_reader_finds_the_pictures(
    store: Store, tmp_path: Path
) -> None:
    renamed = {"city/a": "sa_17", "d": "sa_5"}
    pictures = {}
    for old, new in renamed.items():
        (row,) = store.open_shard("raw_images", RIGHT).rows(old)
        path = tmp_path / f"{new}.jpg"
        Image.open(row["uri"]).save(path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        pictures[new] = {"uri": str(path), "format": "JPEG", "sha256": digest}
    for asset, changed in (("raw_images", pictures), ("sam_masks", {})):
        reader = store.open_shard(asset, RIGHT)
        rows = {new: reader.rows(old) for old, new in renamed.items()}
        with store.write_shard(asset, RIGHT, list(rows), {"by": "test"}) as writer:
            for new, found in rows.items():
                more = {"image_id": new, **changed.get(new, {})}
                writer.add(new, [{**row, **more} for row in found])
    store.delete("region_labels", RIGHT)
    request = ExportRequest(store, tmp_path / "out", shards=(RIGHT,), pictures="copy")
    out = export_sa1b(request).out
    assert read(out, "sa_17")["image"]["image_id"] == 17
    images = Sa1bInstances(str(out))
    assert len(images) == 2
    for image, name in zip((images[0], images[1]), ("sa_17", "sa_5"), strict=True):
        assert image.image_id.rpartition("/")[2] == name
        np.testing.assert_array_equal(image.image, np.array(Image.open(tmp_path / f"{name}.jpg")))
        rows = store.open_shard("sam_masks", RIGHT).rows(name)
        assert [int(mask.sum()) for mask in image.masks] == [row["area"] for row in rows]
