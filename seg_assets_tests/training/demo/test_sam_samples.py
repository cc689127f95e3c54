import numpy as np
import pytest

from seg_assets.training.demo.drawn_scenes import DrawnScene
from seg_assets.training.demo.sam_samples import (
    BOTTOM_RIGHT,
    CLASSES,
    FOREGROUND,
    TOP_LEFT,
    box_of,
    make_sample,
    object_prompts,
    varied,
)
from seg_assets_tests.training.demo.conftest import two_squares


def sample(seed=0, prompts=16):
    return make_sample(two_squares(seed), 64, 32, prompts, np.random.default_rng(seed))


def test_prompts_point_into_their_objects():
    made, scene = sample(), two_squares(0)
    points = (made.labels == FOREGROUND).all(1)
    assert int(points.sum()) == 12
    for i in np.flatnonzero(points):
        x, y = made.coordinates[i, 0].int().tolist()
        asked = scene.instance_map == scene.instance_map[y, x]
        share = asked.reshape(32, 2, 32, 2).mean((1, 3))
        assert np.allclose(made.masks[i], share)
        assert (made.coordinates[i, 0] == made.coordinates[i, 1]).all()


def test_every_fourth_prompt_is_a_box_round_its_object():
    made = sample()
    for i in range(3, 16, 4):
        assert made.labels[i].tolist() == [TOP_LEFT, BOTTOM_RIGHT]
        box = 2 * box_of(made.masks[i].numpy() > 0)
        assert np.abs(made.coordinates[i].numpy().ravel() - box).max() <= 6 + 2


def test_dense_targets_are_class_and_box_of_the_object_at_a_cell():
    made, scene = sample(), two_squares(0)
    assert set(np.unique(made.classes)) == {2, 7, 119}
    y, x = (int(v.mean()) for v in np.nonzero(scene.label_map == 2))
    box = box_of(scene.instance_map[1::2, 1::2] == 2) / 32
    assert np.allclose(made.boxes[:, y // 2, x // 2], box)
    assert float(made.weights.mean()) == pytest.approx(1)
    assert made.weights[y // 2, x // 2] > made.weights[0, 0]


def test_nothing_there_is_a_class_of_its_own():
    scene = two_squares(0)
    unlabelled = DrawnScene(scene.image, np.full_like(scene.label_map, 255), scene.instance_map)
    made = make_sample(unlabelled, 64, 32, 4, np.random.default_rng(0))
    assert (made.classes == CLASSES - 1).all()


def test_variation_keeps_image_and_maps_together():
    for seed in range(12):
        scene = varied(two_squares(seed), np.random.default_rng(seed))
        red = scene.image[..., 0].astype(int) - scene.image[..., 2] > 90
        agreement = (red == (scene.label_map == 2)).mean()
        assert agreement > 0.97
        assert ((scene.instance_map == 2) == (scene.label_map == 2)).all()


def test_variation_varies():
    images = {varied(two_squares(0), np.random.default_rng(s)).image.tobytes() for s in range(8)}
    assert len(images) == 8


def test_held_out_objects_are_asked_by_innermost_pixel_and_box():
    scene = two_squares(1)
    prompts = object_prompts(scene, 64)
    assert prompts.masks.shape == (3, 64, 64)
    for number, mask, point, box in zip(
        (1, 2, 3), prompts.masks, prompts.points, prompts.boxes, strict=True
    ):
        assert (mask.numpy() == (scene.instance_map == number)).all()
        x, y = point[0].int().tolist()
        assert mask[y, x]
        assert np.array_equal(box.ravel(), box_of(mask.numpy()))
    x, y = prompts.points[1][0].int().tolist()
    left, top, right, bottom = prompts.boxes[1].ravel().tolist()
    assert abs(x + 0.5 - (left + right) / 2) <= 1
    assert abs(y + 0.5 - (top + bottom) / 2) <= 1


def test_an_object_thinner_than_a_pixel_is_passed_over():
    scene = two_squares(0, size=64)
    # only the cells of the dense targets see these columns, the pixels of the prompts do not
    scene.instance_map[:, 2::4] = 9
    made = make_sample(scene, 32, 16, 16, np.random.default_rng(0))
    assert (made.masks.sum((1, 2)) > 0).all()
