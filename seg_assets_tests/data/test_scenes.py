from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seg_assets.classes.table import load_class_table
from seg_assets.data.label_maps import read_label_map
from seg_assets.data.scenes import (
    CLOSE_UPS,
    FIRST_TRAINING_SEED,
    HELD_OUT_SEEDS,
    KINDS,
    LABEL_FORMAT,
    VIEWS,
    Scene,
    make_scene,
    write_scenes,
)
from seg_assets.data.sources import find_shards
from seg_assets.errors import InputError

SMALL = 96
# what a collection of scenes must show: the demo's checkpoints are trained on these
EXPECTED = {
    "bed",
    "bench",
    "boat",
    "building-other-merged",
    "bus",
    "car",
    "chair",
    "couch",
    "curtain",
    "dining table",
    "dog",
    "door-stuff",
    "fence-merged",
    "floor-wood",
    "grass-merged",
    "house",
    "light",
    "mountain-merged",
    "pavement-merged",
    "person",
    "potted plant",
    "road",
    "rug-merged",
    "sand",
    "sea",
    "sheep",
    "sky-other-merged",
    "sports ball",
    "stop sign",
    "traffic light",
    "tree-merged",
    "tv",
    "umbrella",
    "wall-other-merged",
    "window-other",
}


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [make_scene(seed, SMALL) for seed in range(60)]


def test_arrays_have_the_documented_types(scenes):
    for scene in scenes[:8]:
        assert (scene.image.shape, scene.image.dtype) == ((SMALL, SMALL, 3), np.uint8)
        assert (scene.label_map.shape, scene.label_map.dtype) == ((SMALL, SMALL), np.uint8)
        assert (scene.instance_map.shape, scene.instance_map.dtype) == ((SMALL, SMALL), np.int32)
        assert (scene.part_map.shape, scene.part_map.dtype) == ((SMALL, SMALL), np.int32)
        assert scene.parents.dtype == np.int32
        assert scene.class_ids.dtype == np.uint8
        assert scene.parents.shape == scene.class_ids.shape


def test_every_pixel_has_a_label_of_the_class_table_that_its_instance_says(scenes):
    table = load_class_table("coco133")
    for scene in scenes:
        table.check(scene.label_map)
        assert (scene.instance_map > 0).all()
        assert np.array_equal(scene.label_map, scene.class_ids[scene.instance_map])


def test_parts_belong_to_wholes_of_the_same_class(scenes):
    for scene in scenes:
        parents, ids = scene.parents, np.arange(len(scene.parents))
        assert (parents[parents] == 0).all()  # one level of parts
        part = parents > 0
        assert np.array_equal(scene.class_ids[part], scene.class_ids[parents[part]])
        wholes = np.where(part, parents, ids)
        assert np.array_equal(scene.instance_map, wholes[scene.part_map])


def test_entities_are_numbered_without_gaps_and_all_are_visible(scenes):
    for scene in scenes:
        visible = set(np.unique(scene.part_map)) | set(np.unique(scene.instance_map))
        assert visible == set(range(1, len(scene.parents)))


def test_sixty_scenes_show_every_expected_class(scenes):
    table = load_class_table("coco133")
    seen = {table.name_of(int(i)) for scene in scenes for i in np.unique(scene.label_map)}
    assert not EXPECTED - seen
    assert {scene.kind for scene in scenes} == set(KINDS)


def test_a_scene_holds_a_handful_of_objects_not_a_crowd(scenes):
    counts = [len(np.unique(scene.instance_map)) for scene in scenes]
    assert 8 <= np.median(counts) <= 24
    assert min(counts) >= 4
    assert max(counts) <= 60


def test_pictures_use_the_range_of_values_and_are_not_flat(scenes):
    for scene in scenes:
        assert 40 < scene.image.mean() < 230
        assert scene.image.std() > 15


def test_same_seed_gives_the_same_bytes_and_another_seed_another_picture():
    first, again, other = make_scene(7, SMALL), make_scene(7, SMALL), make_scene(8, SMALL)
    assert first.image.tobytes() == again.image.tobytes()
    assert first.part_map.tobytes() == again.part_map.tobytes()
    assert first.parents.tobytes() == again.parents.tobytes()
    assert first.image.tobytes() != other.image.tobytes()
    assert first.image.tobytes() != make_scene(7, SMALL, view="close").image.tobytes()


@pytest.mark.parametrize(
    ("size", "shape"),
    [(64, (64, 64)), ((80, 140), (80, 140)), ((140, 80), (140, 80)), (301, (301, 301))],
)
@pytest.mark.parametrize("kind", ["street", "park", "bedroom"])
def test_any_size_can_be_drawn(size, shape, kind):
    scene = make_scene(3, size, kind=kind)
    assert scene.image.shape == (*shape, 3)
    assert scene.label_map.shape == shape
    assert (scene.label_map != 255).all()


@pytest.mark.parametrize("seed", range(6))
def test_composition_does_not_depend_on_the_size(seed):
    small, large = make_scene(seed, 128), make_scene(seed, 256)
    assert small.kind == large.kind
    # sample where a small pixel's middle lies in the large picture
    same = small.label_map == large.label_map[1::2, 1::2]
    assert same.mean() > 0.95


@pytest.mark.parametrize(
    ("view", "kind"), [(view, kind) for view, kinds in VIEWS.items() for kind in kinds]
)
def test_every_kind_can_be_asked_for(view, kind):
    assert make_scene(1, SMALL, view=view, kind=kind).kind == kind


def test_a_close_view_holds_a_few_large_things():
    table = load_class_table("coco133")
    scenes = [make_scene(seed, SMALL, view="close") for seed in range(40)]
    assert {scene.kind for scene in scenes} == set(CLOSE_UPS)
    counts = [len(np.unique(scene.instance_map)) for scene in scenes]
    assert 4 <= np.median(counts) <= 9
    shares = []
    for scene in scenes:
        wholes, areas = np.unique(scene.instance_map, return_counts=True)
        is_thing = [table.classes[scene.class_ids[whole]].is_thing for whole in wholes]
        shares += (areas[is_thing] / scene.instance_map.size).tolist()
        walls = scene.label_map[scene.label_map == table.id_of("wall-other-merged")]
        assert len(walls) == 0 or scene.kind == "indoors"
    assert np.median(shares) > 0.04


def test_a_close_room_has_one_wall_and_a_wide_one_three():
    wall = load_class_table("coco133").id_of("wall-other-merged")

    def walls(**options):
        scene = make_scene(4, SMALL, **options)
        return len(np.unique(scene.instance_map[scene.label_map == wall]))

    assert walls(view="close", kind="indoors") == 1
    assert walls(view="wide", kind="bedroom") == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"seed": -1}, "seed -1"),
        ({"seed": 1, "size": 8}, "8 x 8"),
        ({"seed": 1, "size": (128, 9000)}, "128 x 9000"),
        ({"seed": 1, "kind": "moon"}, "'moon'"),
        ({"seed": 1, "kind": "lawn"}, "no wide scene 'lawn'"),
        ({"seed": 1, "view": "deep"}, "no view 'deep' of a scene; choose wide or close"),
    ],
)
def test_impossible_wishes_are_refused_in_one_sentence(arguments, words):
    with pytest.raises(InputError, match=words):
        make_scene(**arguments)


def test_held_out_seeds_and_training_seeds_do_not_meet():
    assert max(HELD_OUT_SEEDS) < FIRST_TRAINING_SEED


def test_written_scenes_are_read_back_exactly(tmp_path: Path):
    paths = write_scenes(tmp_path, [3, 1_000_004], size=(80, 96))
    assert [path.name for path in paths] == ["scene_0000003.png", "scene_1000004.png"]
    for path, seed in zip(paths, (3, 1_000_004), strict=True):
        scene = make_scene(seed, (80, 96))
        assert np.array_equal(np.asarray(Image.open(path)), scene.image)
        with Image.open(tmp_path / "labels" / path.name) as label:
            assert label.mode == "P"
            assert np.array_equal(np.asarray(label), scene.label_map)


def test_written_labels_carry_the_colours_of_the_class_table(tmp_path: Path):
    (path,) = write_scenes(tmp_path, [5], size=SMALL)
    scene, palette = make_scene(5, SMALL), load_class_table("coco133").palette()
    with Image.open(tmp_path / "labels" / path.name) as label:
        assert np.array_equal(np.asarray(label.convert("RGB")), palette[scene.label_map])


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path):
    (tmp_path / "taken").write_text("a file, not a folder")
    with pytest.raises(InputError, match="taken"):
        write_scenes(tmp_path / "taken", [1], size=SMALL)


def test_written_scenes_are_an_ordinary_folder_source(tmp_path: Path):
    write_scenes(tmp_path, [1, 2], size=SMALL)
    (shard,) = find_shards(
        tmp_path / "images", label_root=tmp_path / "labels", label_format=LABEL_FORMAT
    )
    assert [image.image_id for image in shard.images] == ["scene_0000001", "scene_0000002"]
    for image, seed in zip(shard.images, (1, 2), strict=True):
        assert image.label_uri is not None
        label_map = read_label_map(image.label_uri, LABEL_FORMAT)
        assert np.array_equal(label_map, make_scene(seed, SMALL).label_map)
