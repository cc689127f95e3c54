"""From a name in the model manifest to a SEEM that is ready to run."""

from functools import partial

import torch

from seg_assets.errors import InputError
from seg_assets.modeling.checkpoints import LoadedModel, load_model
from seg_assets.modeling.manifest import entry
from seg_assets.modeling.seem.adapters import attach_adapters
from seg_assets.modeling.seem.config import SEEM_CONFIGS, SeemConfig
from seg_assets.modeling.seem.model import Seem

# A kernel that upstream uses to simulate clicks, and buffers of its training losses.
IGNORED_KEYS = ("dilation_kernel", "criterion.*")


def build_seem(config: SeemConfig) -> Seem:
    """Build a SEEM with random weights, in evaluation mode, on the current default device."""
    return Seem(config).eval()


def load_seem(
    name: str = "seem_focall_v1", device: str | torch.device = "cpu"
) -> LoadedModel[Seem]:
    """Load the SEEM that the model manifest calls `name`.

    Every weight must be in the file under upstream's key name and with the right shape.
    `IGNORED_KEYS` may be there or not; anything else is refused. The file of an entry with a base
    holds the entry's adapters, and may hold other weights that take the place of the base's.

    Raises:
        InputError: the manifest has no such SEEM, asks for an unknown configuration or base, or the
            device is not there.
        CheckpointError: the weights are missing, damaged or do not fit.
    """
    chosen = entry(name, kind="seem")
    adapt = None if chosen.adapters is None else partial(attach_adapters, config=chosen.adapters)
    return load_model(chosen, _build_by_name, device, ignore=IGNORED_KEYS, extend=adapt)


def _build_by_name(config: str) -> Seem:
    if config not in SEEM_CONFIGS:
        raise InputError(
            f"the model manifest asks for the SEEM configuration '{config}'; "
            f"choose one of: {', '.join(SEEM_CONFIGS)}"
        )
    return build_seem(SEEM_CONFIGS[config])
