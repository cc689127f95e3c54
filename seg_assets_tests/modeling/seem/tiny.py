"""A SEEM of a few thousand parameters beside the vocabulary, and a manifest that names it."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from seg_assets.modeling.seem import load
from seg_assets.modeling.seem.config import SeemConfig
from seg_assets.modeling.seem.model import Seem

TINY = SeemConfig(
    embed=8,
    depths=(1, 1, 1, 1),
    focal_levels=(1, 1, 1, 1),
    mlp_ratio=1.0,
    layer_scale=1.0,
    hidden=64,
    mask_dim=16,
    heads=2,
    ffn=32,
    encoder_layers=1,
    decoder_layers=3,
    queries=9,
    memory_slots=4,
    max_points=16,
    text_width=8,
    text_heads=2,
    text_layers=1,
)

MANIFEST = """
[tiny]
title = "tiny"
kind = "seem"
config = "tiny"
file = "weights/tiny.pt"
licence = "Apache-2.0"
input_size = 64
input_side = "short"
mean = [123.675, 116.28, 103.53]
std = [58.395, 57.12, 57.375]

[wrong]
title = "asks for a configuration that is not there"
kind = "seem"
config = "huge"
seed = 1
licence = "Apache-2.0"
input_size = 64
input_side = "short"
mean = [123.675, 116.28, 103.53]
std = [58.395, 57.12, 57.375]
"""


def tiny_seem() -> Seem:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(3)
        return Seem(TINY).eval().requires_grad_(False)


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, state: dict[str, Tensor]) -> Path:
    """Make `state` the weights of the manifest's model "tiny"; returns the file."""
    monkeypatch.setenv("SEG_MODELS_DIR", str(folder))
    monkeypatch.setitem(load.SEEM_CONFIGS, "tiny", TINY)
    (folder / "manifest.toml").write_text(MANIFEST)
    path = folder / "weights" / "tiny.pt"
    path.parent.mkdir(exist_ok=True)
    torch.save(state, path)
    return path
