"""Tiny random models of transformers, saved as folders in the form of published ones."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import seg_assets.modeling.torchvision_cpu  # noqa: F401

# isort: split
import torch

CLASSES = {0: "road", 1: "sky ", 2: "car"}
SIDE = 64  # of the square that processors with a fixed size make


def segformer(**changes: Any) -> tuple[Any, Any, Any]:
    import transformers as hf

    config = hf.SegformerConfig(
        hidden_sizes=[8, 8, 16, 16],
        depths=[1, 1, 1, 1],
        num_attention_heads=[1, 1, 2, 2],
        decoder_hidden_size=16,
        id2label=CLASSES,
        label2id={name: i for i, name in CLASSES.items()},
        **changes,
    )
    processor = hf.SegformerImageProcessor(size={"height": SIDE, "width": SIDE})
    return hf.SegformerForSemanticSegmentation(config), processor, None


def upernet() -> tuple[Any, Any, Any]:
    import transformers as hf

    backbone = hf.ConvNextConfig(
        hidden_sizes=[8, 8, 16, 16],
        depths=[1, 1, 1, 1],
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    config = hf.UperNetConfig(
        backbone_config=backbone,
        hidden_size=16,
        auxiliary_in_channels=16,
        auxiliary_channels=8,
        id2label=CLASSES,
    )
    processor = hf.SegformerImageProcessor(size={"height": SIDE, "width": SIDE})
    return hf.UperNetForSemanticSegmentation(config), processor, None


def dpt() -> tuple[Any, Any, Any]:
    import transformers as hf

    config = hf.DPTConfig(
        hidden_size=16,
        num_hidden_layers=4,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=SIDE,
        patch_size=16,
        backbone_out_indices=[0, 1, 2, 3],
        neck_hidden_sizes=[8, 8, 16, 16],
        fusion_hidden_size=16,
        readout_type="ignore",
        id2label=CLASSES,
    )
    processor = hf.DPTImageProcessor(size={"height": SIDE, "width": SIDE})
    return hf.DPTForSemanticSegmentation(config), processor, None


def mobilenet_v2() -> tuple[Any, Any, Any]:
    import transformers as hf

    config = hf.MobileNetV2Config(depth_multiplier=0.35, output_stride=8, id2label=CLASSES)
    processor = hf.MobileNetV2ImageProcessor(
        size={"shortest_edge": 80}, crop_size={"height": SIDE, "width": SIDE}, do_center_crop=True
    )
    return hf.MobileNetV2ForSemanticSegmentation(config), processor, None


def _swin() -> Any:
    import transformers as hf

    return hf.SwinConfig(
        embed_dim=8,
        depths=[1, 1, 1, 1],
        num_heads=[1, 1, 1, 1],
        window_size=4,
        image_size=SIDE,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )


def mask2former() -> tuple[Any, Any, Any]:
    import transformers as hf

    config = hf.Mask2FormerConfig(
        backbone_config=_swin(),
        feature_size=32,
        mask_feature_size=32,
        hidden_dim=32,
        encoder_feedforward_dim=16,
        encoder_layers=1,
        decoder_layers=2,
        dim_feedforward=16,
        num_attention_heads=2,
        num_queries=7,
        id2label=CLASSES,
    )
    processor = hf.Mask2FormerImageProcessor(size={"height": SIDE, "width": SIDE})
    return hf.Mask2FormerForUniversalSegmentation(config), processor, None


def maskformer() -> tuple[Any, Any, Any]:
    import transformers as hf

    config = hf.MaskFormerConfig(
        backbone_config=_swin(),
        decoder_config=hf.DetrConfig(
            d_model=32,
            decoder_layers=1,
            decoder_attention_heads=2,
            decoder_ffn_dim=16,
            num_queries=7,
        ),
        fpn_feature_size=32,
        mask_feature_size=32,
        id2label=CLASSES,
    )
    processor = hf.MaskFormerImageProcessor(size={"shortest_edge": SIDE, "longest_edge": 2 * SIDE})
    return hf.MaskFormerForInstanceSegmentation(config), processor, None


def oneformer() -> tuple[Any, Any, Any]:
    import transformers as hf

    config = hf.OneFormerConfig(
        backbone_config=_swin(),
        hidden_dim=32,
        conv_dim=32,
        mask_dim=32,
        encoder_feedforward_dim=16,
        dim_feedforward=16,
        encoder_layers=1,
        decoder_layers=2,
        num_attention_heads=2,
        num_queries=7,
        task_seq_len=12,
        query_dec_layers=1,
        text_encoder_vocab_size=32,
        is_training=False,
        id2label=CLASSES,
    )
    processor = hf.OneFormerImageProcessor(
        size={"shortest_edge": SIDE, "longest_edge": 2 * SIDE}, num_text=1
    )
    return hf.OneFormerForUniversalSegmentation(config), processor, tokenizer


def tokenizer(folder: Path) -> Any:
    """A CLIP tokenizer that knows single letters only."""
    import transformers as hf

    letters = "abcdefghijklmnopqrstuvwxyz"
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>"]
    vocabulary = {token: i for i, token in enumerate([*tokens, "<|endoftext|>"])}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return hf.CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))


MODELS: dict[str, Callable[[], tuple[Any, Any, Any]]] = {
    model.__name__: model
    for model in (segformer, upernet, dpt, mobilenet_v2, mask2former, maskformer, oneformer)
}


# Parts of the mask classifiers whose small start weights would give one class everywhere.
_SPREAD = ("class_predictor", "class_embed", "mask_embed", "mask_projection", "queries_embedder")


def save_model(name: str, folder: Path) -> Path:
    """Write a model with random weights, spread so that labels differ from pixel to pixel."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    network, processor, make_tokenizer = MODELS[name]()
    for key, weight in network.named_parameters():
        if any(part in key for part in _SPREAD):
            weight.data *= 30
    network.eval().save_pretrained(folder)
    processor.save_pretrained(folder)
    if make_tokenizer is not None:
        make_tokenizer(folder).save_pretrained(folder)
    return folder
