import tracemalloc

import numpy as np
import pytest

from seg_assets.classes.mapping import ClassMap, load_class_map
from seg_assets.errors import InputError, StoreError
from seg_assets.labels.confidence import from_levels, grey_png
from seg_assets.labels.score_storage import check_storable, decode_scores, encode_scores
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


def test_dense_scores_exist_once_before_they_are_stored():
    factors = random_factors(output_size=(600, 900), input_size=(90, 120))
    factors.argmax((9, 9))  # compiles
    tracemalloc.start()
    size = len(encode_scores(factors, TO_BASE28))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size == 28 * 600 * 900 * 2
    assert peak < 1.7 * size  # measured: 1.6, of which 0.6 are one band of a small image


def test_more_scores_than_parquet_holds_are_refused_before_they_are_made():
    check_storable(28, (6000, 6000))
    check_storable(133, (2000, 4000))
    with pytest.raises(InputError, match="133 classes and 3000 x 4000 pixels take 3.2 GB"):
        check_storable(133, (3000, 4000))
    factors = random_factors(output_size=(3000, 4000), input_size=(90, 120))
    with pytest.raises(InputError, match="semantic_classes with fewer"):
        encode_scores(factors, ClassMap.identity(TO_BASE28.source))


def test_a_row_without_dense_scores_says_so():
    with pytest.raises(StoreError, match="factors only"):
        decode_scores(random_factors().to_row("a"))


def test_confidence_is_stored_in_255_steps():
    shares = np.linspace(0, 1, 1000, dtype=np.float32).reshape(20, 50)
    found = from_levels(decode_label_map(grey_png(shares)))
    assert np.abs(found - shares).max() <= 1 / 510 + 1e-6
    assert (found[0, 0], found[-1, -1]) == (0, 1)
