import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seg_assets.errors import InputError
from seg_assets.modeling.seem.prompts import (
    SLOTS,
    draw_points,
    even_subset,
    mask_tensor,
    masked_mean,
    pad_points,
    random_subset,
    refuse_empty,
    sample,
)


@pytest.mark.parametrize(
    ("count", "limit", "expected"),
    [
        (0, 4, []),
        (3, 4, [0, 1, 2]),
        (4, 4, [0, 1, 2, 3]),
        (8, 4, [0, 2, 4, 6]),
        (10, 4, [0, 2, 5, 7]),
        (5, 4, [0, 1, 2, 3]),
    ],
)
def test_even_subset(count: int, limit: int, expected: list[int]) -> None:
    assert even_subset(count, limit, "mean").tolist() == expected


@given(st.integers(0, 5000), st.integers(1, 600))
def test_even_subset_is_ascending_unique_and_inside(count: int, limit: int) -> None:
    chosen = even_subset(count, limit, "l0")
    assert len(chosen) == min(count, limit)
    assert (chosen.diff() > 0).all()
    assert ((chosen >= 0) & (chosen < max(count, 1))).all()


@given(st.integers(0, 2000), st.integers(1, 100), st.integers(0, 2**40))
def test_random_subset_repeats_for_a_seed(count: int, limit: int, seed: int) -> None:
    for slot in SLOTS:
        chosen = random_subset(seed)(count, limit, slot)
        assert chosen.equal(random_subset(seed)(count, limit, slot))
        assert len(set(chosen.tolist())) == min(count, limit)
        assert ((chosen >= 0) & (chosen < max(count, 1))).all()


def test_random_subset_differs_between_slots_and_seeds() -> None:
    draws = [random_subset(seed)(1000, 50, slot).tolist() for seed in (0, 1) for slot in SLOTS]
    assert len({tuple(draw) for draw in draws}) == len(draws)


def test_points_are_pixel_indices_over_the_padded_size() -> None:
    masks = torch.zeros(2, 3, 5, dtype=torch.bool)
    masks[0, 1, 4] = masks[0, 2, 0] = True
    points = draw_points(masks, (32, 64), 10)
    assert points.keys() == set(SLOTS)
    assert points["l1"].xy[0].tolist() == [[4 / 64, 1 / 32], [0, 2 / 32]]
    assert points["l1"].valid.tolist() == [[True, True], [False, False]]


def test_given_indices_replace_the_choice() -> None:
    masks = torch.ones(1, 2, 2, dtype=torch.bool)
    indices = {slot: [torch.tensor([slot_index])] for slot_index, slot in enumerate(SLOTS)}
    points = draw_points(masks, (32, 32), 10, indices=indices)
    found = [(points[slot].xy[0, 0] * 32).tolist() for slot in SLOTS]
    assert found == [[0, 0], [1, 0], [0, 1], [1, 1]]


def test_only_empty_masks_still_make_a_row_of_padding() -> None:
    points = pad_points([torch.zeros(0, 2), torch.zeros(0, 2)])
    assert points.xy.shape == (2, 1, 2)
    assert not points.valid.any()


def test_sampling_is_corner_aligned_and_zero_outside() -> None:
    feature_map = torch.tensor([[[[0.0, 10.0], [20.0, 30.0]]]])
    xy = torch.tensor([[[0.0, 0.0], [1.0, 1.0], [0.5, 0.5], [3.0, 0.0]]])
    assert sample(feature_map, xy)[0, :, 0].tolist() == [0, 30, 15, 0]


def test_half_precision_maps_are_sampled_in_float32() -> None:
    """float16 holds 11 bits: columns 2000 and 2001 of a wide map would be one."""
    feature_map = torch.arange(3000.0).remainder(7).half()[None, None, None]
    xy = torch.tensor([[[2001 / 2999, 0.0]]])
    assert sample(feature_map, xy).dtype == torch.float32
    assert sample(feature_map, xy).item() == pytest.approx(2001 % 7, abs=1e-3)


def test_masked_mean_ignores_padding_and_is_zero_for_nothing() -> None:
    values = torch.tensor([[[2.0], [4.0], [99.0]], [[5.0], [5.0], [5.0]]])
    valid = torch.tensor([[True, True, False], [False, False, False]])
    assert masked_mean(values, valid).tolist() == [[3], [0]]


@pytest.mark.parametrize("shape", [(8, 8), (0, 8, 8), (1, 2, 8, 8)])
def test_masks_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"give \(N, H, W\)"):
        draw_points(torch.ones(shape, dtype=torch.bool), (32, 32), 4)


def test_masks_larger_than_the_image_are_refused() -> None:
    with pytest.raises(InputError, match="20x40 pixels do not fit"):
        draw_points(torch.ones(1, 40, 20, dtype=torch.bool), (32, 32), 4)


def test_a_callers_masks_become_a_bool_tensor() -> None:
    mask = np.zeros((4, 6), np.uint8)
    mask[1, 2] = 255
    mask.flags.writeable = False
    assert mask_tensor(mask[::-1], (4, 6)).nonzero().tolist() == [[0, 2, 2]]
    assert mask_tensor(np.zeros((0, 4, 6)), (4, 6)).shape == (0, 4, 6)
    with pytest.raises(InputError, match=r"shape \(4, 6\); give \(N, 6, 4\)"):
        mask_tensor(mask, (6, 4))


def test_empty_masks_are_named() -> None:
    masks = torch.ones(3, 2, 2, dtype=torch.bool)
    refuse_empty(masks)
    masks[1] = False
    with pytest.raises(InputError, match="Mask prompt 1 is empty"):
        refuse_empty(masks)
