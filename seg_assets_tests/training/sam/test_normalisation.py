import pytest
import torch

from seg_assets.training.sam.normalisation import (
    NORMALISATIONS,
    describe_normalisation,
    normalise,
    set_normalisation,
)


def test_padding_is_zero_after_the_scaling(small_sam):
    sam = small_sam().model
    images = torch.full((2, 3, 64, 64), 200, dtype=torch.uint8)
    scaled = normalise(sam, images, [(64, 40), (10, 64)])
    expected = (200 - 123.675) / 58.395
    assert scaled[0, 0, 0, 0].item() == pytest.approx(expected)
    assert scaled[0, :, :, 40:].abs().max() == 0
    assert scaled[1, :, 10:].abs().max() == 0
    assert scaled[0, :, :, :40].abs().min() > 0


def test_the_flare_recipe_sees_0_to_1(small_sam):
    sam = small_sam().model
    set_normalisation(sam, NORMALISATIONS["unit"])
    images = torch.tensor([0, 255], dtype=torch.uint8).repeat(32).expand(1, 3, 64, 64)
    scaled = normalise(sam, images, [(64, 64)])
    assert scaled.unique().tolist() == [0.0, 1.0]


def test_d4_the_published_normalisation_is_described_by_its_numbers(small_sam):
    assert describe_normalisation(small_sam().model) == {
        "mean": [123.675, 116.28, 103.53],
        "std": [58.395, 57.12, 57.375],
    }
