"""README.md of a Hugging Face data set: where its files are, what the columns and classes mean."""

import pyarrow as pa

from seg_assets.classes.table import IGNORE_ID, ClassTable

_HEADER = """\
---
task_categories:
- image-segmentation
configs:
- config_name: default
  data_files:
  - split: train
    path: data/train-*.parquet
---
"""

_MEANINGS = {
    "image": "the picture, upright",
    "label_map": f"class id of each pixel, {IGNORE_ID} = no label",
    "image_id": "name of the image in its shard",
    "shard": "the shard that the image was labelled in",
    "classes": "the ids that the label map holds",
}


def dataset_card(table: ClassTable, schema: pa.Schema, images: int) -> bytes:
    """Write the card.

    Args:
        table: the classes of the label maps.
        schema: the columns.
        images: number of rows.
    """
    lines = [
        f"# {table.title}",
        "",
        f"{images} images with label maps made by seg_assets (predictions, not ground truth).",
        "",
        "| column | meaning |",
        "| --- | --- |",
        *(f"| {name} | {_MEANINGS[name]} |" for name in schema.names),
        "",
        f"## Classes ({table.name})",
        "",
        "| id | name | colour (RGB) |",
        "| --- | --- | --- |",
        *(f"| {c.id} | {c.name} | {', '.join(map(str, c.color))} |" for c in table.classes),
    ]
    return (_HEADER + "\n" + "\n".join(lines) + "\n").encode()
