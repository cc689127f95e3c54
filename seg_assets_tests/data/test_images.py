import contextlib
import hashlib
import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from seg_assets.data.images import (
    DEFAULT_MAX_PIXELS,
    MAX_PIXELS_VARIABLE,
    decode_image,
    read_image,
    read_row,
)
from seg_assets.data.shards import ImageRef
from seg_assets.errors import ImageError, InputError
from seg_assets_tests.data.conftest import encoded, picture

ORIENTATION = 0x0112


def decoded(data: bytes) -> np.ndarray:
    pixels = decode_image(data, "test.png").pixels
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 3
    assert pixels.shape[2] == 3
    assert pixels.flags.c_contiguous
    assert pixels.flags.writeable
    return pixels


def grey(values: list[int]) -> np.ndarray:
    """One row of RGB pixels with equal channels."""
    return np.repeat(np.array([values], np.uint8)[:, :, None], 3, axis=2)


def with_orientation(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif


@pytest.mark.parametrize("image_format", ["PNG", "BMP", "TIFF"])
def test_lossless_rgb_comes_back_as_it_was(image_format: str) -> None:
    image = picture()
    result = decode_image(encoded(image, image_format), "test")
    assert result.format == image_format
    np.testing.assert_array_equal(result.pixels, image)


def test_lossless_webp_comes_back_as_it_was() -> None:
    result = decode_image(encoded(picture(), "WEBP", lossless=True), "test")
    assert result.format == "WEBP"
    np.testing.assert_array_equal(result.pixels, picture())


@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_is_what_pillow_decodes(progressive: bool) -> None:
    data = encoded(picture(40, 50), "JPEG", progressive=progressive)
    result = decode_image(data, "test")
    assert result.format == "JPEG"
    np.testing.assert_array_equal(result.pixels, np.array(Image.open(io.BytesIO(data))))


# The letter F, stored so that each orientation tag turns it upright; drawn by hand after the EXIF
# standard: "the 0th row is the visual ..., the 0th column is the visual ...".
UPRIGHT = ["###", "#..", "##.", "#..", "#.."]
STORED = {
    1: UPRIGHT,
    2: ["###", "..#", ".##", "..#", "..#"],
    3: ["..#", "..#", ".##", "..#", "###"],
    4: ["#..", "#..", "##.", "#..", "###"],
    5: ["#####", "#.#..", "#...."],
    6: ["#....", "#.#..", "#####"],
    7: ["....#", "..#.#", "#####"],
    8: ["#####", "..#.#", "....#"],
}


def drawn(rows: list[str]) -> np.ndarray:
    mask = np.array([[sign == "#" for sign in row] for row in rows])
    return np.repeat(np.where(mask, 255, 0).astype(np.uint8)[:, :, None], 3, axis=2)


@pytest.mark.parametrize("image_format", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied(orientation: int, image_format: str) -> None:
    options = {"lossless": True} if image_format == "WEBP" else {}
    data = encoded(
        drawn(STORED[orientation]), image_format, exif=with_orientation(orientation), **options
    )
    np.testing.assert_array_equal(decoded(data), drawn(UPRIGHT))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_of_jpeg_equals_pillows(orientation: int) -> None:
    data = encoded(picture(24, 40), "JPEG", exif=with_orientation(orientation))
    reference = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    np.testing.assert_array_equal(decoded(data), np.array(reference))


@pytest.mark.parametrize("orientation", [0, 9, 77])
def test_unknown_orientation_counts_as_upright(orientation: int) -> None:
    data = encoded(picture(), "PNG", exif=with_orientation(orientation))
    np.testing.assert_array_equal(decoded(data), picture())


def test_damaged_exif_does_not_cost_the_image() -> None:
    data = encoded(picture(), "PNG", exif=b"Exif\0\0not a TIFF header")
    np.testing.assert_array_equal(decoded(data), picture())


@pytest.mark.parametrize(
    ("mode", "stored", "expected"),
    [
        ("L", [0, 7, 255], [0, 7, 255]),
        ("1", [0, 255, 255], [0, 255, 255]),
        ("I;16", [0, 128, 129, 257, 32896, 65535], [0, 0, 1, 1, 128, 255]),
    ],
)
@pytest.mark.parametrize("image_format", ["PNG", "TIFF"])
def test_grey_is_scaled_to_8_bits(
    mode: str, stored: list[int], expected: list[int], image_format: str
) -> None:
    dtype = np.uint16 if mode == "I;16" else np.uint8
    image = Image.fromarray(np.array([stored], dtype))
    data = encoded(image.convert("1") if mode == "1" else image, image_format)
    np.testing.assert_array_equal(decoded(data), grey(expected))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0, 100, 255]], np.int32), [0, 100, 255]),
        (np.array([[0, 257, 65535]], np.int32), [0, 1, 255]),
        (np.array([[0.0, 0.5, 1.0]], np.float32), [0, 128, 255]),
        (np.array([[0.0, 0.6, 254.9]], np.float32), [0, 1, 255]),
    ],
    ids=["8 bits", "16 bits", "0 to 1", "0 to 255"],
)
def test_wide_tiff_takes_the_scale_that_its_values_fit(
    values: np.ndarray, expected: list[int]
) -> None:
    np.testing.assert_array_equal(decoded(encoded(values, "TIFF")), grey(expected))


@pytest.mark.parametrize(
    "values",
    [
        np.array([[-1, 5]], np.int32),
        np.array([[0, 65536]], np.int32),
        np.array([[-0.5, 0.5]], np.float32),
        np.array([[0, 300]], np.float32),
        np.array([[0, np.nan]], np.float32),
        np.array([[0, np.inf]], np.float32),
    ],
    ids=str,
)
def test_values_without_a_known_scale_are_refused(values: np.ndarray) -> None:
    with pytest.raises(
        ImageError, match=r"^a/b.tif has pixel values .* convert it to 8 or 16 bits"
    ):
        decode_image(encoded(values, "TIFF"), "a/b.tif")


def sixteen_bit_png(values: np.ndarray) -> bytes:
    """A PNG of 16 bits per channel, which Pillow cannot write. values: (H, W, C) uint16."""
    height, width, channels = values.shape
    colour_type = {2: 4, 3: 2, 4: 6}[channels]

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def test_16_bit_colour_is_within_one_level_of_rounding() -> None:
    values = np.random.default_rng(0).integers(0, 65536, (16, 16, 3)).astype(np.uint16)
    exact = np.round(values / 257)
    assert np.abs(decoded(sixteen_bit_png(values)) - exact).max() <= 1


def test_16_bit_transparency_is_composited_on_white() -> None:
    values = np.array([[[0, 0, 0, 0], [0x8080, 0, 0xFFFF, 0xFFFF]]], np.uint16)
    expected = [[[255, 255, 255], [128, 0, 255]]]
    np.testing.assert_array_equal(decoded(sixteen_bit_png(values)), expected)
    grey_alpha = np.array([[[0, 0], [0x8080, 0xFFFF]]], np.uint16)
    np.testing.assert_array_equal(decoded(sixteen_bit_png(grey_alpha)), grey([255, 128]))


def test_transparent_pixels_are_composited_on_white() -> None:
    rgba = np.array([[[10, 20, 30, 255], [10, 20, 30, 0], [0, 0, 0, 51]]], np.uint8)
    expected = [[[10, 20, 30], [255, 255, 255], [204, 204, 204]]]
    np.testing.assert_array_equal(decoded(encoded(Image.fromarray(rgba))), expected)


def test_transparent_grey_is_composited_on_white() -> None:
    grey_alpha = Image.merge("LA", [Image.new("L", (1, 1), 40), Image.new("L", (1, 1), 0)])
    np.testing.assert_array_equal(decoded(encoded(grey_alpha)), grey([255]))


def test_palette_is_looked_up() -> None:
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8), "P")
    image.putpalette([1, 2, 3, 250, 0, 0, 0, 250, 9])
    np.testing.assert_array_equal(decoded(encoded(image)), [[[1, 2, 3], [250, 0, 0], [0, 250, 9]]])


@pytest.mark.parametrize(
    ("transparency", "last"),
    [(2, [255, 255, 255]), (b"\xff\xff\x00", [255, 255, 255]), (b"\xff\xff\xff", [0, 250, 9])],
)
def test_transparent_palette_entries_become_white(transparency: int | bytes, last: list) -> None:
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8), "P")
    image.putpalette([1, 2, 3, 250, 0, 0, 0, 250, 9])
    data = encoded(image, transparency=transparency)
    np.testing.assert_array_equal(decoded(data), [[[1, 2, 3], [250, 0, 0], last]])


@pytest.mark.parametrize(
    ("image", "transparency", "expected"),
    [
        (np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8), (1, 2, 3), [[[255] * 3, [4, 5, 6]]]),
        (np.array([[9, 200]], np.uint8), 9, [[[255] * 3, [200] * 3]]),
    ],
    ids=["RGB", "L"],
)
def test_a_transparent_colour_becomes_white(
    image: np.ndarray, transparency: object, expected: list
) -> None:
    np.testing.assert_array_equal(decoded(encoded(image, transparency=transparency)), expected)


@pytest.mark.parametrize("image_format", ["JPEG", "TIFF"])
def test_cmyk_becomes_rgb(image_format: str) -> None:
    image = Image.new("CMYK", (16, 16), (0, 255, 255, 0))  # red ink
    pixels = decoded(encoded(image, image_format))
    assert pixels.shape == (16, 16, 3)
    np.testing.assert_allclose(pixels, np.broadcast_to([255, 0, 0], pixels.shape), atol=3)


def test_first_page_of_several_is_taken() -> None:
    first, second = Image.fromarray(picture(seed=1)), Image.fromarray(picture(seed=2))
    data = encoded(first, "TIFF", save_all=True, append_images=[second])
    np.testing.assert_array_equal(decoded(data), picture(seed=1))


def test_a_phones_double_jpeg_is_a_jpeg() -> None:
    first, second = Image.fromarray(picture(16, 16, 1)), Image.fromarray(picture(16, 16, 2))
    result = decode_image(encoded(first, "MPO", save_all=True, append_images=[second]), "a.jpg")
    assert result.format == "JPEG"
    assert result.pixels.shape == (16, 16, 3)


@pytest.mark.parametrize(
    "data",
    [
        encoded(picture(64, 64), "JPEG"),
        encoded(picture(64, 64), "JPEG", progressive=True),
        encoded(picture(64, 64), "PNG"),
        encoded(picture(64, 64), "BMP"),
        encoded(picture(64, 64), "TIFF"),
        encoded(picture(64, 64), "TIFF", compression="tiff_lzw"),
        encoded(picture(64, 64), "WEBP"),
    ],
    ids=["jpeg", "progressive", "png", "bmp", "tiff", "lzw", "webp"],
)
@pytest.mark.filterwarnings("ignore:Truncated File Read")
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_truncated_image_is_refused(data: bytes, share: float) -> None:
    with pytest.raises(
        ImageError, match=r"^here/x\.img .*(fetch it again|remove it or convert it)$"
    ):
        decode_image(data[: int(len(data) * share)], "here/x.img")


def test_truncated_jpeg_says_so() -> None:
    data = encoded(picture(64, 64), "JPEG")
    with pytest.raises(
        ImageError, match=r"^a\.jpg is truncated or damaged \(.*\): fetch it again$"
    ):
        decode_image(data[: len(data) // 2], "a.jpg")


def test_text_under_the_name_of_an_image_is_refused() -> None:
    with pytest.raises(ImageError) as caught:
        decode_image(b"not an image at all\n" * 9, "notes.jpg")
    assert str(caught.value) == (
        "notes.jpg is not an image of a known format (JPEG, PNG, BMP, TIFF, WEBP): "
        "remove it or convert it"
    )


def test_formats_that_run_other_programs_are_not_opened() -> None:
    with pytest.raises(ImageError, match="known format"):
        decode_image(encoded(picture(), "EPS"), "a.png")


def test_empty_file_is_refused() -> None:
    with pytest.raises(ImageError, match=r"^a\.jpg is empty \(0 bytes\): fetch it again$"):
        decode_image(b"", "a.jpg")


def test_decompression_bomb_is_refused_before_its_pixels_are_read() -> None:
    data = bytearray(encoded(picture(), "PNG"))
    data[16:24] = struct.pack(">II", 60000, 60000)
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    with pytest.raises(ImageError) as caught:
        decode_image(bytes(data), "bomb.png")
    assert str(caught.value) == (
        f"bomb.png has 60000 x 60000 pixels, more than the limit of {DEFAULT_MAX_PIXELS}: "
        f"make it smaller or raise {MAX_PIXELS_VARIABLE}"
    )


def test_limit_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MAX_PIXELS_VARIABLE, "47")
    with pytest.raises(ImageError, match="8 x 6 pixels, more than the limit of 47"):
        decode_image(encoded(picture(6, 8)), "a.png")
    monkeypatch.setenv(MAX_PIXELS_VARIABLE, "48")
    decode_image(encoded(picture(6, 8)), "a.png")
    monkeypatch.setenv(MAX_PIXELS_VARIABLE, "many")
    with pytest.raises(InputError, match=r"SEG_MAX_IMAGE_PIXELS is 'many': set it to a number"):
        decode_image(encoded(picture(6, 8)), "a.png")


def test_pillows_own_limit_stays_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert decode_image(encoded(picture(6, 8)), "a.png").pixels.shape == (6, 8, 3)
    assert Image.MAX_IMAGE_PIXELS == 10


def test_image_is_read_from_path_and_from_a_range_of_bytes(tmp_path: Path) -> None:
    data = encoded(picture())
    (tmp_path / "whole.png").write_bytes(data)
    (tmp_path / "inside.bin").write_bytes(b"12345" + data + b"rest")
    inside = ImageRef("a", str(tmp_path / "inside.bin"), 5, len(data))
    row = {"image_id": "a", "uri": inside.uri, "offset": 5, "size": len(data)}
    row["sha256"] = hashlib.sha256(data).hexdigest()
    for pixels in (
        read_image(tmp_path / "whole.png"),
        read_image(str(tmp_path / "whole.png")),
        read_image(ImageRef("whole", str(tmp_path / "whole.png"))),
        read_image(inside),
        read_row(row),
    ):
        np.testing.assert_array_equal(pixels, picture())


def test_image_that_changed_since_it_was_recorded_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encoded(picture(4, 4)))
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    row = {"image_id": "a", "uri": str(path), "offset": None, "size": None, "sha256": sha256}
    assert read_row(row).shape == (4, 4, 3)
    path.write_bytes(encoded(picture(6, 6)))
    with pytest.raises(ImageError, match=r"a\.png has changed since raw_images was written"):
        read_row(row)


def test_damaged_member_is_named_with_its_tar(tmp_path: Path) -> None:
    (tmp_path / "sa.tar").write_bytes(b"x" * 100)
    reference = ImageRef("sa_1", str(tmp_path / "sa.tar"), 10, 20)
    with pytest.raises(ImageError, match=r"^image sa_1 in .*sa\.tar \(byte 10\) is not an image"):
        read_image(reference)


def test_real_photos_equal_pillows_own_reading(shared_dir: Path) -> None:
    photos = sorted((shared_dir / "data/natural_images").glob("*.jpg"))[::6]
    photos += sorted((shared_dir / "data/sa1b/images").glob("*.jpg"))[:1]
    assert len(photos) > 3
    for photo in photos:
        with Image.open(photo) as image:
            reference = np.array(ImageOps.exif_transpose(image).convert("RGB"))
        np.testing.assert_array_equal(read_image(photo), reference)


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(max_examples=60, deadline=None)
@given(
    image_format=st.sampled_from(["JPEG", "PNG", "BMP", "WEBP"]),
    damage=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=8),
)
def test_damage_raises_nothing_but_image_errors(
    image_format: str, damage: list[tuple[int, int]]
) -> None:
    data = bytearray(encoded(picture(8, 8), image_format))
    for position, value in damage:
        data[position % len(data)] = value
    with contextlib.suppress(ImageError):
        decode_image(bytes(data), "damaged")
