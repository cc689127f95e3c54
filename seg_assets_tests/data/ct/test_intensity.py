import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seg_assets.data.ct.intensity import percentiles_to_bytes, stretch_to_bytes, window_to_bytes


def volume(*values: float) -> np.ndarray:
    return np.array(values, np.float32).reshape(1, 1, -1)


def test_the_window_of_the_abdomen_is_spread_over_all_values() -> None:  # D2
    pixels = window_to_bytes(volume(-1000, -160, 40, 240, 3000), level=40, width=400)
    assert pixels.dtype == np.uint8
    # 40 lies in the middle, at 127.5, which rounds to the even neighbour
    assert pixels.ravel().tolist() == [0, 0, 128, 255, 255]


@given(st.lists(st.floats(-2000, 4000, width=32), min_size=2, max_size=20))
def test_brighter_voxels_never_become_darker(values: list[float]) -> None:
    pixels = window_to_bytes(volume(*sorted(values)), 40, 400).ravel().astype(int)
    assert (np.diff(pixels) >= 0).all()


def test_a_volume_inside_the_window_is_stretched_to_its_own_ends() -> None:
    assert window_to_bytes(volume(0, 50, 100), 40, 400).ravel().tolist() == [0, 128, 255]


@pytest.mark.parametrize("value", [-3000, 0, 40, 3000])
def test_a_volume_of_one_value_is_black(value: float) -> None:
    assert not window_to_bytes(volume(value, value), 40, 400).any()
    assert not stretch_to_bytes(np.full((2, 2), value, np.float32)).any()


def test_mr_is_cut_to_percentiles_and_keeps_its_zeros() -> None:
    values = np.concatenate([np.zeros(50), np.arange(1, 1001), [1e6]])
    pixels = percentiles_to_bytes(volume(*values), 0.5, 99.5).ravel()
    assert not pixels[:50].any()
    # the 0.5 and 99.5 percentiles of 1 to 1000 and the outlier are 6 and 996
    assert pixels[55] == 0
    assert pixels[56] == 0  # 7 is 0.26 of a level above
    assert pixels[550] == round((501 - 6) / 990 * 255)
    assert pixels[1045] == 255
    assert pixels[-1] == 255


def test_zeros_of_mr_stay_zero_where_the_volume_has_values_below() -> None:
    pixels = percentiles_to_bytes(volume(-5, 0, 1, 2, 3), 0, 100).ravel()
    assert pixels.tolist() == [0, 0, 0, 128, 255]


def test_mr_without_a_voxel_above_zero_is_black() -> None:
    assert not percentiles_to_bytes(volume(-1, 0, 0), 0.5, 99.5).any()


def test_a_slice_is_stretched_by_itself() -> None:
    assert stretch_to_bytes(np.float32([[100, 110], [105, 120]])).tolist() == [[0, 128], [64, 255]]
