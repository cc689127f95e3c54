import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from seg_assets.training.sam.params import NoiseParams
from seg_assets.training.sam.prompts import first_points, next_points, pick_points, shake_boxes

SIZE = (200, 300)  # rows, columns
BOX = np.array([[100.0, 60.0, 180.0, 110.0]], np.float32)

# Quantiles of the chi-squared distribution at 0.999, by degrees of freedom.
CHI2 = {3: 16.27, 5: 20.52, 20: 45.31}


def _chi2(counts: np.ndarray) -> float:
    expected = counts.sum() / len(counts)
    return float(((counts - expected) ** 2 / expected).sum())


def _uniform(count: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).random(count))


def test_f4_without_noise_boxes_stay_exact():
    shaken = shake_boxes(BOX, SIZE, NoiseParams(), np.random.default_rng(0))
    assert shaken.tolist() == BOX.tolist()


def test_f4_outward_noise_over_10000_draws():
    """Each side: whole pixels 0 to 20, all equally likely, never into the object."""
    boxes = np.repeat(BOX, 10_000, 0)
    shaken = shake_boxes(boxes, SIZE, NoiseParams(kind="outward"), np.random.default_rng(0))
    moved = (shaken - boxes) * np.array([-1, -1, 1, 1])
    assert (moved == moved.round()).all()
    assert moved.min() == 0
    assert moved.max() == 20
    for side in moved.T.astype(int):
        assert _chi2(np.bincount(side, minlength=21)) < CHI2[20]
    # sides move independently of each other
    assert abs(np.corrcoef(moved.T) - np.eye(4)).max() < 0.05


def test_f4_boxes_are_clipped_to_the_image():
    edge = np.repeat(np.array([[0.0, 195.0, 295.0, 200.0]], np.float32), 100, 0)
    shaken = shake_boxes(edge, SIZE, NoiseParams(kind="outward"), np.random.default_rng(0))
    assert shaken[:, 0].max() == 0
    assert shaken[:, 2].max() == 300
    assert shaken[:, 3].max() == 200


def test_f4_noise_is_seeded():
    params = NoiseParams(kind="outward")
    first, again, other = (
        shake_boxes(BOX, SIZE, params, np.random.default_rng(seed)).tolist() for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_gaussian_noise_has_a_tenth_of_the_side_and_an_end():
    """SAM paper, appendix A: deviation 10 % of the side, at most 20 pixels."""
    boxes = np.repeat(BOX, 10_000, 0)  # 80 wide, 50 high
    shaken = shake_boxes(boxes, SIZE, NoiseParams(kind="gaussian"), np.random.default_rng(0))
    moved = shaken - boxes
    assert moved.std(0) == pytest.approx([8, 5, 8, 5], rel=0.05)
    assert moved.mean(0) == pytest.approx([0, 0, 0, 0], abs=0.3)
    large = np.repeat(np.array([[20.0, 20.0, 280.0, 180.0]], np.float32), 1000, 0)
    shaken = shake_boxes(large, SIZE, NoiseParams(kind="gaussian"), np.random.default_rng(0))
    assert abs(shaken - large).max() == 20


@given(
    boxes=arrays(np.float32, (3, 4), elements=st.floats(0, 200, width=32)),
    kind=st.sampled_from(["none", "outward", "gaussian"]),
    seed=st.integers(0, 100),
)
def test_shaken_boxes_stay_boxes_inside_the_image(boxes: np.ndarray, kind: str, seed: int):
    boxes = np.sort(boxes.reshape(3, 2, 2), axis=1).reshape(3, 4)
    params = NoiseParams.model_validate({"kind": kind, "share": 1.0})
    shaken = shake_boxes(boxes, SIZE, params, np.random.default_rng(seed))
    assert shaken.dtype == np.float32
    assert (shaken[:, 2:] >= shaken[:, :2]).all()
    assert (shaken >= 0).all()
    assert (shaken <= np.array([300, 200, 300, 200])).all()


def test_f6_the_first_point_is_uniform_in_the_foreground():
    """5,000 draws on a 4 x 4 mask of 6 pixels; x before y."""
    mask = torch.zeros(4, 4, dtype=torch.bool)
    mask[1, :3] = mask[3, 1:] = True
    points, labels = first_points(mask.expand(5000, 4, 4), _uniform(5000))
    assert labels.tolist() == [1] * 5000
    columns, rows = points.long().unbind(1)
    hits = torch.zeros(4, 4, dtype=torch.int64)
    hits.index_put_((rows, columns), torch.ones(5000, dtype=torch.int64), accumulate=True)
    assert hits[~mask].sum() == 0
    assert _chi2(hits[mask].numpy()) < CHI2[5]


def test_f6_an_empty_mask_gets_no_click():
    points, labels = first_points(torch.zeros(1, 3, 3, dtype=torch.bool), _uniform(1))
    assert points.tolist() == [[0, 0]]
    assert labels.tolist() == [-1]


def test_f7_next_points_missed_extra_and_perfect():
    true = torch.zeros(3, 4, 6, dtype=torch.bool)
    predicted = torch.zeros(3, 4, 6, dtype=torch.bool)
    true[0, 1, 4] = True  # all missed
    predicted[1, 3, 2] = True  # all too much
    true[2, 0, 0] = predicted[2, 0, 0] = True  # perfect
    points, labels = next_points(true, predicted, _uniform(3))
    assert labels.tolist() == [1, 0, -1]
    assert points.tolist() == [[4, 1], [2, 3], [0, 0]]


def test_f7_next_points_are_uniform_over_both_kinds_of_error():
    true = torch.tensor([[True, True, True, False, False]])
    predicted = torch.tensor([[True, False, False, True, True]])
    points, labels = next_points(
        true.expand(4000, 1, 5), predicted.expand(4000, 1, 5), _uniform(4000)
    )
    columns = points[:, 0].long().numpy()
    counts = np.bincount(columns, minlength=5)
    assert counts[0] == 0
    assert _chi2(counts[1:]) < CHI2[3]
    assert (labels.numpy() == np.isin(columns, [1, 2])).all()


@given(
    region=arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=8)),
    draw=st.floats(0, 1, exclude_max=True),
)
def test_a_picked_point_lies_in_its_region(region: np.ndarray, draw: float):
    points, found = pick_points(
        torch.from_numpy(region)[None], torch.tensor([draw], dtype=torch.float64)
    )
    assert found.item() == region.any()
    column, row = points[0].long().tolist()
    assert region[row, column] == region.any()
