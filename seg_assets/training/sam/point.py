"""Recipe: clicks, each one into what the mask before got wrong."""

import numpy as np

import seg_assets.modeling.torchvision_cpu  # noqa: F401

# isort: split
from segment_anything.modeling import Sam

from seg_assets.data.instance_image import InstanceDataset
from seg_assets.modeling.checkpoints import LoadedModel
from seg_assets.training.sam.batch import PromptPlan
from seg_assets.training.sam.params import PointParams
from seg_assets.training.sam.plan import iterations, plan_iterations
from seg_assets.training.sam.task import SamTask


class SamPointTask(SamTask):
    """Fine-tune a SAM to answer clicks; see `SamTask`.

    It is evaluated with the first prompt alone: one click, or a box if `first_prompt` is "box".
    """

    name = "sam_point"

    def __init__(
        self,
        base: LoadedModel[Sam],
        data: InstanceDataset,
        held_out: InstanceDataset | None,
        params: PointParams,
    ) -> None:
        super().__init__(base, data, held_out, params)
        self._recipe = params

    @property
    def accumulates_prompts(self) -> bool:
        """See `SamTask`."""
        return self._recipe.points == "accumulate"

    def plan_prompts(self, objects: int, rng: np.random.Generator) -> PromptPlan:
        """See `SamTask`."""
        box = {"point": False, "box": True, "either": bool(rng.integers(2))}
        return PromptPlan(
            starts_with_box=box[self._recipe.first_prompt],
            mask_only=plan_iterations(self._recipe, rng),
            draws=rng.random((objects, iterations(self._recipe))),
        )

    def plan_evaluation(self, objects: int, rng: np.random.Generator) -> PromptPlan:
        """See `SamTask`."""
        return PromptPlan(
            starts_with_box=self._recipe.first_prompt == "box",
            mask_only=np.zeros(1, dtype=bool),
            draws=rng.random((objects, 1)),
        )
