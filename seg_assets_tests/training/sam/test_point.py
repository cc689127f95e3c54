import numpy as np
import pytest
import torch

from seg_assets.training.config import TrainConfig
from seg_assets.training.loop import train
from seg_assets.training.sam.params import PointParams
from seg_assets.training.sam.point import SamPointTask
from seg_assets_tests.training.sam.conftest import Discs


@pytest.mark.parametrize("iterations", [3, "auto"])
@pytest.mark.parametrize("points", ["accumulate", "newest_only"])
def test_f12b_the_recipe_runs_and_only_the_decoder_changes(
    small_sam, tmp_path, iterations, points: str
):
    params = PointParams.model_validate(
        {"num_iter": iterations, "points": points, "objects_per_image": 2}
    )
    task = SamPointTask(small_sam(), Discs(2), Discs(1), params)
    before = {name: tensor.clone() for name, tensor in task.weights().items()}
    decoded: list[bool] = []
    task.sam.mask_decoder.register_forward_pre_hook(
        lambda module, args, kwargs: decoded.append(kwargs["multimask_output"]), with_kwargs=True
    )
    config = TrainConfig(steps=2, batch_size=2, lr=1e-3, device="cpu", first_logged=2)
    result = train(task, config, tmp_path)
    assert result.skipped == 0
    for name, tensor in task.weights().items():
        assert torch.isfinite(tensor).all(), name
        assert torch.equal(tensor, before[name]) == (not name.startswith("mask_decoder")), name
    count = 11 if iterations == "auto" else 3
    per_image = [True] + [False] * (count - 1)
    assert decoded == per_image * 4 + [True]  # 2 steps x 2 images, then one click in the evaluation
    assert 0 <= result.metrics["miou"] <= 1


@pytest.mark.parametrize(
    ("first", "boxes"), [("point", {False}), ("box", {True}), ("either", {False, True})]
)
def test_images_start_with_a_point_or_a_box(small_sam, first: str, boxes: set[bool]):
    params = PointParams.model_validate({"first_prompt": first})
    task = SamPointTask(small_sam(), Discs(1), None, params)
    plans = [task.plan_prompts(2, np.random.default_rng(seed)) for seed in range(40)]
    assert {plan.starts_with_box for plan in plans} == boxes
    assert all(plan.draws.shape == (2, 11) for plan in plans)
    if first == "either":
        assert 10 <= sum(plan.starts_with_box for plan in plans) <= 30


def test_the_evaluation_clicks_where_it_did_before(small_sam):
    task = SamPointTask(small_sam(), Discs(1), Discs(3), PointParams())
    task.eval()
    assert task.evaluate() == task.evaluate()
