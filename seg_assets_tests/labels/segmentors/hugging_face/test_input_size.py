import pytest
from hypothesis import given
from hypothesis import strategies as st

from seg_assets.labels.segmentors.hugging_face.input_size import LONGEST, STRIDE, aspect_true_size


@pytest.mark.parametrize(
    ("image", "short_side", "expected"),
    [
        ((1024, 2048), 1024, (1024, 2048)),
        ((480, 640), 640, (640, 864)),  # 853 to the nearest multiple of 32
        ((640, 480), 640, (864, 640)),
        ((100, 1000), 512, (192, 2048)),  # no more than four times the short side
        ((1, 1), 32, (32, 32)),
        ((1, 9000), 32, (32, 128)),
    ],
)
def test_the_short_side_decides(image, short_side, expected):
    assert aspect_true_size(*image, short_side) == expected


@given(st.integers(1, 9000), st.integers(1, 9000), st.sampled_from([128, 384, 512, 1024]))
def test_sides_are_multiples_of_the_stride_and_bounded(height, width, short_side):
    rows, columns = aspect_true_size(height, width, short_side)
    assert rows % STRIDE == columns % STRIDE == 0
    assert min(rows, columns) >= STRIDE
    assert max(rows, columns) <= LONGEST * short_side
    assert (rows <= columns) == (height <= width) or rows == columns
