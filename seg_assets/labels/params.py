"""Parameters of the labelling stage; importing this module costs nothing heavy."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from seg_assets.modeling.precision import Precision

Scoring = Literal["class", "group"]

# The tables that results come in where class maps lead there; `tables.py` has the rule.
SEMANTIC_CLASSES = "base28"
MERGED_CLASSES = "merged19"


class LabelParams(BaseModel):
    """How SEEM reads an image and names its regions.

    The defaults are those of the SAM + SEEM pipeline that this stage re-implements: native
    resolution, 11 x 11 erosion, at most 512 points per prompt. The prompt points are an even
    subset, so the same image gives the same labels in every run.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    short_side: int | None = Field(
        default=None,
        ge=32,
        description="Resize the image for SEEM so that its shorter side has this many pixels "
        "(512 in SEEM's own demo); empty = native resolution. Label maps keep the image's size.",
    )
    max_side: int | None = Field(
        default=None,
        ge=32,
        description="The longer side never exceeds this many pixels on its way into SEEM; "
        "empty = no limit. Memory grows with the pixels, so set it when photos are large.",
    )
    points: Literal["even", "random"] = Field(
        default="even",
        description="Which pixels of a prompt SEEM looks at when there are more than it takes: "
        "evenly spaced ones, or a seeded random draw.",
    )
    seed: int = Field(default=0, ge=0, lt=2**31, description="Seed of the random points.")
    prompts_per_batch: int | None = Field(
        default=None,
        ge=1,
        le=1024,
        description="Regions decoded together; memory on the device grows with it, labels do not "
        "depend on it. Empty = as many as suit the device.",
    )
    precision: Precision = Field(
        default="float32",
        description="Number type of SEEM's large matrix products. bfloat16 and float16 are faster "
        "on a GPU and change scores a little; the reference pipeline ran in float16.",
    )
    scoring: Scoring = Field(
        default="class",
        description="What competes for a pixel or a region: 'class' = SEEM's own classes, the best "
        "is then translated, as in the reference pipeline; 'group' = the classes of the semantic "
        "maps, each with the sum of the scores that lead to it.",
    )
    top_k: int = Field(
        default=3, ge=1, le=256, description="Class proposals kept per region, most probable first."
    )
    semantic_classes: str = Field(
        default=SEMANTIC_CLASSES,
        description="Class table of the semantic maps: a name, the path of a .toml file, or "
        "'source' for the model's own. Where the model's own classes have no map to base28, their "
        "maps stay in the model's own.",
    )
    pavement_to_sidewalk: bool = Field(
        default=False,
        description="Send COCO's pavement to sidewalk; the reference table sends it to road and "
        "leaves sidewalk without a source.",
    )
    erosion_size: int = Field(
        default=11,
        ge=1,
        le=101,
        description="Diameter in pixels of the ellipse that erodes a region before it becomes "
        "a prompt; odd.",
    )
    gentle_erosion_size: int = Field(
        default=3,
        ge=1,
        le=101,
        description="Diameter of the ellipse used instead when the first leaves too little; odd.",
    )
    erosion_keep: float = Field(
        default=0.3,
        ge=0.0,
        le=1.0,
        description="The smallest share of a region that the first erosion may leave; below it the "
        "gentle erosion is used.",
    )
    score_tolerance: float = Field(
        default=1e-3,
        ge=0.0,
        le=0.1,
        description="Queries that found nothing are not stored, as long as no class score at any "
        "pixel loses more than this in total; 0 stores all queries.",
    )
    mask_tolerance: float = Field(
        default=0.0,
        ge=0.0,
        le=0.01,
        description="Round stored mask logits where that changes no query's share in a pixel by "
        "more than this: 0.00025 halves the bytes; 0 keeps all that float16 holds.",
    )
    confidence_maps: bool = Field(
        default=False,
        description="Store with SEEM's own map, for each pixel, the winner's share of all scores "
        "and its margin to the runner-up, as grey PNGs.",
    )
    dense_scores: bool = Field(
        default=False,
        description="Store the scores of the semantic classes at every pixel, besides their "
        "factors: for other programs, and many times larger.",
    )

    @model_validator(mode="after")
    def _check_ellipses(self) -> "LabelParams":
        if self.erosion_size % 2 == 0 or self.gentle_erosion_size % 2 == 0:
            raise ValueError("erosion_size and gentle_erosion_size must be odd")
        if self.gentle_erosion_size > self.erosion_size:
            raise ValueError("gentle_erosion_size must not exceed erosion_size")
        return self

    def that_decide_labels(self) -> dict[str, Any]:
        """What another run must share for its results to be the same, in JSON's terms."""
        return self.model_dump(mode="json", exclude={"prompts_per_batch"})

    def input_size(self, height: int, width: int) -> tuple[int, int]:
        """The (height, width) in which SEEM reads an image of `height` x `width` pixels."""
        short, long = min(height, width), max(height, width)
        new_short, new_long = short, long
        if self.short_side is not None:
            new_short, new_long = self.short_side, long * self.short_side // short
        if self.max_side is not None and new_long > self.max_side:
            new_short, new_long = max(short * self.max_side // long, 1), self.max_side
        return (new_short, new_long) if height <= width else (new_long, new_short)
