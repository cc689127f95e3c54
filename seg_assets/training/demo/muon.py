"""Muon: gradient descent whose updates have all singular values near one.

After K. Jordan, "Muon: An optimizer for hidden layers in neural networks" (2024). torch has one,
too, but it works in bfloat16, which most CPUs emulate: a step then takes longer than the model.
"""

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.optim import Optimizer

# Coefficients of the quintic iteration that drives singular values towards one.
_A, _B, _C = 3.4445, -4.7750, 2.0315
_ITERATIONS = 5
_RMS = 0.2  # of an entry of an update, as AdamW's has it: one learning rate then suits both


class Muon(Optimizer):
    """For weight matrices of hidden layers; all else belongs to AdamW."""

    def __init__(
        self, params: Iterable[Tensor], lr: float, momentum: float = 0.95, weight_decay: float = 0.0
    ) -> None:
        """Take matrices into care.

        Args:
            params: Parameters (m, n).
            lr: Learning rate, on AdamW's scale.
            momentum: Decay of the mean gradient, which is looked ahead of as Nesterov does.
            weight_decay: Decoupled decay.
        """
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Move all parameters that have a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["mean"] = torch.zeros_like(parameter)
                state["mean"].lerp_(parameter.grad, 1 - group["momentum"])
                update = orthogonal(parameter.grad.lerp(state["mean"], group["momentum"]))
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.add_(update, alpha=-group["lr"] * _RMS * max(update.shape) ** 0.5)


def orthogonal(matrix: Tensor) -> Tensor:
    """A matrix with the same singular vectors and all singular values near one: (m, n)."""
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(_ITERATIONS):
        gram = x @ x.T
        x = _A * x + (_B * gram + _C * gram @ gram) @ x
    return x.T if tall else x
