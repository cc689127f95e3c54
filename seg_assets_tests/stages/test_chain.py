"""The chain over a shard: results, bad images, reuse, and agreement with `Pipeline`."""

import numpy as np
import pytest

from seg_assets.classes.mapping import load_class_map
from seg_assets.data.images import read_image
from seg_assets.data.shards import Shard
from seg_assets.labels.logit_factors import LogitFactors
from seg_assets.labels.params import LabelParams
from seg_assets.labels.ssa_params import SsaParams
from seg_assets.masks.generator import MaskGenerator
from seg_assets.masks.params import MaskParams
from seg_assets.pipeline import Pipeline
from seg_assets.stages.evaluation import score_maps
from seg_assets.stages.evaluation_report import sum_shards, write_report
from seg_assets.stages.maps import merge_maps, paint_semantic_maps
from seg_assets.stages.raw_images import record_raw_images
from seg_assets.stages.run import StageReport
from seg_assets.stages.sam_masks import generate_sam_masks
from seg_assets.stages.seem_labels import label_with_seem
from seg_assets.stages.ssa import vote_shard
from seg_assets.storage.png import decode_label_map
from seg_assets.storage.store import Store
from seg_assets_tests.stages.conftest import EVERYTHING

pytestmark = pytest.mark.usefixtures("tiny_models")

GOOD = ["picture_000", "picture_001", "picture_002"]
ASSETS = (
    "raw_images",
    "sam_masks",
    "seem_logits",
    "seem_labels",
    "region_labels",
    "semantic_maps",
    "merged_maps",
    "ssa_masks",
    "ssa_maps",
    "evaluation_metrics",
    "evaluation_masks",
    "evaluation_objects",
)


def run_chain(
    store: Store, shard: Shard, params: MaskParams = EVERYTHING
) -> dict[str, StageReport]:
    return {
        "raw_images": record_raw_images(store, shard),
        "sam_masks": generate_sam_masks(store, shard.name, sam="sam_tiny", params=params),
        "seem": label_with_seem(store, shard.name, seem="seem_demo", params=LabelParams()),
        "semantic_maps": paint_semantic_maps(store, shard.name),
        "merged_maps": merge_maps(store, shard.name),
        "ssa": vote_shard(store, shard.name, params=SsaParams()),
        "evaluation_metrics": score_maps(store, shard),
    }


def read_map(store: Store, asset: str, shard: str, image_id: str, column: str = "label_map"):
    return decode_label_map(store.open_shard(asset, shard).rows(image_id)[0][column]["bytes"])


def test_bad_images_are_recorded_and_the_rest_gets_maps(store: Store, shard: Shard) -> None:
    reports = run_chain(store, shard)
    raw = store.open_shard("raw_images", shard.name)
    assert raw.image_ids == GOOD
    assert set(raw.failed) == {"picture_cut", "picture_not"}
    for stage, message in raw.failed.values():
        assert stage == "raw_images"
        assert "\n" not in message
        assert "picture_" in message
    assert reports["raw_images"].images == 3
    assert reports["raw_images"].failed == 2
    for asset in ASSETS[1:]:
        assert store.open_shard(asset, shard.name).image_ids == GOOD, asset
    for image_id in GOOD:
        merged = read_map(store, "merged_maps", shard.name, image_id)
        assert merged.shape == (48, 64)
        assert merged.max() < 19


def test_stages_and_pipeline_give_the_same(store: Store, shard: Shard) -> None:
    run_chain(store, shard)
    pipeline = Pipeline.load(sam="sam_tiny", seem="seem_demo", mask_params=EVERYTHING)
    for reference in shard.images[:3]:
        result = pipeline(read_image(reference))
        name = reference.image_id
        semantic = read_map(store, "semantic_maps", shard.name, name)
        np.testing.assert_array_equal(semantic, result.semantic_map)
        merged = read_map(store, "merged_maps", shard.name, name)
        np.testing.assert_array_equal(merged, result.merged_map)
        source = read_map(store, "seem_labels", shard.name, name, "source_map")
        factors = LogitFactors.from_row(store.open_shard("seem_logits", shard.name).rows(name)[0])
        np.testing.assert_array_equal(source, factors.argmax())
        assert len(store.open_shard("sam_masks", shard.name).rows(name)) == len(result.masks)


def test_running_again_reuses_what_succeeded_and_new_parameters_replace_the_shard(
    store: Store, shard: Shard
) -> None:
    run_chain(store, shard)
    before = {a: store.open_shard(a, shard.name).manifest.fingerprint for a in ASSETS}
    for name, report in run_chain(store, shard).items():
        # raw_images has failures in its only part, which is tried again
        assert report.reused == (0 if name == "raw_images" else 3), name
    assert before == {a: store.open_shard(a, shard.name).manifest.fingerprint for a in ASSETS}

    fewer = EVERYTHING.model_copy(update={"points_per_side": 2})
    reports = run_chain(store, shard, fewer)
    assert reports["sam_masks"].reused == 0
    assert reports["merged_maps"].reused == 0
    after = {a: store.open_shard(a, shard.name).manifest.fingerprint for a in ASSETS}
    changed = {asset for asset in ASSETS if before[asset] != after[asset]}
    assert changed == set(ASSETS) - {"raw_images"}


def test_a_failed_image_is_tried_again(
    store: Store, shard: Shard, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_raw_images(store, shard)
    search, seen = MaskGenerator.search, []

    def break_once(self, images):
        seen.append(images)
        if len(seen) == 2:
            raise MemoryError("no room at the moment")
        return search(self, images)

    monkeypatch.setattr(MaskGenerator, "search", break_once)
    first = generate_sam_masks(store, shard.name, sam="sam_tiny", params=EVERYTHING)
    assert (first.images, first.failed) == (2, 1)
    again = generate_sam_masks(store, shard.name, sam="sam_tiny", params=EVERYTHING)
    assert (again.images, again.failed) == (3, 0)


def test_recompute_does_finished_work_again(store: Store, shard: Shard) -> None:
    record_raw_images(store, shard)
    assert record_raw_images(store, shard, recompute=True).reused == 0


def test_an_image_that_breaks_the_model_fails_alone(
    store: Store, shard: Shard, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_raw_images(store, shard)
    search, seen = MaskGenerator.search, []

    def break_on_the_second(self, images):
        seen.append(images)
        if len(seen) == 2:
            raise RuntimeError("out of memory")
        return search(self, images)

    monkeypatch.setattr(MaskGenerator, "search", break_on_the_second)
    report = generate_sam_masks(store, shard.name, sam="sam_tiny", params=EVERYTHING)
    masks = store.open_shard("sam_masks", shard.name)
    assert masks.failed == {"picture_001": ("sam_masks", "RuntimeError: out of memory")}
    assert (report.images, report.failed) == (2, 1)
    label_with_seem(store, shard.name, seem="seem_demo", params=LabelParams())
    assert store.open_shard("region_labels", shard.name).image_ids == ["picture_000", "picture_002"]


def test_a_fault_of_the_setup_stops_the_run(
    store: Store, shard: Shard, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_raw_images(store, shard)

    def broken(self, images):
        raise RuntimeError("no kernel for this device")

    monkeypatch.setattr(MaskGenerator, "search", broken)
    with pytest.raises(RuntimeError, match="no kernel"):
        generate_sam_masks(store, shard.name, sam="sam_tiny", params=EVERYTHING)
    assert not store.is_complete("sam_masks", shard.name)


def test_without_masks_the_map_is_seems_own(store: Store, shard: Shard) -> None:
    run_chain(store, shard, EVERYTHING.model_copy(update={"pred_iou_thresh": 1.0}))
    assert store.open_shard("sam_masks", shard.name).read().num_rows == 0
    for image_id in GOOD:
        seem = read_map(store, "seem_labels", shard.name, image_id)
        semantic = read_map(store, "semantic_maps", shard.name, image_id)
        np.testing.assert_array_equal(seem, semantic)


def test_scores_are_those_of_the_maps_against_the_truth(store: Store, shard: Shard) -> None:
    run_chain(store, shard)
    merge = load_class_map("base28", "merged19")
    correct = total = 0
    for reference in shard.images[:3]:
        truth = merge.apply(read_image_ids(reference.label_uri))
        predicted = read_map(store, "merged_maps", shard.name, reference.image_id)
        correct += int((truth == predicted).sum())
        total += truth.size
    evaluation = sum_shards(store, [shard.name])
    scores = evaluation.scores()["sam_seem"]
    assert scores.aacc == pytest.approx(correct / total)
    missing = {reason: found.count for reason, found in evaluation.missing.items()}
    assert (evaluation.images, missing) == (3, {"no prediction": 2})
    write_report(store, [shard.name])
    assert b'"aacc"' in store.read_bytes("evaluation_report/report.json")


def read_image_ids(path) -> np.ndarray:
    from PIL import Image  # noqa: PLC0415

    return np.asarray(Image.open(path))


def test_images_without_truth_are_counted(store: Store, shard: Shard, tmp_path) -> None:
    (tmp_path / "pictures" / "labels" / "picture_001.png").unlink()
    from seg_assets.data.sources import find_shards  # noqa: PLC0415

    again = find_shards(
        tmp_path / "pictures" / "images",
        prefix="pictures",
        label_root=tmp_path / "pictures" / "labels",
        label_format="png:base28",
    )[0]
    run_chain(store, again)
    evaluation = sum_shards(store, [shard.name])
    assert (evaluation.images, evaluation.missing["no ground truth"].count) == (2, 1)
