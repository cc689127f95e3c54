"""SSA over a shard: the chain's SEEM or label maps on disk vote, images fail alone."""

from pathlib import Path

import numpy as np
import pytest

from seg_assets.classes.table import load_class_table
from seg_assets.data.shards import Shard
from seg_assets.errors import ImageError, InputError, StoreError
from seg_assets.labels.params import LabelParams
from seg_assets.labels.seem_labeler import SeemLabeler
from seg_assets.labels.ssa import MaskVote, paint_votes, vote_masks
from seg_assets.labels.ssa_params import SsaParams
from seg_assets.labels.tables import stored_classes
from seg_assets.masks.records import MaskRecord
from seg_assets.stages.raw_images import record_raw_images
from seg_assets.stages.sam_masks import generate_sam_masks
from seg_assets.stages.seem_labels import label_with_seem
from seg_assets.stages.ssa import needs_device, vote_shard
from seg_assets.storage.png import decode_label_map, encode_label_map
from seg_assets.storage.store import Store
from seg_assets_tests.stages.conftest import EVERYTHING

pytestmark = pytest.mark.usefixtures("tiny_models")

TABLE = load_class_table("camvid11")


@pytest.fixture
def masked(store: Store, shard: Shard) -> Shard:
    record_raw_images(store, shard)
    generate_sam_masks(store, shard.name, sam="sam_tiny", params=EVERYTHING)
    return shard


@pytest.fixture
def maps(tmp_path: Path) -> Path:
    """Stripes of three classes and some pixels without label, for each good picture."""
    folder = tmp_path / "maps"
    folder.mkdir()
    for i in range(3):
        ids = np.random.default_rng(i).integers(0, 3, (48, 64)).astype(np.uint8)
        ids[:, 60:] = 255
        data = encode_label_map(ids, TABLE.palette())
        (folder / f"picture_{i:03d}.png").write_bytes(data)
    return folder


def params(maps: Path, **more) -> SsaParams:
    return SsaParams(segmentor=f"maps:{maps}:camvid11", **more)


def records(store: Store, shard: Shard, image_id: str) -> list[MaskRecord]:
    rows = store.open_shard("sam_masks", shard.name).rows(image_id)
    return [MaskRecord.from_row(row) for row in rows]


def picture(store: Store, shard: Shard, image_id: str, column: str) -> np.ndarray:
    row = store.open_shard("ssa_maps", shard.name).rows(image_id)[0]
    return decode_label_map(row[column]["bytes"])


def test_maps_on_disk_vote_as_the_library_does(store: Store, masked: Shard, maps: Path):
    vote_shard(store, masked.name, params=params(maps, min_vote_share=0.35))
    stored = store.open_shard("ssa_masks", masked.name)
    assert stored_classes(store.open_shard("ssa_maps", masked.name)) == TABLE
    kept = []
    for image_id in stored.image_ids:
        own = decode_label_map((maps / f"{image_id}.png").read_bytes())
        masks = records(store, masked, image_id)
        votes = vote_masks(masks, own, params(maps, min_vote_share=0.35))
        assert [MaskVote.from_row(row) for row in stored.rows(image_id)] == votes
        np.testing.assert_array_equal(picture(store, masked, image_id, "segmentor_map"), own)
        painted = picture(store, masked, image_id, "label_map")
        np.testing.assert_array_equal(painted, paint_votes(masks, votes, own))
        kept += [vote.kept for vote in votes]
    assert {True, False} == set(kept)


def test_the_chains_seem_votes_by_default(store: Store, masked: Shard):
    label_with_seem(store, masked.name, seem="seem_demo", params=LabelParams())
    vote_shard(store, masked.name, params=SsaParams())
    seem_labels = store.open_shard("seem_labels", masked.name)
    assert stored_classes(store.open_shard("ssa_maps", masked.name)).name == "coco133"
    for image_id in seem_labels.image_ids:
        own = decode_label_map(seem_labels.rows(image_id)[0]["source_map"]["bytes"])
        np.testing.assert_array_equal(picture(store, masked, image_id, "segmentor_map"), own)


def test_an_image_without_a_map_fails_alone_and_is_tried_again(
    store: Store, masked: Shard, maps: Path
):
    lost = maps / "picture_001.png"
    data = lost.read_bytes()
    lost.unlink()
    report = vote_shard(store, masked.name, params=params(maps))
    assert (report.images, report.failed) == (2, 1)
    assert "picture_001" in store.open_shard("ssa_maps", masked.name).failed
    lost.write_bytes(data)
    report = vote_shard(store, masked.name, params=params(maps))
    assert (report.images, report.failed) == (3, 0)


def test_an_image_that_seem_could_not_label_fails_alone(
    store: Store, masked: Shard, monkeypatch: pytest.MonkeyPatch
):
    read = SeemLabeler.read

    def read_all_but_the_first(labeler: SeemLabeler, *args, **options):
        monkeypatch.setattr(SeemLabeler, "read", read)
        raise ImageError("too large for this machine")

    monkeypatch.setattr(SeemLabeler, "read", read_all_but_the_first)
    label_with_seem(store, masked.name, seem="seem_demo", params=LabelParams())
    assert list(store.open_shard("seem_labels", masked.name).failed) == ["picture_000"]
    report = vote_shard(store, masked.name, params=SsaParams())
    assert (report.images, report.failed) == (2, 1)
    (failure,) = store.open_shard("ssa_masks", masked.name).failed.values()
    assert "seem_labels failed for picture_000" in failure[1]
    assert "too large for this machine" in failure[1]
    label_with_seem(store, masked.name, seem="seem_demo", params=LabelParams())
    report = vote_shard(store, masked.name, params=SsaParams())
    assert (report.images, report.failed) == (3, 0)


def test_the_same_votes_are_reused_and_others_are_made_anew(
    store: Store, masked: Shard, maps: Path
):
    vote_shard(store, masked.name, params=params(maps))
    assert vote_shard(store, masked.name, params=params(maps)).reused == 3
    assert vote_shard(store, masked.name, params=params(maps, top_k=1)).reused == 0


def test_edited_maps_are_voted_anew(store: Store, masked: Shard, maps: Path):
    vote_shard(store, masked.name, params=params(maps))
    ids = np.zeros((48, 64), np.uint8)
    (maps / "picture_000.png").write_bytes(encode_label_map(ids, TABLE.palette()))
    assert vote_shard(store, masked.name, params=params(maps)).reused == 0
    assert not picture(store, masked, "picture_000", "label_map").any()


def test_what_is_missing_is_named(store: Store, masked: Shard, maps: Path):
    with pytest.raises(StoreError, match="seem_labels has no finished shard"):
        vote_shard(store, masked.name, params=SsaParams())
    with pytest.raises(InputError, match="'nobody' is not known"):
        vote_shard(store, masked.name, params=SsaParams(segmentor="nobody"))
    with pytest.raises(InputError, match="no folder of label maps at"):
        vote_shard(store, masked.name, params=SsaParams(segmentor="maps:/nowhere:camvid11"))
    for segmentor in (f"maps:{maps}:camvid11", "seem"):
        wrong = SsaParams(segmentor=segmentor, rule="mean_logits")
        with pytest.raises(InputError, match="without logits"):
            vote_shard(store, masked.name, params=wrong)
    assert store.shards("ssa_maps") == []


def test_only_networks_need_a_device(maps: Path):
    assert not needs_device(SsaParams())
    assert not needs_device(params(maps))
    assert needs_device(SsaParams(segmentor="seem:seem_demo"))
    assert needs_device(SsaParams(segmentor="hf:some/model"))
