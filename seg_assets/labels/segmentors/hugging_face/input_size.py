"""In what size a model of Hugging Face sees an image."""

from collections.abc import Mapping
from typing import Any

# Networks that take images of any shape, and whose published processors squeeze them into a square.
ANY_SHAPE = ("segformer", "upernet", "maskformer", "mask2former", "oneformer")

STRIDE = 32  # of the deepest features of all of them; sides are multiples of it
LONGEST = 4  # times the short side, as ADE20K's published settings have it (2560 and 640)


def size_arguments(
    processor: Any, model_type: str, image_size: tuple[int, int], keep_aspect: bool
) -> dict[str, Any]:
    """What an image processor is told about the size of this image.

    Processors that keep the aspect ratio are left as they are. One with a fixed size sees the image
    undistorted, its short side as long as that size's, where the network allows it. One that cuts
    the centre out scales the whole image to the size of the cut instead, so that labels cover it.

    Args:
        processor: an image processor of transformers.
        model_type: what the configuration calls the architecture.
        image_size: (H, W) of the image.
        keep_aspect: False for the processor's own size.

    Returns:
        Keyword arguments of the processor's call.
    """
    if getattr(processor, "do_center_crop", False):
        return {"do_center_crop": False, "size": _fixed(processor.crop_size)}
    fixed = _fixed(processor.size)
    if not (keep_aspect and fixed and model_type in ANY_SHAPE and processor.do_resize):
        return {}
    rows, columns = aspect_true_size(*image_size, min(fixed.values()))
    return {"size": {"height": rows, "width": columns}}


def aspect_true_size(height: int, width: int, short_side: int) -> tuple[int, int]:
    """Rows and columns of the image when its short side is scaled, to the nearest multiples of 32.

    Of images longer than four times their width the long side decides, so that memory is bounded.
    """
    scale = min(short_side / min(height, width), LONGEST * short_side / max(height, width))
    rows, columns = (max(1, round(side * scale / STRIDE)) * STRIDE for side in (height, width))
    return rows, columns


def _fixed(size: Mapping[str, int | None] | Any) -> dict[str, int]:
    """Height and width, where the processor has them."""
    height, width = size.get("height"), size.get("width")
    return {} if height is None or width is None else {"height": height, "width": width}
