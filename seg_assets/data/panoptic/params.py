"""Parameters of training data: how segments are cut, and what is said about them."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class PanopticParams(BaseModel):
    """How label maps become segments."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(default=0, ge=0, description="Gives other colours to instances.")
    without_instances: Literal["components", "whole"] = Field(
        default="components",
        description=(
            "Things in images without an instance map: each connected part is an instance, or the "
            "whole class is one segment."
        ),
    )
    # SEEM draws no prompt for a mask of fewer pixels (its shape sampler's own limit).
    min_instance_pixels: int = Field(
        default=10,
        ge=1,
        description=(
            "Connected parts of fewer pixels are no instances: those of a class together are a "
            "crowd, which counts as labelled but is not trained as an object."
        ),
    )


class GroundingParams(BaseModel):
    """What is said about segments."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    positions: bool = Field(
        default=True, description="Say where things are: 'the second car from the left'."
    )
    min_pixels: int = Field(
        default=10, ge=1, description="Segments of fewer pixels get no sentence of their own."
    )
    outline_tolerance: float = Field(
        default=1.0,
        ge=0,
        le=10,
        description=(
            "How far, in pixels, a polygon may leave its segment's border; 0 follows every pixel."
        ),
    )
    min_outline_iou: float = Field(
        default=0.95,
        ge=0,
        le=1,
        description="Segments whose polygon fits worse than this are outlined pixel by pixel.",
    )
