"""Mask records as the dicts that the segment-anything package gives."""

from typing import Any, Literal, get_args

from seg_assets.errors import InputError
from seg_assets.masks.records import MaskRecord

OutputMode = Literal["binary_mask", "uncompressed_rle", "coco_rle"]


def check_output_mode(mode: str) -> None:
    """Refuse an unknown mode.

    Raises:
        InputError: It is none of the package's three.
    """
    if mode not in get_args(OutputMode):
        raise InputError(
            f"no output mode is called '{mode}'; choose one of: {', '.join(get_args(OutputMode))}"
        )


def annotation(record: MaskRecord, mode: OutputMode) -> dict[str, Any]:
    """A record under the keys of `SamAutomaticMaskGenerator`.

    Args:
        record: The mask.
        mode: Form of the segmentation: (H, W) bool; size and counts as a list; or as text.
    """
    return {
        "segmentation": _segmentation(record, mode),
        "area": record.area,
        "bbox": list(record.bbox),
        "predicted_iou": record.predicted_iou,
        "point_coords": [list(point) for point in record.point_coords],
        "stability_score": record.stability_score,
        "crop_box": list(record.crop_box),
    }


def _segmentation(record: MaskRecord, mode: OutputMode) -> Any:
    if mode == "binary_mask":
        return record.rle.decode()
    if mode == "coco_rle":
        return record.rle.to_coco()
    return {"size": [record.rle.height, record.rle.width], "counts": record.rle.runs().tolist()}
