"""Which iterations of the point recipe bring a new point and which only the mask before."""

import numpy as np

from seg_assets.training.sam.params import PointParams

# Segment Anything (Kirillov et al. 2023), appendix A: the first prompt, 8 sampled points, and two
# iterations without a new prompt, one placed at random among the points and one at the end.
_AUTO_ITERATIONS = 11


def iterations(params: PointParams) -> int:
    """How many times the masks of an image are decoded."""
    return _AUTO_ITERATIONS if params.num_iter == "auto" else params.num_iter


def plan_iterations(params: PointParams, rng: np.random.Generator) -> np.ndarray:
    """Draw the plan of one image.

    Args:
        params: Number of iterations and which of them are fixed.
        rng: Places the free one.

    Returns:
        (iterations,) bool, True where the mask comes alone. The first is always False: there is no
        mask yet.
    """
    mask_only = np.zeros(iterations(params), dtype=bool)
    if params.num_iter == "auto":
        mask_only[rng.integers(1, _AUTO_ITERATIONS - 1)] = True
        mask_only[-1] = True
    else:
        mask_only[list(params.mask_only)] = True
    mask_only[0] = False
    return mask_only
