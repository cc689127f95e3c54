"""The two checkpoints that ship with the project: what they learn from, how long, and how.

    seg-assets train demo --out runs/demo

Both start from random weights and see generated scenes only: close views, from seeds that are never
held out.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from seg_assets.data.scenes import FIRST_TRAINING_SEED
from seg_assets.training.config import TrainConfig
from seg_assets.training.demo.drawn_scenes import DrawnScenes, draw_scenes
from seg_assets.training.demo.shipping import ShippedFile, write_half
from seg_assets.training.loop import train
from seg_assets.training.result import TrainResult
from seg_assets.training.task import Task

_log = logging.getLogger(__name__)

TRAINING_SEEDS = range(FIRST_TRAINING_SEED, FIRST_TRAINING_SEED + 6_000)
EVALUATION_SEEDS = range(100, 148)
"""Held-out scenes that choose the best checkpoint; the demo shows others, from seed 0 on."""

CONFIGS: Mapping[str, TrainConfig] = {
    "sam": TrainConfig(
        steps=7_000,
        batch_size=6,
        lr=1.2e-3,
        betas=(0.9, 0.98),
        warmup_steps=60,
        schedule="cosine",
        final_lr=0.02,
        clip_norm=1.0,
        ema=0.998,
        seed=0,
        log_every=25,
        save_every=100,
        evaluate_every=250,
    ),
    "seem": TrainConfig(
        steps=6_000,
        batch_size=8,
        lr=8e-4,
        warmup_steps=100,
        schedule="cosine",
        final_lr=0.02,
        ema=0.995,
        seed=0,
        log_every=25,
        save_every=100,
        evaluate_every=250,
    ),
}
SEEM_SIZE = 128
"""Side of the scenes that the small SEEM learns from, in pixels."""


@dataclass(frozen=True)
class DemoModel:
    """How a small model's training ended, and its best weights as they ship."""

    result: TrainResult
    file: ShippedFile


def train_demo(
    out: Path,
    *,
    models: tuple[str, ...] = ("seem", "sam"),
    length: float = 1.0,
    training_seeds: range = TRAINING_SEEDS,
    evaluation_seeds: range = EVALUATION_SEEDS,
) -> dict[str, DemoModel]:
    """Draw the scenes and train the small models on them; a run that was stopped goes on.

    Args:
        out: Folder for scenes, runs and weights: `scenes/`, `sam_demo/`, `sam_demo.safetensors`.
        models: Which ones, "sam" or "seem".
        length: Factor on the number of steps, for a quick trial.
        training_seeds: Of the scenes to learn from.
        evaluation_seeds: Of the scenes to measure on.

    Returns:
        How each training ended, by the model's kind.

    Raises:
        InputError: The folder cannot be written, or holds runs of another kind.
        TrainingError: A loss is not finite.
    """
    scenes = draw_scenes(out / "scenes" / "training", training_seeds)
    held_out = draw_scenes(out / "scenes" / "held_out", evaluation_seeds)
    results = {}
    for name in models:
        config = CONFIGS[name]
        steps = max(1, round((config.steps or 0) * length))
        config = config.model_copy(update={"steps": steps})
        task = TASKS[name](scenes, held_out)
        result = train(task, config, out / task.name)
        best = result.run_dir / "best.safetensors"
        results[name] = DemoModel(result, write_half(best, out / f"{task.name}.safetensors"))
    return results


def sam_task(scenes: DrawnScenes, held_out: DrawnScenes) -> Task:
    """The small SAM; torch is imported here and not before."""
    from seg_assets.training.demo.sam_task import SamScenesTask  # noqa: PLC0415

    return SamScenesTask(scenes, held_out)


def seem_task(scenes: DrawnScenes, held_out: DrawnScenes) -> Task:
    """The small SEEM: all of it, with mask prompts as the label stage asks them."""
    import torch  # noqa: PLC0415

    from seg_assets.modeling.seem.config import DEMO  # noqa: PLC0415
    from seg_assets.modeling.seem.model import Seem  # noqa: PLC0415
    from seg_assets.training.demo.seem_source import DrawnSource  # noqa: PLC0415
    from seg_assets.training.seem.params import (  # noqa: PLC0415
        LossWeights,
        SceneData,
        SeemTaskParams,
    )
    from seg_assets.training.seem.task import SeemTask  # noqa: PLC0415

    params = SeemTaskParams(
        train=SceneData(first_seed=TRAINING_SEEDS.start, count=len(scenes), view="close"),
        strategy="everything",
        image_size=SEEM_SIZE,
        small_images=True,
        augmentation="flip",
        spatial=0.5,
        grounding=0.15,
        prompt_shapes=("mask",),
        points=None,
        # a prompt's masks are those of the object that it means, which have their terms already
        weights=LossWeights(spatial_bce=0.0, spatial_dice=0.0),
        backbone_lr=1.0,
        language_lr=1.0,
        decay_biases=False,
    )
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(params.init_seed)
        model = Seem(DEMO)
    train_source, held_out_source = (DrawnSource(s, SEEM_SIZE) for s in (scenes, held_out))
    task = SeemTask(model, train_source, held_out_source, params)
    task.name = "seem_demo"
    return task


TASKS: Mapping[str, Callable[[DrawnScenes, DrawnScenes], Task]] = {
    "sam": sam_task,
    "seem": seem_task,
}
