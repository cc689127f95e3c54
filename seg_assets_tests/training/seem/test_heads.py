"""The order of prediction heads."""

import torch

from seg_assets.training.seem.heads import HeadStack
from seg_assets_tests.training.seem.shapes import task


def test_the_last_layer_comes_first_s12() -> None:
    """Terms with the number 0 are those of what inference uses."""
    a_task = task().eval()
    table = torch.randn(5, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features = a_task._read(torch.full((1, 3, 64, 64), 90, dtype=torch.uint8))
        plain = a_task.seem.decode(features, table)
        stack = HeadStack.of(a_task.seem.decode(features, table, auxiliary=True))
    assert stack.logits.shape[0] == a_task.outputs == 4
    for stacked, last in (
        (stack.logits, plain.logits),
        (stack.captions, plain.captions),
        (stack.embeddings, plain.mask_embeddings),
    ):
        assert torch.allclose(stacked[0], last, atol=1e-5)
        assert not torch.allclose(stacked[-1], last, atol=1e-2)
