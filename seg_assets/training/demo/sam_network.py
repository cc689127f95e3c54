"""The demo's SAM as its training runs it: all masks of many prompts, and heads that teach."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import seg_assets.modeling.torchvision_cpu  # noqa: F401

# isort: split
from segment_anything.modeling import Sam, image_encoder, transformer

from seg_assets.modeling.sam import SamConfig, build_sam
from seg_assets.training.demo.sam_losses import DenseHeads
from seg_assets.training.demo.sam_samples import FOREGROUND
from seg_assets.training.demo.sam_start import localise


class SamWithHeads(nn.Module):
    """The model that is kept, and the heads that only its training needs."""

    sam: Sam
    heads: DenseHeads

    def __init__(self, config: SamConfig) -> None:
        super().__init__()
        self.sam = build_sam(config)
        localise(self.sam)
        self.heads = DenseHeads(config.prompt_dim)


def encode(sam: Sam, images: Tensor) -> Tensor:
    """Images (B, 3, S, S) of 0..255 -> embeddings (B, C, h, w)."""
    mean, deviation = sam.get_buffer("pixel_mean"), sam.get_buffer("pixel_std")
    return sam.image_encoder((images - mean) / deviation)


def decode(
    sam: Sam, embedding: Tensor, coordinates: Tensor, labels: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """All four masks of prompts of two points each, which are decoded together.

    Args:
        sam: The model.
        embedding: Of one image, (1, C, h, w).
        coordinates: (P, 2, 2) x, y in pixels of the input; a lone point stands twice.
        labels: (P, 2), kinds of points.

    Returns:
        Logits (P, 4, 4h, 4w), predicted IoUs (P, 4), and the decoder's image cells (P, h * w, C).
    """
    prompts = sam.prompt_encoder
    codes = prompts.pe_layer.forward_with_coords(coordinates + 0.5, prompts.input_image_size)
    kinds = torch.stack([kind.weight[0] for kind in prompts.point_embeddings])  # type: ignore[union-attr]
    codes = codes + kinds[labels]
    alone = (labels[:, :1] == FOREGROUND)[..., None]
    padding = prompts.not_a_point_embed.weight[None]
    sparse = torch.cat([codes[:, :1], torch.where(alone, padding, codes[:, 1:])], 1)
    dense = prompts.no_mask_embed.weight.reshape(1, -1, 1, 1)
    dense = dense.expand(len(coordinates), -1, *embedding.shape[-2:])
    seen: list[Tensor] = []
    hook = sam.mask_decoder.transformer.register_forward_hook(
        lambda module, inputs, outputs: seen.append(outputs[1])
    )
    with hook:
        logits, scores = sam.mask_decoder.predict_masks(
            embedding, prompts.get_dense_pe(), sparse, dense
        )
    return logits, scores, seen[0]


@contextmanager
def quick_attention() -> Iterator[None]:
    """Let torch's fused attention stand in for the package's: the same values in half the time.

    The encoder must not use relative positions, which the demo's does not.
    """
    before = image_encoder.Attention.forward, transformer.Attention.forward
    image_encoder.Attention.forward = _attend_image
    transformer.Attention.forward = _attend_tokens
    try:
        yield
    finally:
        image_encoder.Attention.forward, transformer.Attention.forward = before


def _attend_image(self: image_encoder.Attention, x: Tensor) -> Tensor:
    batch, height, width, _ = x.shape
    qkv = self.qkv(x).reshape(batch, height * width, 3, self.num_heads, -1)
    q, k, v = qkv.permute(2, 0, 3, 1, 4)
    out = F.scaled_dot_product_attention(q, k, v)
    return self.proj(out.transpose(1, 2).reshape(batch, height, width, -1))


def _attend_tokens(self: transformer.Attention, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    q = self._separate_heads(self.q_proj(q), self.num_heads)
    k = self._separate_heads(self.k_proj(k), self.num_heads)
    v = self._separate_heads(self.v_proj(v), self.num_heads)
    return self.out_proj(self._recombine_heads(F.scaled_dot_product_attention(q, k, v)))
