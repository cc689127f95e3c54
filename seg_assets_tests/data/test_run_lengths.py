import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pycocotools import mask as coco

from seg_assets.data.run_lengths import paint_runs, read_runs
from seg_assets.errors import InputError

MASKS = arrays.arrays(np.bool_, arrays.array_shapes(min_dims=2, max_dims=2, max_side=40))


@given(MASKS)
def test_what_pycocotools_writes_is_read(mask: np.ndarray) -> None:
    counts = coco.encode(np.asfortranarray(mask, np.uint8))["counts"]
    runs = read_runs(counts, *mask.shape)
    np.testing.assert_array_equal(paint_runs(runs, *mask.shape), mask)


def test_long_runs_take_several_characters() -> None:
    mask = np.zeros((300, 200), bool)
    mask[:, 50:150] = True
    counts = coco.encode(np.asfortranarray(mask, np.uint8))["counts"]
    assert read_runs(counts, 300, 200).tolist() == [15000, 30000, 15000]


@pytest.mark.parametrize("counts", [b"", b"P", b"999", b"\xff", b"0160000", b"o" * 40 + b"0"])
def test_other_texts_are_refused(counts: bytes) -> None:
    with pytest.raises(InputError, match="^run lengths do not describe a mask of 6 x 8 pixels"):
        read_runs(counts, 6, 8)


@given(st.binary(max_size=8))
def test_any_bytes_are_refused_or_add_up(counts: bytes) -> None:
    try:
        runs = read_runs(counts, 6, 8)
    except InputError:
        return
    assert runs.sum() == 48
    assert runs.min() >= 0
