"""Low-rank updates (LoRA) of a SEEM's linear layers, by the optional package `peft`.

Attention keeps its three projections in one packed weight, which is updated as a parameter; output
projections and feed-forward layers are updated as modules. Updated layers move one level down
(`base_layer`) until `merge_lora` turns everything back into plain weights and key names.
"""

from types import ModuleType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from seg_assets.errors import InputError
from seg_assets.modeling.seem.adapter_config import LoraConfig
from seg_assets.modeling.seem.focalnet import FocalBlock
from seg_assets.modeling.seem.layers import Attention
from seg_assets.modeling.seem.model import Seem

if TYPE_CHECKING:
    from peft import LoraConfig as PeftConfig

PACKED = "in_proj_weight"
_MARKS = ("lora_A", "lora_B")
_NAME = "seem"  # of the one set of updates a model carries


def attach_lora(model: Seem, config: LoraConfig) -> None:
    """Give linear layers low-rank updates, in place; they are zero at the start.

    Decoder: attention and feed-forward layers. Backbone, if asked for: modulation and MLP layers.

    Args:
        model: without updates.
        config: their rank and scale, and where they go.

    Raises:
        InputError: `peft` is not installed, or the model has updates already.
    """
    if lora_names(model):
        raise InputError("the model has LoRA updates already: merge them before attaching others")
    peft = _peft()
    layers, packed = _targets(model, config)
    settings: PeftConfig = peft.LoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,
        target_modules=layers,
        target_parameters=packed,
    )
    peft.inject_adapter_in_model(settings, model, adapter_name=_NAME)
    added = lora_names(model)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in added)


def merge_lora(model: Seem) -> None:
    """Add the updates to the weights and take them out, in place: a plain model with plain keys."""
    for name, layer in reversed(_updated_layers(model)):
        layer.merge(safe_merge=True)
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, layer.get_base_layer())
    if hasattr(model, "peft_config"):  # peft's own mark, which would forbid attaching again
        del model.peft_config


@torch.no_grad()
def merged_weights(model: Seem) -> dict[str, Tensor]:
    """The updated weights as `merge_lora` would leave them, by plain key names.

    The model stays as it is; loaded onto its base, they give the same network without `peft`.
    """
    weights = {}
    for name, layer in _updated_layers(model):
        plain = ".".join(part for part in name.split(".") if part != "base_layer")
        key = getattr(layer, "parameter_name", "weight")
        weight = getattr(layer.get_base_layer(), key)
        weights[f"{plain}.{key}"] = weight + layer.get_delta_weight(_NAME).to(weight.dtype)
    return weights


def _updated_layers(model: Seem) -> list[tuple[str, Any]]:
    """Peft's layers by name, outer ones first."""
    kind = _peft().tuners.tuners_utils.BaseTunerLayer
    return [(name, module) for name, module in model.named_modules() if isinstance(module, kind)]


def lora_names(model: nn.Module) -> set[str]:
    """Names of the parameters of low-rank updates."""
    return {name for name, _ in model.named_parameters() if set(name.split(".")) & set(_MARKS)}


def _targets(model: Seem, config: LoraConfig) -> tuple[list[str], list[str]]:
    """Full names of the linear layers, and of the packed weights, that get updates."""
    language = [module for module in model.language.modules()]
    layers, packed = [], []
    for name, module in model.predictor.named_modules(prefix="sem_seg_head.predictor"):
        if any(module is other for other in language):
            continue
        if isinstance(module, nn.Linear) and "layers." in name and "mask_embed" not in name:
            layers.append(name)
        if isinstance(module, Attention):
            packed.append(f"{name}.{PACKED}")
    if config.backbone:
        for prefix, block in model.backbone.named_modules(prefix="backbone"):
            if isinstance(block, FocalBlock):
                layers += [
                    name
                    for name, module in block.named_modules(prefix=prefix)
                    if isinstance(module, nn.Linear)
                ]
    return layers, packed


def _peft() -> ModuleType:
    # peft's own dependencies import torchvision, which needs its repair on CPU-only installations
    import seg_assets.modeling.torchvision_cpu  # noqa: F401, PLC0415

    # isort: split
    try:
        import peft  # noqa: PLC0415
    except ImportError as error:
        raise InputError(
            "LoRA needs the package peft, which is not installed: pip install 'seg_assets[lora]'"
        ) from error
    return peft
