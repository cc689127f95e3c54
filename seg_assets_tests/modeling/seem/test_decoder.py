"""Prompts decoded together equal prompts decoded alone; what does not fit is refused."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from seg_assets.errors import InputError
from seg_assets.modeling.seem.decoder import wiring
from seg_assets.modeling.seem.model import preprocess
from seg_assets.modeling.seem.prompts import RegionPrompt, TextPrompt
from seg_assets_tests.modeling.seem.golden import Golden

TOLERANCE = 1e-6  # of a tensor's maximum: batches only change the order of sums


def blobs(count: int, height: int, width: int) -> Tensor:
    """Ellipses from tiny to large, on both sides of the point limit; the first one is empty."""
    generator = torch.Generator().manual_seed(0)
    rows, columns = torch.arange(height)[:, None], torch.arange(width)
    masks = torch.zeros(count, height, width, dtype=torch.bool)
    for i in range(1, count):
        y, x, a, b = torch.rand(4, generator=generator).tolist()
        size = 0.02 + 0.25 * i / count
        down = (rows / height - y) / (size * (a + 0.3))
        across = (columns / width - x) / (size * (b + 0.3))
        masks[i] = down**2 + across**2 < 1
    return masks


def relative(got: Tensor, want: Tensor) -> float:
    return float((got - want).abs().max() / want.abs().max())


def padded_texts(golden: Golden, names: list[str]) -> TextPrompt:
    """Texts of different lengths as one batch."""
    prompts = [
        golden.model.read_texts(
            golden.tensors[f"in/{name}_ids"],
            golden.tensors[f"in/{name}_attention_mask"],
            joined=True,
        )
        for name in names
    ]
    longest = max(prompt.tokens.shape[1] for prompt in prompts)
    tokens = [F.pad(p.tokens, (0, 0, 0, longest - p.tokens.shape[1])) for p in prompts]
    lengths = torch.tensor([p.tokens.shape[1] for p in prompts])
    valid = torch.arange(longest) < lengths[:, None]
    return TextPrompt(torch.cat(tokens), valid, torch.cat([p.sentences[:1] for p in prompts]))


@pytest.mark.parametrize("with_texts", [False, True])
def test_prompts_together_equal_prompts_alone(golden: Golden, with_texts: bool) -> None:
    model, names = golden.model, ["text_a", "text_b", "text_pair"] * 2
    features = model.encode_image(golden.tensors["in/image"])
    masks = blobs(6, 90, 120)
    sizes = masks.flatten(1).sum(1).tolist()
    limit = model.config.max_points
    assert 0 in sizes
    assert any(0 < size < limit for size in sizes)
    assert any(size > limit for size in sizes)
    text = padded_texts(golden, names) if with_texts else None
    many = model.decode(
        features, golden.table, text=text, regions=[model.read_masks(features, masks)]
    )
    for i in range(len(masks)):
        region = model.read_masks(features, masks[i : i + 1])
        alone = model.decode(
            features,
            golden.table,
            text=padded_texts(golden, names[i : i + 1]) if with_texts else None,
            regions=[region],
        )
        assert relative(many.logits[i], alone.logits[0]) <= TOLERANCE
        assert relative(many.mask_embeddings[i], alone.mask_embeddings[0]) <= TOLERANCE


def test_two_images_with_two_prompts_each_equal_one_by_one(golden: Golden) -> None:
    model = golden.model
    pictures = [golden.tensors["in/image"], golden.tensors["in/image"].flip(2)]
    together = model.encode_images(torch.cat([preprocess(p) for p in pictures]), (90, 120))
    masks = blobs(3, 90, 120)[1:]
    alone = [model.encode_image(picture) for picture in pictures]
    prompts = [model.read_masks(features, masks) for features in alone]
    joint = RegionPrompt(
        [torch.cat(level) for level in zip(*(p.tokens for p in prompts), strict=True)],
        [torch.cat(level) for level in zip(*(p.valid for p in prompts), strict=True)],
        torch.cat([p.query for p in prompts]),
    )
    got = model.decode(together, golden.table, regions=[joint])
    want = [
        model.decode(features, golden.table, regions=[prompt])
        for features, prompt in zip(alone, prompts, strict=True)
    ]
    assert relative(got.logits, torch.cat([p.logits for p in want])) <= 2 * TOLERANCE
    masks_alone = [f.masks(p.mask_embeddings) for f, p in zip(alone, want, strict=True)]
    assert relative(together.masks(got.mask_embeddings), torch.cat(masks_alone)) <= 2 * TOLERANCE


def test_a_shared_text_meets_every_mask(golden: Golden) -> None:
    model = golden.model
    features = model.encode_image(golden.tensors["in/image"])
    text = padded_texts(golden, ["text_a"])
    region = model.read_masks(features, blobs(3, 90, 120))
    shared = model.decode(features, golden.table, text=text, regions=[region])
    repeated = TextPrompt(text.tokens.repeat(3, 1, 1), text.valid.repeat(3, 1), text.sentences)
    wanted = model.decode(features, golden.table, text=repeated, regions=[region])
    assert torch.equal(shared.logits, wanted.logits)


def test_negative_tokens_differ_by_their_mark_alone(golden: Golden) -> None:
    model = golden.model
    features = model.encode_image(golden.tensors["in/image"])
    mask = blobs(3, 90, 120)[2:]
    wanted, unwanted = (model.read_masks(features, mask, positive=p) for p in (True, False))
    positive, negative = model.predictor.pn_indicator.weight
    for one, other in zip(wanted.tokens, unwanted.tokens, strict=True):
        torch.testing.assert_close(other - one, (negative - positive).expand_as(one))


def test_negative_points_change_the_prediction(golden: Golden) -> None:
    model = golden.model
    features = model.encode_image(golden.tensors["in/image"])
    masks = blobs(4, 90, 120)
    wanted = model.read_masks(features, masks[3:])
    unwanted = model.read_masks(features, masks[2:3], positive=False)
    without = model.decode(features, golden.table, regions=[wanted])
    with_negative = model.decode(features, golden.table, regions=[wanted, unwanted])
    assert not torch.allclose(without.logits, with_negative.logits)


def test_the_same_input_gives_the_same_bits(golden: Golden) -> None:
    results = []
    for _ in range(2):
        features = golden.model.encode_image(golden.tensors["in/image"])
        region = golden.model.read_masks(features, blobs(4, 90, 120))
        results.append(golden.model.decode(features, golden.table, regions=[region]))
    assert torch.equal(results[0].logits, results[1].logits)
    assert torch.equal(results[0].mask_embeddings, results[1].mask_embeddings)


def test_who_may_read_whom() -> None:
    text = TextPrompt(torch.zeros(1, 2, 4), torch.tensor([[True, False]]), torch.zeros(1, 4))
    valid = torch.tensor([[True, False]])
    region = RegionPrompt([torch.zeros(1, 2, 4)], [valid], torch.zeros(1, 4))
    allowed = wiring(2, text, [region], 0)
    assert allowed is not None
    objects, words = [1, 1, 1, 0, 1, 0], [1, 1, 1, 0, 0, 0]
    assert allowed[0].int().tolist() == [objects, objects, words, words]


def test_nothing_is_masked_where_nothing_is_padded() -> None:
    region = RegionPrompt(
        [torch.zeros(1, 2, 4)], [torch.ones(1, 2, dtype=torch.bool)], torch.zeros(1, 4)
    )
    assert wiring(2, None, [region], 0) is None
    assert wiring(2, None, [], 0) is None


def test_prompts_that_differ_in_number_are_refused(golden: Golden) -> None:
    model = golden.model
    features = model.encode_image(golden.tensors["in/image"])
    masks = blobs(4, 90, 120)
    two, three = (model.read_masks(features, masks[:n]) for n in (2, 3))
    with pytest.raises(InputError, match=r"differ in number \(\[2, 3\]\)"):
        model.decode(features, golden.table, regions=[two, three])


def test_prompts_that_do_not_divide_among_images_are_refused(golden: Golden) -> None:
    model = golden.model
    image = preprocess(golden.tensors["in/image"])
    features = model.encode_images(image.repeat(2, 1, 1, 1), (90, 120))
    one = model.encode_image(golden.tensors["in/image"])
    with pytest.raises(InputError, match="3 prompts do not divide among 2 images"):
        model.decode(features, golden.table, regions=[model.read_masks(one, blobs(3, 90, 120))])
