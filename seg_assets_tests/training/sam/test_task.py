import numpy as np
import pytest
import torch

from seg_assets.data.instance_image import InstanceImage
from seg_assets.errors import TrainingError
from seg_assets.training.config import TrainConfig
from seg_assets.training.loop import train
from seg_assets.training.sam.box import SamBoxTask
from seg_assets.training.sam.params import BoxParams, PointParams
from seg_assets.training.sam.point import SamPointTask
from seg_assets.training.sam.task import SamTask
from seg_assets.training.trainable import check_trainable
from seg_assets_tests.training.sam.conftest import SIDE, Discs

STEP = TrainConfig(steps=3, batch_size=2, lr=1e-3, device="cpu")


def _changed(task: SamTask, folder) -> set[str]:
    before = {name: tensor.clone() for name, tensor in task.sam.state_dict().items()}
    train(task, STEP, folder)
    after = task.sam.state_dict()
    return {name for name in before if not torch.equal(before[name], after[name])}


def test_f1_box_recipe_only_the_mask_decoder_changes(small_sam, tmp_path):
    task = SamBoxTask(small_sam(), Discs(4), None, BoxParams(objects_per_image=2))
    changed = _changed(task, tmp_path)
    assert changed == task.trainable()
    assert changed == {
        name for name, _ in task.sam.named_parameters() if name.startswith("mask_decoder.")
    }


def test_f1_point_recipe_only_the_mask_decoder_changes(small_sam, tmp_path):
    params = PointParams(num_iter=2, objects_per_image=2)
    task = SamPointTask(small_sam(), Discs(4), None, params)
    changed = _changed(task, tmp_path)
    assert changed == task.trainable()
    assert {name.split(".")[0] for name in changed} == {"mask_decoder"}


def test_f1_other_parts_train_if_they_are_asked_for(small_sam, tmp_path):
    params = BoxParams(trained=("image_encoder", "prompt_encoder", "mask_decoder"))
    task = SamBoxTask(small_sam(), Discs(4), None, params)
    parts = {name.split(".")[0] for name in _changed(task, tmp_path)}
    assert parts == {"image_encoder", "prompt_encoder", "mask_decoder"}


def test_what_thaws_later_is_refused(small_sam, tmp_path):
    task = SamBoxTask(small_sam(), Discs(2), None, BoxParams())
    optimizers = task.optimizers(STEP)
    task.sam.image_encoder.requires_grad_(True)
    with pytest.raises(TrainingError, match="image_encoder"):
        check_trainable(task.sam, task.trainable(), optimizers)


def _batch(task: SamTask, *indices: int):
    return task.collate([task.sample(index, np.random.default_rng(index)) for index in indices])


def _gradient(task: SamTask, batch, counts) -> tuple[float, torch.Tensor]:
    task.zero_grad()
    loss = torch.stack(list(task(batch, counts).values())).sum()
    loss.backward()
    gradients = [p.grad.flatten() for p in task.sam.parameters() if p.grad is not None]
    return loss.item(), torch.cat(gradients)


@pytest.mark.parametrize("recipe", ["box", "point"])
def test_f3_places_without_an_object_contribute_nothing(small_sam, recipe: str):
    """The same images with room for 3 and for 20 objects give the same loss and gradient."""
    data = Discs(2, (3, 1))

    def task(size: int) -> SamTask:
        if recipe == "box":
            return SamBoxTask(small_sam(), data, None, BoxParams(objects_per_image=size))
        params = PointParams(objects_per_image=size, num_iter=2)
        return SamPointTask(small_sam(), data, None, params)

    results = []
    for size in (3, 20):
        own = task(size)
        batch = _batch(own, 0, 1)
        assert batch.valid.sum().item() == 4
        assert own.counts(batch) == {"objects": 4.0}
        results.append(_gradient(own, batch, {"objects": 4.0}))
    assert results[0][0] == results[1][0] > 0
    assert torch.equal(results[0][1], results[1][1])


def test_f2_a_batch_without_objects_has_a_loss_of_zero(small_sam):
    """Finite, and with a gradient of zero for each trained parameter."""
    task = SamBoxTask(small_sam(), Discs(2, (0,)), None, BoxParams())
    batch = _batch(task, 0, 1)
    assert task.counts(batch) == {"objects": 0.0}
    terms = task(batch, {"objects": 1.0})
    assert {name: term.item() for name, term in terms.items()} == {"focal": 0, "dice": 0, "iou": 0}
    torch.stack(list(terms.values())).sum().backward()
    for name, parameter in task.sam.named_parameters():
        if name in task.trainable():
            assert parameter.grad is not None, name
            assert not parameter.grad.any(), name


def test_f11_micro_batches_add_up_to_the_whole(small_sam):
    """Images with 3, 1, 0 and 2 objects: one batch of 4, or 2 + 2 divided by the mean count."""
    task = SamPointTask(small_sam(), Discs(4, (3, 1, 0, 2)), None, PointParams(num_iter=3))
    loss, gradient = _gradient(task, _batch(task, 0, 1, 2, 3), {"objects": 6.0})
    halves = [_gradient(task, _batch(task, *pair), {"objects": 3.0}) for pair in ((0, 1), (2, 3))]
    assert sum(half[0] for half in halves) / 2 == pytest.approx(loss, rel=1e-5)
    mean = (halves[0][1] + halves[1][1]) / 2
    assert torch.allclose(mean, gradient, rtol=1e-4, atol=1e-6 * float(gradient.abs().max()))


@pytest.mark.parametrize("recipe", ["box", "point"])
def test_bf16_gives_nearly_the_same_loss_and_direction(small_sam, recipe: str):
    """Measured: losses 1e-4 apart, cosine of the gradients 0.999. (Boxes learn as in fp32, too.)"""
    results = []
    for half in (False, True):
        base, data = small_sam(), Discs(4, (3, 2))
        task = (
            SamBoxTask(base, data, None, BoxParams())
            if recipe == "box"
            else SamPointTask(base, data, None, PointParams(num_iter=1))
        )
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            batch = _batch(task, 0, 1, 2, 3)
            terms = task(batch, {"objects": 10.0})
        loss = torch.stack(list(terms.values())).sum()
        loss.backward()
        gradients = [p.grad.flatten() for p in task.sam.parameters() if p.grad is not None]
        results.append((loss.item(), torch.cat(gradients)))
    (loss, gradient), (half_loss, half_gradient) = results
    assert half_loss == pytest.approx(loss, rel=5e-3)
    assert torch.cosine_similarity(gradient, half_gradient, 0) > 0.99


def test_f17_a_run_goes_on_exactly(small_sam, tmp_path):
    """Two steps and then two more are four steps, with noise, clicks and kept embeddings."""

    def trained(steps: int, folder) -> dict[str, torch.Tensor]:
        params = PointParams(
            num_iter=3, first_prompt="either", cache="disk", cache_dir=tmp_path / "embeddings"
        )
        task = SamPointTask(small_sam(), Discs(3, (2, 1)), None, params)
        config = STEP.model_copy(update={"steps": steps, "schedule": "constant"})
        train(task, config, folder)
        return task.weights()

    straight = trained(4, tmp_path / "straight")
    halfway = trained(2, tmp_path / "run")
    resumed = trained(4, tmp_path / "run")
    moved = 0
    for name, tensor in straight.items():
        assert torch.equal(tensor, resumed[name]), name
        moved += not torch.equal(tensor, halfway[name])
    assert moved > 10


@pytest.mark.parametrize("chunk", [1, 2])
def test_chunks_change_memory_and_nothing_else(small_sam, chunk: int):
    results = []
    for size in (64, chunk):
        params = PointParams(num_iter=2, objects_per_chunk=size)
        task = SamPointTask(small_sam(), Discs(2, (3, 2)), None, params)
        results.append(_gradient(task, _batch(task, 0, 1), {"objects": 5.0}))
    assert results[0][0] == pytest.approx(results[1][0], rel=1e-5)
    scale = float(results[0][1].abs().max())
    assert torch.allclose(results[0][1], results[1][1], rtol=1e-4, atol=1e-6 * scale)


def test_f2_the_loss_is_the_mean_over_the_objects_of_the_batch(small_sam):
    """Two images with 1 and 3 objects: every object weighs the same, not every image."""
    task = SamBoxTask(small_sam(), Discs(2, (1, 3)), None, BoxParams())
    alone = [
        sum(term.item() for term in task(_batch(task, index), {"objects": 1.0}).values())
        for index in (0, 1)
    ]
    together = task(_batch(task, 0, 1), {"objects": 4.0})
    assert sum(term.item() for term in together.values()) == pytest.approx(sum(alone) / 4, rel=1e-5)


class _Specks:
    """A picture twice as wide as the square, with one object of a single pixel and one large."""

    class_names = ()

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> InstanceImage:
        masks = np.zeros((2, 10, 4 * SIDE), bool)
        masks[0, 5, 5] = True
        masks[1, :, 64:128] = True
        return InstanceImage(
            image_id="specks",
            image=np.zeros((10, 4 * SIDE, 3), np.uint8),
            masks=masks,
            boxes=np.array([[5, 5, 6, 6], [64, 0, 128, 10]], np.float32),
            class_ids=np.zeros(2, np.int64),
            crowd=np.zeros(2, bool),
        )


def test_objects_that_vanish_in_scaling_are_not_trained_on(small_sam):
    task = SamBoxTask(small_sam(), _Specks(), _Specks(), BoxParams())
    sample = task.sample(0, np.random.default_rng(0))
    assert len(sample.masks) == 1
    assert sample.boxes.tolist() == [[16, 0, 32, pytest.approx(3, abs=1)]]
    assert task.evaluate()["objects"] == 2


def test_the_description_says_what_the_weights_are(small_sam):
    base = small_sam()
    params = BoxParams(normalisation="unit", cache="memory", objects_per_chunk=3)
    task = SamBoxTask(base, Discs(1), None, params)
    described = task.description()
    assert described["base"] == "sam_small"
    assert described["base_sha256"] == base.sha256
    assert described["recipe"] == "sam_box"
    assert described["normalisation"] == {"mean": [0.0] * 3, "std": [255.0] * 3}
    assert described["input_size"] == SIDE
    other = params.model_copy(update={"cache": "none", "objects_per_chunk": 64})
    assert SamBoxTask(small_sam(), Discs(1), None, other).description() == described
    changed = params.model_copy(update={"objects_per_image": 7})
    assert SamBoxTask(small_sam(), Discs(1), None, changed).description() != described


def test_a_checkpoint_holds_the_network_or_what_changed(small_sam):
    base = small_sam()
    whole = SamBoxTask(base, Discs(1), None, BoxParams()).weights()
    assert whole.keys() == base.model.state_dict().keys()
    task = SamBoxTask(base, Discs(1), None, BoxParams(save="trained"))
    assert task.weights().keys() == task.trainable()
