"""Reference numbers of upstream's code: a small model with weights, and Focal-L by formula."""

import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from seg_assets.modeling.seem.config import SeemConfig
from seg_assets.modeling.seem.model import Seem


@dataclass(frozen=True)
class Golden:
    tensors: dict[str, Tensor]
    config: dict[str, Any]
    model: Seem

    @property
    def table(self) -> Tensor:
        """The class embeddings, as upstream computed them."""
        return self.tensors["text/class_embeddings"]

    def indices(self, name: str) -> dict[str, list[Tensor]]:
        """The points that upstream drew."""
        return {
            slot: [self.tensors[f"{name}/sample_idx_{slot}"]] for slot in ("mean", "l0", "l1", "l2")
        }

    def check(self, name: str, got: Tensor, tolerance: float = 1e-4) -> None:
        """Compare with a reference tensor: floats relative to its maximum, anything else exactly.

        Binary masks (uint8) may differ in one pixel of a thousand, as the reference's README says.
        """
        want = self.tensors[name]
        assert got.shape == want.shape, name
        if want.is_floating_point():
            error = (got.double() - want.double()).abs().max()
            assert error <= tolerance * want.abs().max().clamp(min=1e-30), f"{name}: {error:.2e}"
        else:
            wrong = (got.long() != want.long()).double().mean()
            assert wrong <= (1e-3 if want.dtype == torch.uint8 else 0), f"{name}: {wrong:.2e}"


def small_config(params: dict[str, Any]) -> SeemConfig:
    """Sizes of the small reference model; its `dec_layers` counts one head too many."""
    return SeemConfig(
        embed=params["embed"],
        depths=tuple(params["depths"]),
        focal_levels=tuple(params["levels"]),
        focal_windows=tuple(params["windows"]),
        mlp_ratio=params["mlp_ratio"],
        hidden=params["hidden"],
        mask_dim=params["mask_dim"],
        heads=params["heads"],
        ffn=params["ff"],
        encoder_layers=params["enc_layers"],
        decoder_layers=params["dec_layers"] - 1,
        queries=params["queries"],
        memory_slots=params["memories"],
        max_points=params["max_spatial"],
        text_context=params["ctx"],
        text_width=params["twidth"],
        text_heads=params["theads"],
        text_layers=params["tlayers"],
        vocab=params["vocab"],
    )


def load_small(folder: Path) -> Golden:
    config = json.loads((folder / "config.json").read_text())
    model = Seem(small_config(config["params"])).eval().requires_grad_(False)
    model.load_state_dict(load_file(folder / "weights.safetensors"), strict=False)
    return Golden(load_file(folder / "golden.safetensors"), config, model)


def load_fill(folder: Path) -> ModuleType:
    """The reference's own definition of weights by key name and shape."""
    spec = importlib.util.spec_from_file_location("golden_fill", folder / "fill.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
