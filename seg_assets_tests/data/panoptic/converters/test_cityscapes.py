"""S26: Cityscapes' instance ids; the rules are those of cityscapesscripts' json2instanceImg.py."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seg_assets.data.id_maps import read_id_map
from seg_assets.data.panoptic.converters.cityscapes import (
    cityscapes_categories,
    cityscapes_to_panoptic,
)
from seg_assets.data.panoptic.segments import SegmentedImage, find_faults
from seg_assets.errors import InputError

TABLE = cityscapes_categories()


def kinds(image: SegmentedImage) -> list[tuple[str, int, bool]]:
    return sorted((TABLE.by_id(s.category_id).name, s.area, s.is_crowd) for s in image.segments)


def test_things_below_1000_are_a_crowd_and_other_labels_are_no_segment() -> None:
    instance_ids = np.array(
        [
            [7, 7, 23, 23, 0, 1],  # road, sky, unlabelled, ego vehicle
            [26000, 26000, 26001, 26, 26, 9],  # two cars, a group of cars, parking
            [24, 24007, 29001, 29, 33019, 6],  # persons, one person, caravan, bicycle
        ],
        np.uint16,
    )
    image = cityscapes_to_panoptic(instance_ids, image="a")
    assert kinds(image) == [
        ("bicycle", 1, False),
        ("car", 1, False),
        ("car", 2, False),
        ("car", 2, True),
        ("person", 1, False),
        ("person", 1, True),
        ("road", 2, False),
        ("sky", 2, False),
    ]
    assert find_faults(image, TABLE) == []
    assert (image.ids == 0).sum() == 6


def test_category_ids_are_cityscapes_label_ids() -> None:
    assert [(c.id, c.name) for c in TABLE.categories if c.id in (7, 26, 33)] == [
        (7, "road"),
        (26, "car"),
        (33, "bicycle"),
    ]
    TABLE.check_colors()


@pytest.mark.parametrize(
    ("instance_ids", "message"),
    [
        (np.zeros((2, 2)), "type float64; give the 16-bit plane"),
        (np.zeros((2, 2, 3), np.uint8), r"shape \(2, 2, 3\)"),
        (np.array([[-1, 5]]), "go from -1 to 5"),
        (np.array([[999]]), "go from 999 to 999"),
    ],
)
def test_other_maps_are_refused(instance_ids: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        cityscapes_to_panoptic(instance_ids, image="a")


def test_a_real_street(shared_dir: Path) -> None:
    """Training ids equal those derived by others, and instances are those of the file."""
    folder = shared_dir / "data/cityscapes"
    name = "aachen_000003_000019.png"
    instance_ids = read_id_map(str(folder / "instanceIds" / name))
    image = cityscapes_to_panoptic(instance_ids, image=name)
    assert find_faults(image, TABLE) == []
    with Image.open(folder / "trainIds" / name) as train_ids:
        np.testing.assert_array_equal(image.semantic(TABLE), np.asarray(train_ids))
    numbered = [i for i in np.unique(instance_ids).tolist() if i >= 1000 and i // 1000 in TABLE]
    apart = [s for s in image.segments if TABLE.by_id(s.category_id).is_thing and not s.is_crowd]
    assert sorted(s.area for s in apart) == sorted(int((instance_ids == i).sum()) for i in numbered)
    assert len(apart) > 3
