"""SAM cut into three graphs: encoder, decoder, and both in one for boxes.

The modules are thin: they hold the model's own parameters and call the segment-anything package's
own modules. Only the prompt encoder's token part is written anew, because it picks tokens by
boolean masks, whose sizes depend on the data. The arithmetic is the same, in the same order.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import seg_assets.modeling.torchvision_cpu  # noqa: F401

# isort: split
from segment_anything.modeling import Sam

from seg_assets.modeling.onnx_export.metadata import GraphKind
from seg_assets.modeling.onnx_export.tokens import BOX_END, BOX_START, PADDING


@dataclass(frozen=True, eq=False)
class Traceable:
    """A module and all that the exporter must be told about it.

    Attributes:
        module: What is exported.
        inputs: Example inputs by name, on the CPU.
        dynamic: Per input the dimensions that may change, by index; None where none may.
        outputs: Names of the outputs.
    """

    module: nn.Module
    inputs: dict[str, Tensor]
    dynamic: dict[str, dict[int, Any] | None]
    outputs: tuple[str, ...]


def build_graph(sam: Sam, kind: GraphKind) -> Traceable:
    """The module of a graph with example inputs; `sam` must be on the CPU in evaluation mode."""
    return {"encoder": _encoder, "decoder": _decoder, "box": _box}[kind](sam)


class EncoderGraph(nn.Module):
    """Image -> embedding."""

    def __init__(self, sam: Sam) -> None:
        super().__init__()
        self.image_encoder = sam.image_encoder

    def forward(self, image: Tensor) -> Tensor:
        """Embed N images.

        Args:
            image: (N, 3, S, S) float32, normalised, then padded with zeros.

        Returns:
            (N, C, h, w) float32.
        """
        return self.image_encoder(image)


class DecoderGraph(nn.Module):
    """Embedding and the prompts of B objects -> low-resolution logits of four masks each."""

    def __init__(self, sam: Sam) -> None:
        super().__init__()
        prompts = sam.prompt_encoder
        self.image_size: int = sam.image_encoder.img_size
        self.mask_decoder = sam.mask_decoder
        self.point_positions = prompts.pe_layer
        self.mask_downscaling = prompts.mask_downscaling
        tokens = [prompts.not_a_point_embed, *prompts.point_embeddings]
        token_table = torch.cat([token.weight.detach() for token in tokens])  # (5, C)
        no_mask = prompts.no_mask_embed.weight.detach()[..., None, None]  # (1, C, 1, 1)
        self.token_table = nn.Buffer(token_table)
        self.image_positions = nn.Buffer(prompts.get_dense_pe().detach())  # (1, C, h, w)
        self.no_mask = nn.Buffer(no_mask)

    def forward(
        self,
        image_embeddings: Tensor,
        point_coords: Tensor,
        point_labels: Tensor,
        mask_input: Tensor,
        has_mask_input: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Decode; as in the package's decoder, but all four masks are given out.

        Args:
            image_embeddings: (1, C, h, w) float32.
            point_coords: x, y in the model's input, (B, P, 2) float32.
            point_labels: 1 on the object, 0 beside it, -1 padding, 2 and 3 first and second
                corner of a box, (B, P) int64.
            mask_input: Logits of an earlier decoding, (B, 1, 4h, 4w) float32; any finite values
                where there are none.
            has_mask_input: 1 where `mask_input` counts, else 0, (1,) float32.

        Returns:
            Logits (B, 4, 4h, 4w) and predicted IoUs (B, 4), float32: 0 is the mask of a clear
            prompt, 1 to 3 the candidates for an ambiguous one.
        """
        given = self.mask_downscaling(mask_input)  # (B, C, h, w)
        dense = torch.where(has_mask_input[:, None, None, None] > 0, given, self.no_mask)
        return self.decode(image_embeddings, self.embed_points(point_coords, point_labels), dense)

    def embed_points(self, coordinates: Tensor, labels: Tensor) -> Tensor:
        """Tokens of points (B, P, 2) with labels (B, P): (B, P, C)."""
        places = (coordinates + 0.5) / self.image_size  # centres of pixels, in 0..1
        positions = self.point_positions._pe_encoding(places)
        # a padding point has no place
        positions = torch.where((labels == PADDING)[..., None], 0.0, positions)
        return positions + self.token_table[labels - PADDING]

    def decode(self, features: Tensor, sparse: Tensor, dense: Tensor) -> tuple[Tensor, Tensor]:
        """Decode tokens (B, P, C) and mask embeddings (B or 1, C, h or 1, w or 1)."""
        return self.mask_decoder.predict_masks(
            image_embeddings=features,
            image_pe=self.image_positions,
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
        )


class BoxGraph(nn.Module):
    """Image and boxes -> logits at the image's scale, in one graph."""

    def __init__(self, sam: Sam) -> None:
        super().__init__()
        self.image_encoder = sam.image_encoder
        self.decoder = DecoderGraph(sam)

    def forward(self, image: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
        """Cut out what is in the boxes of one image.

        Args:
            image: (1, 3, S, S) float32, normalised, then padded with zeros.
            boxes: x0, y0, x1, y1 in the model's input, (1, N, 4) float32.

        Returns:
            Logits (1, N, S, S) and predicted IoUs (1, N), float32.
        """
        corners = boxes.reshape(-1, 2, 2)  # (N, 2 corners, 2)
        labels = torch.tensor([BOX_START, BOX_END]).expand(corners.shape[0], 2)
        logits, ious = self.decoder.decode(
            self.image_encoder(image),
            self.decoder.embed_points(corners, labels),
            self.decoder.no_mask,
        )
        side = self.decoder.image_size
        logits = F.interpolate(logits[:, :1], (side, side), mode="bilinear", align_corners=False)
        return logits.transpose(0, 1), ious[:, :1].transpose(0, 1)


# Examples of dynamic dimensions are 2 or more: the exporter takes 0 and 1 for constants. Equal
# dimensions are named once; the exporter finds out that the others are the same.
_SAME = torch.export.Dim.DYNAMIC


def _encoder(sam: Sam) -> Traceable:
    side = sam.image_encoder.img_size
    return Traceable(
        EncoderGraph(sam).eval(),
        {"image": torch.zeros(2, 3, side, side)},
        {"image": {0: "images"}},
        ("image_embeddings",),
    )


def _decoder(sam: Sam) -> Traceable:
    rows, columns = sam.prompt_encoder.image_embedding_size
    objects, points = 2, 3
    return Traceable(
        DecoderGraph(sam).eval(),
        {
            "image_embeddings": torch.zeros(1, sam.prompt_encoder.embed_dim, rows, columns),
            "point_coords": torch.zeros(objects, points, 2),
            "point_labels": torch.ones(objects, points, dtype=torch.int64),
            "mask_input": torch.zeros(objects, 1, *sam.prompt_encoder.mask_input_size),
            "has_mask_input": torch.zeros(1),
        },
        {
            "image_embeddings": None,
            "point_coords": {0: "objects", 1: "points"},
            "point_labels": {0: _SAME, 1: _SAME},
            "mask_input": {0: _SAME},
            "has_mask_input": None,
        },
        ("low_res_masks", "iou_predictions"),
    )


def _box(sam: Sam) -> Traceable:
    side, objects = sam.image_encoder.img_size, 2
    return Traceable(
        BoxGraph(sam).eval(),
        {
            "image": torch.zeros(1, 3, side, side),
            "boxes": torch.tensor([0.0, 0.0, side, side]).expand(1, objects, 4).contiguous(),
        },
        {"image": None, "boxes": {1: "objects"}},
        ("logits", "iou_predictions"),
    )
