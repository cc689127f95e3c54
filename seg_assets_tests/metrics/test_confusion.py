import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from seg_assets.classes.mapping import ClassMap, load_class_map
from seg_assets.classes.table import ClassTable, SemanticClass, load_class_table
from seg_assets.errors import InputError, UnknownClassError
from seg_assets.metrics.confusion import ConfusionMatrix, compare

ABC = ClassTable(
    "abc", "Three letters", tuple(SemanticClass(i, n, (i + 1, 0, 0)) for i, n in enumerate("abc"))
)

label_maps = hnp.arrays(
    np.uint8,
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=9),
    elements=st.sampled_from([0, 1, 2, 255]),
)


@st.composite
def map_pairs(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    truth = draw(label_maps)
    prediction = draw(hnp.arrays(np.uint8, truth.shape, elements=st.sampled_from([0, 1, 2, 255])))
    return prediction, truth


def count_one_by_one(prediction: np.ndarray, truth: np.ndarray) -> np.ndarray:
    counts = np.zeros((3, 4), np.int64)
    for predicted, true in zip(prediction.ravel(), truth.ravel(), strict=True):
        if true != 255:
            counts[true, 3 if predicted == 255 else predicted] += 1
    return counts


@given(map_pairs())
def test_counts_equal_those_of_a_plain_loop(maps: tuple[np.ndarray, np.ndarray]) -> None:
    counts = ConfusionMatrix.of(*maps, ABC).counts
    assert counts.dtype == np.int64
    np.testing.assert_array_equal(counts, count_one_by_one(*maps))


@given(map_pairs(), st.sampled_from([np.int16, np.int64, np.uint32]))
def test_counts_do_not_depend_on_type_or_layout(
    maps: tuple[np.ndarray, np.ndarray], dtype: type
) -> None:
    prediction, truth = maps
    found = ConfusionMatrix.of(prediction.astype(dtype), np.asfortranarray(truth), ABC)
    np.testing.assert_array_equal(found.counts, ConfusionMatrix.of(prediction, truth, ABC).counts)


@given(map_pairs(), st.data())
def test_any_split_adds_up_to_the_whole(
    maps: tuple[np.ndarray, np.ndarray], data: st.DataObject
) -> None:
    prediction, truth = maps
    cuts = sorted(data.draw(st.lists(st.integers(0, truth.shape[0]), max_size=4)))
    edges = [0, *cuts, truth.shape[0]]
    parts = [
        ConfusionMatrix.of(prediction[top:end], truth[top:end], ABC)
        for top, end in zip(edges, edges[1:], strict=False)
    ]
    parts = data.draw(st.permutations(parts))
    total = sum(parts, ConfusionMatrix.empty(ABC))
    np.testing.assert_array_equal(total.counts, ConfusionMatrix.of(prediction, truth, ABC).counts)


def test_ignored_truth_is_not_counted_and_a_missing_prediction_is() -> None:
    truth = np.array([[0, 0, 255, 255, 2]], np.uint8)
    prediction = np.array([[0, 255, 1, 255, 1]], np.uint8)
    matrix = ConfusionMatrix.of(prediction, truth, ABC)
    assert matrix.counts.tolist() == [[1, 0, 0, 1], [0, 0, 0, 0], [0, 1, 0, 0]]
    assert matrix.pixels == 3
    assert matrix.correct.tolist() == [1, 0, 0]
    assert matrix.truth_area.tolist() == [2, 0, 1]
    assert matrix.predicted_area.tolist() == [1, 1, 0]


@given(map_pairs())
def test_stored_counts_come_back(maps: tuple[np.ndarray, np.ndarray]) -> None:
    matrix = ConfusionMatrix.of(*maps, ABC)
    values = matrix.to_list()
    assert all(type(value) is int for value in values)
    np.testing.assert_array_equal(ConfusionMatrix.from_list(ABC, values).counts, matrix.counts)


def test_counts_above_32_bits_stay_exact() -> None:
    many = ConfusionMatrix.from_list(ABC, [2**40 + 1] + [0] * 11)
    assert (many + many).pixels == 2**41 + 2


def test_counts_are_read_only() -> None:
    counts = np.zeros((3, 4), np.int64)
    matrix = ConfusionMatrix(ABC, counts)
    counts[0, 0] = 5
    assert matrix.pixels == 0
    with pytest.raises(ValueError, match="read-only"):
        matrix.counts[0, 0] = 1


@pytest.mark.parametrize("values", [[0] * 9, [], [0] * 13])
def test_counts_of_another_table_do_not_fit(values: list[int]) -> None:
    with pytest.raises(InputError, match=r"do not fit class table 'abc', which takes 3 x 4"):
        ConfusionMatrix.from_list(ABC, values)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        (np.zeros((3, 3), np.int64), "must be .3, 4. of int64"),
        (np.zeros((3, 4), np.float64), "must be .3, 4. of int64"),
        (np.full((3, 4), -1), "negative"),
    ],
)
def test_faulty_counts_are_refused(counts: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ConfusionMatrix(ABC, counts)


def test_matrices_of_two_tables_cannot_be_added() -> None:
    other = ConfusionMatrix.empty(load_class_table("base28"))
    with pytest.raises(InputError, match="in 'abc' and in 'base28' cannot be added"):
        ConfusionMatrix.empty(ABC) + other


@pytest.mark.parametrize(
    ("prediction", "truth", "error", "message"),
    [
        ([[0, 1]], [[0]], InputError, "prediction of img is 2x1 but the ground truth is 1x1"),
        ([[7]], [[0]], UnknownClassError, "the prediction of img holds class id 7"),
        ([[0]], [[3]], UnknownClassError, "the ground truth of img holds class id 3"),
        ([[7]], [[255]], UnknownClassError, "the prediction of img holds class id 7"),
        ([[254]], [[1]], UnknownClassError, "the prediction of img holds class id 254"),
        ([[7, 0]], [[3]], UnknownClassError, "the prediction of img holds class id 7"),
        ([0], [0], InputError, r"the prediction of img has shape \(1,\)"),
    ],
)
def test_maps_that_cannot_be_compared_are_named(
    prediction: list, truth: list, error: type[InputError], message: str
) -> None:
    with pytest.raises(error, match=message):
        ConfusionMatrix.of(np.array(prediction, np.uint8), np.array(truth, np.uint8), ABC, "img")


def test_an_image_without_pixels_counts_nothing() -> None:
    nothing = np.zeros((0, 5), np.uint8)
    assert ConfusionMatrix.of(nothing, nothing, ABC).pixels == 0
    nothing = np.zeros((5, 0), np.uint8)
    assert ConfusionMatrix.of(nothing, nothing, ABC).pixels == 0


# Two class tables


def test_coco_predictions_meet_camvid_truth_in_merged19() -> None:
    coco, camvid = load_class_table("coco133"), load_class_table("camvid11")
    prediction = np.array(
        [[coco.id_of(n) for n in ("road", "pavement-merged", "banana", "person")] + [255]], np.uint8
    )
    truth = np.array(
        [[camvid.id_of(n) for n in ("Road", "Pavement", "Sky", "Pole", "Car")]], np.uint8
    )
    matrix = compare(
        prediction,
        truth,
        prediction_map=load_class_map("coco133", "merged19"),
        truth_map=load_class_map("camvid11", "merged19"),
    )
    merged = load_class_table("merged19")
    expected = np.zeros((19, 20), np.int64)
    expected[merged.id_of("ground"), merged.id_of("ground")] = 2
    expected[merged.id_of("sky"), merged.id_of("others")] = 1
    expected[merged.id_of("car"), 19] = 1  # nothing predicted; Pole is not counted
    np.testing.assert_array_equal(matrix.counts, expected)
    assert matrix.table == merged


@given(map_pairs(), st.lists(st.sampled_from([0, 1, 255]), min_size=6, max_size=6))
def test_comparing_equals_mapping_every_pixel(
    maps: tuple[np.ndarray, np.ndarray], becomes: list[int]
) -> None:
    two = ClassTable("two", "Two letters", ABC.classes[:2])
    luts = np.full((2, 256), 255, np.uint8)
    luts[:, :3] = np.reshape(becomes, (2, 3))
    prediction_map, truth_map = (ClassMap(ABC, two, lut) for lut in luts)
    found = compare(*maps, prediction_map=prediction_map, truth_map=truth_map)
    expected = ConfusionMatrix.of(prediction_map.apply(maps[0]), truth_map.apply(maps[1]), two)
    np.testing.assert_array_equal(found.counts, expected.counts)


def test_negative_ids_and_ids_above_a_byte_are_named() -> None:
    zeros = np.zeros((1, 2), np.int64)
    with pytest.raises(UnknownClassError, match="the ground truth holds class ids -1, 256"):
        ConfusionMatrix.of(zeros, np.array([[-1, 256]]), ABC)


def test_maps_must_meet_in_one_table() -> None:
    with pytest.raises(InputError, match="mapped to 'base28' but the ground truth to 'merged19'"):
        compare(
            np.zeros((1, 1), np.uint8),
            np.zeros((1, 1), np.uint8),
            prediction_map=load_class_map("coco133", "base28"),
            truth_map=load_class_map("camvid11", "merged19"),
        )


def test_unknown_ids_are_named_with_their_side() -> None:
    identity = ClassMap.identity(ABC)
    with pytest.raises(UnknownClassError, match="the ground truth of img holds class id 11"):
        compare(
            np.zeros((1, 1), np.uint8),
            np.full((1, 1), 11, np.uint8),
            prediction_map=identity,
            truth_map=identity,
            where="img",
        )
