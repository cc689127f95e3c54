"""A small shard that tests write again and again."""

import hashlib
from pathlib import Path
from typing import Any

from seg_assets.storage.store import Store

ASSET, SHARD = "evaluation_metrics", "city"
IMAGES = [f"street/{number:03d}" for number in range(10)]
BAD = "street/004"


def rows_of(image_id: str, factor: int = 1) -> list[dict[str, Any]]:
    number = int(image_id[-3:]) * factor
    return [
        {
            "method": "seem",
            "table": "camvid11",
            "pixels": number,
            "ignored": 0,
            "confusion": [number, 1, 2],
            "boundary": None,
            "panoptic": None,
            "instances": None,
        }
        for _ in range(int(image_id[-3:]) % 3)  # every third image has no rows
    ]


def write(
    store: Store,
    *,
    factor: int = 1,
    images: list[str] = IMAGES,
    stop: type[BaseException] | None = None,
    after: int = 0,
    **options: Any,
) -> int:
    """Write the shard; return how many images were done. `stop` is raised `after` some images."""
    options = {"images_per_part": 3, **options}
    with store.write_shard(ASSET, SHARD, images, {"factor": factor}, **options) as writer:
        for done, image_id in enumerate(writer.pending):
            if stop is not None and done == after:
                raise stop
            if image_id == BAD:
                writer.fail(image_id, "read", "it is truncated")
            else:
                writer.add(image_id, rows_of(image_id, factor))
        return len(writer.pending)


def contents(store: Store) -> dict[str, list[dict[str, Any]]]:
    return dict(store.open_shard(ASSET, SHARD))


def expected(factor: int = 1) -> dict[str, list[dict[str, Any]]]:
    return {
        image_id: [{"image_id": image_id, **row} for row in rows_of(image_id, factor)]
        for image_id in IMAGES
        if image_id != BAD
    }


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
