import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from seg_assets.errors import InputError
from seg_assets.labels.ssa import MaskVote, VoteProposal, paint_votes, vote_masks
from seg_assets.labels.ssa_params import SsaParams
from seg_assets.masks.records import MaskRecord
from seg_assets.masks.rle import Rle


def record_of(mask: np.ndarray, area: int | None = None) -> MaskRecord:
    rle = Rle.encode(mask)
    return MaskRecord(
        rle=rle,
        bbox=(0, 0, 0, 0),
        area=rle.area if area is None else area,
        predicted_iou=0.9,
        stability_score=0.9,
        point_coords=((0.0, 0.0),),
        crop_box=(0, 0, mask.shape[1], mask.shape[0]),
    )


def mask_of(*rows: str) -> np.ndarray:
    return np.array([[character == "#" for character in row] for row in rows])


@pytest.mark.parametrize("image", [0, 1, 2])
def test_classes_and_maps_equal_upstream(shared_dir: Path, image: int):
    """Exact; from upstream's own function (golden/pipeline). Its ties fell on the lowest id, too:
    no mask of these images is tied."""
    golden = shared_dir / "golden" / "pipeline"
    scene = json.loads((golden / f"ssa_{image}.json").read_text())
    arrays = np.load(golden / f"ssa_{image}.npz")
    records = [
        MaskRecord(
            rle=Rle.from_coco(annotation["segmentation"]),
            bbox=tuple(annotation["bbox"]),
            area=annotation["area"],
            predicted_iou=annotation["predicted_iou"],
            stability_score=annotation["stability_score"],
            point_coords=tuple(map(tuple, annotation["point_coords"])),
            crop_box=tuple(annotation["crop_box"]),
        )
        for annotation in scene["input_annotations"]
    ]
    label_map = arrays["semantic_label"].astype(np.uint8)
    votes = vote_masks(records, label_map)
    classes = [votes[i].class_id for i in scene["sorted_record_indices"]]
    assert classes == scene["class_ids_in_sorted_order"]
    painted = paint_votes(records, votes, label_map)
    np.testing.assert_array_equal(painted, arrays["ssa_label_lowest_id_ties"])
    assert scene["tied_records"] == {}
    np.testing.assert_array_equal(painted, arrays["ssa_label"])


@st.composite
def scenes(draw: st.DrawFn) -> tuple[np.ndarray, list[np.ndarray]]:
    every_pixel = draw(st.booleans())  # else arrays of one value but for a few pixels
    fill = st.nothing() if every_pixel else None
    side = 5 if every_pixel else 12
    shape = draw(hnp.array_shapes(min_dims=2, max_dims=2, max_side=side))
    labels = st.sampled_from([0, 1, 2, 255])
    label_map = draw(hnp.arrays(np.uint8, shape, elements=labels, fill=fill))
    return label_map, draw(st.lists(hnp.arrays(np.bool_, shape, fill=fill), max_size=6))


def plain_ssa(label_map: np.ndarray, masks: list[np.ndarray], least: float) -> np.ndarray:
    """The rule pixel by pixel."""
    result = label_map.copy()
    for mask in sorted(masks, key=lambda mask: -mask.sum()):
        counts = np.bincount(label_map[mask], minlength=256)[:255]
        if counts.any() and counts.max() / mask.sum() >= least:
            result[mask] = counts.argmax()
    return result


@given(scenes(), st.sampled_from([0.0, 0.4, 0.5, 1.0]))
def test_maps_equal_the_plain_rule(scene: tuple[np.ndarray, list[np.ndarray]], least: float):
    label_map, masks = scene
    records = [record_of(mask) for mask in masks]
    votes = vote_masks(records, label_map, SsaParams(min_vote_share=least))
    painted = paint_votes(records, votes, label_map)
    assert painted.flags.c_contiguous
    np.testing.assert_array_equal(painted, plain_ssa(label_map, masks, least))


def test_details_stay_and_every_mask_votes_on_the_untouched_map():
    label_map = np.array([[1, 1, 1, 2, 2]], np.uint8)
    detail, whole = record_of(mask_of("..###")), record_of(mask_of("#####"))
    votes = vote_masks([detail, whole], label_map)
    assert [vote.class_id for vote in votes] == [2, 1]
    assert paint_votes([detail, whole], votes, label_map).tolist() == [[1, 1, 2, 2, 2]]


def test_of_masks_with_equal_areas_the_later_one_is_on_top():
    label_map = np.array([[1, 1, 2, 2]], np.uint8)
    left, right = record_of(mask_of("###.")), record_of(mask_of(".###"))
    votes = vote_masks([left, right], label_map)
    assert paint_votes([left, right], votes, label_map).tolist() == [[1, 2, 2, 2]]
    votes = vote_masks([right, left], label_map)
    assert paint_votes([right, left], votes, label_map).tolist() == [[1, 1, 1, 2]]


def test_the_lowest_id_wins_a_tie():
    vote = vote_masks([record_of(mask_of("####"))], np.array([[7, 3, 3, 7]], np.uint8))[0]
    assert vote == MaskVote(0, 3, 0.5, True, (VoteProposal(3, 0.5), VoteProposal(7, 0.5)))


def test_pixels_without_label_win_only_alone():
    label_map = np.array([[255, 255, 255, 5]], np.uint8)
    some, none = record_of(mask_of("####")), record_of(mask_of("##.."))
    votes = vote_masks([some, none], label_map)
    assert votes[0] == MaskVote(0, 5, 0.25, True, (VoteProposal(5, 0.25),))
    assert votes[1] == MaskVote(1, 255, 0.0, False, ())
    assert paint_votes([some, none], votes, label_map).tolist() == [[5, 5, 5, 5]]


@pytest.mark.parametrize("rule", ["majority", "mean_logits"])
def test_an_empty_mask_has_no_class(rule: str):
    label_map, logits = np.zeros((2, 2), np.uint8), np.zeros((3, 2, 2), np.float32)
    params = SsaParams.model_validate({"rule": rule})
    votes = vote_masks([record_of(mask_of("..", ".."))], label_map, params, logits)
    assert votes == [MaskVote(0, 255, 0.0, False, ())]


def test_below_the_threshold_the_segmentors_labels_stay():
    label_map = np.array([[1, 1, 1, 2], [9, 8, 7, 9]], np.uint8)
    clear, unclear = record_of(mask_of("####", "....")), record_of(mask_of("....", "####"))
    votes = vote_masks([clear, unclear], label_map, SsaParams(min_vote_share=0.6))
    assert [(vote.class_id, vote.vote_share, vote.kept) for vote in votes] == [
        (1, 0.75, True),
        (9, 0.5, False),
    ]
    painted = paint_votes([clear, unclear], votes, label_map)
    assert painted.tolist() == [[1, 1, 1, 1], [9, 8, 7, 9]]
    exactly = vote_masks([clear], label_map, SsaParams(min_vote_share=0.75))
    assert exactly[0].kept


def test_proposals_are_the_best_classes_and_at_most_as_many_as_wanted():
    label_map = np.array([[4, 4, 4, 2, 2, 6, 255, 255]], np.uint8)
    record = record_of(np.ones((1, 8), bool))
    shares = (VoteProposal(4, 0.375), VoteProposal(2, 0.25), VoteProposal(6, 0.125))
    for top_k in (1, 2, 3, 9):
        vote = vote_masks([record], label_map, SsaParams(top_k=top_k))[0]
        assert vote.proposals == shares[:top_k]


def test_mean_logits_may_outvote_the_majority():
    label_map = np.array([[0, 0, 1]], np.uint8)
    logits = np.array([[[1.0, 1.0, 0.0]], [[0.9, 0.9, 5.0]]], np.float32)
    params = SsaParams(rule="mean_logits")
    vote = vote_masks([record_of(mask_of("###"))], label_map, params, logits)[0]
    assert (vote.class_id, vote.kept) == (1, True)
    assert vote.vote_share == pytest.approx(1 / 3)
    assert [proposal.class_id for proposal in vote.proposals] == [1, 0]


def test_mean_logits_without_logits_are_refused():
    with pytest.raises(InputError, match="needs the logits of the segmentor"):
        vote_masks([], np.zeros((2, 2), np.uint8), SsaParams(rule="mean_logits"))


def test_logits_of_more_classes_than_a_map_can_hold_are_refused():
    logits = np.zeros((256, 1, 1), np.float32)
    with pytest.raises(InputError, match="logits of 256 classes"):
        vote_masks([], np.zeros((2, 2), np.uint8), SsaParams(rule="mean_logits"), logits)


def test_as_many_classes_as_a_map_can_hold_may_have_logits():
    logits = np.zeros((255, 1, 1), np.float32)
    logits[254] = 1.0
    params = SsaParams(rule="mean_logits")
    vote = vote_masks([record_of(mask_of("##"))], np.zeros((1, 2), np.uint8), params, logits)[0]
    assert (vote.class_id, vote.vote_share) == (254, 0.0)


def test_logits_are_scaled_as_the_parameters_say():
    """Between the corners' centres column 1 of 4 lies at 1/3, else at 1/4 of the way."""
    record, label_map = record_of(mask_of(".#..")), np.zeros((1, 4), np.uint8)
    logits = np.array([[[0.0, 1.0]], [[0.3, 0.3]]], np.float32)
    winners = [
        vote_masks([record], label_map, SsaParams(rule="mean_logits", align_corners=on), logits)
        for on in (False, True)
    ]
    assert [votes[0].class_id for votes in winners] == [1, 0]


def test_the_area_of_the_record_decides_what_is_painted_first():
    label_map = np.array([[1, 1, 2]], np.uint8)
    few, many = record_of(mask_of("..#"), area=9), record_of(mask_of("###"))
    votes = vote_masks([many, few], label_map)
    assert paint_votes([many, few], votes, label_map).tolist() == [[1, 1, 1]]


def test_importing_the_vote_loads_no_compiler_and_no_torch():
    """Definitions load these modules; the kernels are imported where they are called."""
    code = (
        "import sys, seg_assets.labels.ssa_json, seg_assets.masks.region_map;"
        "sys.exit(bool({'numba', 'torch'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_votes_of_other_masks_are_refused():
    label_map = np.zeros((1, 2), np.uint8)
    records = [record_of(mask_of("#.")), record_of(mask_of("##"))]
    votes = vote_masks(records, label_map)
    assert paint_votes(records, votes[::-1], label_map).tolist() == [[0, 0]]
    with pytest.raises(InputError, match="2 masks and 1 votes do not belong together"):
        paint_votes(records, votes[:1], label_map)


@pytest.mark.parametrize("array", [np.zeros((1, 2), np.int64), np.zeros((1, 1, 2), np.uint8)])
def test_arrays_that_are_no_label_maps_are_not_painted(array: np.ndarray):
    with pytest.raises(InputError, match=r"a label map is \(H, W\) uint8, not"):
        paint_votes([], [], array)


def test_a_vote_survives_its_row():
    vote = MaskVote(3, 7, 0.75, False, (VoteProposal(7, 0.75), VoteProposal(1, 0.25)))
    row = vote.to_row("a")
    assert row["image_id"] == "a"
    assert row["proposals"] == [{"class_id": 7, "share": 0.75}, {"class_id": 1, "share": 0.25}]
    assert MaskVote.from_row(row) == vote
