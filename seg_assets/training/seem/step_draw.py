"""What chance decides about a whole optimizer step: the same for all its micro-batches."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from seg_assets.training.seem.params import SeemTaskParams

# counts that name the step: the mean seed of its images does not depend on how they are cut
IMAGES, SEEDS = "images", "seeds"


@dataclass(frozen=True)
class StepDraw:
    """Draws of one step.

    Attributes:
        spatial: drawn prompts are trained.
        grounding: texts are trained.
        rounds: simulated clicks before the loss of drawn prompts.
        sentence_key: decides the sentence of each class; None for the name alone.
    """

    spatial: bool
    grounding: bool
    rounds: int
    sentence_key: int | None

    @classmethod
    def of(cls, counts: Mapping[str, float], params: SeemTaskParams) -> "StepDraw":
        """Draw from the mean seed of the step's images.

        The counts of all micro-batches and processes are summed before they come here, so all of
        them draw alike, and as one large batch would.

        Args:
            counts: of the step.
            params: how often what is trained.
        """
        mean = counts[SEEDS] / counts[IMAGES]
        rng = np.random.default_rng(round(mean * 2**16))
        spatial, grounding = rng.random(2)
        return cls(
            spatial=bool(spatial < params.spatial),
            grounding=bool(grounding < params.grounding),
            rounds=int(rng.integers(params.rounds, endpoint=True)),
            sentence_key=int(rng.integers(2**31)) if params.class_texts == "random" else None,
        )
