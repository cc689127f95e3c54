import numpy as np
import pytest

from seg_assets.training.sam.objects import choose_objects, pad_objects


@pytest.mark.parametrize(("count", "kept"), [(0, 0), (5, 5), (25, 20)])
def test_f3_the_first_objects_are_kept(count: int, kept: int):
    chosen = choose_objects(count, 20, "first", np.random.default_rng(0))
    assert chosen.tolist() == list(range(kept))
    padded = pad_objects(np.ones((kept, 2), np.float32), 20)
    assert padded.shape == (20, 2)
    assert padded.dtype == np.float32
    assert padded[:kept].all()
    assert not padded[kept:].any()


def test_f3_random_objects_all_get_their_turn():
    rng = np.random.default_rng(0)
    draws = [choose_objects(25, 20, "random", rng) for _ in range(200)]
    assert all(len(set(draw.tolist())) == 20 for draw in draws)
    assert all((np.diff(draw) > 0).all() for draw in draws)
    turns = np.bincount(np.concatenate(draws), minlength=25)
    assert turns.min() > 135  # 160 expected, deviation 5.7
    few = choose_objects(5, 20, "random", rng)
    assert few.tolist() == [0, 1, 2, 3, 4]


def test_no_limit_takes_all():
    assert len(choose_objects(1000, None, "first", np.random.default_rng(0))) == 1000
