import json
import logging
import pickle
from pathlib import Path

import numpy as np
import pytest

from seg_assets.data.formats.instance_png import PngInstances
from seg_assets.errors import ImageError, InputError
from seg_assets_tests.data.conftest import S3Server, encoded, picture, write_files

IDS = np.zeros((6, 8), np.uint8)
IDS[1:3, 1:4] = 3
IDS[4:, 5:] = 1
MAPS = {"images/a.png": encoded(picture()), "instances/a.png": encoded(IDS)}
CLASSES = json.dumps({"3": "cat", "1": "dog", "9": "cow"}).encode()


def test_each_number_of_a_map_is_an_object(tmp_path: Path) -> None:
    data = PngInstances(str(write_files(tmp_path, MAPS)))
    assert (len(data), data.class_names) == (1, ())
    image = data[0]
    assert image.image_id == "a"
    np.testing.assert_array_equal(image.image, picture())
    np.testing.assert_array_equal(image.masks, [IDS == 1, IDS == 3])
    assert image.boxes.tolist() == [[5, 4, 8, 6], [1, 1, 4, 3]]
    assert image.class_ids.tolist() == [-1, -1]


def test_maps_of_16_bits_hold_more_objects(tmp_path: Path) -> None:
    ids = np.arange(48, dtype=np.uint16).reshape(6, 8) * 1000
    write_files(tmp_path, {**MAPS, "instances/a.png": encoded(ids)})
    image = PngInstances(str(tmp_path))[0]
    assert len(image.masks) == 47
    np.testing.assert_array_equal(image.masks[-1], ids == 47000)


def test_objects_may_have_files_of_their_own_and_overlap(tmp_path: Path) -> None:
    first, second = np.zeros((2, 6, 8), np.uint8)
    first[:3], second[2:] = 255, 1
    objects = {"instances/a/1.png": encoded(first), "instances/a/2.png": encoded(second)}
    write_files(tmp_path, {"images/a.png": MAPS["images/a.png"], **objects})
    np.testing.assert_array_equal(PngInstances(str(tmp_path))[0].masks, [first > 0, second > 0])


def test_folders_below_are_part_of_the_name(tmp_path: Path) -> None:
    names = {"images/x/a.png": "images/a.png", "instances/x/a.png": "instances/a.png"}
    write_files(tmp_path, {name: MAPS[origin] for name, origin in names.items()})
    write_files(tmp_path, {"images/b.jpg": encoded(picture(), "JPEG")})
    write_files(tmp_path, {"instances/b/a.png": encoded(IDS)})
    images = list(PngInstances(str(tmp_path)))
    assert [(image.image_id, len(image.masks)) for image in images] == [("b", 1), ("x/a", 2)]


def test_named_numbers_are_classes(tmp_path: Path) -> None:
    data = PngInstances(str(write_files(tmp_path, {**MAPS, "classes.json": CLASSES})))
    assert data.class_names == ("dog", "cat", "cow")
    assert data[0].class_ids.tolist() == [0, 1]


def test_a_map_without_objects_gives_none(tmp_path: Path) -> None:
    write_files(tmp_path, {**MAPS, "instances/a.png": encoded(IDS * 0)})
    assert PngInstances(str(tmp_path))[0].masks.shape == (0, 6, 8)


def test_images_without_pngs_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_files(tmp_path, {**MAPS, "images/b.png": encoded(picture())})
    with caplog.at_level(logging.INFO):
        assert len(PngInstances(str(tmp_path))) == 1
    assert "1 images, 1 without PNGs left out" in caplog.text


def test_a_folder_on_s3_is_read(s3_server: S3Server) -> None:
    write_files(s3_server.root / "bucket/png", {**MAPS, "classes.json": CLASSES})
    data = PngInstances("s3://bucket/png", storage_options=s3_server.storage_options)
    np.testing.assert_array_equal(data[0].masks, [IDS == 1, IDS == 3])
    assert data.class_names == ("dog", "cat", "cow")


def test_copies_in_other_processes_read_the_same(tmp_path: Path) -> None:
    data = PngInstances(str(write_files(tmp_path, MAPS)))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(data))[0].masks, data[0].masks)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"images/a.png": b"x"}, "has no folder instances: put the PNGs of objects there"),
        ({"instances/a.png": b"x"}, "images is not there"),
        ({"images/a.txt": b"x", "instances/a.png": b"x"}, "images holds no images"),
        ({"images/a.png": b"x", "instances/a.txt": b"x"}, r"no image of .*images has a PNG in"),
        ({**MAPS, "instances/b.png": b"x"}, r"b\.png belongs to no image: put b\.jpg or the like"),
        ({**MAPS, "instances/b/1.png": b"x"}, r"b/1\.png belongs to no image: put b/1\.jpg"),
        ({**MAPS, "classes.json": b'{"1": "d'}, r"classes\.json is truncated or is not JSON"),
        ({**MAPS, "classes.json": b'{"0": "x"}'}, r'classes\.json has the entry \{"0": "x"\}: wr'),
        ({**MAPS, "classes.json": b'{"1": 2}'}, r'classes\.json has the entry \{"1": 2\}: write'),
    ],
)
def test_what_does_not_fit_is_named_when_opened(
    tmp_path: Path, files: dict[str, bytes], message: str
) -> None:
    with pytest.raises((InputError, ImageError), match=message):
        PngInstances(str(write_files(tmp_path, files)))


def test_masks_of_another_size_are_refused(tmp_path: Path) -> None:
    write_files(tmp_path, {**MAPS, "instances/a.png": encoded(IDS.T.copy())})
    with pytest.raises(ImageError, match=r"instances/a\.png is 8 x 6 pixels, its image 6 x 8"):
        PngInstances(str(tmp_path))[0]


def test_numbers_without_a_name_are_refused(tmp_path: Path) -> None:
    write_files(tmp_path, {**MAPS, "classes.json": b'{"1": "dog"}'})
    with pytest.raises(ImageError, match=r"a\.png holds 3, which classes\.json does not name"):
        PngInstances(str(tmp_path))[0]
