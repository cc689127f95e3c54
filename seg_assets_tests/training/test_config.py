from typing import Any

import pytest
from pydantic import ValidationError

from seg_assets.training.config import TrainConfig


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "either steps or epochs"),
        ({"steps": 3, "epochs": 2}, "either steps or epochs"),
        ({"steps": 0}, "greater than or equal to 1"),
        ({"steps": 3, "betas": (0.9, 1.0)}, "below 1"),
        ({"steps": 3, "milestones": (0.0,)}, "above 0"),
        ({"steps": 3, "milestones": (1.5,)}, "whole numbers"),
        ({"steps": 3, "precision": "fp8"}, "fp32"),
        ({"steps": 3, "momentum": 0.9}, "Extra inputs"),
    ],
)
def test_wrong_values_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TrainConfig(**changes)


@pytest.mark.parametrize(
    ("epochs", "samples", "processes", "steps"),
    [
        (8, 117_266, 1, 58_633),  # the COCO recipe's length: 8 epochs of batches of 16
        (1, 33, 1, 3),  # the last step is rounded up
        (1, 32, 2, 1),
        (0.5, 32, 1, 1),
        (0.001, 32, 1, 1),  # one step at least
    ],
)
def test_steps_of_epochs(epochs: float, samples: int, processes: int, steps: int) -> None:
    config = TrainConfig(epochs=epochs, batch_size=8, accumulate=2)
    assert config.total_steps(samples, processes) == steps


def test_s17_defaults_are_those_of_seem() -> None:
    """AdamW at 1e-4, decay 0.05, gradients of at most 5, a tenth from 8/9 and 26/27 of the run."""
    config = TrainConfig(steps=1)
    assert (config.lr, config.weight_decay, config.clip_norm) == (1e-4, 0.05, 5.0)
    assert (config.schedule, config.milestones) == ("multistep", (0.88889, 0.96296))
    assert config.gamma == 0.1


def test_steps_are_taken_as_given() -> None:
    assert TrainConfig(steps=7).total_steps(1000, 4) == 7
