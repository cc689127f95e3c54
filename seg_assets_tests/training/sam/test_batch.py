from dataclasses import replace

import numpy as np
import torch

from seg_assets.training.batches import to_device
from seg_assets.training.sam.batch import PromptPlan, SamSample, collate

SIZES = [(8, 6), (8, 7)]


def _sample(objects: int, side: int = 8, box: bool = True) -> SamSample:
    rng = np.random.default_rng(objects)
    return SamSample(
        image=rng.integers(0, 256, (side, side, 3), dtype=np.uint8),
        input_size=(side, side - 2),
        masks=rng.random((objects, side, side)) < 0.5,
        boxes=rng.random((objects, 4)).astype(np.float32),
        plan=PromptPlan(box, np.array([False, True]), rng.random((objects, 2))),
    )


def test_f3_images_of_many_few_and_no_objects_share_a_batch():
    samples = [_sample(0), _sample(3), _sample(5, box=False)]
    batch = collate(samples, 5, with_keys=False)
    assert batch.valid.sum(1).tolist() == [0, 3, 5]
    assert batch.masks.shape == (3, 5, 8, 8)
    assert batch.masks.dtype == torch.bool
    assert not batch.masks[~batch.valid].any()
    assert not batch.boxes[~batch.valid].any()
    assert batch.images.shape == (3, 3, 8, 8)
    assert batch.images[1, 2, 4, 5] == samples[1].image[4, 5, 2]
    for index, sample in enumerate(samples):
        objects = batch.objects(index)
        assert np.array_equal(objects.masks.numpy(), sample.masks)
        assert np.array_equal(objects.boxes.numpy(), sample.boxes)
        assert np.array_equal(objects.draws.numpy(), sample.plan.draws)
        assert objects.starts_with_box == sample.plan.starts_with_box
        assert objects.mask_only == (False, True)
        assert objects.input_size == (8, 6)


def test_chunks_of_no_objects_are_none():
    batch = collate([_sample(0)], 5, with_keys=False)
    assert list(batch.objects(0).chunks(2)) == []


def test_images_are_told_apart_by_their_pixels():
    first, again, other = _sample(3), _sample(3), _sample(4)
    assert first.key() == again.key()
    assert first.key() != other.key()
    black, wider = (replace(first, image=np.zeros_like(first.image), input_size=s) for s in SIZES)
    assert black.key() != wider.key()  # the padding is not black to the encoder
    assert collate([first, other], 4, with_keys=True).keys == (first.key(), other.key())
    assert collate([first], 4, with_keys=False).keys == ()


def test_a_batch_can_be_sent_to_a_device():
    batch = collate([_sample(2)], 3, with_keys=True)
    moved = to_device(batch, torch.device("meta"))
    assert moved.masks.device.type == "meta"
    assert moved.keys == batch.keys
