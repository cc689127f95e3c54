"""One process; `test_launch.py` has two."""

import torch

from seg_assets.training.distributed import (
    process_count,
    rank,
    share_of_rank,
    sum_numbers,
    sum_tensor,
)


def test_one_process_does_everything() -> None:
    assert (rank(), process_count()) == (0, 1)
    assert list(share_of_rank(3)) == [0, 1, 2]
    assert sum_numbers({"a": 1.5, "b": 2.0}) == {"a": 1.5, "b": 2.0}
    assert sum_tensor(torch.tensor([1, 2])).tolist() == [1, 2]
