import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seg_assets.errors import ImageError
from seg_assets.training.sampling import BatchPlaces, Place, micro_batches, place_at, sample_rng
from seg_assets_tests.training.line import LineParams, LineTask, line_config


@given(st.integers(1, 40), st.integers(0, 5), st.integers(0, 3))
def test_every_epoch_holds_every_sample_once(samples: int, seed: int, epoch: int) -> None:
    start = epoch * samples
    places = [place_at(position, samples, seed) for position in range(start, start + samples)]
    assert {place.epoch for place in places} == {epoch}
    assert sorted(place.index for place in places) == list(range(samples))


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        return [place_at(epoch * 50 + i, 50, seed).index for i in range(50)]

    assert order(0, 0) == order(0, 0)
    assert order(0, 0) != order(0, 1)
    assert order(0, 0) != order(1, 0)
    assert order(0, 0) != list(range(50))


@given(st.integers(1, 20), st.integers(1, 4), st.integers(1, 3), st.integers(1, 3))
def test_s34_processes_take_slices_of_the_large_batch(
    samples: int, batch_size: int, accumulate: int, processes: int
) -> None:
    steps = range(1, 5)
    small = line_config(batch_size=batch_size, accumulate=accumulate)
    large = line_config(batch_size=batch_size * processes, accumulate=accumulate)
    shares = [list(BatchPlaces(small, samples, steps, r, processes)) for r in range(processes)]
    together = [sum(parts, []) for parts in zip(*shares, strict=True)]
    assert together == list(BatchPlaces(large, samples, steps, 0, 1))


def test_s18_micro_batches_are_slices_of_the_large_batch() -> None:
    halves = list(BatchPlaces(line_config(batch_size=2, accumulate=2), 7, range(1, 9), 0, 1))
    whole = list(BatchPlaces(line_config(batch_size=4), 7, range(1, 9), 0, 1))
    pairs = zip(halves[::2], halves[1::2], strict=True)
    assert [first + second for first, second in pairs] == whole


def test_later_steps_need_no_earlier_ones() -> None:
    config = line_config(accumulate=2)
    all_steps = list(BatchPlaces(config, 7, range(1, 9), 0, 1))
    assert list(BatchPlaces(config, 7, range(4, 9), 0, 1)) == all_steps[6:]


def test_the_chance_of_a_sample_is_its_own() -> None:
    def draw(seed: int, epoch: int, index: int) -> float:
        return sample_rng(seed, Place(epoch, index)).random()

    assert draw(1, 2, 3) == draw(1, 2, 3)
    assert len({draw(1, 2, 3), draw(0, 2, 3), draw(1, 0, 3), draw(1, 2, 0)}) == 4


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # Python 3.12, with threads
def test_workers_change_nothing_but_the_speed() -> None:
    task = LineTask()
    alone = list(micro_batches(task, line_config(), range(3, 9)))
    helped = list(micro_batches(task, line_config(workers=2), range(3, 9)))
    assert [batch.indices for batch in alone] == [batch.indices for batch in helped]
    for one, other in zip(alone, helped, strict=True):
        assert torch.equal(one.content.x, other.content.x)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_for_the_user_stays_one_sentence(workers: int) -> None:
    task = LineTask(LineParams(unreadable=5))
    with pytest.raises(ImageError) as caught:
        list(micro_batches(task, line_config(workers=workers), range(1, 9)))
    assert str(caught.value) == "the image of sample 5 cannot be read"


def test_the_global_generator_is_left_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    next(micro_batches(LineTask(), line_config(), range(1, 9)))
    assert torch.rand(1) == expected
