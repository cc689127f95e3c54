"""What adapters a SEEM carries; nothing here imports torch."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Geometry = Literal["compact", "upstream"]
Init = Literal["zero", "kaiming_fan_out"]


class AdapterConfig(BaseModel):
    """Small trained modules inside a network that is otherwise frozen.

    compact adapters are bottlenecks of a fixed width: `norm, down, GELU, up`. In the backbone a
    depth-wise 3x3 convolution between down and up lets them look around. Focal-L gets 1.2 million
    parameters in the backbone and 1.3 million in the head at the default widths.
    upstream adapters have the sizes and key names of the published fine-tuning code: 400 million
    and 9.7 million; their backbone part needs images with sides in multiples of 64.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    geometry: Geometry = Field(default="compact", description="which modules: compact or upstream")
    init: Init = Field(
        default="zero",
        description="zero: the last layer is zero, so that a compact adapter changes nothing at "
        "the start (upstream's backbone adapters cannot start so); kaiming_fan_out: as the "
        "published code starts, which disturbs the network",
    )
    backbone: bool = Field(default=True, description="one adapter in each focal block")
    decoder: bool = Field(
        default=True, description="three in each decoder layer and one for each prediction head"
    )
    backbone_width: int = Field(
        default=32, ge=1, description="bottleneck of compact backbone adapters"
    )
    decoder_width: int = Field(
        default=32, ge=1, description="bottleneck of compact decoder adapters"
    )
    dropout: float = Field(
        default=0.1,
        ge=0,
        lt=1,
        description="in the bottleneck of decoder adapters, in training only",
    )

    @property
    def size_divisor(self) -> int:
        """What the sides of the network's input must be multiples of."""
        return 64 if self.backbone and self.geometry == "upstream" else 32


class LoraConfig(BaseModel):
    """Low-rank updates of linear layers; they merge into plain weights."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rank: int = Field(default=8, ge=1, description="rank of the update")
    alpha: float = Field(default=16.0, gt=0, description="the update is scaled by alpha / rank")
    backbone: bool = Field(
        default=False, description="also the linear layers of the backbone's blocks"
    )
