"""Where results go, which models are used, and on which devices. All of it comes from SEG_*."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from seg_assets.storage.store import Store

if TYPE_CHECKING:
    from seg_assets.modeling.devices import Slot
    from seg_assets.training.placement import Placement


class StoreResource(dg.ConfigurableResource):
    """The store of all shards."""

    root: str = Field(
        default="",
        description="Folder or fsspec URL (s3://bucket/path). Empty: SEG_DATA_DIR, else ./data.",
    )

    def open(self) -> Store:
        """The store; nothing is touched until it is used."""
        return Store(self.root or os.environ.get("SEG_DATA_DIR", "data"))


class ModelsResource(dg.ConfigurableResource):
    """Names of models in models/manifest.toml."""

    sam: str = Field(default="", description="Empty: SEG_SAM_MODEL, else sam_vit_h.")
    seem: str = Field(default="", description="Empty: SEG_SEEM_MODEL, else seem_focall_v1.")

    @property
    def sam_name(self) -> str:
        """The SAM model to use."""
        return self.sam or os.environ.get("SEG_SAM_MODEL", "sam_vit_h")

    @property
    def seem_name(self) -> str:
        """The SEEM model to use."""
        return self.seem or os.environ.get("SEG_SEEM_MODEL", "seem_focall_v1")


class DevicesResource(dg.ConfigurableResource):
    """Devices times processes per device; a step leases one slot."""

    devices: str = Field(
        default="",
        description="cpu, cpu:4, cuda:0,cuda:1. Empty: SEG_DEVICES, else all CUDA devices or cpu.",
    )
    processes_per_device: int = Field(
        default=1, ge=1, le=16, description="Slots per CUDA device; 2 fill a card of 24 GB."
    )

    @contextmanager
    def lease(self) -> Iterator[str]:
        """Wait for a free slot and give its device, such as "cuda:0"."""
        from seg_assets.modeling import devices  # noqa: PLC0415  # may look for CUDA with torch

        with devices.lease(self._slots()) as slot:
            yield slot.device

    @contextmanager
    def lease_for_training(
        self, processes: int, *, cpu_only: bool = False
    ) -> "Iterator[Placement]":
        """Wait for a free slot for each process of a training, on CUDA devices of their own.

        Raises:
            InputError: there are never so many.
        """
        from seg_assets.modeling import devices  # noqa: PLC0415
        from seg_assets.training.placement import Placement, choose_slots  # noqa: PLC0415

        slots = choose_slots(self._slots(), processes, cpu_only=cpu_only)
        with devices.lease_several(slots, processes) as held:
            yield Placement(tuple(slot.device for slot in held))

    def _slots(self) -> "list[Slot]":
        from seg_assets.modeling import devices  # noqa: PLC0415

        text = self.devices or os.environ.get(devices.DEVICES_VARIABLE, "")
        return devices.parse_devices(text, self.processes_per_device)


@dg.definitions
def resources() -> dg.Definitions:
    """The resources under the names that the assets ask for."""
    return dg.Definitions(
        resources={
            "store": StoreResource(),
            "models": ModelsResource(),
            "devices": DevicesResource(),
        }
    )
