"""SAM's mask decoder for many single-point prompts on one image: exact, and several times faster.

Against the package's decoder, which runs everything for every prompt:

- What the prompts share is computed once per image, and the prompts' keys are never written out;
  see `point_weights.py`.
- The predicted IoU needs the tokens only. It comes first, and prompts of which no mask is wanted
  are not upscaled.
- Only the part of the padded square that shows the image is upscaled.
"""

from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor, nn

import seg_assets.modeling.torchvision_cpu  # noqa: F401

# isort: split
from segment_anything.modeling import MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
from segment_anything.modeling.common import LayerNorm2d, MLPBlock
from segment_anything.modeling.mask_decoder import MLP
from segment_anything.modeling.transformer import Attention, TwoWayAttentionBlock

from seg_assets.modeling.mask_models.batches import (
    points_that_fit,
    run_in_batches,
)
from seg_assets.modeling.mask_models.cpu_threads import run_in_threads
from seg_assets.modeling.mask_models.protocol import KeepScores, PointMasks
from seg_assets.modeling.mask_models.sam.point_image import PreparedImage, prepare_image
from seg_assets.modeling.mask_models.sam.point_transformer import PointTransformer
from seg_assets.modeling.mask_models.sam.point_upscaling import PointUpscaling, tokens_inside
from seg_assets.modeling.mask_models.sam.point_weights import fold_decoder, two_way_blocks

# A few prompts share what is read of the weights and of the image; more of them leave the cache.
_POINTS_ON_CPU = 8
_POINTS_ON_OTHER_DEVICES = 16
# Each holds some 60 MB for ViT-B, and more of them would wait for Python's lock.
_MOST_THREADS = 16
# Places of the decoder's output tokens: the IoU token, the mask token for clear prompts, and those
# of the three candidates.
_IOU, _CANDIDATES = slice(0, 1), slice(2, 5)
# What the package's decoder is built of.
_PLAIN = {
    *(MaskDecoder, TwoWayTransformer, TwoWayAttentionBlock, Attention, MLP, MLPBlock),
    *(nn.Sequential, nn.ModuleList, nn.Embedding, nn.Linear, nn.ConvTranspose2d),
    *(nn.LayerNorm, LayerNorm2d, nn.GELU, nn.ReLU),
}


class PointDecoder:
    """The mask decoder of one SAM, folded: for its weights and on its device as they are now."""

    def __init__(self, sam: Sam, dtype: torch.dtype = torch.float32) -> None:
        """Fold the weights.

        Args:
            sam: A model that `supports` accepts, in evaluation mode.
            dtype: Of the large matrix products. Statistics and all that concerns only the tokens
                stay float32.
        """
        self._prompt_encoder = sam.prompt_encoder
        self._decoder = sam.mask_decoder
        self._square = sam.prompt_encoder.input_image_size
        transformer = cast(TwoWayTransformer, sam.mask_decoder.transformer)
        self._heads = transformer.num_heads
        self._dtype = dtype
        self._folded = fold_decoder(sam.mask_decoder)
        self._transformer = PointTransformer(transformer, self._folded)
        self._upscaling = PointUpscaling(
            sam.mask_decoder.output_upscaling, self._folded.upscaling, dtype
        )
        with torch.no_grad():
            self._output_tokens = torch.cat(
                [self._decoder.iou_token.weight, self._decoder.mask_tokens.weight]
            ).clone()
            self._positions = sam.prompt_encoder.get_dense_pe()[0].flatten(1)
            self._dense = sam.prompt_encoder.no_mask_embed.weight.reshape(-1, 1).clone()

    @staticmethod
    def supports(sam: Sam) -> bool:
        """Whether a model's decoder is built of the package's own layers, as published.

        Others may compute anything, as do layers with adapters, hooks or a `forward` of their own;
        they need the plain way.
        """
        decoder, encoder = sam.mask_decoder, sam.prompt_encoder
        if type(decoder) is not MaskDecoder or type(encoder) is not PromptEncoder:
            return False
        if not all(_is_plain(module) for module in decoder.modules()):
            return False
        transformer = decoder.transformer
        if not isinstance(transformer, TwoWayTransformer) or len(transformer.layers) == 0:
            return False
        upscaling = [type(layer) for layer in decoder.output_upscaling]
        return (
            decoder.num_mask_tokens == 4
            and upscaling == [nn.ConvTranspose2d, LayerNorm2d, nn.GELU, nn.ConvTranspose2d, nn.GELU]
            and all(gelu.approximate == "none" for gelu in _gelus(decoder))
            and all(_is_halving(attention) for attention in _image_attentions(transformer))
            and all(p.dtype == torch.float32 for p in decoder.parameters())
        )

    @torch.inference_mode()
    def prepare(self, features: Tensor) -> PreparedImage:
        """Compute what all prompts share.

        Args:
            features: Image embedding, (1, C, h, w) float.
        """
        with torch.autocast(features.device.type, enabled=False):
            tokens = features[0].float().flatten(1) + self._dense
            rows, columns = features.shape[2:]
            return prepare_image(
                self._folded, tokens, self._positions, (rows, columns), self._heads, self._dtype
            )

    def decode(
        self,
        image: PreparedImage,
        points: Tensor,
        keep: KeepScores,
        input_size: tuple[int, int],
        points_per_batch: int | None = None,
    ) -> Iterator[PointMasks]:
        """Decode points, each an object, for the masks whose predicted IoU is good enough.

        Args:
            image: Prepared by this decoder.
            points: x, y in the model's input, (N, 2) float32, on the model's device.
            keep: Which of the candidates are wanted. On a CPU it is asked in as many threads as
                torch uses.
            input_size: Rows and columns of the model's input that show the image. Logits come only
                for the tokens that these depend on.
            points_per_batch: Points decoded together at most. A CPU's batches are small anyway;
                a GPU's are as large as its free memory allows, and smaller when it is short.

        Yields:
            Masks of one batch; nothing for a batch without any.
        """
        inside = (
            tokens_inside(input_size[0], self._square[0], image.grid[0]),
            tokens_inside(input_size[1], self._square[1], image.grid[1]),
        )
        batch, threads = self._batch(image, points)
        if points_per_batch is not None:
            batch = min(batch, points_per_batch)

        def run(start: int, stop: int) -> list[PointMasks]:
            return self._decode_batch(image, points[start:stop], start, keep, inside)

        if threads > 1 and batch < len(points):
            batches = run_in_threads(len(points), batch, threads, run)
        else:
            batches = run_in_batches(len(points), batch, run)
        for found in batches:
            yield from found

    def _batch(self, image: PreparedImage, points: Tensor) -> tuple[int, int]:
        """Points to decode together, and threads to decode batches in."""
        if points.device.type == "cpu":
            threads = min(torch.get_num_threads(), _MOST_THREADS)
            share = -(-len(points) // threads)
            return max(min(_POINTS_ON_CPU, share), 1), threads
        if points.device.type != "cuda":
            return _POINTS_ON_OTHER_DEVICES, 1
        # Upscaling holds some 14 arrays of C channels per token, the transformer some 12 of a score
        # per head and prompt token, in float32.
        channels = self._output_tokens.shape[1]
        per_token = 14 * channels + 12 * self._heads * (len(self._output_tokens) + 2)
        tokens = image.grid[0] * image.grid[1]
        return points_that_fit(points.device, 4 * tokens * per_token), 1

    @torch.inference_mode()
    def _decode_batch(
        self,
        image: PreparedImage,
        points: Tensor,
        first: int,
        keep: KeepScores,
        inside: tuple[int, int],
    ) -> list[PointMasks]:
        """Decode points first, first + 1, ... together: no masks or one batch of them."""
        with torch.autocast(points.device.type, enabled=False):
            tokens = self._tokens(points)
            queries, keys = self._transformer(image, tokens)
            out = self._transformer.finish(image, queries[:, _IOU], tokens[:, _IOU], keys)
            predicted_ious = self._decoder.iou_prediction_head(out[:, 0])[:, 1:]
            wanted = keep(predicted_ious)  # (N, 3)
            prompts = wanted.any(1).nonzero()[:, 0]
            if len(prompts) == 0:
                return []
            if len(prompts) < len(points):
                queries, tokens = queries[prompts], tokens[prompts]
                keys = keys.select(prompts)
            out = self._transformer.finish(
                image, queries[:, _CANDIDATES], tokens[:, _CANDIDATES], keys
            )
            networks = self._decoder.output_hypernetworks_mlps[1:]
            vectors = torch.stack([network(out[:, i]) for i, network in enumerate(networks)], 1)
            logits = self._upscaling(
                image.upscaling, keys, vectors, wanted[prompts], image.grid, inside
            )
            indices = first + wanted.nonzero()[:, 0]
            return [PointMasks(logits, predicted_ious[wanted], indices)]

    def _tokens(self, points: Tensor) -> Tensor:
        """Output tokens and prompt tokens, (N, tokens, C) float32."""
        labels = torch.ones((len(points), 1), dtype=torch.int, device=points.device)
        sparse, _ = self._prompt_encoder((points[:, None], labels), None, None)
        return torch.cat([self._output_tokens.expand(len(points), -1, -1), sparse], 1)


def _is_plain(module: nn.Module) -> bool:
    hooks = len(module._forward_hooks) + len(module._forward_pre_hooks)
    return type(module) in _PLAIN and hooks == 0 and "forward" not in vars(module)


def _gelus(decoder: MaskDecoder) -> list[nn.GELU]:
    return [layer for layer in decoder.output_upscaling if isinstance(layer, nn.GELU)]


def _image_attentions(transformer: TwoWayTransformer) -> Iterator[Attention]:
    for layer in two_way_blocks(transformer):
        yield layer.cross_attn_token_to_image
        yield layer.cross_attn_image_to_token
    yield transformer.final_attn_token_to_image


def _is_halving(attention: Attention) -> bool:
    """Whether it works on half the channels."""
    return attention.internal_dim * 2 == attention.embedding_dim
