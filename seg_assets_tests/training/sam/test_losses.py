import pytest
import torch

from seg_assets.training.sam.losses import (
    at_compared_size,
    choose_mask,
    dice_loss,
    enlarge,
    focal_loss,
    mask_iou,
    mask_losses,
)
from seg_assets.training.sam.params import LossParams

# One object, one mask. Source of the numbers: MindSpore's SAMLoss, run on these values.
LOGITS = torch.tensor([[[[2.0, -2.0], [0.5, -1.0]]]])
TARGET = torch.tensor([[[True, False], [True, True]]])
PREDICTED_IOU = torch.tensor([[0.5]])
TOLERANCE = {"abs": 1e-5}


def test_f2_the_golden_vector_in_parity_mode():
    params = LossParams(focal="per_mask")
    losses = mask_losses(LOGITS, TARGET, PREDICTED_IOU, params)
    assert losses.focal.item() == pytest.approx(0.065215, **TOLERANCE)
    assert losses.dice.item() == pytest.approx(0.165987, **TOLERANCE)
    assert losses.iou_error.item() == pytest.approx(0.027778, **TOLERANCE)
    total = sum(term.item() for term in losses.weighted(params).values())
    assert total == pytest.approx(1.498065, **TOLERANCE)
    assert mask_iou(LOGITS, TARGET).item() == pytest.approx(2 / 3)


def test_f2_the_golden_vector_pixel_by_pixel():
    truth = TARGET[:, None].float()
    pixelwise = focal_loss(LOGITS, truth, LossParams())
    assert pixelwise.item() == pytest.approx(0.048541, **TOLERANCE)
    # without alpha = the sum of both classes' weights: 1 instead of alpha and 1 - alpha
    foreground = focal_loss(LOGITS, truth, LossParams(focal_alpha=1.0))
    background = focal_loss(LOGITS, truth, LossParams(focal_alpha=0.0))
    assert (foreground + background).item() == pytest.approx(0.193262, **TOLERANCE)
    # gamma = 0 leaves the cross-entropy
    entropy = focal_loss(LOGITS, truth, LossParams(focal_alpha=0.5, focal_gamma=0.0))
    assert 2 * entropy.item() == pytest.approx(0.510299, **TOLERANCE)
    assert dice_loss(LOGITS, truth, "linear").item() == pytest.approx(0.228639, **TOLERANCE)


def test_weights_are_twenty_to_one_to_one_and_can_be_changed():
    losses = mask_losses(LOGITS, TARGET, PREDICTED_IOU, LossParams())
    default = losses.weighted(LossParams())
    assert torch.equal(default["focal"], 20 * losses.focal)
    assert torch.equal(default["dice"], losses.dice)
    assert torch.equal(default["iou"], losses.iou_error)
    other = losses.weighted(LossParams(focal_weight=1, dice_weight=2, iou_weight=3))
    assert torch.equal(other["dice"], 2 * losses.dice)
    assert torch.equal(other["iou"], 3 * losses.iou_error)


@pytest.mark.parametrize("focal", ["pixel", "per_mask"])
@pytest.mark.parametrize("dice", ["squared", "linear"])
@pytest.mark.parametrize("size", [1e4, -1e4])
def test_extreme_logits_and_empty_masks_stay_finite(focal: str, dice: str, size: float):
    params = LossParams.model_validate({"focal": focal, "dice": dice})
    logits = torch.full((2, 1, 3, 3), size, requires_grad=True)
    target = torch.stack([torch.zeros(3, 3), torch.ones(3, 3)]).bool()
    losses = mask_losses(logits, target, torch.zeros(2, 1), params)
    total = sum(term.sum() for term in losses.weighted(params).values())
    assert isinstance(total, torch.Tensor)
    total.backward()
    assert torch.isfinite(total)
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_the_iou_target_passes_no_gradient():
    logits = LOGITS.clone().requires_grad_()
    score = PREDICTED_IOU.clone().requires_grad_()
    losses = mask_losses(logits, TARGET, score, LossParams())
    losses.iou_error.sum().backward()
    assert logits.grad is None
    assert score.grad is not None
    assert score.grad.item() == pytest.approx(2 * (0.5 - 2 / 3))


def test_e1_iou_by_hand():
    """Shifted, empty, whole, and an object without a pixel."""
    logits = torch.tensor([[[2.0, 0.1, 0.0]], [[-1, -1, -1]], [[1, 1, 1]], [[-1, -1, -1]]])
    true = torch.tensor([[[0, 1, 1]], [[1, 0, 0]], [[1, 1, 1]], [[0, 0, 0]]]).bool()
    assert mask_iou(logits[:, None], true)[:, 0].tolist() == pytest.approx([1 / 3, 0, 1, 0])


def _candidates():
    """Three candidates of one object: mask 1 is right, mask 2 has the highest score."""
    target = torch.tensor([[[True, False]]])
    right, wrong = [[4.0, -4.0]], [[-4.0, 4.0]]
    logits = torch.tensor([[wrong, right, wrong]])
    return logits, target, torch.tensor([[0.1, 0.0, 0.9]])


@pytest.mark.parametrize(("rule", "expected"), [("lowest_loss", 1), ("best_predicted_iou", 2)])
def test_f9_which_of_three_masks_gets_the_loss(rule: str, expected: int):
    params = LossParams.model_validate({"mask_choice": rule})
    logits, target, scores = _candidates()
    losses = mask_losses(logits, target, scores, params)
    assert choose_mask(losses, scores, params).tolist() == [expected]


def test_f9_a_wrong_score_does_not_make_a_mask_a_worse_one():
    """Mask 1 is the best mask although its score is furthest off."""
    logits, target, _ = _candidates()
    scores = torch.tensor([[0.0, -9.0, 0.0]])
    losses = mask_losses(logits, target, scores, LossParams())
    assert choose_mask(losses, scores, LossParams()).tolist() == [1]


def test_masks_are_compared_in_the_padded_square_or_at_low_resolution():
    logits = torch.zeros(1, 3, 2, 2)
    target = torch.zeros(1, 4, 4, dtype=torch.bool)
    target[0, :2, :1] = True  # half of the first quarter
    target[0, 2, 2] = True  # a quarter of the last one
    full_logits, full = at_compared_size(logits, target, LossParams())
    assert full_logits.shape == (1, 3, 4, 4)
    assert torch.equal(full, target)
    small_logits, small = at_compared_size(logits, target, LossParams(compare_at="low_res"))
    assert small_logits is logits
    assert small.tolist() == [[[True, False], [False, False]]]


def test_enlarging_is_the_networks_own():
    logits = torch.randn(1, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    large = enlarge(logits, 8)
    # bilinear, corners not aligned: the corner pixel keeps its value, the next is 3 : 1
    assert large[0, 0, 0, 0] == logits[0, 0, 0, 0]
    expected = 0.75 * logits[0, 0, 0, 0] + 0.25 * logits[0, 0, 0, 1]
    assert large[0, 0, 0, 1].item() == pytest.approx(expected.item(), abs=1e-6)
