"""A batch in which every image has prompts of its own equals the images one by one."""

import pytest
import torch

from seg_assets.modeling.seem.prompts import draw_points
from seg_assets.modeling.seem.tokenizer import tokenize
from seg_assets.training.seem.prompting import read_own_masks, read_own_texts
from seg_assets.training.seem.spatial import image_features
from seg_assets_tests.training.seem.shapes import TINY, tiny_seem

TOLERANCE = 1e-5


@pytest.fixture(autouse=True)
def _no_gradient():
    with torch.no_grad():
        yield


def test_masks_are_read_as_inference_reads_them() -> None:
    model = tiny_seem().eval()
    images = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    features = model.encode_images(images, (64, 64))
    masks = torch.zeros(3, 64, 64, dtype=torch.bool)
    masks[0, 10:30, 5:50] = masks[1, 3, 7] = True  # many points, one, none
    for positive in (True, False):
        got = read_own_masks(model.predictor, features, masks, TINY.max_points, positive=positive)
        for i in range(2):
            own = image_features(features, i)
            points = draw_points(masks[i : i + 1], (64, 64), TINY.max_points)
            want = model.predictor.region_prompt(own, points, positive=positive)
            count = want.tokens[0].shape[1]
            for level in range(3):
                close = torch.allclose(
                    got.tokens[level][i, :count], want.tokens[level][0], atol=TOLERANCE
                )
                assert close
                assert int(got.valid[level][i].sum()) == count
            assert torch.allclose(got.query[i], want.query[0], atol=TOLERANCE)
        assert not got.valid[0][2].any()
        assert not got.query[2].any()


def test_texts_of_an_image_are_joined_as_inference_joins_them() -> None:
    model = tiny_seem().eval()
    texts = [["a dog", "the blue sky over the sea"], ["grass", "grass"]]
    tokens = tokenize([text for row in texts for text in row])
    words, valid = (part.unflatten(0, (2, 2)) for part in (tokens.ids, tokens.attention))
    prompt, sentences = read_own_texts(model, words, valid)
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    features = model.encode_images(images, (64, 64))
    table = torch.randn(3, 64)
    together = model.decode(features, table, text=prompt)
    for i in range(2):
        joined = model.read_texts(words[i], valid[i], joined=True)
        alone = model.decode(image_features(features, i), table, text=joined)
        assert torch.allclose(joined.sentences, sentences[i], atol=TOLERANCE)
        assert torch.allclose(together.captions[i], alone.captions[0], atol=1e-4)
        assert torch.allclose(together.mask_embeddings[i], alone.mask_embeddings[0], atol=1e-4)
