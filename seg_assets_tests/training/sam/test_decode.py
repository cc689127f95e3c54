import numpy as np
import torch

from seg_assets.modeling.mask_models.sam.model import SegmentAnythingModel
from seg_assets.training.sam.decode import PromptTensors, decode


def _features(sam) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(1, 32, 4, 4, generator=generator)


def test_training_and_inference_decode_alike(small_sam):
    """Against the decoding of mask generator and predictor, of a single point each."""
    sam = small_sam().model
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    model = SegmentAnythingModel(sam)
    (embedding,) = model.embed([image])
    points, labels = torch.tensor([[[3.0, 60.0]], [[30.0, 20.0]]]), torch.ones(2, 1).long()
    expected_logits, expected_scores = model.decode(
        embedding, points=points, labels=labels, multimask=True
    )
    prompts = PromptTensors(points=points, labels=labels)
    with torch.inference_mode():
        logits, scores = decode(sam, embedding.features, prompts, multimask=True)
    assert logits.shape == (2, 3, 16, 16)
    assert torch.allclose(logits, expected_logits, atol=1e-6)
    assert torch.allclose(scores, expected_scores, atol=1e-6)


def test_f4_a_box_gives_one_mask(small_sam):
    sam = small_sam().model
    prompts = PromptTensors(boxes=torch.tensor([[5.0, 5.0, 30.0, 40.0], [0.0, 0.0, 64.0, 64.0]]))
    logits, scores = decode(sam, _features(sam), prompts, multimask=False)
    assert logits.shape == (2, 1, 16, 16)
    assert scores.shape == (2, 1)


def test_a_mask_prompt_changes_the_answer(small_sam):
    sam = small_sam().model
    box = torch.tensor([[5.0, 5.0, 30.0, 40.0]])
    left = torch.full((1, 16, 16), -5.0)
    left[..., :8] = 5.0
    answers = [
        decode(sam, _features(sam), PromptTensors(boxes=box, masks=mask), multimask=False)[0]
        for mask in (None, left, left.flip(2), 0.1 * left)
    ]
    for index, one in enumerate(answers):
        for other in answers[:index]:
            assert (one - other).abs().max() > 1e-3  # of logits of about 0.1


def test_a_point_of_label_minus_one_is_the_padding_that_the_network_adds_itself(small_sam):
    sam = small_sam().model
    point = torch.tensor([[[10.0, 20.0]]])
    box = torch.tensor([[5.0, 5.0, 30.0, 40.0]])
    none = PromptTensors(points=point, labels=torch.tensor([[-1]]), boxes=box)
    elsewhere = PromptTensors(points=point + 7, labels=torch.tensor([[-1]]), boxes=box)
    first, _ = decode(sam, _features(sam), none, multimask=False)
    second, _ = decode(sam, _features(sam), elsewhere, multimask=False)
    assert torch.equal(first, second)


def test_positions_stay_exact_in_half_precision(small_sam):
    """Points a pixel apart differ under autocast as they do without."""
    sam = small_sam().model
    points = torch.tensor([[[50.0, 50.0]], [[51.0, 50.0]]])
    labels = torch.ones(2, 1, dtype=torch.int64)
    seen = []
    sam.mask_decoder.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(kwargs["sparse_prompt_embeddings"].clone()),
        with_kwargs=True,
    )
    decode(sam, _features(sam), PromptTensors(points, labels), multimask=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        decode(sam, _features(sam), PromptTensors(points, labels), multimask=True)
    exact, under_autocast = seen
    assert torch.equal(exact, under_autocast)
    assert not torch.equal(exact[0], exact[1])
