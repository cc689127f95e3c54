from pathlib import Path

import numpy as np
import pytest

from seg_assets.data.formats.voc_instances import CLASS_NAMES, VocInstances
from seg_assets.errors import ImageError, InputError
from seg_assets_tests.data.conftest import encoded, picture, write_files

OBJECTS = np.array([[0, 1, 1, 255, 2, 2], [0, 1, 1, 255, 2, 2]], np.uint8)
CLASSES = np.array([[0, 15, 15, 255, 8, 8], [0, 15, 7, 255, 255, 8]], np.uint8)
FILES = {
    "JPEGImages/a.jpg": encoded(picture(2, 6)),
    "JPEGImages/unlabelled.jpg": encoded(picture(2, 6)),
    "SegmentationObject/a.png": encoded(OBJECTS),
    "SegmentationClass/a.png": encoded(CLASSES),
}


def without(*names: str) -> dict[str, bytes]:
    return {name: data for name, data in FILES.items() if name not in names}


def test_objects_have_masks_and_the_class_of_most_of_their_pixels(tmp_path: Path) -> None:
    data = VocInstances(str(write_files(tmp_path, FILES)))
    assert [image.image_id for image in data] == ["a"]
    image = data[0]
    np.testing.assert_array_equal(image.masks, [OBJECTS == 1, OBJECTS == 2])  # 255 is no object
    assert image.boxes.tolist() == [[1, 0, 3, 2], [4, 0, 6, 2]]
    assert [data.class_names[c] for c in image.class_ids] == ["person", "cat"]


def test_the_classes_are_vocs_twenty() -> None:
    assert len(CLASS_NAMES) == len(set(CLASS_NAMES)) == 20
    assert CLASS_NAMES[14] == "person"


def test_a_folder_without_classes_gives_none(tmp_path: Path) -> None:
    data = VocInstances(str(write_files(tmp_path, without("SegmentationClass/a.png"))))
    assert data.class_names == ()
    assert data[0].class_ids.tolist() == [-1, -1]


def test_other_classes_are_named_by_a_list(tmp_path: Path) -> None:
    names = "\n".join(["_background_", *(f"class {n}" for n in range(1, 16))])
    data = VocInstances(str(write_files(tmp_path, {**FILES, "class_names.txt": names.encode()})))
    assert [data.class_names[c] for c in data[0].class_ids] == ["class 15", "class 8"]
    write_files(tmp_path, {"class_names.txt": b"_background_\ncat\n"})
    with pytest.raises(ImageError, match=r"SegmentationClass/a\.png holds the class 15 of 1: name"):
        VocInstances(str(tmp_path))[0]


def test_a_split_is_read_from_its_list(tmp_path: Path) -> None:
    files = {
        **FILES,
        "JPEGImages/b.jpg": encoded(picture(2, 6)),
        "SegmentationObject/b.png": encoded(OBJECTS),
        "SegmentationClass/b.png": encoded(CLASSES),
        "ImageSets/Segmentation/val.txt": b"b\n\n",
        "ImageSets/Segmentation/train.txt": b"gone\n",
    }
    write_files(tmp_path, files)
    assert [image.image_id for image in VocInstances(str(tmp_path), split="val")] == ["b"]
    assert len(VocInstances(str(tmp_path))) == 2
    with pytest.raises(
        InputError, match=r"has no SegmentationObject/gone\.png, which .*train\.txt"
    ):
        VocInstances(str(tmp_path), split="train")
    with pytest.raises(InputError, match=r"test\.txt is not there: name a list that exists"):
        VocInstances(str(tmp_path), split="test")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (without("SegmentationObject/a.png"), "has no PNGs in SegmentationObject: give a folder"),
        (without("JPEGImages/a.jpg"), r"SegmentationObject/a\.png belongs to no image: put a\.jpg"),
        (
            {k: v for k, v in FILES.items() if not k.startswith("JPEG")},
            "has no folder JPEGImages: put the images there",
        ),
        (
            {**without("SegmentationClass/a.png"), "SegmentationClass/b.png": b"x"},
            r"SegmentationObject/a\.png has no SegmentationClass/a\.png beside it",
        ),
    ],
)
def test_what_is_missing_is_named_when_opened(
    tmp_path: Path, files: dict[str, bytes], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        VocInstances(str(write_files(tmp_path, files)))


@pytest.mark.parametrize("folder", ["SegmentationObject", "SegmentationClass"])
def test_maps_of_another_size_are_refused(tmp_path: Path, folder: str) -> None:
    write_files(tmp_path, {**FILES, f"{folder}/a.png": encoded(OBJECTS.T.copy())})
    with pytest.raises(ImageError, match=rf"{folder}/a\.png is 6 x 2 pixels, its image 2 x 6"):
        VocInstances(str(tmp_path))[0]


def test_real_pictures_of_voc_have_their_people_and_furniture(shared_dir: Path) -> None:
    data = VocInstances(str(shared_dir / "data/voc"))
    named = {image.image_id: sorted(data.class_names[c] for c in image.class_ids) for image in data}
    assert named == {
        "2011_000003": ["bottle", "person", "person"],
        "2011_000006": ["chair", "person", "person", "person", "person", "sofa"],
    }
