"""How pixels become the network's input.

Both kinds are a mean and a deviation on the 0..255 scale, which the network carries itself, so that
whatever runs it afterwards scales pixels alike. A checkpoint's description keeps them; to load the
weights with others is refused (`modeling/sam.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

import seg_assets.modeling.torchvision_cpu  # noqa: F401

# isort: split
from segment_anything.modeling import Sam

from seg_assets.modeling.pixels import PIXEL_MEAN, PIXEL_STD


@dataclass(frozen=True)
class Normalisation:
    """What is subtracted from RGB pixels of 0..255, and what they are then divided by."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


NORMALISATIONS = {
    "sam": Normalisation(PIXEL_MEAN, PIXEL_STD),
    # MindSpore's FLARE recipe: 0 to 1, nothing subtracted.
    "unit": Normalisation((0.0, 0.0, 0.0), (255.0, 255.0, 255.0)),
}


def set_normalisation(sam: Sam, normalisation: Normalisation) -> None:
    """Make `sam` scale its input this way, in place."""
    for name, values in (("pixel_mean", normalisation.mean), ("pixel_std", normalisation.std)):
        sam.get_buffer(name).copy_(torch.tensor(values).view(-1, 1, 1))


def describe_normalisation(sam: Sam) -> dict[str, list[float]]:
    """What a checkpoint's description says about the network's input."""
    return {
        key: [round(value, 4) for value in sam.get_buffer(name).flatten().tolist()]
        for key, name in (("mean", "pixel_mean"), ("std", "pixel_std"))
    }


def normalise(sam: Sam, images: torch.Tensor, sizes: Sequence[tuple[int, int]]) -> torch.Tensor:
    """Scale pixels for the network; the padding is zero afterwards.

    Args:
        sam: The network, which carries mean and deviation.
        images: (B, 3, S, S) uint8, each scaled image at the top left.
        sizes: Rows and columns of the B scaled images.

    Returns:
        (B, 3, S, S) float32.
    """
    side = torch.arange(images.shape[-1], device=images.device)
    rows, columns = torch.tensor(sizes, device=images.device)[:, :, None, None].unbind(1)
    inside = (side[:, None] < rows) & (side < columns)  # (B, S, S)
    scaled = (images - sam.get_buffer("pixel_mean")) / sam.get_buffer("pixel_std")
    return torch.where(inside[:, None], scaled, 0.0)
