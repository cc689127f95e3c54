import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO

from seg_assets.data.ground_truth.image_truth import ImageTruth
from seg_assets.data.ground_truth.open import open_ground_truth
from seg_assets.errors import ImageError, InputError, UnknownClassError
from seg_assets_tests.data.conftest import write_files
from seg_assets_tests.data.ground_truth.conftest import mask

SIZE = (4, 6)
CATEGORIES = [{"id": 18, "name": "dog"}, {"id": 1, "name": "person"}, {"id": 17, "name": "cat"}]


def box(x: int, y: int, width: int, height: int) -> list[list[int]]:
    return [[x, y, x + width, y, x + width, y + height, x, y + height]]


def runs(*counts: int) -> dict[str, Any]:
    return {"size": list(SIZE), "counts": list(counts)}


def annotation(number: int, category: int | str, segmentation: Any, **more: Any) -> dict[str, Any]:
    return {
        "id": number,
        "image_id": 5,
        "category_id": category,
        "segmentation": segmentation,
        **more,
    }


def content(*annotations: dict[str, Any], **changes: Any) -> dict[str, Any]:
    image = {"id": 5, "file_name": "a.jpg", "height": SIZE[0], "width": SIZE[1]}
    return {
        "images": [image, {**image, "id": 6, "file_name": "empty.jpg"}],
        "annotations": list(annotations),
        "categories": CATEGORIES,
        **changes,
    }


def read(root: Path, *annotations: dict[str, Any], **changes: Any) -> ImageTruth:
    data = json.dumps(content(*annotations, **changes)).encode()
    path = write_files(root, {"instances_val.json": data}) / "instances_val.json"
    return open_ground_truth(path, "coco_instances").read("a")


def test_objects_come_as_annotated_and_overlap(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        annotation(1, 1, box(0, 0, 2, 2), area=3.5),
        annotation(2, 18, box(1, 0, 4, 4), iscrowd=0),
        annotation(3, 1, runs(20, 4), iscrowd=1),
    )
    assert found.segment_ids is None
    assert found.objects is not None
    # coco133: person 0, dog 16
    assert [(o.class_id, o.crowd, o.area) for o in found.objects] == [
        (0, False, 3.5),
        (16, False, None),
        (0, True, None),
    ]
    first, second, third = (mask(item, SIZE) for item in found.objects)
    expected = np.zeros((3, *SIZE), np.uint8)
    expected[0, :2, :2] = expected[1, :, 1:5] = expected[2, :, 5] = 1
    np.testing.assert_array_equal([first, second, third], expected)


def test_smaller_objects_lie_on_larger_ones_and_crowds_below_all(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        annotation(1, 17, box(1, 1, 2, 2)),
        annotation(2, 18, box(0, 0, 4, 4)),
        annotation(3, 1, runs(0, 24), iscrowd=1),
    )
    person, cat, dog = 0, 15, 16
    expected = np.full(SIZE, person)
    expected[:, :4] = dog
    expected[1:3, 1:3] = cat
    np.testing.assert_array_equal(found.label_map, expected)


def test_a_crowd_lies_below_larger_objects_too(tmp_path: Path) -> None:
    crowd, dog = annotation(1, 1, runs(0, 4, 20), iscrowd=1), annotation(2, 18, box(0, 0, 4, 2))
    for both in ((crowd, dog), (dog, crowd)):
        assert read(tmp_path, *both).label_map[:, 0].tolist() == [16, 16, 0, 0]


def test_of_objects_of_one_size_the_later_lies_on_top(tmp_path: Path) -> None:
    one, two = annotation(1, 1, box(0, 0, 2, 1)), annotation(2, 17, box(1, 0, 2, 1))
    assert read(tmp_path, one, two).label_map[0, :4].tolist() == [0, 15, 15, 255]
    assert read(tmp_path, two, one).label_map[0, :4].tolist() == [0, 0, 15, 255]


def test_an_image_without_objects_has_truth_and_no_labels(tmp_path: Path) -> None:
    path = tmp_path / "instances_val.json"
    path.write_text(json.dumps(content(annotation(1, 1, box(0, 0, 2, 2)))))
    truth = open_ground_truth(path, "coco_instances")
    assert truth.image_ids() == ("a", "empty")
    assert truth.label_uri("val/empty") == str(path)
    assert truth.label_uri("other") is None
    found = truth.read("empty")
    assert found.objects == ()
    assert (found.label_map == 255).all()
    with pytest.raises(ImageError, match="does not list image other"):
        truth.read("other")


@pytest.mark.parametrize(
    ("faulty", "message"),
    [
        (annotation(4, 1, [[0, 0, 1, 1]]), "annotation 4 of .* has no polygon of 6 numbers"),
        (annotation(4, 1, {"size": [6, 4], "counts": [24]}), r"mask of size \[6, 4\]"),
        (annotation(4, 1, {"size": [4, 6], "counts": "5"}), "annotation 4 of .* cannot be read"),
        (annotation(4, 1, runs(3, 4)), "do not describe 4 x 6 pixels"),
        (annotation(4, 1, None), "neither polygons nor run lengths"),
        (annotation(4, "1", box(0, 0, 1, 1)), "category_id = '1'"),
        (annotation(4, 1, box(0, 0, 1, 1), iscrowd="0"), "annotation 4 of .* has iscrowd = '0'"),
        (annotation(4, 1, box(0, 0, 1, 1), iscrowd=2), "annotation 4 of .* has iscrowd = 2"),
        (annotation(4, 1, box(0, 0, 1, 1), area=-1), "annotation 4 of .* has area = -1"),
        (annotation(4, 1, box(0, 0, 1, 1), area=float("nan")), "annotation 4 of .* has area = nan"),
        (annotation(4, 1, [[0, 0, 1e9, 0, 3, 3]]), "annotation 4 of .* far outside its image"),
    ],
)
def test_a_faulty_annotation_spoils_its_image_only(
    tmp_path: Path, faulty: dict[str, Any], message: str
) -> None:
    with pytest.raises(ImageError, match=message):
        read(tmp_path, faulty)
    again = open_ground_truth(tmp_path / "instances_val.json", "coco_instances")
    assert again.read("empty").objects == ()


def test_a_category_that_the_file_does_not_list_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnknownClassError, match="annotation 4 of .* has the category 99"):
        read(tmp_path, annotation(4, 99, box(0, 0, 1, 1)))


IMAGE = content()["images"][0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": [IMAGE, IMAGE]}, "image 5 of .*, a.jpg, is listed twice"),
        ({"images": [IMAGE, {**IMAGE, "id": 6}]}, "image 6 of .*, a.jpg, is listed twice"),
        ({"images": [IMAGE, {**IMAGE, "file_name": "b.jpg"}]}, "image 5 of .*, b.jpg, is listed"),
        ({"images": [{**IMAGE, "height": 0}]}, "has a size of 0 x 6"),
        ({"images": [{**IMAGE, "height": 10**30}]}, "more than the limit of"),
        ({"images": [{**IMAGE, "file_name": ""}]}, "an image has the file name '': give it a name"),
        ({"images": 3}, "no list of objects 'images'"),
        ({"categories": [*CATEGORIES, CATEGORIES[0]]}, "lists a category twice"),
        ({"categories": [{"id": 1, "name": "gnome"}]}, "'gnome', which is not in .* coco133"),
        ({"annotations": [{"id": 1, "image_id": 70}]}, "belongs to image 70, which is not listed"),
    ],
)
def test_a_faulty_json_is_refused_as_a_whole(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        read(tmp_path, **changes)


def test_a_truncated_json_is_refused_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "instances_val.json"
    path.write_text(json.dumps(content())[:-30])
    with pytest.raises(InputError, match="instances_val.json is truncated or is not JSON"):
        open_ground_truth(path, "coco_instances").image_ids()


def test_a_folder_is_no_json(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder: give COCO's instances JSON in it"):
        open_ground_truth(tmp_path, "coco_instances").image_ids()


def test_the_samples_have_the_masks_that_pycocotools_decodes(shared_dir: Path) -> None:
    path = shared_dir / "data/coco_instances/instances_val2017.json"
    coco = COCO(str(path))
    truth = open_ground_truth(path, "coco_instances")
    assert len(truth.image_ids()) == len(coco.imgs) == 34
    count = 0
    for image in coco.imgs.values():
        found = truth.read(image["file_name"].removesuffix(".jpg"))
        annotations = [a for a in coco.anns.values() if a["image_id"] == image["id"]]
        assert found.objects is not None
        assert [truth.table.name_of(o.class_id) for o in found.objects] == [
            coco.cats[a["category_id"]]["name"] for a in annotations
        ]
        covered = np.zeros(found.label_map.shape, bool)
        for item, record in zip(found.objects, annotations, strict=True):
            decoded = mask(item, covered.shape)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # pycocotools with NumPy 2
                np.testing.assert_array_equal(decoded, coco.annToMask(record))
            assert (item.crowd, item.area) == (bool(record["iscrowd"]), record["area"])
            covered |= decoded.astype(bool)
            count += 1
        np.testing.assert_array_equal(found.label_map != 255, covered)
    assert count == 263
