import numpy as np
import pyarrow as pa

from seg_assets.masks.records import MaskRecord
from seg_assets.masks.rle import Rle
from seg_assets.storage.schema import SCHEMAS

RECORD = MaskRecord(
    rle=Rle.encode(np.array([[0, 1, 1], [0, 1, 0]], np.uint8)),
    bbox=(1, 0, 1, 1),
    area=3,
    predicted_iou=0.9375,
    stability_score=0.5,
    point_coords=((1.5, 0.25),),
    crop_box=(0, 0, 3, 2),
)


def test_a_row_has_the_columns_of_the_sam_masks_asset():
    row = RECORD.to_row("city/frame_01", 7)
    assert sorted(row) == sorted(SCHEMAS["sam_masks"].names)
    assert (row["image_id"], row["mask_id"], row["height"], row["width"]) == (
        "city/frame_01",
        7,
        2,
        3,
    )


def test_the_record_survives_the_table():
    table = pa.Table.from_pylist([RECORD.to_row("a", 0)], schema=SCHEMAS["sam_masks"])
    assert MaskRecord.from_row(table.to_pylist()[0]) == RECORD
