"""What the automatic mask generator can be asked to do."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from seg_assets.errors import InputError
from seg_assets.modeling.precision import Precision


class MaskParams(BaseModel):
    """Parameters of the automatic mask generator, named as in the segment-anything package.

    The defaults are the package's own, but for `points_per_batch`; the last two fields are not of
    it. Only plain types, so that a Dagster config class can derive from it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    points_per_side: int | None = Field(
        default=32,
        ge=1,
        le=1024,
        description="Point prompts along each side of the image, n x n in all. Empty if "
        "point_grids is given.",
    )
    points_per_batch: int | None = Field(
        default=None,
        ge=1,
        le=65536,
        description="Most point prompts that are decoded together. Empty = as many as fit into the "
        "device's free memory (a few on a CPU). Changes no mask.",
    )
    pred_iou_thresh: float = Field(
        default=0.88,
        ge=0.0,
        le=1.0,
        description="Keep masks whose quality (IoU), as the model predicts it, is greater. "
        "0 keeps all.",
    )
    stability_score_thresh: float = Field(
        default=0.95,
        ge=0.0,
        le=1.0,
        description="Keep masks that change this little when the threshold moves by the offset: "
        "the IoU of the two masks must be at least this. 0 keeps all that are not empty.",
    )
    stability_score_offset: float = Field(
        default=1.0,
        ge=0.0,
        allow_inf_nan=False,
        description="How far the threshold moves up and down for the stability score, in logits.",
    )
    box_nms_thresh: float = Field(
        default=0.7,
        ge=0.0,
        le=1.0,
        description="Of two masks in a crop whose boxes overlap by a greater IoU, the one with the "
        "lower predicted quality goes.",
    )
    crop_n_layers: int = Field(
        default=0,
        ge=0,
        le=6,
        description="Run again on crops of the image: layer i cuts it into 2^i x 2^i overlapping "
        "crops. 0 = the whole image only.",
    )
    crop_nms_thresh: float = Field(
        default=0.7,
        ge=0.0,
        le=1.0,
        description="Of two masks from different crops whose boxes overlap by a greater IoU, the "
        "one from the larger crop goes.",
    )
    crop_overlap_ratio: float = Field(
        default=512 / 1500,
        ge=0.0,
        lt=1.0,
        description="Overlap of the first layer's crops as a share of the image's short side; "
        "each further layer halves it.",
    )
    crop_n_points_downscale_factor: int = Field(
        default=1,
        ge=1,
        le=1024,
        description="Each crop layer uses this many times fewer points per side than the one "
        "before.",
    )
    point_grids: list[list[list[float]]] | None = Field(
        default=None,
        description="Own point prompts instead of points_per_side: one list of [x, y] pairs per "
        "crop layer, as shares of the crop's width and height (0 to 1).",
    )
    min_mask_region_area: int = Field(
        default=0,
        ge=0,
        description="Fill holes and remove islands smaller than this many pixels. 0 = leave masks "
        "as they are.",
    )

    precision: Precision = Field(
        default="float32",
        description="Number type of the model's large matrix products. bfloat16 and float16 are "
        "faster on a GPU and change masks a little.",
    )
    compile_encoder: bool = Field(
        default=False,
        description="Compile the image encoder at the first image, which takes a minute: for long "
        "runs on a GPU. Changes no mask but for rounding.",
    )

    @model_validator(mode="after")
    def _has_points_in_every_layer(self) -> Self:
        if (self.points_per_side is None) == (self.point_grids is None):
            raise ValueError("give either points_per_side or point_grids and leave the other empty")
        layers = self.crop_n_layers + 1
        if self.points_per_side is not None:
            smallest = self.points_per_side // self.crop_n_points_downscale_factor ** (layers - 1)
            if smallest == 0:
                raise ValueError(
                    f"points_per_side={self.points_per_side} leaves no point in crop layer "
                    f"{layers - 1} after dividing by crop_n_points_downscale_factor="
                    f"{self.crop_n_points_downscale_factor} per layer"
                )
        for layer, grid in enumerate(self.point_grids or ()):
            if not grid or not all(
                len(point) == 2 and all(0.0 <= value <= 1.0 for value in point) for point in grid
            ):
                raise ValueError(
                    f"point_grids[{layer}] must hold one or more [x, y] pairs between 0 and 1"
                )
        if self.point_grids is not None and len(self.point_grids) < layers:
            raise ValueError(
                f"point_grids has {len(self.point_grids)} grids, but crop_n_layers="
                f"{self.crop_n_layers} needs {layers}: one for the image and one per crop layer"
            )
        return self

    def that_decide_masks(self) -> dict[str, Any]:
        """What another run must share for its masks to be the same, in JSON's terms."""
        return self.model_dump(mode="json", exclude={"points_per_batch", "compile_encoder"})

    @classmethod
    def preset(cls, name: str) -> Self:
        """The parameters called `name`; docs/masks.md says where each preset comes from.

        Raises:
            InputError: No preset has that name.
        """
        if name not in MASK_PRESETS:
            raise InputError(
                f"no mask preset is called '{name}'; choose one of: {', '.join(MASK_PRESETS)}"
            )
        return cls.model_validate(MASK_PRESETS[name])


# What each preset changes from the defaults.
MASK_PRESETS: dict[str, dict[str, int | float]] = {
    # SamAutomaticMaskGenerator without arguments.
    "reference": {},
    # fremk/SAM-and-SEEM-Semantic-Segmentation, inference_total.py.
    "upstream": {"min_mask_region_area": 50},
    # Segment Anything (Kirillov et al. 2023), appendix on automatic mask generation: 32 x 32 points
    # on the image, 16 x 16 on each of 2 x 2 crops, 8 x 8 on each of 4 x 4 crops.
    "sa1b": {
        "crop_n_layers": 2,
        "crop_n_points_downscale_factor": 2,
        "min_mask_region_area": 100,
    },
    # fudan-zvg/Semantic-Segment-Anything, main_ssa.py.
    "ssa": {
        "points_per_side": 64,
        "pred_iou_thresh": 0.86,
        "stability_score_thresh": 0.92,
        "crop_n_layers": 1,
        "crop_n_points_downscale_factor": 2,
        "min_mask_region_area": 100,
    },
    # The same for its data set foggy_driving.
    "ssa_foggy_driving": {
        "points_per_side": 128,
        "pred_iou_thresh": 0.86,
        "stability_score_thresh": 0.92,
        "crop_n_layers": 1,
        "crop_n_points_downscale_factor": 2,
        "min_mask_region_area": 100,
    },
    # For the small demo SAM, whose scores are lower and whose logits are softer.
    "demo": {
        "points_per_side": 16,
        "pred_iou_thresh": 0.4,
        "stability_score_thresh": 0.7,
        "stability_score_offset": 0.5,
        "crop_n_layers": 1,
        "crop_nms_thresh": 0.8,
        "min_mask_region_area": 30,
    },
}
