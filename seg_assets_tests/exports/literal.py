"""Images with labels written down in the test."""

from collections.abc import Mapping

import numpy as np

from seg_assets.classes.table import ClassTable, SemanticClass
from seg_assets.exports.format import ExportImage
from seg_assets.exports.labels import ImageLabels, MaskName
from seg_assets.masks.records import MaskRecord
from seg_assets.masks.rle import Rle
from seg_assets.storage.png import encode_label_map

TABLE = ClassTable(
    "small",
    "three classes",
    (
        SemanticClass(0, "sky", (10, 20, 200), is_thing=False),
        SemanticClass(1, "car", (200, 0, 0), is_thing=True),
        SemanticClass(2, "dog", (0, 200, 0), is_thing=True),
    ),
)


class LiteralNaming:
    """Owners and names as the test says."""

    def __init__(self, owners: np.ndarray, names: Mapping[int, MaskName]) -> None:
        self._owners, self._names = owners, names

    def owners(self, labels: ImageLabels) -> np.ndarray:
        return self._owners

    def names(self, labels: ImageLabels) -> Mapping[int, MaskName]:
        return self._names


def rows_of(*rows: str, none: int = 0) -> np.ndarray:
    """One digit per pixel; a dot is `none`."""
    return np.array([[none if c == "." else int(c) for c in row] for row in rows])


def image_of(
    label_map: np.ndarray,
    owners: np.ndarray | None = None,
    *,
    image_id: str = "one",
    number: int = 1,
) -> ExportImage:
    """An image; each owner is a mask with the score 1 / (its id + 2)."""
    height, width = label_map.shape
    count = 0 if owners is None else int(owners.max())
    records = []
    for mask_id in range(count):
        rle = Rle.encode(owners == mask_id + 1)
        x0, y0, x1, y1 = rle.corners
        points = ((float(x0), float(y0)),)
        box = (x0, y0, x1 - x0, y1 - y0)
        records.append(MaskRecord(rle, box, rle.area, 0.9, 0.8, points, (0, 0, width, height)))
    naming = None
    if owners is not None:
        names = {
            i: MaskName(int(label_map[owners == i + 1][0]), 1 / (i + 2), (("car", 0.5),))
            for i in range(count)
        }
        naming = LiteralNaming(owners.astype(np.int32), names)
    png = encode_label_map(label_map.astype(np.uint8), TABLE.palette())
    return ExportImage(
        shard="shard",
        image_id=image_id,
        number=number,
        name=image_id,
        file_name=f"{image_id}.jpg",
        height=height,
        width=width,
        labels=ImageLabels(lambda: png, lambda: tuple(records), naming),
        picture=None,
    )
