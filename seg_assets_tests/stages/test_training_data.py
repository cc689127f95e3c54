import json
from pathlib import Path

import numpy as np
import pytest

from seg_assets.data.panoptic.params import GroundingParams, PanopticParams
from seg_assets.data.panoptic.segments import find_faults
from seg_assets.data.shards import ImageRef, Shard, load_shard, register_shards
from seg_assets.errors import InputError, StoreError
from seg_assets.stages.training_categories import (
    CategoryParams,
    load_categories,
    write_categories,
)
from seg_assets.stages.training_data import (
    open_segments,
    referral_of_row,
    segment_ground_truth,
    segmented_of_row,
    write_grounding,
    write_semantic_maps,
)
from seg_assets.storage.png import decode_label_map
from seg_assets.storage.store import Store
from seg_assets_tests.data.panoptic.street import SIZE, label_map
from seg_assets_tests.stages.training import FIRST, prepare, registered

IMAGES = ["city/street_0", "city/street_1"]


@pytest.fixture
def street(tmp_path: Path) -> Store:
    store = registered(tmp_path, 2)
    write_categories(store, CategoryParams())
    return store


def test_three_steps_store_segments_ids_and_sentences(street: Store) -> None:
    prepare(street, FIRST)
    table = load_categories(street)
    panoptic = open_segments(street, FIRST)
    semantic = street.open_shard("training_semantic", FIRST)
    grounding = street.open_shard("training_grounding", FIRST)
    assert panoptic.image_ids == semantic.image_ids == grounding.image_ids == IMAGES
    for number, image_id in enumerate(IMAGES):
        segmented = segmented_of_row(panoptic.rows(image_id)[0])
        assert find_faults(segmented, table) == []
        (row,) = semantic.rows(image_id)
        np.testing.assert_array_equal(
            decode_label_map(row["label_map"]["bytes"]), label_map(number)
        )
        assert (row["pixels"], row["unlabelled"]) == (SIZE[0] * SIZE[1], 32)
        rows = grounding.rows(image_id)
        assert {row["segment_id"] for row in rows} == {s.id for s in segmented.segments}
        for row in rows:
            referral = referral_of_row(row)
            inside = segmented.ids == referral.segment_id
            assert (referral.mask(*SIZE) == inside).mean() > 0.99
            assert referral.area == inside.sum()


def test_finished_shards_are_reused_until_something_that_decides_changes(street: Store) -> None:
    shard = load_shard(street, FIRST)
    assert segment_ground_truth(street, shard).reused == 0
    assert segment_ground_truth(street, shard).reused == 2
    assert segment_ground_truth(street, shard, params=PanopticParams(seed=1)).reused == 0
    assert write_grounding(street, FIRST).reused == 0
    assert write_grounding(street, FIRST).reused == 2
    assert write_grounding(street, FIRST, params=GroundingParams(positions=False)).reused == 0
    assert write_semantic_maps(street, FIRST).reused == 0
    assert write_semantic_maps(street, FIRST, recompute=True).reused == 0


def test_instance_maps_are_used(street: Store, tmp_path: Path) -> None:
    folder = str(tmp_path / "street/instances")
    segment_ground_truth(street, load_shard(street, FIRST), instances=folder)
    crowds = [
        sum(segment["iscrowd"] for segment in row["segments"])
        for _, rows in open_segments(street, FIRST)
        for row in rows
    ]
    assert crowds == [1, 1]


def test_one_bad_label_file_fails_alone(street: Store, tmp_path: Path) -> None:
    (tmp_path / "street/labels/city/street_1.png").write_bytes(b"no picture")
    report = segment_ground_truth(street, load_shard(street, FIRST))
    assert (report.images, report.failed) == (1, 1)
    assert "street_1.png" in open_segments(street, FIRST).failed["city/street_1"][1]
    assert write_semantic_maps(street, FIRST).images == 1


def test_images_without_a_label_file_are_left_out(street: Store) -> None:
    first, second = load_shard(street, FIRST).images
    shard = Shard(FIRST, (first, ImageRef(second.image_id, second.uri)), "png:cityscapes19")
    register_shards(street, [shard], replace=True)
    segment_ground_truth(street, shard)
    assert open_segments(street, FIRST).image_ids == IMAGES[:1]
    with pytest.raises(InputError, match="has no ground truth to train on"):
        segment_ground_truth(street, Shard(FIRST, shard.images[1:]))


def test_sentences_of_a_user_are_stored(street: Store, tmp_path: Path) -> None:
    segment_ground_truth(street, load_shard(street, FIRST))
    path = tmp_path / "said.json"
    path.write_text(json.dumps({IMAGES[1]: [{"point": [31, 25], "sentences": ["you there"]}]}))
    write_grounding(street, FIRST, sentences=str(path))
    rows = street.open_shard("training_grounding", FIRST).rows(IMAGES[1])
    assert [row["sentences"][0] for row in rows if "you there" in row["sentences"]] == ["you there"]
    with pytest.raises(InputError, match=r"the file .*gone\.json cannot be read"):
        write_grounding(street, FIRST, sentences=str(tmp_path / "gone.json"))


def test_segments_of_other_categories_are_refused(street: Store) -> None:
    segment_ground_truth(street, load_shard(street, FIRST))
    write_categories(street, CategoryParams(things=["person"]))
    for step in (write_semantic_maps, write_grounding):
        with pytest.raises(StoreError, match="training_panoptic of shard .* other categories"):
            step(street, FIRST)
