from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seg_assets.data.ground_truth.open import open_ground_truth
from seg_assets.errors import ImageError, InputError, UnknownClassError
from seg_assets_tests.data.conftest import encoded, write_files
from seg_assets_tests.data.ground_truth.conftest import area

CLASSES = np.array([[0, 15, 15, 255], [0, 15, 20, 20]], np.uint8)
OBJECTS = np.array([[0, 1, 2, 255], [0, 1, 0, 3]], np.uint8)


def indexed(values: np.ndarray) -> bytes:
    image = Image.fromarray(values, "P")
    image.putpalette(list(range(255, -1, -1)) * 3)
    return encoded(image)


def voc(root: Path, **files: bytes) -> Path:
    return write_files(root, {f"{folder}/2007_000032.png": d for folder, d in files.items()})


def test_objects_are_told_apart_and_background_is_a_class(tmp_path: Path) -> None:
    root = voc(tmp_path, SegmentationClass=indexed(CLASSES), SegmentationObject=indexed(OBJECTS))
    truth = open_ground_truth(root, "voc")
    assert (truth.table.name, truth.image_ids()) == ("voc21", ("2007_000032",))
    found = truth.read("2007_000032")
    np.testing.assert_array_equal(found.label_map, CLASSES)
    np.testing.assert_array_equal(found.segment_ids, [[1, 2, 3, 0], [1, 2, 4, 5]])
    assert found.segment_classes == {1: 0, 2: 15, 3: 15, 4: 20, 5: 20}
    assert found.crowds == {4}  # a television without a number
    assert found.objects is not None
    assert [(item.class_id, item.crowd) for item in found.objects] == [
        (15, False), (15, False), (20, True), (20, False)
    ]  # fmt: skip


def test_void_among_the_numbers_is_no_object(tmp_path: Path) -> None:
    classes, numbers = np.array([[15, 15, 15]], np.uint8), np.array([[1, 255, 0]], np.uint8)
    root = voc(tmp_path, SegmentationClass=indexed(classes), SegmentationObject=indexed(numbers))
    found = open_ground_truth(root, "voc").read("2007_000032")
    np.testing.assert_array_equal(found.segment_ids, [[2, 1, 1]])
    assert found.crowds == {1}


def test_names_do_not_matter_where_a_table_is_named(tmp_path: Path) -> None:
    root = voc(tmp_path, SegmentationClass=indexed(CLASSES))
    write_files(tmp_path, {"class_names.txt": b"road\nsidewalk\n"})
    truth = open_ground_truth(root, "voc:coco133")
    assert (truth.table.name, truth.image_ids()) == ("coco133", ("2007_000032",))


def test_without_objects_there_are_classes_only(tmp_path: Path) -> None:
    found = open_ground_truth(voc(tmp_path, SegmentationClass=indexed(CLASSES)), "voc").read(
        "JPEGImages/2007_000032"
    )
    assert (found.segment_ids, found.objects) == (None, None)


@pytest.mark.parametrize("source", ["", "VOC2012", "VOC2012/SegmentationClass"])
def test_the_devkit_a_year_or_its_folder_may_be_named(tmp_path: Path, source: str) -> None:
    voc(tmp_path / "VOC2012", SegmentationClass=indexed(CLASSES))
    (tmp_path / "VOC2007/JPEGImages").mkdir(parents=True)
    truth = open_ground_truth(tmp_path / source, "voc")
    uri = str(tmp_path / "VOC2012/SegmentationClass/2007_000032.png")
    assert truth.label_uri("2007_000032") == uri


def test_other_layouts_and_other_classes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no folder SegmentationClass: give one folder in VOC"):
        open_ground_truth(tmp_path, "voc").image_ids()
    for year in ("VOC2007", "VOC2012"):
        voc(tmp_path / year, SegmentationClass=indexed(CLASSES))
    with pytest.raises(InputError, match="has several of them .*VOC2007.*VOC2012"):
        open_ground_truth(tmp_path, "voc").image_ids()
    write_files(tmp_path / "VOC2012", {"class_names.txt": b"_background_\ncat\n"})
    with pytest.raises(InputError, match="class_names.txt names other classes .* voc:<class"):
        open_ground_truth(tmp_path / "VOC2012", "voc").image_ids()


def test_classes_of_your_own_need_their_table(tmp_path: Path) -> None:
    root = voc(tmp_path, SegmentationClass=indexed(np.array([[0, 10, 11]], np.uint8)))
    truth = open_ground_truth(root, "voc:camvid11")
    assert truth.table.name == "camvid11"
    with pytest.raises(UnknownClassError, match="2007_000032.png holds class id 11, outside"):
        truth.read("2007_000032")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"SegmentationObject": indexed(OBJECTS[:1])}, "is 1 x 4 pixels, its image 2 x 4"),
        ({"SegmentationObject": indexed(OBJECTS)[:40]}, "SegmentationObject"),
        ({"SegmentationClass": encoded(np.zeros((2, 4, 3), np.uint8))}, "holds colours"),
    ],
    ids=["size", "truncated", "colours"],
)
def test_files_that_do_not_fit_are_refused(
    tmp_path: Path, files: dict[str, bytes], message: str
) -> None:
    root = voc(tmp_path, **{"SegmentationClass": indexed(CLASSES), **files})
    with pytest.raises(ImageError, match=message):
        open_ground_truth(root, "voc").read("2007_000032")


def test_the_samples_have_the_pixels_that_their_pngs_have(shared_dir: Path) -> None:
    folder = shared_dir / "data/voc"
    truth = open_ground_truth(folder, "voc")
    assert truth.image_ids() == ("2011_000003", "2011_000006")
    for image_id in truth.image_ids():
        planes = [
            np.asarray(Image.open(folder / f"{kind}/{image_id}.png"))
            for kind in ("SegmentationClass", "SegmentationObject")
        ]
        pairs, pixels = np.unique(np.stack(planes).reshape(2, -1), axis=1, return_counts=True)
        found = truth.read(image_id)
        expected = {
            (int(class_id), int(count))
            for class_id, number, count in zip(*pairs, pixels, strict=True)
            if number not in (0, 255)
        }
        assert found.objects is not None
        assert not found.crowds
        areas = [area(item, found.label_map.shape) for item in found.objects]
        classes = [item.class_id for item in found.objects]
        assert set(zip(classes, areas, strict=True)) == expected
        assert len(areas) == len(expected)
