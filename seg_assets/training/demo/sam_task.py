"""A small SAM learns from nothing but generated scenes.

The package's networks, dense supervision first, then prompts as well; `docs/training.md` tells
what was tried. After "Segment Anything" (Kirillov et al., 2023), which begins with a pretrained
encoder and the prompts alone: from scratch, that needs a budget that a demo does not have.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional as F
from torch.optim import AdamW, Optimizer

from seg_assets.modeling.sam import DEMO, SamConfig
from seg_assets.training.config import TrainConfig
from seg_assets.training.demo.drawn_scenes import DrawnScene
from seg_assets.training.demo.muon import Muon
from seg_assets.training.demo.sam_losses import dense_loss, mask_loss
from seg_assets.training.demo.sam_network import SamWithHeads, decode, encode, quick_attention
from seg_assets.training.demo.sam_samples import (
    BOTTOM_RIGHT,
    FOREGROUND,
    TOP_LEFT,
    SceneSample,
    make_sample,
    object_prompts,
    varied,
)
from seg_assets.training.sam.losses import mask_iou
from seg_assets.training.task import Json, ParameterGroup, Task
from seg_assets.training.trainable import named_parameters, train_only

_QUICK = ("output_upscaling", "output_hypernetworks", "heads")
_QUICK_LR, _QUICK_DECAY = 4.0, 0.01


class SamScenesParams(BaseModel):
    """How the small SAM learns from scenes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompts: int = Field(default=8, ge=4, description="Prompts per image and step.")
    dense_share: float = Field(
        default=0.12,
        ge=0,
        lt=1,
        description="Share of the run in which only the dense heads teach, before any prompt.",
    )
    balanced_share: float = Field(
        default=0.6, gt=0, le=1, description="Share of the run after which cells weigh alike."
    )
    start_seed: int = Field(default=0, ge=0, description="Seed of the first weights.")


@dataclass(frozen=True)
class SceneBatch:
    """Samples side by side; see `SceneSample`."""

    images: Tensor
    classes: Tensor
    boxes: Tensor
    weights: Tensor
    coordinates: Tensor
    labels: Tensor
    masks: Tensor


class SamScenesTask(Task):
    """The small SAM from random weights, on scenes."""

    name = "sam_demo"
    metric = "point_iou"
    model: SamWithHeads  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(
        self,
        scenes: Sequence[DrawnScene],
        held_out: Sequence[DrawnScene],
        params: SamScenesParams | None = None,
        config: SamConfig = DEMO,
    ) -> None:
        super().__init__()
        self.params = params or SamScenesParams()
        self.config = config
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(self.params.start_seed)
            self.model = SamWithHeads(config)  # pyright: ignore[reportIncompatibleVariableOverride]
        train_only(self.model, self.trainable())
        self._scenes, self._held_out = scenes, held_out

    def __len__(self) -> int:
        """Scenes per epoch."""
        return len(self._scenes)

    def sample(self, index: int, rng: np.random.Generator) -> SceneSample:
        """One scene, varied, with fresh prompts."""
        scene = varied(self._scenes[index], rng)
        return make_sample(
            scene, self.config.image_size, self.config.mask_size, self.params.prompts, rng
        )

    def collate(self, samples: list[SceneSample]) -> SceneBatch:
        """Stack all fields."""
        fields = zip(*(vars(sample).values() for sample in samples), strict=True)
        return SceneBatch(*(torch.stack(field) for field in fields))

    def trainable(self) -> set[str]:
        """Everything that has a part in a mask.

        Mask prompts and background points are never given here, so what embeds them stays as it is.
        """
        unused = ("mask_downscaling", "point_embeddings.0")
        return {
            name
            for name, _ in self.model.named_parameters()
            if not any(part in name for part in unused)
        }

    def parameter_groups(self) -> list[ParameterGroup]:
        """Matrices decay, vectors do not; what reads masks off the features learns faster."""
        named, names = named_parameters(self.model), sorted(self.trainable())
        quick = [n for n in names if any(part in n for part in _QUICK)]
        rest = [n for n in names if n not in quick]
        return [
            ParameterGroup([n for n in rest if named[n].ndim > 1]),
            ParameterGroup([n for n in rest if named[n].ndim <= 1], weight_decay=0.0),
            ParameterGroup(quick, lr_scale=_QUICK_LR, weight_decay=_QUICK_DECAY),
        ]

    def optimizers(self, config: TrainConfig) -> list[Optimizer]:
        """Muon for the matrices of the encoder's blocks, AdamW for the rest."""
        named = named_parameters(self.model)
        matrices, vectors, quick = self.parameter_groups()
        blocks = [n for n in matrices.names if "image_encoder.blocks" in n]
        others = replace(matrices, names=[n for n in matrices.names if n not in set(blocks)])
        decay = config.weight_decay
        rest = [
            {
                "params": [named[n] for n in group.names],
                "lr_scale": group.lr_scale,
                "weight_decay": decay if group.weight_decay is None else group.weight_decay,
            }
            for group in (others, vectors, quick)
        ]
        return [
            Muon([named[n] for n in blocks], lr=config.lr, weight_decay=decay),
            AdamW(rest, lr=config.lr, betas=config.betas),
        ]

    def counts(self, batch: SceneBatch) -> dict[str, float]:
        """Terms are means over images, each with as many prompts."""
        return {"images": float(len(batch.images))}

    def forward(self, batch: SceneBatch, counts: Mapping[str, float]) -> dict[str, Tensor]:
        """Dense terms, and once their head start is over the prompts' terms."""
        sam, heads = self.model.sam, self.model.heads
        prompting = self.progress >= self.params.dense_share
        done = (self.progress - self.params.dense_share) / (1 - self.params.dense_share)
        with quick_attention():
            embeddings = encode(sam, batch.images)
            fine, coarse = heads(sam.mask_decoder.output_upscaling, embeddings)
            dense = dense_loss(fine, coarse, batch.classes, batch.boxes, batch.weights)
            terms = {
                name: (0.5 if prompting else 1.0) * loss.sum() / counts["images"]
                for name, loss in dense.items()
            }
            terms |= dict.fromkeys(("masks", "scores", "deep"), embeddings.new_zeros(()))
            if prompting:
                for i in range(len(embeddings)):
                    for name, loss in self._prompt_terms(embeddings[i : i + 1], batch, i, done):
                        terms[name] = terms[name] + loss / counts["images"]
        return terms

    def _prompt_terms(
        self, embedding: Tensor, batch: SceneBatch, i: int, done: float
    ) -> Iterator[tuple[str, Tensor]]:
        """Of one image; `done` is the share of the prompted part of the run."""
        targets, labels = batch.masks[i], batch.labels[i]
        balance = max(0.0, 1 - done / self.params.balanced_share)
        logits, scores, cells = decode(self.model.sam, embedding, batch.coordinates[i], labels)
        losses, iou = mask_loss(logits, targets, balance)
        single = torch.where(labels[:, 0] == FOREGROUND, 0.5, 1.0)  # a point is ambiguous
        best = losses[:, 1:].min(1).values + 0.05 * losses[:, 1:].mean(1)
        yield "masks", (best + single * losses[:, 0]).mean()
        # the score is what picks a mask in the end; it learns last
        yield "scores", (1.0 if done < 2 / 3 else 3.0) * ((scores - iou) ** 2).mean()
        deep = self.model.heads.deep_masks(cells, *embedding.shape[-2:])
        shares = F.avg_pool2d(targets[:, None], targets.shape[-1] // deep.shape[-1])[:, 0]
        yield "deep", 0.5 * mask_loss(deep, shares, 0.5)[0].mean()

    def evaluate(self) -> dict[str, float]:
        """Mean IoU over held-out objects, prompted by their innermost pixel and by their box.

        `point_iou` takes the best of the three masks of a point, `point_scored_iou` the one that
        the model thinks best, `box_iou` the single mask of a box. Objects under 0.4 % of the image
        are left out.
        """
        ious: dict[str, list[float]] = {"point": [], "point_scored": [], "box": []}
        for scene in self._held_out:
            for name, values in self._object_ious(scene).items():
                ious[name] += values.tolist()
        return {f"{name}_iou": float(np.mean(values)) for name, values in ious.items() if values}

    def _object_ious(self, scene: DrawnScene) -> dict[str, Tensor]:
        sam, size = self.model.sam, self.config.image_size
        objects = object_prompts(scene, size)
        if not len(objects.masks):
            return {}
        with quick_attention():
            embedding = encode(sam, objects.image[None].to(sam.device))
        found = {}
        for name, coordinates, kinds in (
            ("point", objects.points, (FOREGROUND, FOREGROUND)),
            ("box", objects.boxes, (TOP_LEFT, BOTTOM_RIGHT)),
        ):
            labels = torch.tensor(kinds).expand(len(coordinates), 2)
            with quick_attention():
                logits, scores, _ = decode(
                    sam, embedding, coordinates.to(sam.device), labels.to(sam.device)
                )
            full = F.interpolate(logits, (size, size), mode="bilinear", align_corners=False)
            found[name] = mask_iou(full.cpu(), objects.masks), scores.cpu()
        (points, scores), (boxes, _) = found["point"], found["box"]
        picked = scores[:, 1:].argmax(1, keepdim=True)
        return {
            "point": points[:, 1:].max(1).values,
            "point_scored": points[:, 1:].gather(1, picked)[:, 0],
            "box": boxes[:, 0],
        }

    def weights(self) -> dict[str, Tensor]:
        """SAM's own, by the package's key names."""
        return dict(self.model.sam.state_dict())

    def description(self) -> dict[str, Json]:
        """Network and recipe."""
        return {
            "kind": "sam",
            "config": "demo",
            "recipe": self.name,
            "params": self.params.model_dump(mode="json"),
            "scenes": len(self._scenes),
        }
