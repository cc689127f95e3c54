"""How a SEEM is trained; nothing here imports torch."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from seg_assets.data.scenes import FIRST_TRAINING_SEED, View
from seg_assets.errors import InputError
from seg_assets.modeling.seem.adapter_config import AdapterConfig, LoraConfig

Strategy = Literal[
    "adapter_head",
    "adapter_both",
    "whole_head",
    "adapter_backbone_whole_head",
    "lora",
    "everything",
]
PromptShape = Literal["mask", "points", "polygon", "scribble", "circle"]
"""mask: the segment as a whole, which is how the label stage asks."""
Augmentation = Literal["none", "flip", "lsj"]
"""Nothing; a mirror image in half of the cases; that and large scale jitter."""

POINTS = 12_544  # 112 x 112, as in PointRend and upstream's configuration
SMALLEST_SIDE, LARGEST_SIDE = 256, 1024

# upstream's two switches (MODEL.BACKBONE.FOCAL.FINE_TUNE, MODEL.DECODER.FINE_TUNE) -> strategy
STRATEGY_OF_FLAGS: dict[tuple[bool, bool], Strategy] = {
    (False, True): "adapter_head",
    (True, True): "adapter_both",
    (False, False): "whole_head",
    (True, False): "adapter_backbone_whole_head",
}
BACKBONE_FLAG, DECODER_FLAG = "backbone_fine_tune", "decoder_fine_tune"


class _Params(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class MatchCosts(_Params):
    """Weights of the three parts of a matching cost."""

    classes: float = Field(
        default=2.0, ge=0, description="weight of minus the probability of the target"
    )
    bce: float = Field(default=5.0, ge=0, description="weight of the masks' binary cross-entropy")
    dice: float = Field(default=5.0, ge=0, description="weight of the masks' dice loss")


class PointParams(_Params):
    """Where masks are compared, if not on all cells."""

    count: int = Field(default=POINTS, ge=1, description="points per mask")
    oversample: float = Field(default=3.0, ge=1, description="candidates per point that is kept")
    uncertain: float = Field(
        default=0.75,
        ge=0,
        le=1,
        description="share of the points that lie where the mask is undecided",
    )


class LossWeights(_Params):
    """Factors of the terms; the defaults are the published ones."""

    mask_ce: float = Field(default=2.0, ge=0, description="object queries: class cross-entropy")
    mask_bce: float = Field(default=5.0, ge=0, description="object queries: mask BCE")
    mask_dice: float = Field(default=5.0, ge=0, description="object queries: mask dice")
    grounding_ce: float = Field(default=0.4, ge=0, description="texts: cross-entropy over queries")
    grounding_bce: float = Field(default=1.0, ge=0, description="texts: mask BCE")
    grounding_dice: float = Field(default=1.0, ge=0, description="texts: mask dice")
    spatial_ce: float = Field(
        default=0.4, ge=0, description="drawn prompts: cross-entropy over queries"
    )
    spatial_bce: float = Field(
        default=1.0,
        ge=0,
        description="drawn prompts: mask BCE, in wiring v1 (in wiring demo an object query "
        "answers, whose mask is in mask_bce already)",
    )
    spatial_dice: float = Field(
        default=1.0, ge=0, description="drawn prompts: mask dice, in wiring v1"
    )
    no_object: float = Field(
        default=0.1,
        gt=0,
        description="weight of queries that are to say 'no object', inside mask_ce",
    )
    free_text: float = Field(
        default=2.0, ge=0, description="inside grounding_ce, of an image whose texts are sentences"
    )
    class_text: float = Field(
        default=0.5,
        ge=0,
        description="inside grounding_ce, of an image whose texts are class names",
    )

    def of(self, task: str, part: str) -> float:
        """Weight of one term, such as "mask" and "ce"."""
        return getattr(self, f"{task}_{part}")


class SceneData(_Params):
    """Generated scenes, drawn at the size of the training."""

    kind: Literal["scenes"] = "scenes"
    first_seed: int = Field(
        default=FIRST_TRAINING_SEED, ge=0, description="seed of the first scene"
    )
    count: int = Field(default=2000, ge=1, description="number of scenes, with consecutive seeds")
    view: View = Field(default="wide", description="many things near and far, or a few large ones")


class CamVidData(_Params):
    """A split of a folder in CamVid's layout."""

    kind: Literal["camvid"] = "camvid"
    folder: str = Field(description="holds train.txt, images/ and labels/")
    split: Literal["train", "val", "test"] = Field(
        default="train", description="which list of images"
    )
    limit: int | None = Field(default=None, ge=1, description="take so many images only")


class PanopticData(_Params):
    """A split of a panoptic data set as this project builds it."""

    kind: Literal["panoptic"] = "panoptic"
    folder: str = Field(description="the data set's folder, which holds the splits")
    split: str = Field(default="train", description="which split")
    limit: int | None = Field(default=None, ge=1, description="take so many images only")


Data = Annotated[SceneData | CamVidData | PanopticData, Field(discriminator="kind")]


class SeemTaskParams(_Params):
    """Parameters of a SEEM training beside those of the loop."""

    train: Data = Field(description="what is trained on")
    held_out: Data | None = Field(default=None, description="what is evaluated on")
    classes: str | None = Field(
        default=None, description="class table, by name or .toml path; by default the data's own"
    )
    num_classes: int | None = Field(
        default=None,
        ge=1,
        description="number of classes, generic ones included and 'no object' not; checked "
        "against the class table where it is given",
    )
    base: str | None = Field(
        default=None, description="model of the manifest to start from; none: random weights"
    )
    network: str = Field(
        default="demo", description="configuration of a network that starts at random"
    )
    init_seed: int = Field(default=0, ge=0, description="of random weights and random adapters")
    strategy: Strategy = Field(default="adapter_head", description="what is trained")
    adapters: AdapterConfig = Field(
        default=AdapterConfig(),
        description="of strategies with adapters; the strategy says where they go",
    )
    lora: LoraConfig = Field(default=LoraConfig(), description="of the strategy lora")
    image_size: int = Field(
        default=512, ge=64, le=LARGEST_SIDE, description="side of the training square, 256 to 1024"
    )
    small_images: bool = Field(
        default=False, description="allow sides from 64 on, for small networks"
    )
    augmentation: Augmentation = Field(
        default="lsj", description="what chance does to a training image"
    )
    class_texts: Literal["random", "name"] = Field(
        default="random",
        description="sentence of each class in a training step: a random one, or the name",
    )
    wiring: Literal["demo", "v1"] = Field(
        default="demo",
        description="how drawn prompts meet object queries: demo, as the label stage asks, or v1, "
        "three queries of their own for each prompt",
    )
    spatial: float = Field(
        default=0.5, ge=0, le=1, description="share of the steps that train drawn prompts"
    )
    grounding: float = Field(
        default=0.5, ge=0, le=1, description="share of the steps that train texts"
    )
    rounds: int = Field(
        default=0,
        ge=0,
        le=20,
        description="up to so many simulated clicks go before a drawn prompt's loss",
    )
    candidates: int = Field(
        default=1, ge=1, le=64, description="drawn prompts per image; wiring demo takes one"
    )
    prompt_shapes: tuple[PromptShape, ...] = Field(
        default=("mask", "points", "polygon", "scribble", "circle"),
        min_length=1,
        description="shapes that prompts are drawn in, equally often",
    )
    texts_per_image: int = Field(default=4, ge=1, le=16, description="texts per image, at most")
    points: PointParams | None = Field(
        default=PointParams(),
        description="masks are compared on sampled points; none: on all cells of the stride-4 map",
    )
    weights: LossWeights = Field(default=LossWeights(), description="of the loss terms")
    costs: MatchCosts = Field(default=MatchCosts(), description="matching of objects and of texts")
    spatial_costs: MatchCosts = Field(
        default=MatchCosts(),
        description="choice among the own queries of a drawn prompt, in wiring v1",
    )
    backbone_lr: float = Field(
        default=0.1, gt=0, description="factor on the backbone's learning rate"
    )
    language_lr: float = Field(default=0.1, gt=0, description="factor on the text encoder's")
    decay_biases: bool = Field(
        default=True, description="weight decay also on biases and other vectors outside of norms"
    )
    cache: bool = Field(default=False, description="keep the images of the data in memory, packed")

    @model_validator(mode="before")
    @classmethod
    def _read_flags(cls, values: Any) -> Any:
        """Take upstream's two switches in place of the strategy."""
        if not isinstance(values, dict) or not {BACKBONE_FLAG, DECODER_FLAG} & values.keys():
            return values
        rest = dict(values)
        flags = rest.pop(BACKBONE_FLAG, False), rest.pop(DECODER_FLAG, False)
        if not all(isinstance(flag, bool) for flag in flags):
            raise ValueError(f"{BACKBONE_FLAG} and {DECODER_FLAG} are true or false")
        strategy = STRATEGY_OF_FLAGS[flags]
        if rest.setdefault("strategy", strategy) != strategy:
            raise ValueError(
                f"strategy {rest['strategy']!r} contradicts {BACKBONE_FLAG}={flags[0]} and "
                f"{DECODER_FLAG}={flags[1]}, which mean {strategy!r}: give one of the two"
            )
        return rest

    @model_validator(mode="after")
    def _check(self) -> Self:
        smallest = 64 if self.small_images else SMALLEST_SIDE
        if not smallest <= self.image_size <= LARGEST_SIDE:
            raise ValueError(
                f"image_size {self.image_size}: give {SMALLEST_SIDE} to {LARGEST_SIDE}, or set "
                "small_images for small networks"
            )
        divisor = self.used_adapters.size_divisor if self.used_adapters else 32
        if self.image_size % divisor:
            why = " with upstream's backbone adapters" if divisor == 64 else ""
            raise ValueError(f"image_size {self.image_size}: give a multiple of {divisor}{why}")
        if self.wiring == "demo" and self.candidates > 1:
            raise ValueError(f"candidates {self.candidates}: wiring demo takes one per image")
        return self

    @property
    def used_adapters(self) -> AdapterConfig | None:
        """The adapters that the strategy attaches, or None."""
        places = {
            "adapter_head": (False, True),
            "adapter_both": (True, True),
            "adapter_backbone_whole_head": (True, False),
        }.get(self.strategy)
        if places is None:
            return None
        return self.adapters.model_copy(update={"backbone": places[0], "decoder": places[1]})

    @property
    def flags(self) -> dict[str, bool] | None:
        """Upstream's two switches for this strategy, or None if they cannot say it."""
        for (backbone, decoder), strategy in STRATEGY_OF_FLAGS.items():
            if strategy == self.strategy:
                return {BACKBONE_FLAG: backbone, DECODER_FLAG: decoder}
        return None

    def check_classes(self, found: int) -> None:
        """Hold the stated number of classes against the class table's.

        Raises:
            InputError: they differ; names both.
        """
        if self.num_classes is not None and self.num_classes != found:
            raise InputError(
                f"num_classes is {self.num_classes} but the class table has {found}: count every "
                "category, generic ones included, and leave 'background' out"
            )
