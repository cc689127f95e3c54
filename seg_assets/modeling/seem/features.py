"""What the decoder knows about images, and what it predicts."""

from dataclasses import dataclass, field

from torch import Tensor

from seg_assets.modeling.seem.layers import full_precision


@dataclass(frozen=True)
class ImageFeatures:
    """All that prompts need to know about B images; made once, shared by every prompt.

    Attributes:
        mask_features: (B, mask_dim, H / 4, W / 4).
        memory: per level (strides 32, 16, 8), cells in reading order (B, h * w, hidden).
        positions: per level (h * w, hidden).
        sizes: per level (h, w).
        level_mask_features: mask features resized to each level (B, mask_dim, h, w).
        region_maps: per level, what region tokens are sampled from (B, hidden, h, w).
        padded_size: height and width of the padded images.
        image_size: height and width before padding.
    """

    mask_features: Tensor
    memory: list[Tensor]
    positions: list[Tensor]
    sizes: list[tuple[int, int]]
    level_mask_features: list[Tensor]
    region_maps: list[Tensor]
    padded_size: tuple[int, int]
    image_size: tuple[int, int]

    def masks(self, embeddings: Tensor) -> Tensor:
        """Mask embeddings (B * n, Q, mask_dim) -> mask logits (B * n, Q, H / 4, W / 4)."""
        return full_precision(mask_logits(embeddings, self.mask_features))


@dataclass(frozen=True)
class Prediction:
    """Of Q object queries under n prompts for each of B images, image-major; N = B * n.

    Attributes:
        logits: (N, Q, classes + 1); the last class is "no object".
        captions: (N, Q, hidden), the queries in the space of the texts, not normalised.
        mask_embeddings: (N, Q, mask_dim).
        auxiliary: predictions made before each layer, when asked for.
    """

    logits: Tensor
    captions: Tensor
    mask_embeddings: Tensor
    auxiliary: list["Prediction"] = field(default_factory=list)


def mask_logits(embeddings: Tensor, features: Tensor) -> Tensor:
    """Product of embeddings and mask features.

    Args:
        embeddings: (B * n, Q, C), image-major.
        features: (B, C, h, w).

    Returns:
        (B * n, Q, h, w).
    """
    images = features.shape[0]
    rows = embeddings.to(features.dtype).reshape(images, -1, embeddings.shape[-1])
    flat = rows @ features.flatten(2)
    return flat.reshape(*embeddings.shape[:2], *features.shape[-2:])


def visible_cells(embeddings: Tensor, features: Tensor) -> Tensor:
    """Where each query may look: inside its own mask, or everywhere if that is empty.

    Args:
        embeddings: (B * n, Q, C), image-major.
        features: mask features at the level's size (B, C, h, w).

    Returns:
        (B, n * Q, h * w) bool.
    """
    inside = mask_logits(embeddings.detach(), features).flatten(2) >= 0
    inside = inside | ~inside.any(-1, keepdim=True)
    return inside.reshape(features.shape[0], -1, inside.shape[-1])
