"""What a small SAM from scratch is told about its masks and its image embedding."""

from torch import Tensor, nn
from torch.nn import functional as F

from seg_assets.training.demo.sam_samples import CLASSES
from seg_assets.training.sam.losses import mask_iou

_BOX = 5.0  # weight of the boxes' absolute error against the classes' cross entropy
_COARSE = 0.5  # weight of the heads on the embedding against those on the upscaled features
_EMPTY_SHARE = 0.002  # keeps the weight of a tiny object's cells finite
_SUBCELLS = 2  # a side, of the decoder's image cells in the deep head


class DenseHeads(nn.Module):
    """Heads that exist in training only: class and object box at every cell, without a prompt.

    They teach the encoder, and the decoder's upscaling layers, what the objects are, from every
    pixel of every image; prompts alone teach that much more slowly.
    """

    def __init__(self, channels: int) -> None:
        """Make the heads of a SAM whose prompts and embedding have that many channels."""
        super().__init__()
        upscaled = channels // 8
        self.norm = nn.LayerNorm(channels)
        self.fine = nn.Conv2d(upscaled, CLASSES + 4, 1)
        self.coarse = nn.Conv2d(channels, CLASSES + 4, 1)
        self.deep = nn.Linear(channels, _SUBCELLS**2)

    def forward(self, upscaling: nn.Module, embedding: Tensor) -> tuple[Tensor, Tensor]:
        """Embedding (B, C, h, w) -> outputs (B, classes + 4, 4h, 4w) and (B, classes + 4, h, w)."""
        even = self.norm(embedding.movedim(1, -1)).movedim(-1, 1)
        return self.fine(upscaling(even)), self.coarse(even)

    def deep_masks(self, cells: Tensor, height: int, width: int) -> Tensor:
        """Decoder's image cells (P, h * w, C) -> mask logits (P, 1, 2h, 2w)."""
        grid = self.deep(cells).transpose(1, 2).unflatten(2, (height, width))
        return F.pixel_shuffle(grid, _SUBCELLS)


def dense_loss(
    fine: Tensor, coarse: Tensor, classes: Tensor, boxes: Tensor, weights: Tensor
) -> dict[str, Tensor]:
    """Cross entropy of the classes and absolute error of the boxes, cells weighted, per image.

    Args:
        fine: (B, classes + 4, L, L).
        coarse: (B, classes + 4, L / 4, L / 4).
        classes: (B, L, L) int64.
        boxes: (B, 4, L, L).
        weights: (B, L, L).

    Returns:
        "classes" and "boxes", each (B,).
    """
    result = {name: fine.new_zeros(len(fine)) for name in ("classes", "boxes")}
    for output, step, weight in ((fine, 1, 1.0), (coarse, 4, _COARSE)):
        cells = (..., slice(step // 2, None, step), slice(step // 2, None, step))
        right, where, per_cell = classes[cells], boxes[cells], weights[cells]
        entropy = F.cross_entropy(output[:, :CLASSES], right, reduction="none")
        error = (output[:, CLASSES:] - where).abs().mean(1)
        result["classes"] = result["classes"] + weight * (entropy * per_cell).mean((1, 2))
        result["boxes"] = result["boxes"] + weight * _BOX * (error * per_cell).mean((1, 2))
    return result


def mask_loss(logits: Tensor, targets: Tensor, balance: float) -> tuple[Tensor, Tensor]:
    """Cross entropy plus dice of every mask, and its IoU.

    Args:
        logits: (P, M, h, w).
        targets: (P, h, w), shares of 0..1.
        balance: 1 weighs object and rest alike, whatever their areas; 0 weighs cells alike. Masks
            that begin with the second stay empty for a long time.

    Returns:
        Losses (P, M) and IoUs (P, M); the IoUs carry no gradient.
    """
    targets = targets[:, None]
    entropy = F.binary_cross_entropy_with_logits(
        logits, targets.expand_as(logits), reduction="none"
    )
    share = targets.mean((2, 3), keepdim=True)
    even = 0.5 * (targets / (share + _EMPTY_SHARE) + (1 - targets) / (1 - share + _EMPTY_SHARE))
    entropy = (entropy * (balance * even + (1 - balance) * 2)).mean((2, 3))
    inside = logits.sigmoid()
    overlap = (inside * targets).sum((2, 3))
    dice = 1 - (2 * overlap + 1) / (inside.sum((2, 3)) + targets.sum((2, 3)) + 1)
    return entropy + dice, mask_iou(logits, targets[:, 0] > 0.5)
