import pytest
import torch

from seg_assets.modeling.seem.features import ImageFeatures, Prediction
from seg_assets.modeling.seem.postprocess import (
    Segment,
    confident_queries,
    instances,
    mask_quality,
    match_region,
    match_text,
    panoptic,
    semantic,
    to_image,
)

SURE = 20.0  # a logit whose sigmoid or softmax is 1 up to 1e-8


def class_logits(*class_ids: int, classes: int = 3) -> torch.Tensor:
    logits = torch.zeros(len(class_ids), classes + 1)
    logits[range(len(class_ids)), class_ids] = SURE
    return logits


def mask_logits(*rows: list[int]) -> torch.Tensor:
    """One mask of one row each: 1 is inside."""
    return (torch.tensor(rows)[:, None] * 2.0 - 1) * SURE


def features_of(image_size: tuple[int, int], padded_size: tuple[int, int]) -> ImageFeatures:
    return ImageFeatures(torch.zeros(1, 1, 1, 1), [], [], [], [], [], padded_size, image_size)


def test_semantic_scores_add_up_over_queries() -> None:
    scores = semantic(class_logits(0, 0, 2), mask_logits([1, 1], [0, 1], [1, 0]))
    assert scores.shape == (3, 1, 2)
    assert scores[:, 0].round().tolist() == [[1, 2], [0, 0], [1, 0]]


def test_semantic_leaves_out_no_object() -> None:
    assert semantic(class_logits(3), mask_logits([1, 1])).max() < 1e-6


def test_panoptic_counts_things_and_merges_stuff() -> None:
    logits = class_logits(0, 0, 2, 2, 3)
    masks = mask_logits(
        [1, 1, 0, 0, 0, 0],
        [0, 0, 1, 0, 0, 0],
        [0, 0, 0, 1, 0, 0],
        [0, 0, 0, 0, 1, 0],
        [0, 0, 0, 0, 0, 1],
    )
    painted, segments = panoptic(logits, masks, {0})
    assert painted.dtype == torch.int32
    assert painted.tolist() == [[1, 1, 2, 3, 3, 0]]
    assert segments == [Segment(1, True, 0), Segment(2, True, 0), Segment(3, False, 2)]


def test_panoptic_skips_a_query_that_owns_too_little_of_its_mask() -> None:
    masks = mask_logits([1, 1, 1, 1, 0, 0], [0, 0, 1, 1, 1, 1])
    logits = class_logits(0, 1)
    logits[1, 1] = 3.0  # less sure: it owns only half of its mask
    painted, segments = panoptic(logits, masks, {0, 1})
    assert painted.tolist() == [[1, 1, 1, 1, 0, 0]]
    assert segments == [Segment(1, True, 0)]
    painted, _ = panoptic(logits, masks, {0, 1}, overlap_threshold=0.5)
    assert painted.tolist() == [[1, 1, 1, 1, 2, 2]]


def test_a_pixel_at_one_half_is_inside() -> None:
    painted, _ = panoptic(class_logits(0), torch.tensor([[[0.0, -0.1]]]), {0})
    assert painted.tolist() == [[1, 0]]


def test_panoptic_of_nothing_is_empty() -> None:
    painted, segments = panoptic(class_logits(3, 3), mask_logits([1, 1], [1, 1]), {0})
    assert painted.tolist() == [[0, 0]]
    assert segments == []


def test_confident_queries_exceed_the_threshold_and_are_objects() -> None:
    logits = class_logits(0, 3, 1)
    logits[2] = 0
    assert confident_queries(logits, 0.4).tolist() == [0]
    assert confident_queries(logits, 0.2).tolist() == [0, 2]
    assert confident_queries(torch.zeros(1, 2), 0.5).tolist() == []  # it must exceed it


def test_instances_are_things_best_first() -> None:
    logits = class_logits(1, 0, 2)
    logits[1, 0] = 3.0
    found = instances(logits, mask_logits([1, 0], [0, 1], [1, 1]), {0, 1}, top=3)
    assert found.class_ids.tolist() == [1, 0]
    assert found.masks.tolist() == [[[True, False]], [[False, True]]]
    assert found.scores[0] > found.scores[1] > 0.8


def test_mask_quality_is_zero_for_an_empty_mask() -> None:
    quality = mask_quality(mask_logits([1, 1], [0, 0]))
    assert quality.tolist() == pytest.approx([1, 0], abs=1e-5)


def test_masks_are_enlarged_cropped_then_resized() -> None:
    features = features_of((5, 6), (32, 32))
    logits = torch.ones(2, 3, 8, 8)
    assert to_image(logits, features).shape == (2, 3, 5, 6)
    assert to_image(logits, features, (50, 40)).shape == (2, 3, 50, 40)
    assert to_image(logits[0, :0], features).shape == (0, 5, 6)


def test_a_crop_comes_before_resizing() -> None:
    """The padding must not leak into the image: its logits are far from the image's."""
    logits = torch.full((1, 8, 8), -SURE)
    logits[:, :4] = SURE
    rows = to_image(logits, features_of((12, 32), (32, 32)), (120, 32))
    assert (rows > 0).all()


def test_regions_match_the_query_with_the_largest_product() -> None:
    prediction = Prediction(
        class_logits(0, 1, 3)[None], torch.zeros(1, 3, 2), torch.eye(3)[None, :, :2]
    )
    match = match_region(prediction, torch.tensor([[0.0, 2.0], [3.0, 1.0]]))
    assert match.similarity.tolist() == [[0, 2, 0], [3, 1, 0]]
    assert match.query.tolist() == [1, 0]
    assert match.class_id.tolist() == [1, 0]


def test_texts_match_by_angle_and_the_scale_is_bounded() -> None:
    captions = torch.tensor([[[5.0, 0.0], [0.0, 0.1]]])
    prediction = Prediction(torch.zeros(1, 2, 2), captions, torch.zeros(1, 2, 1))
    similarity, query = match_text(prediction, torch.tensor([[0.0, 9.0]]), torch.tensor(8.0))
    assert query.tolist() == [1]
    assert similarity[0].tolist() == pytest.approx([0, 100], abs=1e-3)
