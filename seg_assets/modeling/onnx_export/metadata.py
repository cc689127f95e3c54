"""What an exported graph says about itself, so that it can be used without this project.

Nothing here imports torch.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal, cast, get_args

from seg_assets.errors import InputError

GraphKind = Literal["encoder", "decoder", "box"]
GRAPH_KINDS: tuple[GraphKind, ...] = get_args(GraphKind)

# Versions of ONNX's operators; 18 is the first that torch's exporter writes.
OPSETS = range(18, 24)
DEFAULT_OPSET = OPSETS[0]

_PIXELS = (
    "float32 RGB; long side scaled to image_size, then (pixel - mean) / std of pixels from 0 to "
    "255, then zeros below and to the right; the graph does none of this"
)


@dataclass(frozen=True)
class GraphMetadata:
    """Properties of one graph, kept in the file's ONNX metadata.

    Attributes:
        graph: Which of SAM's graphs it is.
        model: The model's name in the manifest.
        checkpoint_sha256: Hash of the weights that it was exported from.
        trained: False where seeded random weights stood in.
        licence: SPDX identifier of the weights' licence.
        version: This project's version.
        image_size: Side of the square input in pixels.
        mean: RGB mean to subtract from pixels, 0..255 scale; the graphs do not normalise.
        std: RGB standard deviation to divide by, 0..255 scale.
        mask_threshold: A pixel is in the mask where its logit is greater.
    """

    graph: GraphKind
    model: str
    checkpoint_sha256: str
    trained: bool
    licence: str
    version: str
    image_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    mask_threshold: float

    def to_properties(self) -> dict[str, str]:
        """Text by name: strings as they are, all else as JSON, and `pixels` for human readers."""
        values = {
            name: value if isinstance(value, str) else json.dumps(value)
            for name, value in asdict(self).items()
        }
        return values | {"pixels": _PIXELS}

    @classmethod
    def from_properties(cls, properties: Mapping[str, str], path: Path) -> "GraphMetadata":
        """Read what `to_properties` wrote.

        Args:
            properties: The metadata of an ONNX file.
            path: The file, for the error.

        Raises:
            InputError: This project has not written it.
        """
        try:
            if (kind := properties["graph"]) not in GRAPH_KINDS:
                raise ValueError(kind)
            return cls(
                graph=cast(GraphKind, kind),
                model=properties["model"],
                checkpoint_sha256=properties["checkpoint_sha256"],
                trained=bool(json.loads(properties["trained"])),
                licence=properties["licence"],
                version=properties["version"],
                image_size=int(json.loads(properties["image_size"])),
                mean=_three(properties["mean"]),
                std=_three(properties["std"]),
                mask_threshold=float(json.loads(properties["mask_threshold"])),
            )
        except (KeyError, ValueError, TypeError) as error:
            needed = ", ".join(field.name for field in fields(cls))
            raise InputError(
                f"{path} is no graph of `seg-assets models export`: its metadata must have {needed}"
            ) from error


def _three(text: str) -> tuple[float, float, float]:
    red, green, blue = (float(value) for value in json.loads(text))
    return red, green, blue
