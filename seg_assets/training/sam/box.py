"""Recipe: one box per object, one mask per box."""

import numpy as np

import seg_assets.modeling.torchvision_cpu  # noqa: F401

# isort: split
from segment_anything.modeling import Sam

from seg_assets.data.instance_image import InstanceDataset
from seg_assets.modeling.checkpoints import LoadedModel
from seg_assets.training.sam.batch import PromptPlan
from seg_assets.training.sam.params import BoxParams
from seg_assets.training.sam.task import SamTask


class SamBoxTask(SamTask):
    """Fine-tune a SAM to answer boxes; see `SamTask`."""

    name = "sam_box"

    def __init__(
        self,
        base: LoadedModel[Sam],
        data: InstanceDataset,
        held_out: InstanceDataset | None,
        params: BoxParams,
    ) -> None:
        super().__init__(base, data, held_out, params)

    def plan_prompts(self, objects: int, rng: np.random.Generator) -> PromptPlan:
        """See `SamTask`; nothing to draw."""
        return PromptPlan(
            starts_with_box=True,
            mask_only=np.zeros(1, dtype=bool),
            draws=np.zeros((objects, 1)),
        )

    def plan_evaluation(self, objects: int, rng: np.random.Generator) -> PromptPlan:
        """See `SamTask`."""
        return self.plan_prompts(objects, rng)
