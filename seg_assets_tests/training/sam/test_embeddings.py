import logging

import numpy as np
import pytest
import torch

from seg_assets.training.sam.box import SamBoxTask
from seg_assets.training.sam.embeddings import DiskCache, FrozenEncoder, MemoryCache
from seg_assets.training.sam.normalisation import NORMALISATIONS, set_normalisation
from seg_assets.training.sam.params import BoxParams
from seg_assets_tests.training.sam.conftest import Discs


@pytest.fixture
def encoded():
    """Registers how many images a SAM's encoder gets in each call."""

    def count(sam) -> list[int]:
        calls: list[int] = []
        sam.image_encoder.register_forward_hook(
            lambda module, inputs, output: calls.append(len(inputs[0]))
        )
        return calls

    return count


def _losses(task: SamBoxTask, passes: int = 2) -> list[float]:
    losses = []
    for _ in range(passes):
        for first in range(0, len(task), 2):
            rng = np.random.default_rng(0)
            batch = task.collate([task.sample(index, rng) for index in (first, first + 1)])
            terms = task(batch, task.counts(batch))
            losses.append(sum(term.item() for term in terms.values()))
    return losses


def test_f12_the_encoder_runs_once_per_image_and_the_loss_is_the_same(small_sam, encoded, tmp_path):
    losses, calls = {}, {}
    for kind in ("none", "memory", "disk"):
        base = small_sam()
        params = BoxParams(cache=kind, cache_dir=tmp_path if kind == "disk" else None)
        task = SamBoxTask(base, Discs(4), None, params)
        calls[kind] = encoded(base.model)
        losses[kind] = _losses(task)
    assert calls == {"none": [2, 2, 2, 2], "memory": [2, 2], "disk": [2, 2]}
    assert losses["memory"] == pytest.approx(losses["none"], rel=1e-5)
    assert losses["disk"] == losses["memory"]

    # another run finds them on the disk
    base = small_sam()
    task = SamBoxTask(base, Discs(4), None, BoxParams(cache="disk", cache_dir=tmp_path))
    again = encoded(base.model)
    assert _losses(task) == losses["disk"]
    assert again == []


def test_f12_other_weights_or_another_normalisation_have_their_own_embeddings(small_sam, tmp_path):
    images = torch.full((1, 3, 64, 64), 90, dtype=torch.uint8)
    sizes = [(64, 64)]
    first, other, unit = small_sam(0).model, small_sam(1).model, small_sam(0).model
    set_normalisation(unit, NORMALISATIONS["unit"])
    embeddings = [
        FrozenEncoder(sam, "disk", tmp_path).embed(images, sizes, ("a" * 32,))
        for sam in (first, other, unit, first)
    ]
    assert len(list(tmp_path.iterdir())) == 3
    assert not torch.equal(embeddings[0], embeddings[1])
    assert not torch.equal(embeddings[0], embeddings[2])
    assert torch.equal(embeddings[0], embeddings[3])


def test_a_batch_of_known_and_unknown_images_keeps_its_order(small_sam, encoded):
    sam = small_sam().model
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (3, 3, 64, 64), generator=generator).to(torch.uint8)
    sizes = [(64, 40), (64, 64), (30, 64)]
    encoder = FrozenEncoder(sam, "memory", None)
    encoder.embed(images[1:2], sizes[1:2], ("one",))
    calls = encoded(sam)
    together = encoder.embed(images, sizes, ("zero", "one", "two"))
    assert calls == [2]
    alone = FrozenEncoder(sam, "none", None).embed(images, sizes, ())
    assert torch.allclose(together, alone, atol=1e-6)
    assert not together.requires_grad


def test_half_precision_is_kept_apart(small_sam):
    sam = small_sam().model
    images = torch.zeros(1, 3, 64, 64, dtype=torch.uint8)
    encoder = FrozenEncoder(sam, "memory", None)
    full = encoder.embed(images, [(64, 64)], ("x",))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = encoder.embed(images, [(64, 64)], ("x",))
    assert not torch.equal(full, half.float())


def test_a_damaged_file_is_computed_again(tmp_path, caplog):
    cache = DiskCache(tmp_path)
    value = torch.arange(6.0).reshape(1, 2, 3)
    cache.put("abc", value)
    assert torch.equal(cache.get("abc"), value)  # pyright: ignore[reportArgumentType]
    assert cache.get("abd") is None
    (path,) = tmp_path.rglob("*.safetensors")
    path.write_bytes(path.read_bytes()[:-5])
    with caplog.at_level(logging.WARNING):
        assert cache.get("abc") is None
    assert "damaged" in caplog.text
    assert list(tmp_path.rglob("*.tmp")) == []


def test_memory_keeps_what_it_is_given():
    cache = MemoryCache()
    assert cache.get("x") is None
    cache.put("x", torch.ones(1))
    assert torch.equal(cache.get("x"), torch.ones(1))  # pyright: ignore[reportArgumentType]
