import subprocess
import sys

import numpy as np
import pytest
import torch

from seg_assets.modeling import torchvision_cpu

# isort: split
from torchvision.ops import batched_nms, roi_align


def _independent_nms(boxes: np.ndarray, scores: np.ndarray, threshold: float) -> list[int]:
    """Pairwise definition in plain Python floats."""
    kept: list[int] = []
    for i in sorted(range(len(boxes)), key=lambda i: (-scores[i], i)):
        for k in kept:
            w = min(boxes[i][2], boxes[k][2]) - max(boxes[i][0], boxes[k][0])
            h = min(boxes[i][3], boxes[k][3]) - max(boxes[i][1], boxes[k][1])
            inter = max(w, 0) * max(h, 0)
            area_i, area_k = ((b[2] - b[0]) * (b[3] - b[1]) for b in (boxes[i], boxes[k]))
            union = area_i + area_k - inter
            if union > 0 and inter / union > threshold:
                break
        else:
            kept.append(i)
    return kept


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.7, 1.0])
def test_nms_equals_the_pairwise_definition(threshold: float):
    rng = np.random.default_rng(0)
    corners = rng.integers(0, 40, (200, 2))
    boxes = np.concatenate([corners, corners + rng.integers(0, 30, (200, 2))], axis=1)
    scores = rng.integers(0, 50, 200) / 50  # many ties
    expected = _independent_nms(boxes.tolist(), scores, threshold)
    got = torchvision_cpu.nms(
        torch.tensor(boxes, dtype=torch.float32), torch.tensor(scores), threshold
    )
    assert got.tolist() == expected
    assert got.dtype == torch.int64


def test_nms_compares_with_the_unrounded_threshold():
    # IoU 3/5 is 0.6 rounded up in float32: greater than the double 0.6.
    boxes = torch.tensor([[0.0, 0, 4, 1], [1, 0, 5, 1]])
    scores = torch.tensor([1.0, 0.5])
    assert torchvision_cpu.nms(boxes, scores, 0.6).tolist() == [0]


@pytest.mark.parametrize("count", [0, 1])
def test_nms_of_nearly_nothing(count: int):
    kept = torchvision_cpu.nms(torch.rand(count, 4), torch.rand(count), 0.5)
    assert kept.tolist() == list(range(count))


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # from torch's dynamo
def test_torchvision_works_after_the_import_and_again():
    first = torchvision_cpu.ensure_torchvision()
    assert torchvision_cpu.ensure_torchvision() == first
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 10, 10]])
    kept = batched_nms(boxes, torch.tensor([0.2, 0.9, 0.5]), torch.tensor([0, 0, 1]), 0.5)
    assert kept.tolist() == [1, 2]
    assert roi_align(torch.ones(1, 1, 8, 8), [boxes[:1]], output_size=2).shape == (1, 1, 2, 2)


def test_operators_of_a_working_installation_are_left_alone():
    """Somebody else's nms (as a loaded extension would bring) is neither replaced nor patched."""
    program = """
import torch
library = torch.library.Library("torchvision", "DEF")
for name in ("nms", "qnms"):
    library.define(name + "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
library.impl("nms", lambda dets, scores, iou_threshold: torch.tensor([7]), "CPU")
from seg_assets.modeling import torchvision_cpu
assert torchvision_cpu.ensure_torchvision() is False
assert torch.ops.torchvision.nms(torch.rand(1, 4), torch.rand(1), 0.5).item() == 7
"""
    subprocess.run([sys.executable, "-c", program], check=True)
