"""Any semantic segmentation model of transformers as a segmentor.

Networks with a score per class and pixel (SegFormer, UperNet, DPT, BEiT ...) give their logits.
Networks that classify masks (MaskFormer, Mask2Former, OneFormer) give the sum over all queries of
class probability times mask probability, at the masks' resolution. Labels are those of
transformers' own `post_process_semantic_segmentation`.
"""

from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from seg_assets.classes.table import ClassTable
from seg_assets.data.images import check_rgb
from seg_assets.labels.segmentors.hugging_face.class_argmax import class_argmax
from seg_assets.labels.segmentors.hugging_face.input_size import size_arguments
from seg_assets.labels.segmentors.protocol import Segmentation
from seg_assets.modeling.precision import Precision

# Architectures that classify masks, of those for universal segmentation.
MASK_CLASSIFIERS = ("maskformer", "mask2former", "oneformer")

# transformers scales Mask2Former's masks to this size before it adds them up, whatever the input.
MASK2FORMER_SIZE = (384, 384)


class HuggingFaceSegmentor:
    """A network, its image processor and its classes."""

    def __init__(
        self,
        network: Any,
        processor: Any,
        classes: ClassTable,
        *,
        task_tokens: Tensor | None = None,
        keep_aspect: bool = True,
        align_corners: bool = False,
        precision: Precision = "float32",
    ) -> None:
        """Take a network into use.

        Args:
            network: a `PreTrainedModel` in evaluation mode, on its device.
            processor: its image processor.
            classes: the table of its class ids.
            task_tokens: (1, T) int64, what OneFormer is told; None for all others.
            keep_aspect: see `size_arguments`.
            align_corners: how scores are scaled to the image; see `SsaParams`.
            precision: of the large matrix products.
        """
        self.classes = classes
        self._network = network
        self._processor = processor
        self._task_tokens = task_tokens
        self._keep_aspect = keep_aspect
        self._align_corners = align_corners
        self._precision = precision

    @torch.inference_mode()
    def segment(self, image_id: str, image: np.ndarray) -> Segmentation:
        """Label an image, (H, W, 3) uint8 RGB; see `Segmentor.segment`."""
        check_rgb(image)
        size = (image.shape[0], image.shape[1])
        device = self._network.device
        inputs = {"pixel_values": self._pixels(image, size).to(device)}
        if self._task_tokens is not None:
            inputs["task_inputs"] = self._task_tokens.to(device)
        dtype = getattr(torch, self._precision)
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            output = self._network(**inputs)
        scores = class_scores(output, self._network.config.model_type)
        label_map = class_argmax(scores, size, align_corners=self._align_corners)
        return Segmentation(label_map, scores.cpu().numpy())

    def _pixels(self, image: np.ndarray, size: tuple[int, int]) -> Tensor:
        """The network's input, (1, 3, rows, columns) float32."""
        model_type = self._network.config.model_type
        sizes = size_arguments(self._processor, model_type, size, self._keep_aspect)
        # OneFormer's processor insists on tasks, of which it makes nothing without label maps.
        tasks = {} if self._task_tokens is None else {"task_inputs": ["semantic"]}
        # A picture is RGB for every processor; of an array it would guess which axis is colour.
        picture = Image.fromarray(image)
        return self._processor(images=picture, return_tensors="pt", **tasks, **sizes)[
            "pixel_values"
        ]


def class_scores(output: Any, model_type: str) -> Tensor:
    """Score of each class at each pixel of the network's own resolution.

    Args:
        output: of the network, for one image.
        model_type: what its configuration calls the architecture.

    Returns:
        (C, h, w) float32.
    """
    if model_type not in MASK_CLASSIFIERS:
        return output.logits[0].float()
    masks = output.masks_queries_logits.float()  # (1, queries, h, w)
    if model_type == "mask2former":
        masks = functional.interpolate(masks, MASK2FORMER_SIZE, mode="bilinear")
    # the last class is "no object"
    classes = output.class_queries_logits.float().softmax(-1)[..., :-1]
    return torch.einsum("bqc,bqhw->bchw", classes, masks.sigmoid())[0]
