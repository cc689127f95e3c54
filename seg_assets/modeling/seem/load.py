"""From a name in the model manifest to a SEEM that is ready to run."""

import torch

from seg_assets.errors import InputError
from seg_assets.modeling.checkpoints import LoadedModel, load_model
from seg_assets.modeling.manifest import entry
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
    `IGNORED_KEYS` may be there or not; anything else is refused.

    Raises:
        InputError: the manifest has no such SEEM, asks for an unknown configuration, or the device
            is not there.
        CheckpointError: the weights are missing, damaged or do not fit.
    """
    return load_model(entry(name, kind="seem"), _build_by_name, device, ignore=IGNORED_KEYS)


def _build_by_name(config: str) -> Seem:
    if config not in SEEM_CONFIGS:
        raise InputError(
            f"the model manifest asks for the SEEM configuration '{config}'; "
            f"choose one of: {', '.join(SEEM_CONFIGS)}"
        )
    return build_seem(SEEM_CONFIGS[config])
