from typing import Any

import numpy as np
import pytest

from seg_assets.errors import StoreError
from seg_assets.storage.rows import rows_to_table
from seg_assets.storage.schema import SCHEMAS

METRICS = {"method": "seem", "table": "camvid11", "pixels": 4, "ignored": 0, "confusion": [1, 2]}
METRICS |= {"boundary": None, "panoptic": None, "instances": None}
PICTURE = {"bytes": b"png", "path": "a.png"}


def convert(asset: str, *rows: dict[str, Any]) -> list[dict[str, Any]]:
    return rows_to_table(SCHEMAS[asset], "a", rows, f"{asset}/city, image a").to_pylist()


def test_the_image_id_is_filled_in() -> None:
    assert convert("evaluation_metrics", METRICS) == [{"image_id": "a", **METRICS}]


def test_no_rows_are_an_empty_table() -> None:
    assert convert("evaluation_metrics") == []


def test_optional_columns_may_be_left_out() -> None:
    assert convert("shards", {"uri": "a.jpg"})[0]["offset"] is None


def test_numpy_values_are_taken() -> None:
    row = METRICS | {"pixels": np.int64(4), "confusion": np.array([1, 2])}
    assert convert("evaluation_metrics", row) == [{"image_id": "a", **METRICS}]


@pytest.mark.parametrize(
    ("asset", "row", "message"),
    [
        ("evaluation_metrics", METRICS | {"extra": 1}, r"unknown columns \['extra'\]"),
        ("evaluation_metrics", {"table": "t"}, "lacks columns"),
        ("evaluation_metrics", METRICS | {"image_id": "b"}, "belongs to image 'b'"),
        ("evaluation_metrics", METRICS | {"table": None}, "column table of .* 1 nulls"),
        ("evaluation_metrics", METRICS | {"pixels": "many"}, "column pixels of .* int64"),
        ("evaluation_metrics", METRICS | {"pixels": 2**63}, "column pixels"),
        ("merged_maps", {"label_map": None}, "column label_map of .* nulls"),
        ("merged_maps", {"label_map": b"png"}, "mappings with keys"),
        ("merged_maps", {"label_map": {"bytes": b"png"}}, "mappings with keys"),
        ("merged_maps", {"label_map": {**PICTURE, "size": 1}}, "mappings with keys"),
    ],
)
def test_rows_that_break_the_schema_are_refused(asset: str, row: dict, message: str) -> None:
    with pytest.raises(StoreError, match=message) as caught:
        convert(asset, row)
    assert f"{asset}/city, image a" in str(caught.value)
