"""Two real shards, made by the stages with the demo models: ids with slashes, one id in both."""

import io
import itertools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from seg_assets.classes.record import table_record
from seg_assets.data.formats.folder import find_folder_images
from seg_assets.data.scenes import make_scene
from seg_assets.data.shards import Shard, register_shards
from seg_assets.exports.request import ExportRequest, Maps
from seg_assets.exports.shard_labels import MAPS_ASSETS
from seg_assets.labels.params import LabelParams
from seg_assets.labels.ssa import paint_votes, vote_masks
from seg_assets.labels.ssa_params import SsaParams
from seg_assets.labels.tables import stored_classes
from seg_assets.masks.params import MaskParams
from seg_assets.masks.records import MaskRecord
from seg_assets.stages.maps import merge_maps, paint_semantic_maps
from seg_assets.stages.raw_images import record_raw_images
from seg_assets.stages.sam_masks import generate_sam_masks
from seg_assets.stages.seem_labels import label_with_seem
from seg_assets.storage.lineage import upstream
from seg_assets.storage.png import decode_label_map, png_cell
from seg_assets.storage.store import Store

LEFT, RIGHT = "left", "right"
GOOD = {LEFT: ["c", "city/a", "city/b"], RIGHT: ["city/a", "d"]}
"""Image ids with results, in order; shard left has a broken image as well, behind c."""
BROKEN = "city/Broken"

SIZE = (96, 128)  # rows, columns: what is confused shows
_MASKS = MaskParams.preset("demo").model_copy(update={"points_per_side": 6})
_LABELS = LabelParams(short_side=128)
_VOTES = SsaParams(min_vote_share=0.6)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The store; nothing may change it: tests that do so take `store`."""
    folder = tmp_path_factory.mktemp("exports")
    store = Store(folder / "store")
    seeds = itertools.count()
    for name, image_ids in GOOD.items():
        for image_id in image_ids:
            path = folder / name / f"{image_id}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            scene = make_scene(next(seeds), SIZE, view="close")
            Image.fromarray(scene.image).save(path)
        if name == LEFT:
            (folder / name / f"{BROKEN}.png").write_bytes(b"no picture")
        shard = Shard(name, tuple(find_folder_images(folder / name)))
        register_shards(store, [shard])
        record_raw_images(store, shard)
        generate_sam_masks(store, name, sam="sam_demo", params=_MASKS)
        label_with_seem(store, name, seem="seem_demo", params=_LABELS)
        paint_semantic_maps(store, name)
        merge_maps(store, name)
        _vote(store, name)
    return store


def _vote(store: Store, shard: str) -> None:
    """SSA with SEEM's own map as the segmentor's."""
    masks, seem = store.open_shard("sam_masks", shard), store.open_shard("seem_labels", shard)
    table = stored_classes(seem, "source_classes")
    provenance = {"classes": table_record(table), "upstream": upstream(masks, seem)}
    with (
        store.write_shard("ssa_masks", shard, masks.image_ids, provenance) as votes_writer,
        store.write_shard("ssa_maps", shard, masks.image_ids, provenance) as maps_writer,
    ):
        for image_id, rows in masks:
            records = [MaskRecord.from_row(row) for row in rows]
            own = decode_label_map(seem.rows(image_id)[0]["source_map"]["bytes"])
            votes = vote_masks(records, own, _VOTES)
            votes_writer.add(image_id, [vote.to_row(image_id) for vote in votes])
            cells = {
                "label_map": png_cell(paint_votes(records, votes, own), table.palette(), image_id),
                "segmentor_map": png_cell(own, table.palette(), image_id),
            }
            maps_writer.add(image_id, [cells])


@pytest.fixture
def store(finished: Store, tmp_path: Path) -> Store:
    """A copy that the test may change."""
    shutil.copytree(finished.root, tmp_path / "store")
    return Store(tmp_path / "store")


@pytest.fixture
def request_of(finished: Store, tmp_path: Path) -> Callable[..., ExportRequest]:
    """Makes a request for the finished store into a fresh folder."""

    def make(**settings: Any) -> ExportRequest:
        return ExportRequest(**{"store": finished, "out": tmp_path / "out", **settings})

    return make


def stored_map(store: Store, maps: Maps, shard: str, image_id: str) -> np.ndarray:
    """A label map as the store has it."""
    rows = store.open_shard(MAPS_ASSETS[maps], shard).rows(image_id)
    return np.array(Image.open(io.BytesIO(rows[0]["label_map"]["bytes"])))


def good_images() -> list[tuple[str, str, str, int]]:
    """Shard, image id, name in an export of both shards, and number; of all with results."""
    # number 2 is the broken image
    numbers = iter([1, 3, 4, 5, 6])
    return [
        (shard, image_id, f"{shard}/{image_id}", next(numbers))
        for shard, image_ids in GOOD.items()
        for image_id in image_ids
    ]


def files_below(folder: Path) -> list[str]:
    """Names of all files below a folder, sorted."""
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
