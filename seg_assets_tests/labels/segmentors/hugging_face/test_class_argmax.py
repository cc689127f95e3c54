import pytest
import torch

from seg_assets.labels.segmentors.hugging_face import class_argmax as module
from seg_assets.labels.segmentors.hugging_face.class_argmax import class_argmax


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("size", [(31, 47), (5, 7), (3, 90)])
@pytest.mark.parametrize("pixels_at_once", [1, 3000, 2**25])
def test_a_few_classes_at_a_time_give_what_all_at_once_give(
    monkeypatch, align_corners, size, pixels_at_once
):
    monkeypatch.setattr(module, "PIXELS_AT_ONCE", pixels_at_once)
    scores = torch.randn(9, 8, 12, generator=torch.Generator().manual_seed(0))
    scaled = torch.nn.functional.interpolate(
        scores[None], size, mode="bilinear", align_corners=align_corners
    )
    found = class_argmax(scores, size, align_corners=align_corners)
    assert torch.equal(torch.from_numpy(found).long(), scaled[0].argmax(0))


def test_of_equal_scores_the_first_class_wins(monkeypatch):
    monkeypatch.setattr(module, "PIXELS_AT_ONCE", 1)
    scores = torch.tensor([0.0, 2.0, 1.0, 2.0]).view(4, 1, 1)
    assert class_argmax(scores, (2, 2)).tolist() == [[1, 1], [1, 1]]
