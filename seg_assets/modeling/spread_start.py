"""Start values under which an untrained SAM gives masks of many shapes.

With the package's ordinary start values every signal shrinks on its way through the decoder: all
prompts give the same faint mask, and no threshold separates anything. A small SAM without a
checkpoint, as the tests use, could then not show that the steps after it work.
"""

import torch
from torch import nn

import seg_assets.modeling.torchvision_cpu  # noqa: F401

# isort: split
from segment_anything.modeling import Sam
from segment_anything.modeling.transformer import Attention

# Found by trying: with these, small untrained models find some 5 to 40 masks in an image.
_DECODER_GAIN = 4.0
_UPSCALING_GAIN = 8.0
_POSITION_GAIN = 2.0
_CROSS_ATTENTION = ("token_to_image", "image_to_token")


def spread_start_values(sam: Sam) -> None:
    """Change a freshly built model's weights in place so that its masks depend on the prompt.

    - Decoder projections are larger, so that a prompt's signal survives the layers. Those of the
      quality score are not: it should stay near 0 to 1.
    - The four subpixels of an upscaling kernel start alike, which keeps chessboards out of masks.
    - Queries and keys between tokens and image share their projection and positions are coded on a
      finer scale, so that a point attends to the pixels around it.
    """
    decoder = sam.mask_decoder
    with torch.no_grad():
        for name, module in decoder.named_modules():
            if isinstance(module, nn.Linear) and not name.startswith("iou_prediction_head"):
                module.weight.mul_(_DECODER_GAIN)
            elif isinstance(module, nn.ConvTranspose2d):
                alike = module.weight.mean((2, 3), keepdim=True)  # (C_in, C_out, 1, 1)
                module.weight.copy_(_UPSCALING_GAIN * alike.expand_as(module.weight))
        for name, module in decoder.transformer.named_modules():
            if isinstance(module, Attention) and name.endswith(_CROSS_ATTENTION):
                module.k_proj.weight.copy_(module.q_proj.weight)
        frequencies = sam.prompt_encoder.pe_layer.get_buffer("positional_encoding_gaussian_matrix")
        frequencies.mul_(_POSITION_GAIN)
