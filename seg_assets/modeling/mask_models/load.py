"""From a name of the model manifest to a mask model, whichever library its network is from."""

from dataclasses import dataclass

import torch

import seg_assets.modeling.torchvision_cpu  # noqa: F401

# isort: split
from segment_anything.modeling import Sam

from seg_assets.errors import InputError
from seg_assets.modeling.manifest import ModelEntry, entry
from seg_assets.modeling.mask_models.hugging_face.load import (
    TRANSFORMERS_CONFIGS,
    load_transformers_mask_model,
)
from seg_assets.modeling.mask_models.protocol import MaskModel
from seg_assets.modeling.mask_models.sam.model import SegmentAnythingModel
from seg_assets.modeling.precision import Precision
from seg_assets.modeling.sam import load_sam


@dataclass(frozen=True)
class LoadedMaskModel:
    """A mask model and what it was loaded from.

    Attributes:
        model: Ready to run.
        entry: Its manifest entry.
        sha256: Hash of its weights.
        trained: False where seeded random weights stand in for a checkpoint.
    """

    model: MaskModel
    entry: ModelEntry
    sha256: str
    trained: bool


def load_mask_model(
    name: str,
    device: str | torch.device = "cpu",
    precision: Precision = "float32",
    compile: bool = False,
) -> LoadedMaskModel:
    """Load the mask model that the model manifest calls `name`.

    Args:
        name: An entry of kind "sam".
        device: Where it shall run, e.g. "cuda:0".
        precision: Of the large matrix products, for SAM of the segment-anything package.
        compile: Whether its image encoder is compiled.

    Raises:
        InputError: The manifest has no such SAM, the device is not there, the extra "transformers"
            is needed and not installed, or the model has neither another precision nor compilation.
        CheckpointError: The weights are missing, damaged or do not fit.
    """
    chosen = entry(name, kind="sam")
    if chosen.config not in TRANSFORMERS_CONFIGS:
        loaded = load_sam(name, device)
        model = SegmentAnythingModel(loaded.model, precision, compile)
        return LoadedMaskModel(model, loaded.entry, loaded.sha256, loaded.trained)
    if precision != "float32" or compile:
        raise InputError(
            f"{name} runs through transformers, in float32 and without compilation: leave "
            "precision and compile as they are"
        )
    other = load_transformers_mask_model(chosen, device)
    return LoadedMaskModel(other.model, other.entry, other.sha256, other.trained)


def as_mask_model(
    model: Sam | MaskModel, precision: Precision = "float32", compile: bool = False
) -> MaskModel:
    """A network of the segment-anything package as a mask model; any other is one already."""
    return SegmentAnythingModel(model, precision, compile) if isinstance(model, Sam) else model
