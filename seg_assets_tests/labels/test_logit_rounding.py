import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seg_assets.labels.bilinear import Axis
from seg_assets.labels.logit_rounding import FAR, round_logits


def interpolated(logits: np.ndarray, wanted: tuple[int, int]) -> np.ndarray:
    """(K, h, w) -> (K, *wanted) through four times the size, float64, as the scores are made."""
    result = logits.astype(np.float64)
    for axis in (1, 2):
        length = result.shape[axis]
        ways = Axis.of(length, 4 * length, 4 * length - 3, wanted[axis - 1])
        for taps in (ways.inner, ways.outer):
            shape = [-1 if i == axis else 1 for i in range(3)]
            low, high = np.take(result, taps.low, axis), np.take(result, taps.high, axis)
            result = low + (high - low) * taps.weight.reshape(shape)
    return result


def sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values.clip(-500, 500)))


@given(
    st.integers(0, 2**31),
    st.sampled_from([0.3, 3.0, 30.0, 300.0]),
    st.sampled_from([1e-2, 1e-3, 2.0**-12]),
    st.sampled_from([(37, 45), (23, 80), (9, 11)]),
)
@settings(max_examples=60, deadline=None)
def test_no_pixel_changes_by_more_than_the_tolerance(seed, scale, tolerance, wanted):
    """At the input's own size (37 x 45) and at others; smooth maps and noise, steep and flat."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=(3, 10, 12)).astype(np.float32) * scale
    logits[1] = logits[1].cumsum(axis=0) / 3
    logits[2] = np.where(np.arange(12) > random.integers(12), scale, -scale) + logits[2] / 50
    rounded = round_logits(logits, tolerance)
    change = sigmoid(interpolated(rounded, wanted)) - sigmoid(interpolated(logits, wanted))
    assert np.abs(change).max() <= tolerance


@pytest.mark.parametrize(
    ("value", "rounded"),
    [(30.0, FAR), (-30.0, -FAR), (0.2, 0.19921875), (5.3, 5.3125)],
)
def test_flat_maps_are_rounded_to_powers_of_two(value, rounded):
    """At 0.2 the sigmoid's slope is 0.248, so the step is 2^-9; at 5.3 it is 0.005: 2^-4."""
    found = round_logits(np.full((1, 4, 4), value, np.float32), 2.0**-11)
    assert (found == rounded).all()


def test_digits_that_decide_stay():
    """Next to a steep edge nothing may be coarse: the outline goes through there."""
    logits = np.full((1, 8, 8), -20.0, np.float32)
    logits[0, :, 4:] = 20.03
    rounded = round_logits(logits, 2.0**-12)
    np.testing.assert_allclose(rounded[0, :, 3:5], logits[0, :, 3:5], atol=2.0**-10)
    assert (rounded[0, :, 0] == -FAR).all()
