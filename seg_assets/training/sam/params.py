"""What the recipes for SAM can be asked to do. Nothing here imports torch."""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class _Params(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LossParams(_Params):
    """How a predicted mask is held against the true one."""

    focal: Literal["pixel", "per_mask"] = Field(
        default="pixel",
        description="pixel: the focal loss of every pixel, then their mean (SAM paper). per_mask: "
        "the mean cross-entropy of a mask, then one focal value of it (MindSpore's recipes).",
    )
    focal_alpha: float = Field(
        default=0.25,
        ge=0.0,
        le=1.0,
        description="Weight of foreground pixels in the pixel-wise focal loss; background pixels "
        "weigh one minus this.",
    )
    focal_gamma: float = Field(
        default=2.0,
        ge=0.0,
        le=10.0,
        description="How strongly the focal loss plays down what is already right; 0 = not at all.",
    )
    dice: Literal["squared", "linear"] = Field(
        default="squared",
        description="squared: the denominator adds squares, without smoothing. linear: it adds the "
        "values, with 1 added above and below.",
    )
    focal_weight: float = Field(default=20.0, ge=0.0, description="Weight of the focal loss.")
    dice_weight: float = Field(default=1.0, ge=0.0, description="Weight of the dice loss.")
    iou_weight: float = Field(
        default=1.0, ge=0.0, description="Weight of the squared error of the predicted IoU."
    )
    compare_at: Literal["full", "low_res"] = Field(
        default="full",
        description="Where masks are compared. full: logits are enlarged to the model's whole "
        "padded square. low_res: true masks are reduced to the logits' size, which takes a "
        "sixteenth of the memory.",
    )
    mask_choice: Literal["lowest_loss", "best_predicted_iou"] = Field(
        default="lowest_loss",
        description="Which of three masks gets the loss, and is refined in the next iteration.",
    )


class NoiseParams(_Params):
    """How boxes are shaken, so that the model also learns from imprecise ones."""

    kind: Literal["none", "outward", "gaussian"] = Field(
        default="none",
        description="none: boxes as they are. outward: each side moves away from the object by a "
        "whole number of pixels, all equally likely. gaussian: each side moves either way.",
    )
    max_pixels: int = Field(
        default=20,
        ge=0,
        description="The farthest a side moves, in pixels of the model's input.",
    )
    share: float = Field(
        default=0.1,
        ge=0.0,
        le=1.0,
        description="gaussian: standard deviation as a share of the box's width or height.",
    )


class SamParams(_Params):
    """What every recipe for SAM shares."""

    objects_per_image: int = Field(
        default=20,
        ge=1,
        description="Objects of an image that a step trains on. An image with fewer is filled up "
        "with empty ones that count for nothing.",
    )
    object_choice: Literal["first", "random"] = Field(
        default="first", description="Which objects to take where an image has more."
    )
    normalisation: Literal["sam", "unit"] = Field(
        default="sam",
        description="Input of the network. sam: SAM's mean and deviation. unit: 0 to 1, as the "
        "FLARE recipe has it. The checkpoint records it.",
    )
    loss: LossParams = Field(default_factory=LossParams, description="Loss of a mask.")
    noise: NoiseParams = Field(default_factory=NoiseParams, description="Noise on box prompts.")
    trained: tuple[Literal["image_encoder", "prompt_encoder", "mask_decoder"], ...] = Field(
        default=("mask_decoder",),
        min_length=1,
        description="Parts of the network that change; the others stay frozen.",
    )
    objects_per_chunk: int = Field(
        default=64,
        ge=1,
        description="Objects decoded together. Between chunks only the losses are kept, and the "
        "backward pass decodes anew: memory stays that of one chunk.",
    )
    cache: Literal["none", "memory", "disk"] = Field(
        default="none",
        description="Keep the frozen encoder's output per image, so that later epochs need no "
        "encoder: 4 MB per image and process for the published models.",
    )
    cache_dir: Path | None = Field(
        default=None, description="Folder of a disk cache; several runs may share it."
    )
    eval_objects: int | None = Field(
        default=None,
        ge=1,
        description="Evaluate the first this many objects of an image; empty = all.",
    )
    eval_seed: int = Field(
        default=0, ge=0, description="Seed of the prompts in the evaluation: always the same ones."
    )
    save: Literal["whole", "trained"] = Field(
        default="whole",
        description="What a checkpoint holds. whole: the network, loadable anywhere. trained: only "
        "the parts that changed, to lie on the base's weights.",
    )

    @model_validator(mode="after")
    def _caches_what_stays_the_same(self) -> Self:
        if self.cache != "none" and "image_encoder" in self.trained:
            raise ValueError("a cache needs a frozen image encoder: take it out of `trained`")
        if (self.cache == "disk") != (self.cache_dir is not None):
            raise ValueError("cache_dir goes with cache='disk', and only with it")
        return self


class BoxParams(SamParams):
    """One box per object, one mask per box."""


class PointParams(SamParams):
    """Clicks, each one into what the masks before got wrong."""

    num_iter: int | Literal["auto"] = Field(
        default="auto",
        description="Iterations per image. auto = 11, the SAM paper's: the first prompt, 8 points, "
        "and 2 iterations with the mask alone, one anywhere between them and one at the end.",
    )
    mask_only: tuple[int, ...] = Field(
        default=(),
        description="Iterations, counted from 0, that get no new point. Iteration 0 always has a "
        "prompt. Must be empty with auto, which chooses them itself.",
    )
    points: Literal["accumulate", "newest_only"] = Field(
        default="accumulate",
        description="accumulate: each point is added to those before. newest_only: the network "
        "sees the newest one and the mask (MindSpore's recipe).",
    )
    first_prompt: Literal["point", "box", "either"] = Field(
        default="point",
        description="What each image starts with. either: a point or a box, equally likely.",
    )

    @model_validator(mode="after")
    def _plan_is_possible(self) -> Self:
        if self.num_iter == "auto":
            if self.mask_only:
                raise ValueError("num_iter='auto' chooses mask_only itself: leave it empty")
            return self
        if self.num_iter < 1:
            raise ValueError("num_iter must be at least 1, or 'auto'")
        wrong = [index for index in self.mask_only if not 0 <= index < self.num_iter]
        if wrong:
            raise ValueError(
                f"mask_only={wrong} lies outside the iterations 0 to {self.num_iter - 1}"
            )
        return self


class InstanceSource(_Params):
    """A data set of instance masks."""

    format: str = Field(description="Its format, e.g. coco, sa1b, png, voc or scenes.")
    path: str = Field(description="Where it lies, in the terms of its format.")
    options: dict[str, Any] = Field(
        default_factory=dict, description="More that the reader of the format takes."
    )


class _Job(BaseModel):
    """What a training started by name adds to its recipe."""

    base: str = Field(
        default="sam_vit_b", description="Model of the manifest to start from, by its name."
    )
    train: InstanceSource = Field(description="What is trained on.")
    held_out: InstanceSource | None = Field(
        default=None, description="What is evaluated on; empty = nothing is measured."
    )


class BoxJob(_Job, BoxParams):
    """All parameters of the task sam_box."""


class PointJob(_Job, PointParams):
    """All parameters of the task sam_point."""
