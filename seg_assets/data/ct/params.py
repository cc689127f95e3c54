"""What the preparation of CT and MR volumes can be asked to do."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

# The organs of the challenge FLARE22, as its label files number them.
FLARE22 = {
    1: "liver",
    2: "right kidney",
    3: "spleen",
    4: "pancreas",
    5: "aorta",
    6: "inferior vena cava",
    7: "right adrenal gland",
    8: "left adrenal gland",
    9: "gallbladder",
    10: "oesophagus",
    11: "stomach",
    12: "duodenum",
    13: "left kidney",
}

LabelId = Annotated[int, Field(ge=1, le=255)]


class CtParams(BaseModel):
    """Parameters of `prepare_ct`; the defaults prepare FLARE22 as MedSAM does."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    modality: Literal["ct", "mr"] = Field(
        default="ct",
        description="ct: intensities are Hounsfield units and cut to a window; mr: they have no "
        "unit and are cut to percentiles.",
    )
    level: float = Field(
        default=40,
        ge=-2000,
        le=4000,
        description="Middle of the CT window in Hounsfield units.",
    )
    width: float = Field(
        default=400,
        gt=0,
        le=10000,
        description="Width of the CT window in Hounsfield units: 40 and 400 keep -160 to 240.",
    )
    low_percentile: float = Field(
        default=0.5,
        ge=0,
        lt=50,
        description="Lower end of the MR range, as a percentile of the voxels above 0.",
    )
    high_percentile: float = Field(
        default=99.5,
        gt=50,
        le=100,
        description="Upper end of the MR range, as a percentile of the voxels above 0.",
    )
    removed_labels: tuple[LabelId, ...] = Field(
        default=(12,),
        description="Labels that become background; 12 is the duodenum of FLARE22, which lies in "
        "scattered pieces that a box says little about.",
    )
    min_voxels: int = Field(
        default=1000,
        ge=0,
        description="Connected parts of a label with fewer voxels are removed (26 neighbours).",
    )
    min_pixels: int = Field(
        default=100,
        ge=0,
        description="After that, connected parts of a label inside a slice with fewer pixels are "
        "removed (8 neighbours), counted before the slice is resized.",
    )
    size: int = Field(
        default=1024,
        ge=16,
        le=4096,
        description="Side of the square pictures in pixels; slices are stretched to it.",
    )
    slice_min_max: bool = Field(
        default=False,
        description="Stretch every slice by itself to the whole range, as upstream does, instead "
        "of keeping one scale for the volume.",
    )
    train_share: float = Field(
        default=0.8,
        gt=0,
        le=1,
        description="Share of the cases, sorted by name, that make the training split.",
    )
    class_names: Mapping[LabelId, Annotated[str, StringConstraints(min_length=1)]] = Field(
        default=FLARE22, description="Name of each label in the label files."
    )
