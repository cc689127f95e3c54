import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from seg_assets.classes.table import ClassTable, SemanticClass
from seg_assets.errors import InputError, UnknownClassError
from seg_assets.metrics.confusion import ConfusionMatrix
from seg_assets.metrics.purity import (
    PurityScores,
    RegionPurity,
    oracle_confusion,
    purity_scores,
)

ABC = ClassTable(
    "abc", "Three letters", tuple(SemanticClass(i, n, (i + 1, 0, 0)) for i, n in enumerate("abc"))
)

#   region 4: a a a b      region 9: b b .      no region: a c
REGIONS = np.array([[4, 4, 4, 4, 9, 9, 9, 0, 0]], np.int32)
TRUTH = np.array([[0, 0, 0, 1, 1, 1, 255, 0, 2]], np.uint8)

map_pairs = st.tuples(
    hnp.arrays(np.int32, (4, 6), elements=st.sampled_from([0, 1, 2, 900])),
    hnp.arrays(np.uint8, (4, 6), elements=st.sampled_from([0, 1, 2, 255])),
)


def test_sums_and_scores_by_hand() -> None:
    sums = RegionPurity.of(REGIONS, TRUTH, ABC)
    assert sums == RegionPurity(
        pixels=8, covered=6, pure=5, leaked=2, regions=2, purity=1.75, segments=3
    )
    assert purity_scores(sums) == PurityScores(
        coverage=6 / 8,
        pixel_purity=5 / 6,
        region_purity=1.75 / 2,
        achievable_accuracy=5 / 8,
        undersegmentation=2 / 8,
        regions_per_segment=2 / 3,
        regions=2,
        segments=3,
    )


def test_the_oracle_gives_regions_their_majority_and_nothing_outside() -> None:
    #                                                          a  b  c  nothing
    assert oracle_confusion(REGIONS, TRUTH, ABC).counts.tolist() == [
        [3, 0, 0, 1],
        [1, 2, 0, 0],
        [0, 0, 0, 1],
    ]


def test_outside_the_regions_a_prediction_may_speak() -> None:
    prediction = np.array([[2, 2, 2, 2, 2, 2, 2, 0, 255]], np.uint8)
    assert oracle_confusion(REGIONS, TRUTH, ABC, prediction=prediction).counts.tolist() == [
        [4, 0, 0, 0],
        [1, 2, 0, 0],
        [0, 0, 0, 1],
    ]


@pytest.mark.parametrize("truth", [[1, 2, 2, 1], [2, 1, 1, 2]])
def test_of_equally_frequent_classes_the_lowest_id_wins(truth: list[int]) -> None:
    counts = oracle_confusion(np.ones((1, 4), np.int32), np.array([truth], np.uint8), ABC).counts
    assert counts[:, 1].tolist() == [0, 2, 2]


@given(map_pairs, hnp.arrays(np.uint8, (4, 6), elements=st.sampled_from([0, 1, 2, 255])))
def test_equals_painting_region_by_region(
    maps: tuple[np.ndarray, np.ndarray], prediction: np.ndarray
) -> None:
    regions, truth = maps
    alone, beside = np.full(truth.shape, 255, np.uint8), prediction.copy()
    pure = leaked = count = 0
    purity = 0.0
    for region in np.unique(regions[regions > 0]):
        inside = (regions == region) & (truth != 255)
        frequencies = [int((truth[inside] == c).sum()) for c in range(3)]
        if sum(frequencies) == 0:
            continue
        alone[regions == region] = beside[regions == region] = np.argmax(frequencies)
        count += 1
        pure += max(frequencies)
        purity += max(frequencies) / sum(frequencies)
        leaked += sum(min(n, sum(frequencies) - n) for n in frequencies)
    found = RegionPurity.of(regions, truth, ABC)
    assert (found.pure, found.leaked, found.regions) == (pure, leaked, count)
    assert found.purity == pytest.approx(purity)
    assert found.segments == len(np.unique(truth[truth != 255]))
    for options, painted in (({}, alone), ({"prediction": prediction}, beside)):
        oracle = oracle_confusion(regions, truth, ABC, **options)
        np.testing.assert_array_equal(oracle.counts, ConfusionMatrix.of(painted, truth, ABC).counts)


@given(map_pairs, map_pairs)
def test_sums_add_up_and_are_stored(first, second) -> None:
    parts = [RegionPurity.of(*maps, ABC) for maps in (first, second)]
    total = sum(parts, RegionPurity.empty())
    assert total.regions == parts[0].regions + parts[1].regions
    assert RegionPurity.from_list(total.to_list()) == total


def test_without_regions_or_labels_there_is_nothing_to_divide_by() -> None:
    nothing = purity_scores(RegionPurity.empty())
    assert (nothing.coverage, nothing.region_purity, nothing.regions) == (None, None, 0)
    outside = purity_scores(RegionPurity.of(np.zeros_like(REGIONS), TRUTH, ABC))
    assert (outside.coverage, outside.pixel_purity, outside.achievable_accuracy) == (0, None, 0)


@pytest.mark.parametrize(
    ("regions", "truth", "error", "message"),
    [
        ([[1, 2]], [[0]], InputError, r"the regions of img are int64 of shape \(1, 2\)"),
        ([[1.0]], [[0]], InputError, "the regions of img are float64"),
        ([[-1]], [[0]], InputError, "the regions of img have the id -1"),
        ([[1]], [[3]], UnknownClassError, "the ground truth of img holds class id 3"),
    ],
)
def test_faulty_maps_are_named(regions, truth, error, message) -> None:
    with pytest.raises(error, match=message):
        RegionPurity.of(np.array(regions), np.array(truth, np.uint8), ABC, "img")


def test_sums_of_another_length_are_refused() -> None:
    with pytest.raises(InputError, match="2 numbers are no sums of region purity; 7 are wanted"):
        RegionPurity.from_list([1, 2])
