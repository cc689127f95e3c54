from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from seg_assets.errors import StoreError
from seg_assets.storage.manifest import ImageFailure, Manifest, PartRecord, fingerprint
from seg_assets.storage.schema import SCHEMAS

FAILURE = ImageFailure("b", "read", "it is truncated")
MANIFEST = Manifest(
    asset="merged_maps",
    shard="city",
    fingerprint="f" * 64,
    provenance={"model": "vit_b", "size": [1, 2]},
    parts=(
        PartRecord("part-00000-ffff.parquet", ("a", "b"), 1, 100, "00", (FAILURE,)),
        PartRecord("part-00001-ffff.parquet", ("ç",), 1, 50, "11", ()),
    ),
)
BASE: dict[str, Any] = {
    "asset": "merged_maps",
    "schema": SCHEMAS["merged_maps"],
    "provenance": {"x": 1, "y": 2},
    "image_ids": ["a", "b"],
    "images_per_part": 2,
}


def test_json_comes_back_equal() -> None:
    assert Manifest.from_json(MANIFEST.to_json(), "here") == MANIFEST


def test_totals_count_failed_images_too() -> None:
    assert MANIFEST.totals == {"images": 3, "failed": 1, "rows": 2, "bytes": 150}
    assert MANIFEST.image_ids == ["a", "b", "ç"]


def test_the_digest_follows_the_bytes_of_the_parts() -> None:
    changed = replace(MANIFEST.parts[1], sha256="12")
    other = replace(MANIFEST, parts=(MANIFEST.parts[0], changed))
    assert other.fingerprint == MANIFEST.fingerprint
    assert other.digest != MANIFEST.digest
    assert Manifest.from_json(MANIFEST.to_json(), "here").digest == MANIFEST.digest


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "here is damaged"),
        (b"[]", "here is damaged"),
        (b'{"format": 1}', "here is damaged"),
        (MANIFEST.to_json()[:-9], "here is damaged"),
        (b'{"format": 9}', "here has format 9, this version reads 1"),
    ],
)
def test_damaged_and_foreign_manifests_are_named(data: bytes, message: str) -> None:
    with pytest.raises(StoreError, match=message):
        Manifest.from_json(data, "here")


def test_the_order_of_provenance_keys_does_not_count() -> None:
    assert fingerprint(**BASE | {"provenance": {"y": 2, "x": 1}}) == fingerprint(**BASE)


def test_descriptions_of_columns_do_not_count() -> None:
    schema = pa.schema([field.remove_metadata() for field in SCHEMAS["merged_maps"]])
    assert fingerprint(**BASE | {"schema": schema}) == fingerprint(**BASE)


@pytest.mark.parametrize(
    "change",
    [
        {"asset": "semantic_maps"},
        {"schema": SCHEMAS["seem_labels"]},
        {"provenance": {"x": 1, "y": 3}},
        {"image_ids": ["b", "a"]},
        {"images_per_part": 1},
    ],
)
def test_everything_that_decides_the_bytes_counts(change: dict[str, Any]) -> None:
    assert fingerprint(**BASE | change) != fingerprint(**BASE)
