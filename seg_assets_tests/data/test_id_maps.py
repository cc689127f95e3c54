from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seg_assets.data.id_maps import read_id_map
from seg_assets.errors import ImageError
from seg_assets_tests.data.conftest import encoded, write_files

IDS = np.array([[0, 1, 200], [255, 7, 0]])


def saved(folder: Path, data: bytes) -> str:
    write_files(folder, {"a.png": data})
    return str(folder / "a.png")


def indexed() -> Image.Image:
    image = Image.new("P", (3, 2))
    image.putdata(IDS.ravel().tolist())
    image.putpalette(bytes(range(255, -1, -1)) * 3)
    return image


@pytest.mark.parametrize(
    ("image", "ids"),
    [
        (Image.fromarray(IDS.astype(np.uint8)), IDS),
        (Image.fromarray((IDS * 257).astype(np.uint16)), IDS * 257),
        (indexed(), IDS),
        (Image.fromarray(IDS > 0), IDS > 0),
    ],
    ids=["8 bits", "16 bits", "palette", "1 bit"],
)
def test_numbers_are_read_as_they_are_stored(
    tmp_path: Path, image: Image.Image, ids: np.ndarray
) -> None:
    found = read_id_map(saved(tmp_path, encoded(image)), (2, 3))
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, ids)


def test_colours_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, encoded(np.zeros((2, 3, 3), np.uint8)))
    with pytest.raises(ImageError, match=r"a\.png holds colours \(RGB\), not numbers of objects"):
        read_id_map(path)


def test_another_size_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, encoded(np.zeros((2, 3), np.uint8)))
    with pytest.raises(
        ImageError, match=r"a\.png is 2 x 3 pixels, its image 3 x 2: give the masks"
    ):
        read_id_map(path, (3, 2))


def test_a_truncated_png_is_refused(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    path = saved(tmp_path, encoded(noise)[:-2000])
    with pytest.raises(ImageError, match=r"a\.png is truncated or damaged"):
        read_id_map(path)
