from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from seg_assets.training.batches import to_device

META = torch.device("meta")


@dataclass(frozen=True)
class Inner:
    mask: Tensor


@dataclass(frozen=True)
class Batch:
    image: Tensor
    objects: list[Inner]
    sizes: tuple[Tensor, int]
    extra: dict[str, Tensor]
    name: str
    area: int = field(init=False, default=7)


class Pair(NamedTuple):
    left: Tensor
    right: str


def test_tensors_move_and_all_else_stays() -> None:
    one = torch.zeros(1)
    batch = Batch(one, [Inner(one)], (one, 3), {"key": one}, "street")
    moved = to_device(batch, META)
    tensors = [moved.image, moved.objects[0].mask, moved.sizes[0], moved.extra["key"]]
    assert {tensor.device.type for tensor in tensors} == {"meta"}
    assert (moved.sizes[1], moved.name, moved.area) == (3, "street", 7)
    assert isinstance(moved.sizes, tuple)


def test_named_tuples_keep_their_names() -> None:
    moved = to_device(Pair(torch.zeros(1), "x"), META)
    assert (moved.left.device.type, moved.right) == ("meta", "x")
