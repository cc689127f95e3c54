from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seg_assets.data.ground_truth.open import open_ground_truth
from seg_assets.errors import ImageError, InputError, UnknownClassError
from seg_assets_tests.data.conftest import encoded, write_files
from seg_assets_tests.data.ground_truth.conftest import area, mask

FRAME = "frankfurt/frankfurt_000000_000294"
TRAIN_IDS = np.array([[0, 13, 255]], np.uint8)
# a car that is taken apart, a group of cars, a road, a static thing outside the 19 classes
LABEL_IDS = np.array([[26, 26, 26], [26, 7, 4]], np.uint8)
INSTANCE_IDS = np.array([[26000, 26000, 26], [26001, 7, 4]], np.uint16)


def city(root: Path, **files: bytes) -> Path:
    return write_files(
        root / "gtFine/val", {f"{FRAME}_gtFine_{k}.png": v for k, v in files.items()}
    )


def test_an_image_finds_its_label_file_in_cityscapes_layout(tmp_path: Path) -> None:
    root = city(tmp_path, labelTrainIds=encoded(TRAIN_IDS), color=b"x", instanceIds=b"x")
    truth = open_ground_truth(root, "cityscapes")
    assert truth.image_ids() == (f"{FRAME}_leftImg8bit",)
    uri = str(root / f"{FRAME}_gtFine_labelTrainIds.png")
    assert truth.label_uri(f"{FRAME}_leftImg8bit") == uri
    assert truth.label_uri("frankfurt/frankfurt_000000_000295_leftImg8bit") is None
    found = truth.read(f"{FRAME}_leftImg8bit")
    np.testing.assert_array_equal(found.label_map, TRAIN_IDS)
    assert found.objects is None


@pytest.mark.parametrize(
    "image_id",
    [
        "frankfurt_000000_000294_leftImg8bit",
        "frankfurt_000000_000294",
        f"val/{FRAME}_leftImg8bit",
        f"{FRAME}_leftImg8bit_foggy_beta_0.01",
    ],
    ids=["flat", "renamed", "from the root", "foggy"],
)
def test_names_of_cityscapes_are_found_from_any_folder(tmp_path: Path, image_id: str) -> None:
    root = city(tmp_path, labelTrainIds=encoded(TRAIN_IDS))
    assert open_ground_truth(root, "cityscapes").find(image_id) == f"{FRAME}_leftImg8bit"


def test_foggy_driving_is_fine_where_it_can_be_and_coarse_elsewhere(tmp_path: Path) -> None:
    root = write_files(
        tmp_path,
        {
            "gtFine/test/public/a_gtFine_labelTrainIds.png": encoded(TRAIN_IDS),
            "gtCoarse/test/public/a_gtCoarse_labelTrainIds.png": b"x",
            "gtCoarse/test/pedestrian/b_gtCoarse_labelTrainIds.png": encoded(TRAIN_IDS),
        },
    )
    truth = open_ground_truth(root, "foggy_driving")
    found = {i: truth.label_uri(f"{i}_leftImg8bit") for i in ("public/a", "pedestrian/b")}
    assert found == {
        "public/a": str(root / "gtFine/test/public/a_gtFine_labelTrainIds.png"),
        "pedestrian/b": str(root / "gtCoarse/test/pedestrian/b_gtCoarse_labelTrainIds.png"),
    }
    np.testing.assert_array_equal(truth.read("public/a_leftImg8bit").label_map, TRAIN_IDS)


def test_two_labels_of_one_image_are_refused(tmp_path: Path) -> None:
    names = ["x/a_gtFine_labelTrainIds.png", "x/a_labelTrainIds.png"]
    truth = open_ground_truth(write_files(tmp_path, dict.fromkeys(names, b"x")), "cityscapes")
    with pytest.raises(InputError, match="label the same image: remove one of them"):
        truth.image_ids()


def test_flat_folders_hold_files_named_as_their_images(tmp_path: Path) -> None:
    files = {"trainIds/a.png": encoded(TRAIN_IDS), "labelIds/a.png": b"x", "images/a.png": b"x"}
    root = write_files(tmp_path, files)
    for source in (root, root / "trainIds"):
        truth = open_ground_truth(source, "cityscapes")
        assert truth.image_ids() == ("a",)
        assert truth.label_uri("a") == str(root / "trainIds/a.png")


def test_instance_ids_beside_label_ids_give_segments_and_objects(tmp_path: Path) -> None:
    root = city(tmp_path, labelIds=encoded(LABEL_IDS), instanceIds=encoded(INSTANCE_IDS))
    found = open_ground_truth(root, "cityscapes_ids").read(f"{FRAME}_leftImg8bit")
    np.testing.assert_array_equal(found.label_map, [[13, 13, 13], [13, 0, 255]])
    assert found.segment_ids is not None
    ids = found.segment_ids
    assert ids[1, 2] == 0
    car, group, other, road = (int(ids[at]) for at in ((0, 0), (0, 2), (1, 0), (1, 1)))
    assert ids[0, 1] == car
    assert found.segment_classes == {car: 13, group: 13, other: 13, road: 0}
    assert found.crowds == {group}
    assert found.objects is not None
    masks = {
        (item.class_id, item.crowd, tuple(np.flatnonzero(mask(item, (2, 3)))))
        for item in found.objects
    }
    assert masks == {(13, False, (0, 1)), (13, False, (3,)), (13, True, (2,))}


def test_without_instance_ids_there_are_classes_only(tmp_path: Path) -> None:
    root = city(tmp_path, labelIds=encoded(LABEL_IDS))
    found = open_ground_truth(root, "cityscapes_ids").read(f"{FRAME}_leftImg8bit")
    assert (found.segment_ids, found.objects) == (None, None)


@pytest.mark.parametrize(
    ("instance_ids", "message"),
    [
        (encoded(INSTANCE_IDS[:1]), "instanceIds.png is 1 x 3 pixels, its image 2 x 3"),
        (encoded(INSTANCE_IDS)[:50], "instanceIds.png"),
        (encoded(np.zeros((2, 3, 3), np.uint8)), r"instanceIds.png holds colours \(RGB\)"),
    ],
    ids=["size", "truncated", "colours"],
)
def test_instance_ids_that_do_not_fit_are_refused(
    tmp_path: Path, instance_ids: bytes, message: str
) -> None:
    root = city(tmp_path, labelIds=encoded(LABEL_IDS), instanceIds=instance_ids)
    with pytest.raises(ImageError, match=message):
        open_ground_truth(root, "cityscapes_ids").read(f"{FRAME}_leftImg8bit")


def test_instance_ids_of_another_image_are_refused(tmp_path: Path) -> None:
    other = INSTANCE_IDS.copy()
    other[0, 2], other[1, 0] = 24001, 7
    root = city(tmp_path, labelIds=encoded(LABEL_IDS), instanceIds=encoded(other))
    message = "labelIds.png and .*instanceIds.png say different things of 2 pixels, row 0, column 2"
    with pytest.raises(ImageError, match=message):
        open_ground_truth(root, "cityscapes_ids").read(f"{FRAME}_leftImg8bit")


def test_label_ids_that_cityscapes_does_not_have_are_named(tmp_path: Path) -> None:
    root = city(tmp_path, labelIds=encoded(LABEL_IDS + np.uint8(14)))
    with pytest.raises(UnknownClassError, match="labelIds.png holds 40: Cityscapes' label ids"):
        open_ground_truth(root, "cityscapes_ids").read(f"{FRAME}_leftImg8bit")


def test_instance_ids_of_labels_that_cityscapes_does_not_have_are_named(tmp_path: Path) -> None:
    instances = np.array([[35001, 26000, 300], [26, 7, 254]], np.uint16)
    root = city(tmp_path, labelIds=encoded(LABEL_IDS), instanceIds=encoded(instances))
    with pytest.raises(UnknownClassError, match="instanceIds.png holds 35, 254, 300: Cityscapes'"):
        open_ground_truth(root, "cityscapes_ids").read(f"{FRAME}_leftImg8bit")


def test_a_folder_with_the_other_kind_of_labels_says_so(tmp_path: Path) -> None:
    root = city(tmp_path, labelIds=encoded(LABEL_IDS), color=b"x")
    with pytest.raises(InputError, match=r"no \*_labelTrainIds.png \(it holds \*_labelIds"):
        open_ground_truth(root, "cityscapes").image_ids()


def test_real_instances_are_those_of_the_label_ids(shared_dir: Path) -> None:
    """Counted from the PNGs: a thing's number from 1000 on is an object, below a group."""
    things = {24, 25, 26, 27, 28, 31, 32, 33}
    folder = shared_dir / "data/cityscapes"
    crowds = objects = 0
    for source in (folder, folder / "labels_only"):
        truth = open_ground_truth(source, "cityscapes_ids")
        for image_id in truth.image_ids():
            numbers = np.asarray(Image.open(source / f"instanceIds/{image_id}.png"))
            values, pixels = np.unique(numbers, return_counts=True)
            expected = sorted(
                (int(count), bool(value < 1000))
                for value, count in zip(values, pixels, strict=True)
                if (value if value < 1000 else value // 1000) in things
            )
            found = truth.read(image_id)
            assert found.objects is not None
            areas = [(area(item, numbers.shape), item.crowd) for item in found.objects]
            assert sorted(areas) == expected
            assert found.segment_ids is not None
            has_segment = found.segment_ids != 0
            np.testing.assert_array_equal(has_segment, found.label_map != 255)
            crowds += len(found.crowds)
            objects += len(areas)
    assert (objects > 400, crowds > 5) == (True, True)


def test_real_train_ids_are_what_the_label_ids_become(shared_dir: Path) -> None:
    folder = shared_dir / "data/cityscapes"
    train_ids = open_ground_truth(folder, "cityscapes")
    label_ids = open_ground_truth(folder, "cityscapes_ids")
    assert train_ids.image_ids() == label_ids.image_ids()
    for image_id in train_ids.image_ids():
        expected = train_ids.read(image_id).label_map
        np.testing.assert_array_equal(label_ids.read(image_id).label_map, expected)
