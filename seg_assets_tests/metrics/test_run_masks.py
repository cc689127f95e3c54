import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as pycocotools_mask

from seg_assets.errors import InputError
from seg_assets.metrics.run_masks import RunMasks
from seg_assets_tests.metrics.coco_rles import encode, rows

stacks = hnp.array_shapes(min_dims=2, max_dims=2, max_side=9).flatmap(
    lambda shape: hnp.arrays(np.bool_, st.integers(0, 5).map(lambda n: (n, *shape)))
)


@given(stacks)
def test_areas_boxes_and_runs_are_those_of_the_pixels(masks: np.ndarray) -> None:
    read = RunMasks.read([encode(mask) for mask in masks])
    assert read.areas.tolist() == masks.sum((1, 2)).tolist()
    for n, mask in enumerate(masks):
        pixels = np.zeros(mask.size, bool)
        for start, end in read.spans[read.offsets[n] : read.offsets[n + 1]]:
            pixels[start:end] = True
        np.testing.assert_array_equal(pixels.reshape(mask.shape[::-1]).T, mask)
        if mask.any():
            y, x = np.nonzero(mask)
            assert read.boxes[n].tolist() == [x.min(), y.min(), x.max(), y.max()]


@given(stacks, st.integers(0, 5))
def test_overlaps_and_ious_equal_those_of_the_pixels(masks: np.ndarray, cut: int) -> None:
    first, second = masks[:cut], masks[cut:]
    a, b = (RunMasks.read([encode(mask) for mask in part]) for part in (first, second))
    shared = (first[:, None] & second[None]).sum((2, 3))
    np.testing.assert_array_equal(a.overlaps(b), shared)
    either = (first[:, None] | second[None]).sum((2, 3))
    np.testing.assert_array_equal(a.ious(b), shared / np.maximum(either, 1))


def test_ious_are_bitwise_those_of_pycocotools_on_a_large_image() -> None:
    random = np.random.default_rng(0)
    y, x = np.mgrid[:300, :400]
    masks = []
    for _ in range(30):
        cy, cx, r = random.uniform(0, 300), random.uniform(0, 400), random.uniform(5, 120)
        masks.append(encode((y - cy) ** 2 + (x - cx) ** 2 + 40 * np.sin(x / 3) * r < r * r))
    found = RunMasks.read(masks[:20]).ious(RunMasks.read(masks[20:]))
    expected = pycocotools_mask.iou(masks[:20], masks[20:], [0] * 10)
    np.testing.assert_array_equal(found, expected)


def test_only_pairs_of_a_kind_are_compared() -> None:
    masks = RunMasks.read([rows("110"), rows("011")])
    kinds = np.array([0, 1])
    assert masks.overlaps(masks, kinds, kinds).tolist() == [[2, 0], [0, 2]]
    assert masks.overlaps(masks, kinds, kinds[::-1].copy()).tolist() == [[0, 1], [1, 0]]
    with pytest.raises(InputError, match="one kind per mask"):
        masks.overlaps(masks, np.zeros(3, np.int64))


def test_counts_may_be_text() -> None:
    mask = rows("0110", "1111")
    text = mask | {"counts": mask["counts"].decode()}
    assert RunMasks.read([text]).areas.tolist() == [6]


TOO_LONG = b"X" + b"P" * 11 + b"0"  # eight, with zeros before it beyond 60 bits
NO_DIGIT = b"p8"  # as if it were 0, 8


@pytest.mark.parametrize(
    "counts",
    [b"", b"o", b"1", b"0", b"99", b"X", b"\xff\xff", b"ooooooooooooo0", "§", TOO_LONG, NO_DIGIT],
)
def test_damaged_run_lengths_are_refused(counts: bytes) -> None:
    good = rows("0110", "1111")
    with pytest.raises(InputError, match="the masks of img: the run lengths of number 1"):
        RunMasks.read([good, {"size": [2, 4], "counts": counts}], "the masks of img")


@given(st.binary(max_size=12))
def test_no_text_reads_beyond_the_image(counts: bytes) -> None:
    try:
        read = RunMasks.read([{"size": [3, 5], "counts": counts}])
    except InputError:
        return
    assert 0 <= read.areas[0] <= 15
    assert (read.spans >= 0).all()
    assert (read.spans <= 15).all()


def test_lists_of_runs_and_mixed_sizes_are_refused() -> None:
    with pytest.raises(InputError, match="counts of type list are not compressed"):
        RunMasks.read([{"size": [1, 2], "counts": [1, 1]}])
    with pytest.raises(InputError, match=r"have the sizes \[\(1, 2\), \(2, 1\)\]"):
        RunMasks.read([rows("10"), rows("1", "0")])
    with pytest.raises(InputError, match="1 x 2 pixels cannot be compared with masks of 2 x 1"):
        RunMasks.read([rows("10")]).ious(RunMasks.read([rows("1", "0")]))
