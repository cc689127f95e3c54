"""A running mean of the weights (EMA): smoother than the last step's, and often better."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class WeightMean:
    """Exponential mean of the trained parameters.

    Args:
        parameters: The trained parameters by name.
        decay: Share of the old mean at each update; it starts lower, as (1 + t) / (10 + t) at
            update t, so that the random start is soon forgotten.
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter], decay: float) -> None:
        self.decay = decay
        self._parameters = dict(parameters)
        self.means = {name: p.detach().clone() for name, p in self._parameters.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after `step` (from 0)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        weights = [parameter.detach() for parameter in self._parameters.values()]
        get_ema_multi_avg_fn(decay)(list(self.means.values()), weights, step)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Let the model have the means instead of its weights; nothing is copied."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        for name, parameter in self._parameters.items():
            parameter.data, self.means[name] = self.means[name], parameter.data
