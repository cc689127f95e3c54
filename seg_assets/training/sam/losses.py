"""How far a predicted mask is from the true one: focal, dice, and the error of its own score.

Segment Anything (Kirillov et al. 2023), appendix A: focal to dice to IoU error as 20 : 1 : 1.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from seg_assets.training.sam.params import LossParams

# Weight in MindSpore's focal loss of a whole mask, which has no weight per pixel.
_PER_MASK_ALPHA = 0.8
# Keeps the squared dice of two empty masks finite.
_DICE_EPSILON = 1e-5


@dataclass(frozen=True)
class MaskLosses:
    """Losses of N objects with M candidate masks each, (N, M) float32, not yet weighted.

    Attributes:
        focal: Focal loss, mean over the pixels of a mask.
        dice: Dice loss, 0 to 1.
        iou_error: Squared difference of predicted and true IoU.
    """

    focal: Tensor
    dice: Tensor
    iou_error: Tensor

    def weighted(self, params: LossParams) -> dict[str, Tensor]:
        """The three terms by name, each with its weight, (N, M)."""
        return {
            "focal": params.focal_weight * self.focal,
            "dice": params.dice_weight * self.dice,
            "iou": params.iou_weight * self.iou_error,
        }


def mask_losses(
    logits: Tensor, target: Tensor, predicted_iou: Tensor, params: LossParams
) -> MaskLosses:
    """Hold every candidate mask of every object against the object's true mask.

    Args:
        logits: (N, M, H, W); a mask is where they are above 0.
        target: (N, H, W) bool.
        predicted_iou: (N, M), the network's own scores.
        params: Which losses.
    """
    logits, truth = logits.float(), target[:, None].float()  # truth: (N, 1, H, W)
    return MaskLosses(
        focal=focal_loss(logits, truth, params),
        dice=dice_loss(logits, truth, params.dice),
        iou_error=(predicted_iou.float() - mask_iou(logits, target)) ** 2,
    )


def focal_loss(logits: Tensor, truth: Tensor, params: LossParams) -> Tensor:
    """Focal loss (Lin et al. 2017) of each mask.

    Args:
        logits: (N, M, H, W) float32.
        truth: (N, 1, H, W) float32, 0 or 1.
        params: Its kind, alpha and gamma.

    Returns:
        (N, M).
    """
    entropy = F.binary_cross_entropy_with_logits(logits, truth.expand_as(logits), reduction="none")
    if params.focal == "per_mask":
        entropy = entropy.mean((2, 3))
        return _PER_MASK_ALPHA * (1 - torch.exp(-entropy)) ** params.focal_gamma * entropy
    wrong = (torch.sigmoid(logits) - truth).abs()  # one minus the probability of what is true
    weight = params.focal_alpha * truth + (1 - params.focal_alpha) * (1 - truth)
    return (weight * wrong**params.focal_gamma * entropy).mean((2, 3))


def dice_loss(logits: Tensor, truth: Tensor, kind: str) -> Tensor:
    """One minus the dice coefficient of each mask's probabilities.

    Args:
        logits: (N, M, H, W) float32.
        truth: (N, 1, H, W) float32, 0 or 1.
        kind: "squared" (Milletari et al. 2016) or "linear".

    Returns:
        (N, M).
    """
    probability = torch.sigmoid(logits)
    common = (probability * truth).sum((2, 3))
    if kind == "linear":
        total = probability.sum((2, 3)) + truth.sum((2, 3))
        return 1 - (2 * common + 1) / (total + 1)
    total = (probability**2).sum((2, 3)) + truth.sum((2, 3))  # 0 and 1 are their own squares
    return 1 - 2 * common / (total + _DICE_EPSILON)


def mask_iou(logits: Tensor, target: Tensor) -> Tensor:
    """IoU of masks with the true ones; 0 where both are empty. No gradient passes.

    Args:
        logits: (N, M, H, W); a mask is where they are above 0.
        target: (N, H, W) bool.

    Returns:
        (N, M) float32.
    """
    predicted, truth = logits.detach() > 0, target[:, None]
    common = (predicted & truth).sum((2, 3))
    union = (predicted | truth).sum((2, 3))
    return common / union.clamp(min=1)


def choose_mask(losses: MaskLosses, predicted_iou: Tensor, params: LossParams) -> Tensor:
    """Which candidate of each object gets the loss.

    Args:
        losses: Of all candidates.
        predicted_iou: (N, M), the network's own scores.
        params: The rule, and the weights of focal and dice: how far a score is off says nothing
            about the mask, so it does not count here.

    Returns:
        (N,) int64.
    """
    if params.mask_choice == "best_predicted_iou":
        return predicted_iou.detach().argmax(1)
    terms = losses.weighted(params)
    return (terms["focal"] + terms["dice"]).detach().argmin(1)


def at_compared_size(logits: Tensor, target: Tensor, params: LossParams) -> tuple[Tensor, Tensor]:
    """Bring logits and true masks to the size at which they are compared.

    Args:
        logits: (N, M, h, w), which cover the padded square.
        target: (N, S, S) bool, of the padded square.
        params: Which size.

    Returns:
        Logits and bool masks, both S x S or both h x w. A reduced mask has the pixels that the true
        one covers by half or more.
    """
    if params.compare_at == "full":
        return enlarge(logits, target.shape[-1]), target
    shares = F.interpolate(target[:, None].float(), logits.shape[-2:], mode="area")
    return logits, shares[:, 0] >= 0.5


def enlarge(logits: Tensor, side: int) -> Tensor:
    """Bring low-resolution logits, (N, M, h, w), to the padded square, (N, M, side, side)."""
    return F.interpolate(logits.float(), (side, side), mode="bilinear", align_corners=False)
