"""Where a small SAM begins: its decoder already looks at the place that a prompt points to.

With the package's ordinary start values a prompt's token attends to all of the image alike, and a
small budget is spent before it has learned where the prompt is.
"""

import torch
from torch import nn

import seg_assets.modeling.torchvision_cpu  # noqa: F401

# isort: split
from segment_anything.modeling import Sam
from segment_anything.modeling.transformer import Attention

_SHARPNESS = 9.0  # of the attention between a position and itself
_FREQUENCIES = (0.75, 2.5)  # factors on the position code's two halves: coarse and fine
_CONTENT = 0.3  # what image and prompt type weigh against the position
_TOKENS = 0.2  # and what the decoder's tokens do
_UPSCALED = 4.0  # what is upscaled would else be too faint to be told apart


def localise(sam: Sam) -> None:
    """Change a freshly built model in place so that prompts find their place from the first step.

    - Queries and keys of every attention between tokens and image share one projection with
      orthogonal rows: what has the same position matches.
    - Positions are coded on two scales.
    - Image content, prompt types and tokens begin small, so that they do not drown the position.
    - The last upscaling layer begins larger, since masks are read off what it gives.
    """
    prompts = sam.prompt_encoder
    with torch.no_grad():
        sam.image_encoder.get_parameter("pos_embed").normal_(std=0.02)
        sam.image_encoder.get_parameter("neck.3.weight").mul_(_CONTENT)
        frequencies = prompts.pe_layer.get_buffer("positional_encoding_gaussian_matrix")
        frequencies[:, ::2] *= _FREQUENCIES[0]
        frequencies[:, 1::2] *= _FREQUENCIES[1]
        for name, module in sam.mask_decoder.transformer.named_modules():
            if isinstance(module, Attention) and "self_attn" not in name:
                nn.init.orthogonal_(module.q_proj.weight)
                module.q_proj.weight.mul_(_SHARPNESS / module.embedding_dim**0.5)
                module.k_proj.weight.copy_(module.q_proj.weight)
                nn.init.zeros_(module.q_proj.bias)
                nn.init.zeros_(module.k_proj.bias)
            elif isinstance(module, nn.LayerNorm) and name.startswith("layers"):
                module.weight.mul_(_CONTENT if name.endswith("norm4") else _TOKENS)
        sam.mask_decoder.get_parameter("output_upscaling.3.weight").mul_(_UPSCALED)
        for module in prompts.modules():
            if isinstance(module, nn.Embedding):
                module.weight.mul_(_CONTENT)
