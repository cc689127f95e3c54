import numpy as np
import pytest

from seg_assets.classes.mapping import load_class_map
from seg_assets.errors import StoreError
from seg_assets.labels.confidence import from_levels, grey_png
from seg_assets.labels.score_storage import decode_scores, encode_scores
from seg_assets.storage.png import decode_label_map
from seg_assets_tests.labels.test_logit_factors import random_factors

TO_BASE28 = load_class_map("coco133", "base28")


def test_dense_scores_come_back_as_stated():
    """Off by at most 2^-11, and by float16's half unit where they exceed 2."""
    factors = random_factors(output_size=(70, 50), input_size=(90, 120))
    row = factors.to_row("a") | {"dense_scores": encode_scores(factors, TO_BASE28)}
    found, expected = decode_scores(row), factors.scores(class_map=TO_BASE28)
    assert found.shape == (28, 70, 50)
    error = np.abs(found.astype(np.float64) - expected)
    assert (error <= 2.0**-11 * (1 + expected * (expected > 2)) + 1e-9).all()
    small = found[found <= 2].astype(np.float64)
    np.testing.assert_array_equal(small * 1024, np.rint(small * 1024))


def test_a_row_without_dense_scores_says_so():
    with pytest.raises(StoreError, match="factors only"):
        decode_scores(random_factors().to_row("a"))


def test_confidence_is_stored_in_255_steps():
    shares = np.linspace(0, 1, 1000, dtype=np.float32).reshape(20, 50)
    found = from_levels(decode_label_map(grey_png(shares)))
    assert np.abs(found - shares).max() <= 1 / 510 + 1e-6
    assert (found[0, 0], found[-1, -1]) == (0, 1)
