import json

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from seg_assets.errors import InputError
from seg_assets.labels.params import LabelParams
from seg_assets.labels.prompts import RegionPrompt, ellipse_kernel, region_prompts, scale_prompt

PARAMS = LabelParams()


def full_size_prompt(ids: np.ndarray, region_id: int) -> np.ndarray:
    """The rule on a mask of the whole image with OpenCV's own kernels: the reference."""
    mask = (ids == region_id).astype(np.uint8)
    large = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (11, 11))
    small = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
    eroded = cv2.erode(mask, large)
    if not eroded.any():
        return mask.astype(bool)
    if eroded.sum() / mask.sum() < 0.3:
        eroded = cv2.erode(mask, small)
    return eroded.astype(bool)


def drawn(prompt: RegionPrompt, shape: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[prompt.rows, prompt.columns] = True
    assert mask.sum() == len(prompt.rows)
    return mask


def left_of(region: np.ndarray, params: LabelParams = PARAMS) -> int:
    """Pixels that the prompt of a mask's only region has."""
    (prompt,) = region_prompts(region.astype(np.int32), params)
    return len(prompt.rows)


def test_a_map_without_regions_has_no_prompts():
    assert region_prompts(np.zeros((4, 5), np.int32), PARAMS) == []
    assert region_prompts(np.zeros((0, 5), np.int32), PARAMS) == []


def test_negative_ids_are_refused():
    with pytest.raises(InputError, match="holds -1"):
        region_prompts(np.array([[0, -1]]), PARAMS)


@pytest.mark.parametrize(
    ("ids", "reason"),
    [
        (np.array([[2**31 + 5, 1]]), "holds 2147483653"),  # -2147483643 as int32
        (np.array([[2**32 + 1, 1]]), "holds 4294967297"),  # 1 as int32
        (np.array([[2**63]], np.uint64), "holds 9223372036854775808"),
        (np.array([[1.5, 2.0]]), "type float64"),
        (np.array([[True, False]]), "type bool"),
    ],
)
def test_ids_that_int32_would_change_are_refused(ids, reason):
    with pytest.raises(InputError, match=reason):
        region_prompts(ids, PARAMS)


@pytest.mark.parametrize("size", [1, 3, 5, 7, 9, 11, 13, 21, 31])
def test_the_disc_is_opencvs_ellipse(size):
    opencv = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    np.testing.assert_array_equal(ellipse_kernel(size), opencv)


def test_the_reference_disc_has_the_reference_rows(shared_dir):
    summary = json.loads((shared_dir / "golden/pipeline/samseem_summary.json").read_text())
    half_widths = summary["erosion_kernels"]["11x11_row_halfwidths"]
    assert ((ellipse_kernel(11).sum(axis=1) - 1) // 2).tolist() == half_widths
    assert ellipse_kernel(3).tolist() == summary["erosion_kernels"]["3x3"]


@pytest.mark.parametrize("index", [0, 1, 2])
def test_prompts_of_the_golden_images_are_exact(shared_dir, index):
    golden = np.load(shared_dir / f"golden/pipeline/samseem_{index}.npz")
    ids = golden["region_map"].astype(np.int32)
    prompts = region_prompts(ids, PARAMS)
    assert [prompt.region_id for prompt in prompts] == golden["prompt_region"].tolist()
    for prompt, bits in zip(prompts, golden["prompt_bits"], strict=True):
        expected = np.unpackbits(bits)[: ids.size].reshape(ids.shape).astype(bool)
        np.testing.assert_array_equal(drawn(prompt, ids.shape), expected)


@pytest.mark.parametrize(
    ("height", "width", "left"),
    [
        (4, 4, 16),  # too small for the large disc: the region itself
        (30, 30, 400),  # the large disc leaves 44 %
        (13, 60, 638),  # it leaves 19 % only, so the small one
    ],
)
def test_each_branch_of_the_rule_inside_an_image(height, width, left):
    region = np.zeros((80, 80), bool)
    region[10 : 10 + height, 10 : 10 + width] = True
    assert left_of(region) == left


def test_a_region_of_which_exactly_the_share_is_left_keeps_the_first_erosion():
    region = np.zeros((8, 8), bool)
    region[2:6, 2:6] = True  # the 3 x 3 ellipse leaves 4 of its 16 pixels
    params = LabelParams(erosion_size=3, gentle_erosion_size=1, erosion_keep=0.25)
    assert left_of(region, params) == 4


def test_the_image_border_does_not_erode():
    assert left_of(np.ones((20, 20), bool)) == 400


@st.composite
def region_maps(draw):
    shape = draw(st.tuples(st.integers(1, 60), st.integers(1, 60)))
    ids = np.zeros(shape, np.int32)
    for region_id in range(1, draw(st.integers(1, 6)) + 1):
        top, left = draw(st.integers(0, shape[0] - 1)), draw(st.integers(0, shape[1] - 1))
        height, width = draw(st.integers(1, 60)), draw(st.integers(1, 60))
        ids[top : top + height, left : left + width] = region_id
    holes = draw(hnp.arrays(bool, shape, elements=st.booleans(), fill=st.just(False)))
    ids[holes] = 0
    return ids


@given(region_maps())
@settings(max_examples=60, deadline=None)
def test_a_prompt_made_in_its_box_equals_that_of_the_full_mask(ids):
    prompts = region_prompts(ids, PARAMS)
    assert [prompt.region_id for prompt in prompts] == np.unique(ids[ids > 0]).tolist()
    for prompt in prompts:
        expected = full_size_prompt(ids, prompt.region_id)
        np.testing.assert_array_equal(drawn(prompt, ids.shape), expected)
        assert len(prompt.rows) > 0


@given(region_maps(), st.integers(0, 50), st.integers(0, 50), st.sampled_from([0.0, 0.3, 1.0]))
@settings(max_examples=40, deadline=None)
def test_ellipses_of_any_size_erode_as_opencvs(ids, large, small, keep):
    large, small = 2 * max(large, small) + 1, 2 * min(large, small) + 1
    params = LabelParams(erosion_size=large, gentle_erosion_size=small, erosion_keep=keep)
    for prompt in region_prompts(ids, params):
        mask = (ids == prompt.region_id).astype(np.uint8)
        expected = cv2.erode(mask, ellipse_kernel(large))
        if not expected.any():
            expected = mask
        elif expected.sum() / mask.sum() < keep:
            expected = cv2.erode(mask, ellipse_kernel(small))
        np.testing.assert_array_equal(drawn(prompt, ids.shape), expected.astype(bool))


def test_a_prompt_keeps_its_pixels_when_the_image_is_not_resized():
    prompt = RegionPrompt(1, np.array([0, 3]), np.array([2, 4]))
    assert scale_prompt(prompt, (10, 20), (10, 20)) is prompt


def test_a_prompt_at_half_size_covers_the_pixels_it_touches():
    rows, columns = np.nonzero(np.kron(np.eye(3, dtype=int), np.ones((2, 2), int)))
    half = scale_prompt(RegionPrompt(1, rows, columns), (6, 6), (3, 3))
    np.testing.assert_array_equal(drawn(half, (3, 3)), np.eye(3, dtype=bool))


@given(
    st.tuples(st.integers(1, 30), st.integers(1, 30)),
    st.tuples(st.integers(1, 30), st.integers(1, 30)),
    st.randoms(use_true_random=False),
)
def test_a_resized_prompt_stays_inside_in_order_and_not_empty(image_size, input_size, random):
    pixels = sorted(random.sample(range(image_size[0] * image_size[1]), k=1))
    rows, columns = np.divmod(np.array(pixels), image_size[1])
    scaled = scale_prompt(RegionPrompt(1, rows, columns), image_size, input_size)
    positions = scaled.rows * input_size[1] + scaled.columns
    assert len(positions) > 0
    assert (np.diff(positions) > 0).all()
    assert (scaled.rows < input_size[0]).all()
    assert (scaled.columns < input_size[1]).all()
