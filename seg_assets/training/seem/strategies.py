"""Which parameters a strategy trains, and how."""

from collections.abc import Iterable

from torch import nn

from seg_assets.modeling.seem.adapters import adapter_names
from seg_assets.modeling.seem.lora import lora_names
from seg_assets.modeling.seem.model import Seem
from seg_assets.training.seem.params import SeemTaskParams, Strategy
from seg_assets.training.task import ParameterGroup

BACKBONE = "backbone."
HEAD = "sem_seg_head.predictor."
LANGUAGE = "sem_seg_head.predictor.lang_encoder."
# read by the wiring v1 only, and there from the second round on
MEMORY = ("spatial_embed.weight", "spatial_featured.weight")
# read by drawn prompts only
SPATIAL = (
    "pn_indicator.weight",
    "mask_sptial_embed.0",
    "mask_sptial_embed.1",
    "mask_sptial_embed.2",
)
NORMS = (nn.LayerNorm, nn.GroupNorm, nn.Embedding)


def trained_names(model: Seem, strategy: Strategy) -> set[str]:
    """Names of the parameters that a strategy trains, adapters attached.

    The pixel decoder and the text encoder rest in all strategies but `everything`.
    """
    names = [name for name, _ in model.named_parameters()]
    adapters = adapter_names(model)
    head = {n for n in names if n.startswith(HEAD) and not n.startswith(LANGUAGE)} - adapters
    if strategy == "everything":
        return set(names)
    if strategy == "lora":
        return lora_names(model)
    if strategy == "whole_head":
        return head
    if strategy == "adapter_backbone_whole_head":
        return head | adapters
    return adapters


def idle_names(model: Seem, params: SeemTaskParams) -> set[str]:
    """Parameters that nothing reads under these parameters, so that training cannot change them."""
    unread: list[str] = []
    if params.wiring == "demo" or not (params.spatial and params.rounds):
        unread += MEMORY
    if not params.spatial:
        unread += SPATIAL
    return {name for name, _ in model.named_parameters() if name in {HEAD + n for n in unread}}


def parameter_groups(
    model: nn.Module, names: Iterable[str], params: SeemTaskParams
) -> list[ParameterGroup]:
    """Sort parameters by learning rate and weight decay.

    Args:
        model: the model.
        names: of the parameters to train.
        params: factors of the learning rate, and what decays.
    """
    resting = _undecayed(model, params)
    groups: dict[tuple[float, float | None], list[str]] = {}
    for name in sorted(names):
        scale = 1.0
        if "backbone" in name:
            scale = params.backbone_lr
        elif "lang_encoder" in name:
            scale = params.language_lr
        groups.setdefault((scale, 0.0 if name in resting else None), []).append(name)
    return [ParameterGroup(members, *key) for key, members in groups.items()]


def _undecayed(model: nn.Module, params: SeemTaskParams) -> set[str]:
    """Names of parameters of norms and embeddings, and of all vectors where asked for."""
    resting = {
        f"{prefix}.{name}"
        for prefix, module in model.named_modules()
        if isinstance(module, NORMS)
        for name, _ in module.named_parameters(recurse=False)
    }
    if not params.decay_biases:
        resting |= {name for name, p in model.named_parameters() if p.ndim < 2}
    return resting
