import pickle

import numpy as np
import pytest

from seg_assets.data.scene_instances import SceneInstances, open_scenes
from seg_assets.data.scenes import make_scene
from seg_assets.errors import InputError

SIZE = (64, 96)


def test_every_whole_object_has_its_exact_mask_and_class() -> None:
    image = SceneInstances([7], SIZE)[0]
    scene = make_scene(7, SIZE)
    entities = [e for e in np.unique(scene.instance_map) if e]
    assert len(image.masks) == len(entities) > 1
    for mask, class_id, entity in zip(image.masks, image.class_ids, entities, strict=True):
        np.testing.assert_array_equal(mask, scene.instance_map == entity)
        assert (scene.label_map[mask] == class_id).all()
    np.testing.assert_array_equal(image.image, scene.image)


def test_parts_lie_inside_wholes() -> None:
    scene = make_scene(7, SIZE)
    parts = SceneInstances([7], SIZE, level="part")[0]
    assert len(parts.masks) == len(set(np.unique(scene.part_map)) - {0})
    for mask in parts.masks:
        assert len(np.unique(scene.instance_map[mask])) == 1


def test_small_objects_can_be_left_out() -> None:
    everything = SceneInstances([7], SIZE)[0].masks.sum(axis=(1, 2))
    limit = int(np.sort(everything)[1])
    large = SceneInstances([7], SIZE, min_area=limit)[0].masks.sum(axis=(1, 2))
    np.testing.assert_array_equal(large, everything[everything >= limit])
    assert len(large) < len(everything)


def test_a_data_set_is_the_same_every_time_and_in_other_processes() -> None:
    dataset = SceneInstances(range(2), 64)
    copy = pickle.loads(pickle.dumps(dataset))
    for first, second in zip([dataset[0], dataset[1]], [copy[0], copy[1]], strict=True):
        np.testing.assert_array_equal(first.image, second.image)
        np.testing.assert_array_equal(first.masks, second.masks)
    assert len(list(dataset)) == 2  # iteration ends with an IndexError


def test_class_names_are_those_of_the_class_ids() -> None:
    dataset = SceneInstances([7], 64)
    assert len(dataset.class_names) == 133
    assert dataset.class_names[0] == "person"


def test_close_views_can_be_asked_for() -> None:
    (image,) = open_scenes("7:8", size=64, view="close")
    np.testing.assert_array_equal(image.image, make_scene(7, 64, view="close").image)


def test_ranges_of_seeds_are_read() -> None:
    dataset = open_scenes("1000000:1000003", size=64)
    assert len(dataset) == 3
    assert dataset[2].image_id == "scene_1000002"


@pytest.mark.parametrize("seeds", ["5", "a:b", "-1:3", "1:2:3", ""])
def test_other_texts_are_no_ranges(seeds: str) -> None:
    with pytest.raises(InputError, match=r"is no range of seeds: write first:stop, as in 0:100$"):
        open_scenes(seeds)


def test_nothing_to_draw_is_refused() -> None:
    with pytest.raises(InputError, match="has no seeds"):
        open_scenes("4:4")
    with pytest.raises(InputError, match="no level 'half': ask for 'whole' or 'part'"):
        open_scenes("0:1", level="half")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no view 'deep': ask for wide or close"):
        open_scenes("0:1", view="deep")  # type: ignore[arg-type]
