"""Make torchvision importable when its compiled operators do not load.

Import this module before torchvision and before every package that imports torchvision
(segment_anything, open_clip, timm, transformers)::

    import seg_assets.modeling.torchvision_cpu  # noqa: F401

    # isort: split
    from segment_anything import SamPredictor

Why: torchvision's ordinary wheel links against the CUDA runtime. Beside a CPU-only torch its
``_C`` extension cannot be loaded, the operator ``torchvision::nms`` is then missing, and
``import torchvision`` itself fails while it registers shapes for that operator. The repair is to
declare the two operators which the import asks for (``nms`` and ``qnms``) and to implement ``nms``
with torch; transforms, models and roi_align need nothing compiled. What stays unavailable are
torchvision's own decoders, roi_pool and deform_conv. An installation whose operators load is left
exactly as it is.
"""

import importlib.util
from pathlib import Path

import torch

# Operators exist as long as the library object that declares them does.
_declared: list[torch.library.Library] = []


def nms(dets: torch.Tensor, scores: torch.Tensor, iou_threshold: float) -> torch.Tensor:
    """Greedy non-maximum suppression with the semantics of ``torchvision.ops.nms`` on a CPU.

    Args:
        dets: Boxes as x0, y0, x1, y1, (N, 4), floating point.
        scores: (N,); equal scores keep their order.
        iou_threshold: A box goes when its IoU with a better kept one is greater than this.

    Returns:
        Indices of the kept boxes by descending score, (K,) int64.
    """
    order = torch.sort(scores, descending=True, stable=True).indices
    x0, y0, x1, y1 = dets[order].unbind(1)
    areas = (x1 - x0) * (y1 - y0)
    alive = torch.ones(len(order), dtype=torch.bool)
    for i in range(len(order)):
        if not alive[i]:
            continue
        rest = slice(i + 1, None)
        width = (torch.minimum(x1[i], x1[rest]) - torch.maximum(x0[i], x0[rest])).clamp(min=0)
        height = (torch.minimum(y1[i], y1[rest]) - torch.maximum(y0[i], y0[rest])).clamp(min=0)
        inter = width * height
        iou = inter / (areas[i] + areas[rest] - inter)
        # The threshold is a double: comparing in float32 would round it first. An IoU of two
        # boxes without area is NaN, which suppresses nothing.
        alive[rest] &= ~(iou.double() > iou_threshold)
    return order[alive]


def ensure_torchvision() -> bool:
    """Import torchvision, declaring the missing operators first where that is needed.

    Calling it again changes nothing.

    Returns:
        True when torchvision runs with the operators of this module, False when with its own.
    """
    if not _declared and torch.version.cuda is None and not _native_operators_load():
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.impl("nms", nms, "CPU")
        _declared.append(library)

    import torchvision.extension  # noqa: PLC0415  (must come after the declaration)

    if _declared:
        # Guards every call of nms. Modules that copied the old value (roi_align) keep taking
        # their pure torch path, which is what they have to do.
        torchvision.extension._has_ops = lambda: True
    return bool(_declared)


def _native_operators_load() -> bool:
    """Whether torchvision's own extension loads, or somebody declared its operators before us."""
    if hasattr(torch.ops.torchvision, "nms"):
        return True
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        return True  # not installed: let the import say so
    folder = Path(spec.origin).parent
    for extension in (*folder.glob("_C*.so"), *folder.glob("_C*.pyd")):
        try:
            torch.ops.load_library(extension)
        except OSError:
            continue
        return True
    return False


ensure_torchvision()
