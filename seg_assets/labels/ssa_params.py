"""Parameters of SSA: whose label map votes, and how; importing this module costs nothing heavy."""

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from seg_assets.errors import InputError
from seg_assets.modeling.precision import Precision


class SsaParams(BaseModel):
    """Who labels the pixels, and how the pixels of a mask name it.

    Only plain types, so that a Dagster config class can derive from it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    segmentor: str = Field(
        default="seem",
        min_length=1,
        description="Whose label maps vote: seem (the maps of the chain), seem:NAME of the "
        "manifest, hf:REPOSITORY or a folder of one, maps:FOLDER:CLASS TABLE for maps on disk.",
    )
    rule: Literal["majority", "mean_logits"] = Field(
        default="majority",
        description="A mask takes the label of most of its pixels, or the class whose logits are "
        "highest in the mean over its pixels (only with a segmentor that gives logits).",
    )
    min_vote_share: float = Field(
        default=0.0,
        ge=0.0,
        le=1.0,
        description="In masks whose class has a smaller share of the pixels than this the "
        "segmentor's own labels stay. 0 = every mask is painted, as in SSA.",
    )
    top_k: int = Field(
        default=3, ge=1, le=255, description="Classes to note per mask, those of most votes first."
    )
    align_corners: bool = Field(
        default=False,
        description="Scale logits so that the centres of the corner pixels meet, as SSA does with "
        "SegFormer; off = so that the corners meet, as models are trained and published.",
    )
    keep_aspect: bool = Field(
        default=True,
        description="Let the segmentor see images undistorted where its processor allows that; "
        "off = scaled to the processor's own size, as in SSA.",
    )
    precision: Precision = Field(
        default="float32",
        description="Number type of the large matrix products of a Hugging Face segmentor. "
        "bfloat16 and float16 are faster on a GPU and change a few labels.",
    )

    @classmethod
    def preset(cls, name: str) -> Self:
        """The parameters called `name`; docs/ssa.md says where each preset comes from.

        Raises:
            InputError: No preset has that name.
        """
        if name not in SSA_PRESETS:
            raise InputError(
                f"no SSA preset is called '{name}'; choose one of: {', '.join(SSA_PRESETS)}"
            )
        return cls.model_validate(SSA_PRESETS[name])


# What each preset changes from the defaults. Source: fudan-zvg/Semantic-Segment-Anything,
# main_ssa.py; foggy_driving has the segmentor of the README's results, OneFormer with Swin-L.
SSA_PRESETS: dict[str, dict[str, Any]] = {
    "ade20k": {
        "segmentor": "hf:nvidia/segformer-b5-finetuned-ade-640-640",
        "align_corners": True,
        "keep_aspect": False,
    },
    "cityscapes": {
        "segmentor": "hf:nvidia/segformer-b5-finetuned-cityscapes-1024-1024",
        "align_corners": True,
        "keep_aspect": False,
    },
    "foggy_driving": {
        "segmentor": "hf:shi-labs/oneformer_cityscapes_swin_large",
        "keep_aspect": False,
    },
}

# The preset of masks/params.py that goes with each; only the grid of points differs.
SSA_MASK_PRESETS = {"ade20k": "ssa", "cityscapes": "ssa", "foggy_driving": "ssa_foggy_driving"}
