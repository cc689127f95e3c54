import json

import pytest

from seg_assets.storage.schema import PNG, SCHEMAS, description_of, is_required

ASSETS = [
    "shards",
    "raw_images",
    "sam_masks",
    "seem_logits",
    "seem_labels",
    "region_labels",
    "semantic_maps",
    "merged_maps",
    "ssa_masks",
    "ssa_maps",
    "evaluation_metrics",
    "evaluation_masks",
    "evaluation_objects",
    "training_panoptic",
    "training_semantic",
    "training_grounding",
    "errors",
]


def test_there_is_a_schema_for_every_asset() -> None:
    assert list(SCHEMAS) == ASSETS


@pytest.mark.parametrize("asset", ASSETS)
def test_every_column_is_described_and_the_first_names_the_image(asset: str) -> None:
    assert SCHEMAS[asset].names[0] == "image_id"
    assert all(description_of(field) for field in SCHEMAS[asset])


@pytest.mark.parametrize("asset", ["seem_labels", "semantic_maps", "merged_maps"])
def test_pictures_are_required_and_declared_to_hugging_face(asset: str) -> None:
    schema = SCHEMAS[asset]
    pictures = {field.name for field in schema if field.type == PNG}
    features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    assert features == {name: {"_type": "Image"} for name in pictures}
    assert all(is_required(schema.field(name)) for name in pictures)


def test_what_may_be_missing() -> None:
    found = {
        asset: {field.name for field in schema if not is_required(field)}
        for asset, schema in SCHEMAS.items()
    }
    assert {asset: optional for asset, optional in found.items() if optional} == {
        "shards": {"offset", "size", "label_uri"},
        "raw_images": {"offset", "size"},
        "seem_logits": {"dense_scores"},
        "seem_labels": {"confidence", "margin"},
        "evaluation_metrics": {"boundary", "panoptic", "instances"},
        "evaluation_objects": {"mask_id"},
    }
