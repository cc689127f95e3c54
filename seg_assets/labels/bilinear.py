"""Where the pixels of a resized axis read, as `torch.nn.functional.interpolate` defines it.

`mode="bilinear", align_corners=False`: the same sampling, but free to make only the part of the
result that is asked for, so that a full-size result never has to exist.
"""

from dataclasses import dataclass

import numpy as np

Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Taps:
    """Where each target pixel of one axis reads: low + (high - low) * weight.

    Attributes:
        low: (n,) source index before the target's centre.
        high: (n,) source index after it.
        weight: (n,) float32 share of `high`.
    """

    low: np.ndarray
    high: np.ndarray
    weight: np.ndarray


def bilinear_taps(source: int, target: int) -> Taps:
    """Taps that resize an axis of `source` pixels to `target` pixels."""
    position = np.maximum((np.arange(target) + 0.5) * (source / target) - 0.5, 0.0)
    low = np.minimum(position.astype(np.int64), source - 1)
    high = np.minimum(low + 1, source - 1)
    return Taps(low, high, (position - low).astype(np.float32))


@dataclass(frozen=True)
class Axis:
    """One axis of an image, read from logits in two resizings with a crop between them.

    Attributes:
        inner: from the logits to the padded input of the model.
        outer: from the input without its padding to the wanted size; it reads the first pixels of
            what `inner` makes. Where both have one size it copies (low = high, weight 0).
    """

    inner: Taps
    outer: Taps

    @classmethod
    def of(cls, logits: int, padded: int, kept: int, wanted: int) -> "Axis":
        """`logits` numbers are enlarged to `padded`, cut to `kept`, resized to `wanted`."""
        if kept == wanted:
            same = np.arange(kept)
            return cls(bilinear_taps(logits, padded), Taps(same, same, np.zeros(kept, np.float32)))
        return cls(bilinear_taps(logits, padded), bilinear_taps(kept, wanted))

    def span(self, start: int, stop: int) -> tuple[int, int]:
        """First logit and the one behind the last that the pixels start..stop - 1 read."""
        return (
            int(self.inner.low[self.outer.low[start]]),
            int(self.inner.high[self.outer.high[stop - 1]]) + 1,
        )

    def arrays(self, start: int, stop: int) -> Arrays:
        """Of pixels start..stop - 1 only, counting logits from the first one they read.

        Returns:
            low, high and weight of `inner`, then of `outer`; int64 and float32.
        """
        first, _ = self.span(start, stop)
        inner, outer = self.inner, self.outer
        part = slice(start, stop)
        return (
            inner.low - first,
            inner.high - first,
            inner.weight,
            outer.low[part],
            outer.high[part],
            outer.weight[part],
        )
