import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from seg_assets.data.ground_truth.coco_panoptic import CocoPanoptic
from seg_assets.data.ground_truth.open import open_ground_truth
from seg_assets.errors import ImageError, InputError, UnknownClassError
from seg_assets_tests.data.conftest import encoded, write_files
from seg_assets_tests.data.ground_truth.conftest import area

IDS = np.array([[1, 1, 300], [70000, 0, 2]], np.uint32)
SEGMENTS = [(1, 1, 0), (300, 1, 1), (70000, 149, 0), (2, 2, 0)]
CATEGORIES = [
    {"id": 149, "name": "road", "isthing": 0},
    {"id": 1, "name": "person", "isthing": 1},
    {"id": 2, "name": "bicycle", "isthing": 1},
]


def colours(ids: np.ndarray) -> bytes:
    return encoded(np.stack([ids % 256, ids // 256 % 256, ids // 65536], -1).astype(np.uint8))


def content(segments: list = SEGMENTS, **changes: Any) -> dict[str, Any]:
    listed = [
        {"id": i, "category_id": c, "iscrowd": crowd, "area": 1, "bbox": [0, 0, 1, 1]}
        for i, c, crowd in segments
    ]
    return {
        "images": [
            {"id": 7, "file_name": "a.jpg", "height": 2, "width": 3},
            {"id": 8, "file_name": "bare.jpg", "height": 2, "width": 3},
        ],
        "annotations": [{"image_id": 7, "file_name": "a.png", "segments_info": listed}],
        "categories": CATEGORIES,
        **changes,
    }


def release(root: Path, data: dict[str, Any] | bytes, png: bytes = colours(IDS)) -> Path:
    text = data if isinstance(data, bytes) else json.dumps(data).encode()
    write_files(root, {"panoptic_val.json": text, "panoptic_val/a.png": png})
    return root / "panoptic_val.json"


def test_segments_become_classes_segments_and_objects(tmp_path: Path) -> None:
    truth = open_ground_truth(release(tmp_path, content()), "coco_panoptic")
    person, bicycle, road = (truth.table.id_of(n) for n in ("person", "bicycle", "road"))
    assert truth.table.name == "coco133"
    assert truth.image_ids() == ("a",)
    assert truth.label_uri("val2017/a") == str(tmp_path / "panoptic_val/a.png")
    assert truth.label_uri("bare") is None
    found = truth.read("a")
    np.testing.assert_array_equal(found.label_map, [[person, person, person], [road, 255, bicycle]])
    np.testing.assert_array_equal(found.segment_ids, IDS)
    assert found.segment_ids is not None
    assert found.segment_ids.dtype == np.int32
    assert found.segment_classes == {1: person, 300: person, 70000: road, 2: bicycle}
    assert found.crowds == {300}
    assert found.objects is not None
    assert [(item.class_id, item.crowd) for item in found.objects] == [
        (person, False),
        (bicycle, False),
        (person, True),
    ]


def test_pngs_may_lie_in_a_folder_of_any_name(tmp_path: Path) -> None:
    path = release(tmp_path, content())
    (tmp_path / "panoptic_val").rename(tmp_path / "pngs")
    with pytest.raises(InputError, match="the PNGs of .* are in none of .*panoptic_val"):
        open_ground_truth(path, "coco_panoptic").label_uri("a")
    truth = CocoPanoptic(str(path), png_folder=str(tmp_path / "pngs"))
    assert truth.read("a").segment_classes.keys() == {1, 2, 300, 70000}


def test_a_segment_that_only_one_side_knows_is_named(tmp_path: Path) -> None:
    truth = open_ground_truth(release(tmp_path, content(SEGMENTS[:2])), "coco_panoptic")
    with pytest.raises(ImageError, match=r"a.png holds segment 2, which .*val.json does not list"):
        truth.read("a")
    more = content([*SEGMENTS, (9, 1, 0)])
    truth = open_ground_truth(release(tmp_path, more), "coco_panoptic")
    with pytest.raises(ImageError, match=r"val.json lists segment 9, which .*a.png does not hold"):
        truth.read("a")
    twice = content([*SEGMENTS, SEGMENTS[0]])
    truth = open_ground_truth(release(tmp_path, twice), "coco_panoptic")
    with pytest.raises(ImageError, match=r"lists segment 1 of .*a.png twice"):
        truth.read("a")


def test_a_category_that_the_file_does_not_list_is_named(tmp_path: Path) -> None:
    strange = content([*SEGMENTS[:3], (2, 77, 0)])
    truth = open_ground_truth(release(tmp_path, strange), "coco_panoptic")
    with pytest.raises(UnknownClassError, match="segment 2 of a in .* has the category 77"):
        truth.read("a")


@pytest.mark.parametrize(
    ("png", "message"),
    [
        (colours(IDS[:1]), r"a.png is 1 x 3 pixels, but .* says 2 x 3"),
        (colours(IDS)[:60], "a.png"),
        (encoded(IDS.astype(np.uint8)), "has no 24-bit colours"),
    ],
    ids=["size", "truncated", "grey"],
)
def test_pngs_that_do_not_fit_are_refused(tmp_path: Path, png: bytes, message: str) -> None:
    truth = open_ground_truth(release(tmp_path, content(), png), "coco_panoptic")
    with pytest.raises(ImageError, match=message):
        truth.read("a")


IMAGE = content()["images"][0]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (json.dumps(content()).encode()[:200], "panoptic_val.json is no panoptic JSON"),
        (content(images=[IMAGE, IMAGE]), "lists image 7 twice"),
        (
            content(
                images=[IMAGE, {**IMAGE, "id": 9}],
                annotations=[
                    {"image_id": i, "file_name": f"{i}.png", "segments_info": []} for i in (7, 9)
                ],
            ),
            "lists a file of an image twice",
        ),
        (
            content(categories=[*CATEGORIES, {"id": 3, "name": "road", "isthing": 0}]),
            "named 'road'",
        ),
        (
            content(categories=[{"id": 1, "name": "rider", "isthing": 1}]),
            r"category 'rider', which is not in the class table coco133: .* coco_panoptic:citys",
        ),
        (
            content(categories=[{"id": 1, "name": "gnome", "isthing": 1}]),
            r"category 'gnome', .* coco_panoptic:<a class table of yours>.toml",
        ),
    ],
    ids=["truncated", "image twice", "file twice", "name twice", "cityscapes", "own"],
)
def test_a_faulty_json_is_refused_as_a_whole(
    tmp_path: Path, data: dict[str, Any] | bytes, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        open_ground_truth(release(tmp_path, data), "coco_panoptic").image_ids()


def test_a_json_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="gone.json cannot be read: give a panoptic JSON"):
        open_ground_truth(tmp_path / "gone.json", "coco_panoptic").image_ids()


def test_other_categories_are_matched_to_the_table_that_is_named(tmp_path: Path) -> None:
    listed = [{"id": 149, "name": "road", "isthing": 0}] + [
        {"id": i, "name": name, "isthing": 1} for i, name in ((1, "rider"), (2, "car"))
    ]
    path = release(tmp_path, content(categories=listed))
    truth = open_ground_truth(path, "coco_panoptic:cityscapes19")
    np.testing.assert_array_equal(truth.read("a").label_map, [[12, 12, 12], [0, 255, 13]])


def test_the_sample_has_the_areas_and_categories_of_its_json(shared_dir: Path) -> None:
    folder = shared_dir / "data/coco_panoptic"
    told = json.loads((folder / "panoptic.json").read_text())
    truth = open_ground_truth(folder / "panoptic.json", "coco_panoptic")
    assert truth.image_ids() == ("000000142238",)
    found = truth.read("000000142238")
    assert found.segment_ids is not None
    assert found.objects is not None
    segments = told["annotations"][0]["segments_info"]
    areas = {s["id"]: int((found.segment_ids == s["id"]).sum()) for s in segments}
    assert areas == {s["id"]: s["area"] for s in segments}
    assert found.crowds == {s["id"] for s in segments if s["iscrowd"]}
    names = {c["id"]: c["name"] for c in told["categories"]}
    things = {c["id"] for c in told["categories"] if c["isthing"]}
    assert sorted(area(item, (427, 640)) for item in found.objects) == sorted(
        s["area"] for s in segments if s["category_id"] in things
    )
    categories = np.asarray(Image.open(folder / "sem133/000000142238.png"))
    for class_id in np.unique(found.label_map).tolist():
        present = set(categories[found.label_map == class_id].tolist())
        expected = "ignore" if present == {0} else names[present.pop()]
        assert truth.table.name_of(class_id) == expected
