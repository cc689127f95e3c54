"""From a manifest entry to one of the mask models that run through transformers."""

import torch

from seg_assets.errors import InputError
from seg_assets.modeling.checkpoints import LoadedModel, load_model
from seg_assets.modeling.manifest import ModelEntry
from seg_assets.modeling.mask_models.hugging_face.base import TransformersMaskModel
from seg_assets.modeling.mask_models.hugging_face.sam2 import Sam2MaskModel
from seg_assets.modeling.mask_models.hugging_face.sam3_tracker import Sam3TrackerMaskModel
from seg_assets.modeling.mask_models.hugging_face.sam_hq import SamHqMaskModel

TRANSFORMERS_CONFIGS: dict[str, type[TransformersMaskModel]] = {
    config: family
    for family in (SamHqMaskModel, Sam2MaskModel, Sam3TrackerMaskModel)
    for config in family.configs
}
"""Configurations that a manifest entry of kind "sam" may ask for, beside those of `SAM_CONFIGS`."""


def load_transformers_mask_model(
    entry: ModelEntry, device: str | torch.device = "cpu"
) -> LoadedModel[TransformersMaskModel]:
    """Load the mask model of `entry`, whose configuration is one of `TRANSFORMERS_CONFIGS`.

    It scales its input by the mean and deviation of the entry.

    Raises:
        InputError: The configuration is unknown, the extra `transformers` is not installed, or the
            device is not there.
        CheckpointError: The weights are missing, damaged or do not fit.
    """
    family = TRANSFORMERS_CONFIGS.get(entry.config)
    if family is None:
        raise InputError(
            f"the model manifest asks for the configuration '{entry.config}'; "
            f"choose one of: {', '.join(TRANSFORMERS_CONFIGS)}"
        )
    loaded = load_model(
        entry, family.from_config, device, ignore=family.ignored_keys(), any_pixels=True
    )
    loaded.model.scale_pixels(entry.mean, entry.std)
    return loaded
