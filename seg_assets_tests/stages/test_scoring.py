"""What is stored with the options of scoring: grouped maps, confidence, dense scores."""

import numpy as np
import pytest

from seg_assets.classes.mapping import load_class_map
from seg_assets.data.shards import Shard
from seg_assets.defs.assets.labels import logit_metadata
from seg_assets.labels import score_storage
from seg_assets.labels.confidence import from_levels
from seg_assets.labels.logit_factors import LogitFactors
from seg_assets.labels.params import LabelParams
from seg_assets.labels.score_storage import decode_scores
from seg_assets.stages.maps import merge_maps, paint_semantic_maps
from seg_assets.stages.raw_images import record_raw_images
from seg_assets.stages.sam_masks import generate_sam_masks
from seg_assets.stages.seem_labels import label_with_seem
from seg_assets.storage.png import decode_label_map
from seg_assets.storage.store import Store
from seg_assets_tests.stages.conftest import EVERYTHING

pytestmark = pytest.mark.usefixtures("tiny_models")

IMAGE = "picture_001"


@pytest.fixture
def labelled(store: Store, shard: Shard):
    record_raw_images(store, shard)
    generate_sam_masks(store, shard.name, sam="sam_tiny", params=EVERYTHING)

    def run(**options) -> dict:
        """The rows of one image, of all assets that hold one row for it, in one mapping."""
        label_with_seem(store, shard.name, seem="seem_demo", params=LabelParams(**options))
        paint_semantic_maps(store, shard.name)
        merge_maps(store, shard.name)
        rows = store.open_shard("seem_logits", shard.name).rows(IMAGE)[0]
        rows |= store.open_shard("seem_labels", shard.name).rows(IMAGE)[0]
        rows["semantic"] = store.open_shard("semantic_maps", shard.name).rows(IMAGE)[0]["label_map"]
        rows["merged"] = store.open_shard("merged_maps", shard.name).rows(IMAGE)[0]["label_map"]
        return rows

    return run


def pixels(cell: dict) -> np.ndarray:
    return decode_label_map(cell["bytes"])


def test_regions_decoded_in_other_batches_are_not_labelled_anew(store, shard, labelled):
    labelled()
    again = LabelParams(prompts_per_batch=1)
    report = label_with_seem(store, shard.name, seem="seem_demo", params=again)
    assert report.reused == 3
    other = LabelParams(top_k=1)
    assert label_with_seem(store, shard.name, seem="seem_demo", params=other).reused == 0


def test_by_default_only_factors_are_stored(labelled):
    rows = labelled()
    assert rows["dense_scores"] is None
    assert (rows["confidence"], rows["margin"]) == (None, None)
    lut = load_class_map("coco133", "base28").lut
    np.testing.assert_array_equal(pixels(rows["label_map"]), lut[pixels(rows["source_map"])])


def test_groups_decide_maps_confidence_and_dense_scores_alike(labelled):
    rows = labelled(scoring="group", confidence_maps=True, dense_scores=True)
    to_base28, factors = load_class_map("coco133", "base28"), LogitFactors.from_row(rows)
    np.testing.assert_array_equal(pixels(rows["source_map"]), factors.argmax())
    label_map = factors.argmax(class_map=to_base28)
    np.testing.assert_array_equal(pixels(rows["label_map"]), label_map)
    sure = factors.confidence(class_map=to_base28)
    for name, expected in (("confidence", sure.winner), ("margin", sure.margin)):
        stored = from_levels(decode_label_map(rows[name]))
        np.testing.assert_allclose(stored, expected, atol=1 / 510 + 1e-6)
    dense = decode_scores(rows)
    np.testing.assert_allclose(dense, factors.scores(class_map=to_base28), atol=2e-3)


def test_merged_classes_may_compete_themselves(labelled):
    """`semantic_classes="merged19"`: pixels and regions choose among the 19 sums."""
    rows = labelled(scoring="group", semantic_classes="merged19")
    to_merged = load_class_map("coco133", "merged19")
    expected = LogitFactors.from_row(rows).argmax(class_map=to_merged)
    np.testing.assert_array_equal(pixels(rows["label_map"]), expected)
    assert pixels(rows["semantic"]).max() < 19
    np.testing.assert_array_equal(pixels(rows["merged"]), pixels(rows["semantic"]))


def test_the_size_of_the_logits_is_told(store, shard, labelled):
    labelled()
    told = logit_metadata(store, shard.name)
    stored = store.open_shard("seem_logits", shard.name).manifest.totals["bytes"]
    assert told["logit_bytes_per_image"] == round(stored / 3)
    dense = 3 * 133 * 48 * 64 * 2
    assert told["times_smaller_than_dense_scores"] == pytest.approx(dense / stored, abs=0.1)
    assert 1 <= told["queries_per_image"] <= 30


def test_images_whose_dense_scores_cannot_be_stored_fail_before_they_are_read(
    monkeypatch, store, shard, labelled
):
    monkeypatch.setattr(score_storage, "MOST_BYTES", 28 * 48 * 64 * 2 - 1)
    report = label_with_seem(
        store, shard.name, seem="seem_demo", params=LabelParams(dense_scores=True)
    )
    assert "features" not in report.seconds_per_step
    failed = store.open_shard("seem_labels", shard.name).failed
    assert len(failed) == 3
