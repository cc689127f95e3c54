import tracemalloc

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch.nn import functional as F

from seg_assets.classes.mapping import ClassMap, load_class_map
from seg_assets.errors import CheckpointError, InputError, StoreError
from seg_assets.labels.logit_bands import ROWS_PER_BAND
from seg_assets.labels.logit_factors import LogitFactors
from seg_assets.storage.schema import SCHEMAS

TO_BASE28 = load_class_map("coco133", "base28")
TO_CAMVID = load_class_map("coco133", "camvid11")
HALF_ULP = 2.0**-11  # largest relative error of rounding to float16


def random_factors(
    queries: int = 12, *, seed: int = 0, output_size=(90, 120), input_size=None, **kwargs
) -> LogitFactors:
    random = np.random.default_rng(seed)
    input_size = input_size or output_size
    padded_size = tuple(-(-side // 32) * 32 for side in input_size)
    mask_size = (padded_size[0] // 4, padded_size[1] // 4)
    return LogitFactors.of(
        random.normal(size=(queries, 134)).astype(np.float32) * 4,
        random.normal(size=(queries, *mask_size)).astype(np.float32) * 5,
        padded_size=padded_size,
        input_size=input_size,
        output_size=output_size,
        **kwargs,
    )


def dense_scores(class_logits, mask_logits, padded_size, input_size, output_size) -> np.ndarray:
    """The definition in full size, float64, with torch's own resizing: the reference."""
    masks = torch.as_tensor(np.asarray(mask_logits, np.float64))[None]
    masks = F.interpolate(masks, size=padded_size, mode="bilinear", align_corners=False)
    masks = masks[..., : input_size[0], : input_size[1]]
    masks = F.interpolate(masks, size=output_size, mode="bilinear", align_corners=False)[0]
    classes = torch.as_tensor(np.asarray(class_logits, np.float64)).softmax(-1)[:, :-1]
    return torch.einsum("qc,qhw->chw", classes, masks.sigmoid()).numpy()


def sizes(factors: LogitFactors):
    return factors.padded_size, factors.input_size, factors.output_size


@pytest.mark.parametrize(
    ("output_size", "input_size"),
    [
        ((90, 120), None),
        ((96, 128), None),
        ((181, 240), (90, 120)),
        ((45, 61), (90, 121)),
        ((1, 1), None),
    ],
)
def test_scores_are_those_of_the_definition(output_size, input_size):
    """Tolerance: float32 sums of 12 products."""
    factors = random_factors(output_size=output_size, input_size=input_size)
    expected = dense_scores(factors.class_logits, factors.mask_logits, *sizes(factors))
    scores = factors.scores()
    assert scores.dtype == np.float32
    assert scores.shape == (133, *output_size)
    np.testing.assert_allclose(scores, expected, atol=2e-6)


@pytest.mark.parametrize(("name", "output_size"), [("eval", (90, 120)), ("eval_resized", (60, 84))])
def test_scores_equal_upstreams_but_for_float16(shared_dir, name, output_size):
    """Reference: golden/seem/golden_small, upstream's output from the same factors."""
    golden = load_file(shared_dir / "golden/seem/golden_small/golden.safetensors")
    factors = LogitFactors.of(
        golden["plain/pred_logits"][0].numpy(),
        golden["plain/pred_masks"][0].numpy(),
        padded_size=(96, 128),
        input_size=(90, 120),
        output_size=output_size,
    )
    expected = golden[f"{name}/sem_seg"].numpy()
    np.testing.assert_allclose(factors.scores(), expected, atol=2e-3)
    certain = np.diff(np.sort(expected, axis=0)[-2:], axis=0)[0] > 4e-3
    assert certain.mean() > 0.9
    np.testing.assert_array_equal(factors.argmax()[certain], expected.argmax(axis=0)[certain])


@pytest.mark.parametrize("output_size", [(90, 120), (300, 400), (ROWS_PER_BAND + 3, 257), (1, 1)])
def test_argmax_equals_that_of_the_scores(output_size):
    factors = random_factors(output_size=output_size)
    label_map = factors.argmax()
    assert label_map.dtype == np.uint8
    np.testing.assert_array_equal(label_map, factors.scores().argmax(axis=0))


def test_equal_scores_go_to_the_lowest_class():
    class_logits = np.full((1, 134), -9.0, np.float32)
    class_logits[0, [7, 30]] = 0
    factors = LogitFactors.of(
        class_logits,
        np.zeros((1, 8, 8), np.float32),
        padded_size=(32, 32),
        input_size=(32, 32),
        output_size=(32, 32),
    )
    assert (factors.argmax() == 7).all()


@given(st.integers(0, 2**31), st.sampled_from([0.0, 1e-4, 1e-3, 1e-2, 0.1]))
@settings(max_examples=25, deadline=None)
def test_dropped_queries_cost_no_score_more_than_the_tolerance(seed, tolerance):
    random = np.random.default_rng(seed)
    class_logits = random.normal(size=(20, 134)).astype(np.float32)
    class_logits[:, -1] = random.uniform(0, 20, size=20)  # most queries found nothing
    mask_logits = random.normal(size=(20, 4, 4)).astype(np.float32) * 3
    geometry = {"padded_size": (16, 16), "input_size": (16, 16), "output_size": (16, 16)}
    every = LogitFactors.of(class_logits, mask_logits, **geometry)
    kept = LogitFactors.of(class_logits, mask_logits, **geometry, tolerance=tolerance)
    assert len(every.class_logits) == 20
    assert 1 <= len(kept.class_logits) <= 20
    loss = every.scores().astype(np.float64) - kept.scores()
    assert loss.min() >= -1e-6
    # the bound holds before rounding to float16, which moves a probability by up to 1 %
    assert loss.max() <= tolerance * 1.01 + 1e-6


def test_a_query_that_found_nothing_is_dropped_and_one_always_stays():
    class_logits = np.zeros((3, 134), np.float32)
    class_logits[[0, 2], -1] = 30
    masks = np.zeros((3, 2, 2), np.float32)
    geometry = {"padded_size": (8, 8), "input_size": (8, 8), "output_size": (8, 8)}
    kept = LogitFactors.of(class_logits, masks, **geometry, tolerance=1e-3)
    assert len(kept.class_logits) == 1
    assert kept.class_logits[0, 5] == 0
    nothing = LogitFactors.of(class_logits[[0, 0]], masks[:2], **geometry, tolerance=0.1)
    assert len(nothing.class_logits) == 1


@given(st.integers(0, 2**31), st.floats(0.1, 30), st.floats(0.1, 30))
@settings(max_examples=25, deadline=None)
def test_float16_costs_no_more_than_stated(seed, class_scale, mask_scale):
    """The bound of docs/labelling.md, first order, with a tenth to spare for the second."""
    random = np.random.default_rng(seed)
    class_logits = (random.normal(size=(9, 134)) * class_scale).astype(np.float32)
    mask_logits = (random.normal(size=(9, 6, 6)) * mask_scale).astype(np.float32)
    geometry = {"padded_size": (24, 24), "input_size": (24, 20), "output_size": (24, 20)}
    factors = LogitFactors.of(class_logits, mask_logits, **geometry)
    exact = dense_scores(class_logits, mask_logits, *geometry.values())
    error = np.abs(factors.scores() - exact).max(axis=(1, 2))

    shift = class_logits.max(axis=1, keepdims=True) - class_logits.astype(np.float64)
    weights = np.exp(-shift)
    probability = weights / weights.sum(axis=1, keepdims=True)
    by_class = (probability * (shift + (probability * shift).sum(axis=1, keepdims=True)))[:, :-1]
    by_mask = probability[:, :-1] * np.abs(mask_logits).max(axis=(1, 2))[:, None] / 4
    bound = HALF_ULP * (by_class + by_mask).sum(axis=0)
    assert (error <= 1.1 * bound + 1e-5).all()


def smooth_factors(seed: int = 0, queries: int = 20, output_size=(160, 210)) -> LogitFactors:
    """Discs of sure classes, as a trained network gives: most tiles hold one class only."""
    random = np.random.default_rng(seed)
    class_logits = random.normal(size=(queries, 134)).astype(np.float32)
    class_logits[np.arange(queries), random.integers(0, 134, queries)] += 8
    rows, columns = np.mgrid[:40, :56]
    centres, radii = random.uniform(0, 50, (2, queries, 1, 1)), random.uniform(3, 25, queries)
    distance = np.hypot(rows - centres[0], columns - centres[1])
    mask_logits = np.clip(3 * (radii[:, None, None] - distance), -15, 10).astype(np.float32)
    return LogitFactors.of(
        class_logits,
        mask_logits,
        padded_size=(160, 224),
        input_size=(160, 210),
        output_size=output_size,
    )


@given(st.integers(0, 2**31), st.sampled_from([(160, 210), (61, 340), (7, 5)]))
@settings(max_examples=20, deadline=None)
def test_what_is_skipped_changes_no_class(seed, output_size):
    """Discs, with classes that tie exactly, on images of their own size and of others."""
    factors = smooth_factors(seed, output_size=output_size)
    factors.class_logits[:, 5] = factors.class_logits[:, 3]
    for class_map in (None, TO_BASE28, TO_CAMVID):
        scores = factors.scores(class_map=class_map)
        labels = factors.argmax(class_map=class_map)
        if class_map is None:
            np.testing.assert_array_equal(labels, scores.argmax(axis=0))
        else:  # where a class without a counterpart wins, there is no label
            inside = labels != 255
            np.testing.assert_array_equal(labels[inside], scores.argmax(axis=0)[inside])


@pytest.mark.parametrize("queries", [9, 40])
def test_where_rounding_alone_decides_nothing_is_skipped(queries):
    """Each class has the same weights in another order, each mask is 0.5 everywhere."""
    turned = (np.arange(queries)[:, None] + np.arange(queries)) % queries
    for seed in range(5):
        values = np.random.default_rng(seed).normal(size=queries)
        factors = LogitFactors.of(
            np.append(values[turned], np.zeros((queries, 1)), axis=1),
            np.zeros((queries, 1, 1), np.float32),
            padded_size=(4, 4),
            input_size=(4, 4),
            output_size=(2, 3),
        )
        scores = factors.scores()
        assert np.ptp(scores) < 1e-6
        np.testing.assert_array_equal(factors.argmax(), scores.argmax(axis=0))
        second, best = np.sort(scores, axis=0)[-2:]
        margin = (best - second) / scores.sum(axis=0)
        np.testing.assert_allclose(factors.confidence().margin, margin, atol=1e-9)


def test_grouped_scores_are_sums_over_the_classes_of_each_group():
    factors = random_factors()
    single, grouped = factors.scores(), factors.scores(class_map=TO_BASE28)
    assert grouped.shape == (28, 90, 120)
    for target in range(28):
        expected = single[TO_BASE28.lut[:133] == target].sum(axis=0, dtype=np.float64)
        np.testing.assert_allclose(grouped[target], expected, atol=1e-5)
    np.testing.assert_array_equal(factors.argmax(class_map=TO_BASE28), grouped.argmax(axis=0))
    assert (factors.argmax(class_map=TO_BASE28) != TO_BASE28.apply(factors.argmax())).any()


def test_maps_that_join_nothing_change_nothing():
    factors = random_factors()
    identity = ClassMap.identity(TO_BASE28.source)
    assert factors.scores(class_map=identity).tobytes() == factors.scores().tobytes()
    np.testing.assert_array_equal(factors.argmax(class_map=identity), factors.argmax())


@pytest.mark.parametrize("size", [(90, 120), (45, 33), (200, 311), (1, 1)])
def test_scores_of_any_size_are_those_of_the_definition(size):
    factors = random_factors()
    expected = dense_scores(
        factors.class_logits, factors.mask_logits, factors.padded_size, factors.input_size, size
    )
    scores = factors.scores(size)
    np.testing.assert_allclose(scores, expected, atol=2e-6)
    np.testing.assert_array_equal(factors.argmax(size), scores.argmax(axis=0))
    assert factors.confidence(size).winner.shape == size


@pytest.mark.parametrize("make", [random_factors, smooth_factors])
@pytest.mark.parametrize("class_map", [None, TO_BASE28])
def test_confidence_is_the_winners_share_and_its_margin(make, class_map):
    """Tolerance: float32 sums of 133 scores, added in another order."""
    factors = make()
    scores, total = factors.scores(class_map=class_map), factors.scores().sum(axis=0)
    second, best = np.sort(scores, axis=0)[-2:]
    found = factors.confidence(class_map=class_map)
    np.testing.assert_allclose(found.winner, best / total, atol=1e-5)
    np.testing.assert_allclose(found.margin, (best - second) / total, atol=1e-5)
    assert (found.winner <= 1).all()
    assert (found.margin >= 0).all()


def test_the_only_class_is_sure():
    factors = LogitFactors.of(
        np.array([[0.0, 3.0]], np.float32),
        np.zeros((1, 2, 2), np.float32),
        padded_size=(8, 8),
        input_size=(8, 8),
        output_size=(8, 8),
    )
    found = factors.confidence()
    assert (found.winner == 1).all()
    assert (found.margin == 1).all()


def test_scores_next_to_nothing_have_shares_too():
    """Two classes at 1e-39 each: one over their sum is beyond float32."""
    class_logits = np.array([[0.0, 0.0, -9.0, 38.6]], np.float32)
    factors = LogitFactors.of(
        class_logits,
        np.full((1, 2, 2), -52.0, np.float32),
        padded_size=(8, 8),
        input_size=(8, 8),
        output_size=(8, 8),
    )
    assert 0 < factors.scores().max() < 1 / np.finfo(np.float32).max
    found = factors.confidence()
    np.testing.assert_allclose(found.winner, 0.5, atol=1e-3)
    assert (found.margin == 0).all()


def test_one_number_is_one_whatever_is_asked_for_with_it():
    """A pixel's scores are the same bits in any band; the winner's share comes from them."""
    factors = smooth_factors()
    whole = factors.scores()
    for start, labels, band in factors.score_bands():
        assert labels.tolist() == list(range(133))
        assert band.tobytes() == whole[:, start : start + band.shape[1]].tobytes()


def test_maps_of_other_classes_and_sizes_without_pixels_are_refused():
    factors = random_factors()
    with pytest.raises(InputError, match="cannot group 133 scores"):
        factors.scores(class_map=load_class_map("base28", "merged19"))
    with pytest.raises(InputError, match="size of 1 at least"):
        factors.argmax((0, 5))
    with pytest.raises(InputError, match="does not fit an image"):
        factors.region_scores(np.ones((9, 9), bool))


def test_region_scores_are_sums_over_the_region():
    factors = random_factors(output_size=(200, 150))
    region = np.zeros((200, 150), bool)
    region[57:130, 20:90] = np.random.default_rng(5).random((73, 70)) < 0.5
    expected = factors.scores()[:, region].sum(axis=1, dtype=np.float64)
    np.testing.assert_allclose(factors.region_scores(region), expected, rtol=1e-5)


def test_the_region_scores_of_no_pixels_are_zero():
    factors = random_factors()
    assert not factors.region_scores(np.zeros((90, 120), bool)).any()


def test_rows_round_trip_through_the_stored_table():
    factors = random_factors(output_size=(181, 240), input_size=(90, 120), tolerance=1e-3)
    table = pa.Table.from_pylist([factors.to_row("a/b")], schema=SCHEMAS["seem_logits"])
    (row,) = table.to_pylist()
    assert row["image_id"] == "a/b"
    restored = LogitFactors.from_row(row)
    np.testing.assert_array_equal(restored.class_logits, factors.class_logits)
    np.testing.assert_array_equal(restored.mask_logits, factors.mask_logits)
    assert sizes(restored) == sizes(factors)
    assert restored.scores().tobytes() == factors.scores().tobytes()
    np.testing.assert_array_equal(restored.argmax(), factors.argmax())


def test_a_row_with_too_few_bytes_is_refused():
    row = random_factors().to_row("a")
    row["mask_logits"] = row["mask_logits"][:-2]
    with pytest.raises(StoreError, match="bytes"):
        LogitFactors.from_row(row)


@pytest.mark.parametrize(
    ("classes", "masks", "reason"),
    [
        ((17, 5), (9, 2, 2), "not of the same queries"),  # the kernels would read past the masks
        ((0, 5), (0, 2, 2), "not of the same queries"),
        ((3, 5), (3, 0, 2), "not of the same queries"),
        ((3, 1), (3, 2, 2), "1 columns"),
        ((3, 257), (3, 2, 2), "257 columns"),
    ],
)
def test_factors_that_do_not_belong_together_are_refused(classes, masks, reason):
    geometry = ((8, 8), (8, 8), (8, 8))
    with pytest.raises(InputError, match=reason):
        LogitFactors(np.zeros(classes, np.float16), np.zeros(masks, np.float16), *geometry)


def test_a_row_without_queries_is_refused():
    row = random_factors().to_row("a") | {"queries": 0}
    with pytest.raises(StoreError, match="bytes"):
        LogitFactors.from_row(row)


def test_255_classes_are_all_told_apart():
    """The most that a table may have: then no id is "no label"."""
    class_logits = np.full((2, 256), -20.0, np.float32)
    class_logits[0, 254] = class_logits[1, 0] = 0
    mask_logits = np.array([[[9.0, -9.0]], [[-9.0, 9.0]]], np.float32)
    geometry = {"padded_size": (4, 8), "input_size": (4, 8), "output_size": (4, 8)}
    factors = LogitFactors.of(class_logits, mask_logits, **geometry)
    assert factors.argmax()[:, [0, 7]].tolist() == [[254, 0]] * 4
    assert factors.scores().shape == (255, 4, 8)


def test_huge_logits_are_stored_as_the_largest_float16():
    geometry = {"padded_size": (8, 8), "input_size": (8, 8), "output_size": (8, 8)}
    class_logits = np.full((1, 134), -1e9, np.float32)
    class_logits[0, 3] = 1e9
    factors = LogitFactors.of(class_logits, np.full((1, 2, 2), 1e9, np.float32), **geometry)
    scores = factors.scores()
    assert (scores[3] == 1).all()
    assert scores.sum() == 64


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("which", [0, 1])
def test_logits_that_are_not_finite_are_refused(bad, which):
    arrays = [np.zeros((3, 134), np.float32), np.zeros((3, 2, 2), np.float32)]
    arrays[which].flat[5] = bad
    geometry = {"padded_size": (8, 8), "input_size": (8, 8), "output_size": (8, 8)}
    with pytest.raises(CheckpointError, match="not finite"):
        LogitFactors.of(*arrays, **geometry)


def test_argmax_of_a_large_photo_needs_little_memory():
    """1500 x 2250 pixels and 101 queries: the dense scores would take 1.8 GB."""
    factors = random_factors(101, output_size=(1500, 2250))
    assert len(factors.mask_logits) == 101
    tracemalloc.start()
    factors.argmax()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 24 * 2**20  # measured: 8 MiB, of which 3 are the map


def test_confidence_of_a_large_photo_needs_little_more_than_its_maps():
    factors = random_factors(3, output_size=(1500, 2250), input_size=(90, 120))
    maps = 2 * 4 * 1500 * 2250
    tracemalloc.start()
    factors.confidence(class_map=TO_BASE28)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.3 * maps
