import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from seg_assets.errors import InputError
from seg_assets.labels.mean_logits import _columns, _rows, mean_logits
from seg_assets.labels.mean_logits_kernels import sum_logits
from seg_assets.masks.rle import Rle, runs_of

SIZES = st.tuples(st.integers(1, 23), st.integers(1, 23))


def direct_means(masks: list[np.ndarray], logits: np.ndarray, align_corners: bool) -> np.ndarray:
    """The logits scaled by torch in float64, then averaged."""
    scaled = F.interpolate(
        torch.from_numpy(logits.astype(np.float64))[None],
        masks[0].shape,
        mode="bilinear",
        align_corners=align_corners,
    )[0].numpy()
    return np.array([scaled[:, mask].mean(1) for mask in masks])


@st.composite
def scenes(draw: st.DrawFn) -> tuple[list[np.ndarray], np.ndarray]:
    """Masks with pixels, full and one-pixel ones among them, and logits of any other size."""
    size, small = draw(SIZES), draw(SIZES)
    masks = draw(st.lists(hnp.arrays(np.bool_, size).filter(np.any), max_size=4))
    one = np.zeros(size, bool)
    one[draw(st.integers(0, size[0] - 1)), draw(st.integers(0, size[1] - 1))] = True
    values = st.floats(-50, 50, width=32)
    logits = draw(hnp.arrays(np.float32, (2, *small), elements=values))
    return [*masks, one, np.ones(size, bool)], logits


@given(scenes(), st.booleans())
def test_means_equal_those_of_scaled_logits(scene: tuple, align_corners: bool):
    """To 1e-9 of the greatest logit, against torch's interpolation in float64."""
    masks, logits = scene
    means = mean_logits([Rle.encode(m) for m in masks], logits, align_corners=align_corners)
    expected = direct_means(masks, logits, align_corners)
    np.testing.assert_allclose(means, expected, rtol=0, atol=1e-9 * (1 + np.abs(logits).max()))


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("small", [(1, 1), (32, 48), (131, 203), (700, 90)])
def test_means_over_large_masks(small: tuple[int, int], align_corners: bool):
    random = np.random.default_rng(0)
    y, x = np.mgrid[:300, :420]
    masks = [np.hypot(y - 100, x - 300) < 90, (x + y) % 7 > 2, y > 150, x > 400]
    logits = random.normal(0, 4, (5, *small)).astype(np.float32)
    means = mean_logits([Rle.encode(m) for m in masks], logits, align_corners=align_corners)
    np.testing.assert_allclose(means, direct_means(masks, logits, align_corners), atol=1e-9)


def test_masks_between_others_do_not_matter():
    random = np.random.default_rng(1)
    masks = [Rle.encode(random.random((40, 50)) > share) for share in (0.1, 0.5, 0.9)]
    logits = random.normal(0, 1, (3, 9, 11)).astype(np.float32)
    together = mean_logits(masks, logits)
    alone = [mean_logits([mask], logits)[0] for mask in masks]
    np.testing.assert_array_equal(together, alone)


def test_an_empty_mask_has_no_mean():
    masks = [Rle.encode(np.zeros((4, 5), bool)), Rle.encode(np.ones((4, 5), bool))]
    means = mean_logits(masks, np.ones((2, 3, 3), np.float32))
    assert np.isnan(means[0]).all()
    np.testing.assert_allclose(means[1], 1.0, rtol=1e-12)


@pytest.mark.parametrize("runs", [[6, 0], [6, 0, 0], [2, 0, 1, 0, 0, 3], [1, 2, 0, 3], [2, 0, 4]])
def test_empty_runs_read_nothing_and_lead_nowhere(runs: list[int]):
    """In plain Python, which looks at every index: the compiled kernel does not."""
    mask = Rle.from_coco({"size": [2, 3], "counts": runs})
    logits = np.arange(4, dtype=np.float32).reshape(1, 2, 2)
    sums, areas = np.zeros((1, 1)), np.zeros(1, np.int64)
    rows, columns = _rows(2, 2, False), _columns(2, 3, False)
    sum_logits.py_func(*runs_of([mask], 2, 3), 2, rows, columns, logits, sums, areas)
    assert areas[0] == mask.area
    if mask.area:
        expected = direct_means([mask.decode()], logits, False) * mask.area
        np.testing.assert_allclose(sums, expected, atol=1e-12)
    else:
        assert sums[0, 0] == 0.0


def test_no_masks_have_no_means():
    assert mean_logits([], np.ones((2, 3, 3), np.float32)).shape == (0, 2)


def test_infinite_logits_are_refused():
    logits = np.array([[[0.0, np.inf]]], np.float32)
    with pytest.raises(InputError, match="nan or infinity"):
        mean_logits([Rle.encode(np.ones((4, 5), bool))], logits)


@pytest.mark.parametrize(
    "logits",
    [np.zeros((2, 3), np.float32), np.zeros((2, 0, 3), np.float32), np.zeros((1, 2, 2), int)],
)
def test_arrays_that_are_no_logits_are_refused(logits: np.ndarray):
    with pytest.raises(InputError, match=r"logits are \(C, h, w\) float32"):
        mean_logits([], logits)


def test_masks_of_two_sizes_and_damaged_ones_are_refused():
    masks = [Rle.encode(np.ones((4, 5), bool)), Rle.encode(np.ones((5, 4), bool))]
    logits = np.ones((2, 3, 3), np.float32)
    with pytest.raises(InputError, match="mask 1 is 5 x 4 pixels"):
        mean_logits(masks, logits)
    with pytest.raises(InputError, match="damaged"):
        mean_logits([Rle(4, 5, b"999")], logits)
