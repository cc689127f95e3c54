"""What each strategy trains: changed tensors = listed tensors (S1-S5), frozen parts rest (S11)."""

import hashlib
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from seg_assets.errors import TrainingError
from seg_assets.modeling.seem.adapters import adapter_names
from seg_assets.training.config import TrainConfig
from seg_assets.training.loop import train
from seg_assets.training.seem.task import SeemTask
from seg_assets.training.trainable import check_trainable
from seg_assets_tests.training.seem.shapes import Shapes, batch_of, params, task, tiny_seem

CONFIG = TrainConfig(
    steps=3, batch_size=2, lr=1e-2, device="cpu", save_every=3, schedule="constant"
)
# drawn prompts in every step, with clicks: then the head's memory slots are read as well
ALL = {"wiring": "v1", "rounds": 20, "candidates": 2}
HEAD = "sem_seg_head.predictor."
LANGUAGE = HEAD + "lang_encoder."


def hashes(model: nn.Module) -> dict[str, str]:
    return {name: digest(tensor) for name, tensor in model.state_dict().items()}


def digest(tensor: Tensor) -> str:
    return hashlib.sha256(tensor.detach().contiguous().numpy().tobytes()).hexdigest()


def changed_by_training(a_task: SeemTask, folder: Path) -> set[str]:
    before = hashes(a_task.model)
    train(a_task, CONFIG, folder)
    after = hashes(a_task.model)
    assert before.keys() == after.keys()
    return {name for name in before if before[name] != after[name]}


def head_names(a_task: SeemTask) -> set[str]:
    """Everything of the query decoder but the text encoder and the adapters."""
    adapters = adapter_names(a_task.model)
    return {
        name
        for name, _ in a_task.model.named_parameters()
        if name.startswith(HEAD) and not name.startswith(LANGUAGE) and name not in adapters
    }


def test_adapter_head_changes_the_decoders_adapters_alone_s1(tmp_path: Path) -> None:
    a_task = task(strategy="adapter_head", **ALL)
    adapters = adapter_names(a_task.model)
    assert adapters
    assert all(name.startswith(HEAD) for name in adapters)
    assert a_task.trainable() == adapters
    assert changed_by_training(a_task, tmp_path) == adapters


@pytest.mark.parametrize("geometry", ["compact", "upstream"])
def test_adapter_both_changes_all_adapters_and_nothing_else_s2(
    tmp_path: Path, geometry: str
) -> None:
    a_task = task(strategy="adapter_both", adapters={"geometry": geometry}, **ALL)
    adapters = adapter_names(a_task.model)
    assert {name.split(".")[0] for name in adapters} == {"backbone", "sem_seg_head"}
    assert a_task.trainable() == adapters
    assert changed_by_training(a_task, tmp_path) == adapters


def test_whole_head_changes_the_head_without_the_text_encoder_s3(tmp_path: Path) -> None:
    a_task = task(strategy="whole_head", **ALL)
    names = a_task.model.state_dict()
    assert not [name for name in names if "adapter" in name.split(".") or "adopter" in name]
    assert a_task.trainable() == head_names(a_task)
    assert changed_by_training(a_task, tmp_path) == head_names(a_task)


def test_adapters_and_whole_head_change_together_s4(tmp_path: Path) -> None:
    a_task = task(strategy="adapter_backbone_whole_head", **ALL)
    adapters = adapter_names(a_task.model)
    assert adapters
    assert all(name.startswith("backbone") for name in adapters)
    wanted = adapters | head_names(a_task)
    assert a_task.trainable() == wanted
    assert changed_by_training(a_task, tmp_path) == wanted


def test_everything_changes_from_nothing_on(tmp_path: Path) -> None:
    a_task = task(strategy="everything", **ALL)
    names = {name for name, _ in a_task.model.named_parameters()}
    assert a_task.trainable() == names
    assert changed_by_training(a_task, tmp_path) == names


@pytest.mark.filterwarnings("default")
def test_lora_changes_its_updates_alone(tmp_path: Path) -> None:
    pytest.importorskip("seg_assets.modeling.torchvision_cpu")
    pytest.importorskip("peft", reason="LoRA is an extra: pip install 'seg_assets[lora]'")
    a_task = task(strategy="lora", lora={"rank": 2, "backbone": True}, **ALL)
    wanted = {n for n, _ in a_task.model.named_parameters() if "lora_A" in n or "lora_B" in n}
    assert a_task.trainable() == wanted
    assert changed_by_training(a_task, tmp_path) == wanted


@pytest.mark.parametrize(
    ("changes", "unread"),
    [
        ({}, {"spatial_embed.weight", "spatial_featured.weight"}),
        ({"wiring": "v1"}, {"spatial_embed.weight", "spatial_featured.weight"}),
        (
            {"spatial": 0.0},
            {"spatial_embed.weight", "spatial_featured.weight", "pn_indicator.weight"}
            | {f"mask_sptial_embed.{level}" for level in range(3)},
        ),
    ],
)
def test_what_nothing_reads_is_not_listed(
    tmp_path: Path, changes: dict[str, object], unread: set[str]
) -> None:
    a_task = task(strategy="whole_head", **changes)
    wanted = head_names(a_task) - {HEAD + name for name in unread}
    assert a_task.trainable() == wanted
    assert changed_by_training(a_task, tmp_path) == wanted


@pytest.mark.parametrize(
    "strategy",
    ["adapter_head", "adapter_both", "whole_head", "adapter_backbone_whole_head", "everything"],
)
def test_optimizer_gradients_and_list_agree_s5(strategy: str) -> None:
    a_task = task(strategy=strategy)
    optimizers = a_task.optimizers(CONFIG)
    check_trainable(a_task.model, a_task.trainable(), optimizers)
    grouped = [name for group in a_task.parameter_groups() for name in group.names]
    assert len(grouped) == len(set(grouped))
    assert set(grouped) == a_task.trainable()
    requiring = {n for n, p in a_task.model.named_parameters() if p.requires_grad}
    assert requiring == a_task.trainable()


def test_unfreezing_after_the_optimizer_was_built_is_an_error_s5(tmp_path: Path) -> None:
    """What upstream did to its backbone adapters."""

    class Late(SeemTask):
        def optimizers(self, config: TrainConfig) -> list[Optimizer]:
            built: list[Optimizer] = [
                AdamW([p for p in self.model.parameters() if p.requires_grad])
            ]
            for name, parameter in self.model.named_parameters():
                if "adopter_layer" in name:
                    parameter.requires_grad_(True)
            return built

    class HeadOnly(Late):
        def trainable(self) -> set[str]:
            return {n for n in super().trainable() if "adopter_layer" not in n}

    wanted = params(strategy="adapter_both")
    a_task = HeadOnly(tiny_seem(), Shapes(), None, wanted)
    for name, parameter in a_task.model.named_parameters():
        if "adopter_layer" in name:
            parameter.requires_grad_(False)
    before = hashes(a_task.model)
    with pytest.raises(TrainingError, match="requires a gradient though the recipe does not"):
        train(a_task, CONFIG, tmp_path)
    assert hashes(a_task.model) == before


@pytest.mark.parametrize("strategy", ["adapter_head", "adapter_both", "whole_head"])
def test_frozen_parts_rest_in_training_mode_s11(strategy: str) -> None:
    a_task = task(strategy=strategy).train()
    assert a_task.training
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        one, other = a_task.seem.backbone(images), a_task.seem.backbone(images)
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_trained_parts_drop_paths_s11() -> None:
    a_task = task(strategy="everything").train()
    images = torch.rand(4, 3, 64, 64)
    with torch.no_grad():
        one, other = a_task.seem.backbone(images), a_task.seem.backbone(images)
    assert not torch.equal(one[-1], other[-1])


def test_dropout_of_adapters_is_on_in_a_frozen_decoder_s11() -> None:
    a_task = task(strategy="adapter_head", adapters={"init": "kaiming_fan_out"}).train()
    batch = batch_of(a_task, [0])
    counts = a_task.counts(batch)
    one, other = a_task(batch, counts), a_task(batch, counts)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_groups_have_the_published_rates_and_decay_s17() -> None:
    a_task = task(strategy="everything", backbone_lr=0.1, language_lr=0.1)
    groups = {
        name: (group.lr_scale, group.weight_decay)
        for group in a_task.parameter_groups()
        for name in group.names
    }
    block = "backbone.layers.0.blocks.0."
    layer = HEAD + "transformer_ffn_layers.0."
    assert groups[block + "mlp.fc1.weight"] == (0.1, None)
    assert groups[block + "norm1.weight"] == (0.1, 0.0)
    assert groups[block + "mlp.fc1.bias"] == (0.1, None)
    assert groups[layer + "linear1.weight"] == (1.0, None)
    assert groups[layer + "norm.bias"] == (1.0, 0.0)
    assert groups[HEAD + "query_feat.weight"] == (1.0, 0.0)
    assert groups[LANGUAGE + "lang_proj"] == (0.1, None)
    assert groups[LANGUAGE + "lang_encoder.token_embedding.weight"] == (0.1, 0.0)
    assert groups["sem_seg_head.pixel_decoder.layer_1.norm.weight"] == (1.0, 0.0)


def test_biases_can_be_kept_from_decay_s17() -> None:
    a_task = task(strategy="everything", decay_biases=False)
    decayed = {n for g in a_task.parameter_groups() if g.weight_decay is None for n in g.names}
    parameters = dict(a_task.model.named_parameters())
    assert min(parameters[name].ndim for name in decayed) == 2
