"""From any image to the training square."""

from dataclasses import replace

import numpy as np
import pytest

from seg_assets.training.seem.samples import SegmentationSample, sample_of_label_map
from seg_assets.training.seem.transforms import augment, jitter_scale, mirror, resize
from seg_assets_tests.training.seem.shapes import TABLE


def sample(height: int = 40, width: int = 60) -> SegmentationSample:
    """Class 0 on the left third, class 1 in the middle, no label on the right; grey says which."""
    labels = np.full((height, width), 255, np.uint8)
    labels[:, : width // 3], labels[:, width // 3 : 2 * width // 3] = 0, 1
    image = np.repeat((labels.astype(int) * 50 % 256)[..., None], 3, 2).astype(np.uint8)
    return sample_of_label_map(image, labels, TABLE)


def agrees(one: SegmentationSample) -> bool:
    """Whether masks and label map say the same."""
    from_masks = np.full(one.label_map.shape, 255, np.uint8)
    for mask, class_id in zip(one.masks, one.class_ids, strict=True):
        from_masks[mask] = class_id
    return np.array_equal(from_masks, one.label_map)


@pytest.mark.parametrize("kind", ["none", "flip", "lsj"])
@pytest.mark.parametrize("seed", range(6))
def test_everything_keeps_belonging_together(kind: str, seed: int) -> None:
    got = augment(sample(), 64, kind, np.random.default_rng(seed))  # type: ignore[arg-type]
    assert got.image.shape == (64, 64, 3)
    assert got.image.dtype == np.uint8
    assert got.masks.shape == (2, 64, 64)
    assert agrees(got)
    again = augment(sample(), 64, kind, np.random.default_rng(seed))  # type: ignore[arg-type]
    assert np.array_equal(got.image, again.image)


def test_without_chance_the_square_is_the_stretched_image() -> None:
    got = augment(sample(), 64, "none", np.random.default_rng(0))
    assert np.array_equal(got.image, resize(sample(), 64, 64).image)


def test_half_of_the_images_are_mirrored() -> None:
    lefts = [
        augment(sample(), 64, "flip", np.random.default_rng(seed)).label_map[0, 0]
        for seed in range(200)
    ]
    assert lefts.count(255) / 200 == pytest.approx(0.5, abs=0.1)


def test_a_mirror_swaps_what_is_said_of_sides() -> None:
    one = replace(sample(), referred=sample().masks[:1], sentences=(("the left one",),))
    got = mirror(one)
    assert got.sentences == (("the right one",),)
    assert got.label_map[0, -1] == 0
    assert np.array_equal(got.referred[0], one.referred[0][:, ::-1])
    assert mirror(got).sentences == one.sentences


@pytest.mark.parametrize(
    ("said", "mirrored"),
    [
        ("the leftmost car", "the rightmost car"),
        ("the second car from the left", "the second car from the right"),
        ("the dog at the top right", "the dog at the top left"),
        ("Left, behind the right-hand door.", "right, behind the left-hand door."),
        ("a bright copyright sign that is leftover", "a bright copyright sign that is leftover"),
    ],
)
def test_every_word_for_a_side_is_swapped(said: str, mirrored: str) -> None:
    """The grounding data say "leftmost" and "rightmost" of things."""
    one = replace(sample(), referred=sample().masks[:1], sentences=((said,),))
    assert mirror(one).sentences == ((mirrored,),)


def test_resizing_takes_the_nearest_label() -> None:
    got = resize(sample(2, 6), 4, 3)
    # centres of the new columns lie at 1, 3 and 5 of 6
    assert got.label_map.tolist() == [[0, 1, 255]] * 4
    assert resize(sample(), 40, 60).image is not None


def test_scale_jitter_reaches_both_ends_and_pads_with_grey() -> None:
    sizes = []
    for seed in range(200):
        got = jitter_scale(sample(60, 60), 64, np.random.default_rng(seed))
        labelled = int((got.label_map != 255).any(0).sum())
        sizes.append(labelled)
        rows = int((got.image != 128).any((1, 2)).sum())
        if rows < 64:
            assert (got.image[rows:] == 128).all()
            assert not got.masks[:, rows:].any()
    assert min(sizes) <= 8  # 0.1 x 64, two thirds of it labelled
    assert max(sizes) == 64
