import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seg_assets.classes.table import load_class_table
from seg_assets.errors import ImageError
from seg_assets.labels.ssa import paint_votes, vote_masks
from seg_assets.labels.ssa_json import SsaResult, read_ssa_json, ssa_json
from seg_assets.labels.ssa_params import SsaParams
from seg_assets.masks.records import MaskRecord
from seg_assets.masks.rle import Rle

CAMVID = load_class_table("camvid11")


def result_of(label_map: np.ndarray, masks: list[np.ndarray], **params: Any) -> SsaResult:
    records = [
        MaskRecord(
            Rle.encode(mask), (0, 0, 1, 1), int(mask.sum()), 0.5, 0.25, ((1.0, 2.0),), (0, 0, 9, 9)
        )
        for mask in masks
    ]
    votes = vote_masks(records, label_map, SsaParams.model_validate(params))
    return SsaResult(records, votes, paint_votes(records, votes, label_map))


@pytest.mark.parametrize(
    ("image", "table"), [(0, "cityscapes19"), (1, "ade150"), (2, "cityscapes19")]
)
def test_files_equal_upstream(shared_dir: Path, image: int, table: str):
    """Upstream's own output (golden/pipeline), but for what this project adds; exact."""
    golden = shared_dir / "golden" / "pipeline"
    scene = json.loads((golden / f"ssa_{image}.json").read_text())
    classes = load_class_table(table)
    given = [
        entry | {"class_name": None, "class_proposals": []} for entry in scene["input_annotations"]
    ]
    records = read_ssa_json({"annotations": given, "semantic_mask": {}}, classes, "golden").records
    label_map = np.load(golden / f"ssa_{image}.npz")["semantic_label"].astype(np.uint8)
    votes = vote_masks(records, label_map)
    result = SsaResult(records, votes, paint_votes(records, votes, label_map))
    content = json.loads(json.dumps(ssa_json(result, classes, image_id=7, file_name="a.png")))
    assert content["image"] == {"image_id": 7, "width": 160, "height": 120, "file_name": "a.png"}
    assert content["semantic_mask"] == scene["output"]["semantic_mask"]
    expected = [
        entry | {"class_proposals": [entry["class_proposals"]]}
        for entry in scene["output"]["annotations"]
    ]
    found = [
        {key: entry[key] for key in expected[0]} | {"class_proposals": entry["class_proposals"][:1]}
        for entry in content["annotations"]
    ]
    assert found == expected

    upstream = read_ssa_json(scene["output"], classes, "golden")
    np.testing.assert_array_equal(upstream.label_map, result.label_map)
    order = scene["sorted_record_indices"]
    assert upstream.records == [records[i] for i in order]
    assert [vote.class_id for vote in upstream.votes] == [votes[i].class_id for i in order]
    assert all(vote.kept and np.isnan(vote.vote_share) for vote in upstream.votes)


def test_a_result_survives_the_file_in_its_order():
    label_map = np.array([[0, 0, 0, 255], [1, 2, 3, 255]], np.uint8)
    small, whole = np.array([[0, 0, 0, 0], [1, 1, 1, 0]]), np.array([[1, 1, 1, 0], [0, 0, 0, 1]])
    nothing = np.array([[0, 0, 0, 1], [0, 0, 0, 1]])
    masks = [mask.astype(bool) for mask in (small, whole, nothing)]
    result = result_of(label_map, masks, min_vote_share=0.5)
    content = json.loads(json.dumps(ssa_json(result, CAMVID, image_id=1, file_name="a.jpg")))
    assert [entry["id"] for entry in content["annotations"]] == [2, 1, 3]
    assert [entry["class_id"] for entry in content["annotations"]] == [0, None, None]
    assert [entry["class_name"] for entry in content["annotations"]] == [
        CAMVID.names[0],
        None,
        None,
    ]
    assert [len(entry["class_proposals"]) for entry in content["annotations"]] == [1, 3, 0]
    assert "255" not in content["semantic_mask"]
    found = read_ssa_json(content, CAMVID, "a.json")
    assert found.records == result.records
    assert found.votes == result.votes
    np.testing.assert_array_equal(found.label_map, result.label_map)


def test_names_with_a_space_are_read_as_ssa_writes_them():
    """SSA's list of ADE20K's classes has "bed ", and its proposals are a text."""
    ade = load_class_table("ade150")
    content = _content()
    content["annotations"][0] |= {"class_name": "bed ", "class_proposals": "bed "}
    del content["annotations"][0]["class_proposal_scores"]
    vote = read_ssa_json(content, ade, "a.json").votes[0]
    assert (vote.class_id, vote.proposals[0].class_id) == (ade.id_of("bed"), ade.id_of("bed"))


def test_shares_that_a_file_does_not_tell_are_null():
    """JSON has no nan, which Python would write all the same."""
    content = _content()
    for name in ("class_score", "class_proposal_scores"):
        del content["annotations"][0][name]
    result = read_ssa_json(content, CAMVID, "a.json")
    assert np.isnan(result.votes[0].vote_share)
    again = ssa_json(result, CAMVID, image_id=1, file_name="a.jpg")
    text = json.dumps(again, allow_nan=False)
    assert again["annotations"][0]["class_score"] is None
    assert again["annotations"][0]["class_proposal_scores"] == [None]
    vote = read_ssa_json(json.loads(text), CAMVID, "a.json").votes[0]
    assert np.isnan([vote.vote_share, vote.proposals[0].share]).all()


def test_an_image_without_masks_survives_the_file():
    result = result_of(np.array([[4, 4], [5, 255]], np.uint8), [])
    content = ssa_json(result, CAMVID, image_id=1, file_name="a.jpg")
    assert content["annotations"] == []
    found = read_ssa_json(content, CAMVID, "a.json")
    assert (found.records, found.votes) == ([], [])
    np.testing.assert_array_equal(found.label_map, result.label_map)


def _content() -> dict[str, Any]:
    label_map = np.array([[0, 0, 1], [0, 2, 2]], np.uint8)
    return ssa_json(result_of(label_map, [label_map == 0]), CAMVID, image_id=1, file_name="a.jpg")


@pytest.mark.parametrize(
    "change",
    [
        {"annotations": 3},
        {"semantic_mask": None},
        {"semantic_mask": {"0": {"size": [2, 3], "counts": "999"}}},
        {"semantic_mask": {"0": {"size": [3, 2], "counts": "06"}}},
        {"semantic_mask": {"99": {"size": [2, 3], "counts": "06"}}},
        {"semantic_mask": {"sky": {"size": [2, 3], "counts": "06"}}},
        {"semantic_mask": {"0": {"counts": "06"}}},
        {"image": {"height": 3, "width": 2}},
    ],
)
def test_other_files_are_refused(change: dict[str, Any]):
    with pytest.raises(ImageError, match="a.json"):
        read_ssa_json(_content() | change, CAMVID, "a.json")


@pytest.mark.parametrize(
    "change",
    [
        {"segmentation": {"size": [2, 3], "counts": "77777"}},
        {"segmentation": {"size": [2, 3]}},
        {"class_name": "elephant"},
        {"class_proposals": ["elephant"]},
        {"class_name": 3},
        {"class_proposals": 3},
        {"class_proposals": [None]},
        {"class_proposal_scores": ["x"]},
        {"class_score": True},
        {"area": "x"},
        {"area": 7},
        {"area": -1},
        {"stability_score": None},
        {"segmentation": {"size": [2, 3], "counts": [-1, 7]}},
        {"class_score": "high"},
        {"class_proposal_scores": []},
        {"bbox": [1, 2]},
        {"id": "x"},
    ],
)
def test_annotations_of_another_form_are_refused(change: dict[str, Any]):
    content = _content()
    content["annotations"][0] |= change
    with pytest.raises(ImageError, match="a.json"):
        read_ssa_json(content, CAMVID, "a.json")


def test_whole_numbers_may_be_written_as_integers_and_as_floats():
    """Programs that are not Python write 1.0 as 1, and some write 3 as 3.0."""
    content = _content()
    expected = read_ssa_json(content, CAMVID, "a.json")
    assert expected.votes[0].vote_share == 1.0
    content["annotations"][0] |= {"class_score": 1, "class_proposal_scores": [1], "area": 3.0}
    found = read_ssa_json(content, CAMVID, "a.json")
    assert (found.votes, found.records) == (expected.votes, expected.records)
    assert isinstance(found.votes[0].vote_share, float)
    assert isinstance(found.records[0].area, int)
