"""SAM's image encoder, run with little memory on a CPU and with fused kernels on a GPU."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

import seg_assets.modeling.torchvision_cpu  # noqa: F401

# isort: split
from segment_anything.modeling import ImageEncoderViT
from segment_anything.modeling.common import LayerNorm2d, MLPBlock
from segment_anything.modeling.image_encoder import Attention, Block, PatchEmbed

from seg_assets.modeling.mask_models.sam.encoder_passes import encode_batch, encode_in_bands

# Attention scores of one image below which there is no memory to save: 2 MB of float32.
_FEW_SCORES = 1 << 19


class EncoderRunner:
    """Runs the image encoder of a SAM, whose weights it leaves as they are.

    On a CPU an image passes in bands of rows (`encode_in_bands`): ViT-B needs some 100 MB above its
    weights instead of 2.4 GB, and none of the time that the system takes to hand out and clear such
    memory. Elsewhere, and where compilation is asked for, a batch passes as a whole
    (`encode_batch`). An encoder that `supports` does not know is called as it is, and so is a small
    one on a CPU, which bands would only slow down.

    Args:
        encoder: In evaluation mode. In float32 its weights are shared: they may change, or move to
            another device, between two calls. For another dtype they are copied here, once.
        dtype: Of the matrix products. Norms, residual sums, the softmax's sums and the result stay
            float32 in 16 bits too.
        compile: Compile the pass over a batch with `torch.compile` at the first call.
        backend: Compiler that `torch.compile` hands its graphs to, by name or as a function.
    """

    def __init__(
        self,
        encoder: ImageEncoderViT,
        *,
        dtype: torch.dtype = torch.float32,
        compile: bool = False,
        backend: str | Callable = "inductor",
    ):
        self._plain = supports(encoder)
        self._dtype = dtype
        self._encoder = _cast(encoder, dtype, keep_norms=self._plain)
        self._few_scores = (
            self._plain and dtype.itemsize >= 4 and _most_scores(encoder) <= _FEW_SCORES
        )
        self._batch: Callable[[ImageEncoderViT, Tensor], Tensor] = encode_batch
        self._compiled = compile and self._plain
        if self._compiled:
            self._batch = torch.compile(encode_batch, backend=backend)

    def __call__(self, pixels: Tensor) -> Tensor:
        """Encode images.

        Args:
            pixels: Scaled, normalised and padded to the model's square, (N, 3, S, S) float32, on
                the encoder's device.

        Returns:
            Features, (N, C, h, w) float32. On a CPU a batch gives exactly what its images give one
            by one.
        """
        device = pixels.device.type
        with torch.inference_mode(), torch.autocast(device, enabled=False):
            if not self._plain:
                features = self._encoder(pixels.to(self._dtype))
            elif device != "cpu" or self._compiled:
                features = self._batch(self._encoder, pixels)
            elif self._few_scores:
                images = pixels.to(self._dtype).split(1)
                features = torch.cat([self._encoder(image) for image in images])
            else:
                features = encode_in_bands(self._encoder, pixels)
            return features.float()


def supports(encoder: nn.Module) -> bool:
    """Whether an encoder consists of the segment-anything package's own parts, nothing wrapped.

    Adapters (LoRA's linear layers, say) and subclasses may compute something else.
    """
    return (
        type(encoder) is ImageEncoderViT
        and type(encoder.patch_embed) is PatchEmbed
        and type(encoder.neck) is nn.Sequential
        and [type(layer) for layer in encoder.neck] == [nn.Conv2d, LayerNorm2d] * 2
        and all(_plain_block(encoder, block) for block in encoder.blocks)
    )


def _most_scores(encoder: ImageEncoderViT) -> int:
    """Attention scores of one image in a block that attends globally."""
    grid = encoder.img_size // encoder.patch_embed.proj.kernel_size[0]
    return (
        max(
            (part.num_heads for part in encoder.modules() if isinstance(part, Attention)), default=0
        )
        * grid**4
    )


def _plain_block(encoder: ImageEncoderViT, block: nn.Module) -> bool:
    if not (
        type(block) is Block
        and type(block.attn) is Attention
        and type(block.mlp) is MLPBlock
        and type(block.attn.qkv) is type(block.attn.proj) is nn.Linear
    ):
        return False
    if not block.attn.use_rel_pos:
        return True
    # Tables of another length are for another grid: the package scales them.
    grid = encoder.img_size // encoder.patch_embed.proj.kernel_size[0]
    length = 2 * (block.window_size or grid) - 1
    return len(block.attn.rel_pos_h) == len(block.attn.rel_pos_w) == length


def _cast(encoder: ImageEncoderViT, dtype: torch.dtype, *, keep_norms: bool) -> ImageEncoderViT:
    """Copy the encoder to a dtype, but for norms and position embedding, which stay float32."""
    if all(parameter.dtype == dtype for parameter in encoder.parameters()):
        return encoder
    encoder = copy.deepcopy(encoder)
    if dtype.itemsize >= torch.float32.itemsize or not keep_norms:
        return encoder.to(dtype)
    encoder.patch_embed.to(dtype)
    for block in encoder.blocks:
        block.attn.to(dtype)
        block.mlp.to(dtype)
    for layer in encoder.neck:
        if isinstance(layer, nn.Conv2d):
            layer.to(dtype)
    return encoder
