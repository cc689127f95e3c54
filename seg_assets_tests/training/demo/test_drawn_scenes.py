import json

import numpy as np
import pytest

from seg_assets.data.scenes import make_scene
from seg_assets.errors import InputError
from seg_assets.training.demo.drawn_scenes import DRAWN_SIZE, KEPT_SIZE, draw_scenes, shrink


def test_what_is_kept_is_what_is_drawn(tmp_path):
    scenes = draw_scenes(tmp_path / "kept", range(40, 43), processes=1)
    assert len(scenes) == 3
    for i, seed in enumerate(range(40, 43)):
        expected = shrink(make_scene(seed, DRAWN_SIZE, view="close"))
        assert np.array_equal(scenes[i].image, expected.image)
        assert np.array_equal(scenes[i].label_map, expected.label_map)
        assert np.array_equal(scenes[i].instance_map, expected.instance_map)


def test_scenes_that_are_there_are_not_drawn_again(tmp_path):
    folder = tmp_path / "kept"
    draw_scenes(folder, range(2), processes=1)
    drawn = (folder / "images.npy").stat().st_mtime_ns
    draw_scenes(folder, range(2), processes=1)
    assert (folder / "images.npy").stat().st_mtime_ns == drawn


def test_scenes_that_were_not_finished_or_are_others_are_drawn(tmp_path):
    folder = tmp_path / "kept"
    first = draw_scenes(folder, range(2), processes=1)[0].image
    (folder / "scenes.json").unlink()
    (folder / "images.npy").write_bytes(b"half a file")
    assert np.array_equal(draw_scenes(folder, range(2), processes=1)[0].image, first)
    assert not np.array_equal(draw_scenes(folder, range(5, 7), processes=1)[0].image, first)
    assert json.loads((folder / "scenes.json").read_text())["first"] == 5


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="choose another folder"):
        draw_scenes(tmp_path / "file" / "kept", range(1), processes=1)


def test_objects_are_numbered_without_gaps_and_keep_their_places():
    scene = make_scene(3, DRAWN_SIZE)
    small = shrink(scene)
    assert small.image.shape == (KEPT_SIZE, KEPT_SIZE, 3)
    cells = (np.arange(KEPT_SIZE) * 2 + 1) * DRAWN_SIZE // (2 * KEPT_SIZE)
    before = scene.instance_map[cells][:, cells]
    pairs = np.unique(np.stack([before.ravel(), small.instance_map.ravel()]), axis=1)
    assert len(np.unique(pairs[0])) == len(np.unique(pairs[1])) == pairs.shape[1]
    whole = shrink(scene, DRAWN_SIZE).instance_map
    first = int(scene.instance_map.min() > 0)
    assert set(np.unique(whole)) == set(range(first, len(np.unique(scene.instance_map)) + first))
