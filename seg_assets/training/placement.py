"""On which devices a training runs: what its processes are told so that they see those alone."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

from seg_assets.errors import InputError
from seg_assets.modeling.devices import DEVICES_VARIABLE, Slot
from seg_assets.training.recipe import Recipe

VISIBLE = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True)
class Placement:
    """Devices of the processes of one training, one each.

    Attributes:
        devices: "cpu" for each process, or "cuda:0", "cuda:1", ...
    """

    devices: tuple[str, ...]

    @property
    def on_cpu(self) -> bool:
        """Whether the training runs on the CPU."""
        return self.devices[0] == "cpu"

    def environment(self) -> dict[str, str]:
        """Variables for the processes, so that they see these CUDA devices only, or none.

        Where the user has hidden devices from us, numbers count among those that we see.
        """
        if self.on_cpu:
            return {VISIBLE: ""}
        numbers = [int(device.partition(":")[2]) for device in self.devices]
        seen = [name.strip() for name in os.environ.get(VISIBLE, "").split(",") if name.strip()]
        return {VISIBLE: ",".join(seen[n] if n < len(seen) else str(n) for n in numbers)}

    def placed(self, recipe: Recipe) -> Recipe:
        """The recipe, told to stay on the CPU where these devices are the CPU."""
        device = "cpu" if self.on_cpu else recipe.config.device
        return replace(recipe, config=recipe.config.model_copy(update={"device": device}))


def choose_slots(slots: Sequence[Slot], processes: int, *, cpu_only: bool = False) -> list[Slot]:
    """The slots that processes which train together may be given.

    Each process needs a CUDA device of its own, so only one slot of each is taken; on the CPU, it
    needs a slot.

    Args:
        slots: Those there are.
        processes: Processes that train together.
        cpu_only: Whether the CUDA devices are left alone.

    Raises:
        InputError: There are too few.
    """
    if processes < 1:
        raise InputError(f"{processes} processes cannot train: ask for one at least")
    cuda = [] if cpu_only else [slot for slot in slots if slot.device != "cpu"]
    cpu = [slot for slot in slots if slot.device == "cpu"]
    if cpu_only and not cpu:
        cpu = [Slot("cpu", index) for index in range(processes)]
    found = len({slot.device for slot in cuda})
    if found >= processes:
        return cuda
    if len(cpu) >= processes:
        return cpu
    raise InputError(
        f"{processes} processes need as many CUDA devices or CPU slots, and there are {found} and "
        f"{len(cpu)}: set {DEVICES_VARIABLE}, as to cuda:0,cuda:1 or cpu:{processes}"
    )


def first_devices(slots: Sequence[Slot], processes: int, *, cpu_only: bool = False) -> Placement:
    """The first devices that will do, without a lease: for whoever has the machine to themselves.

    Raises:
        InputError: There are too few.
    """
    chosen = choose_slots(slots, processes, cpu_only=cpu_only)
    devices = [slot.device for slot in chosen]
    if "cpu" not in devices:
        devices = list(dict.fromkeys(devices))  # several slots of a device are one device
    return Placement(tuple(devices[:processes]))
