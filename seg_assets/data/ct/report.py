"""What the preparation of CT volumes did, as a record and as JSON."""

import json
from dataclasses import asdict, dataclass
from typing import Literal

from seg_assets.data.ct.components import Removed
from seg_assets.data.ct.params import CtParams
from seg_assets.data.ct.volumes import ORIENTATION

Split = Literal["train", "val"]


@dataclass(frozen=True)
class CaseReport:
    """One volume.

    Attributes:
        case: its name.
        split: where its slices lie.
        file_axes: the ends that the axes of the file run to, such as "RAS".
        shape: slices, rows and columns.
        spacing: millimetres between slices, rows and columns.
        intensity_range: smallest and largest value of the file.
        slices: written.
        empty_slices: dropped because no label is left in them.
        removed_label_voxels: voxels of the labels that were asked to go.
        small_in_volume: parts below `min_voxels`.
        small_in_slices: parts below `min_pixels`, all slices together.
    """

    case: str
    split: Split
    file_axes: str
    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    intensity_range: tuple[float, float]
    slices: int
    empty_slices: int
    removed_label_voxels: int
    small_in_volume: Removed
    small_in_slices: Removed


@dataclass(frozen=True)
class CtReport:
    """A whole preparation: what was asked for and what became of each case."""

    params: CtParams
    cases: tuple[CaseReport, ...]

    def slices(self, split: Split) -> int:
        """Number of slices written for a split."""
        return sum(case.slices for case in self.cases if case.split == split)

    def to_json(self) -> str:
        """The report with the meaning of the pictures' values, for those who train on them."""
        params = self.params
        if params.modality == "ct":
            low, high = params.level - params.width / 2, params.level + params.width / 2
            taken = f"Hounsfield units cut to [{low:g}, {high:g}]"
        else:
            taken = (
                f"cut to the percentiles {params.low_percentile:g} and "
                f"{params.high_percentile:g} of the voxels above 0"
            )
        scope = "slice" if params.slice_min_max else "volume"
        content = {
            "intensities": taken,
            "normalisation": f"min-max of the {scope} to 0..255; divide by 255 for [0, 1]",
            "orientation": ORIENTATION,
            "params": params.model_dump(mode="json"),
            "split": {
                split: [case.case for case in self.cases if case.split == split]
                for split in ("train", "val")
            },
            "slices": {split: self.slices(split) for split in ("train", "val")},
            "cases": [asdict(case) for case in self.cases],
        }
        return json.dumps(content, indent=2) + "\n"
