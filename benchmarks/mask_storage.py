"""Bytes on disk per image: masks and label maps as the store keeps them, against other forms.

    python benchmarks/mask_storage.py --size 1500x2250 --masks 100 --images 8
    python benchmarks/mask_storage.py --sa1b sa_1.json sa_2.json

Images are drawn (`sam_like_scene.py`), or masks come from files of SA-1B. "stored" is the Parquet
file of a shard of all these images, divided by their number; what is written is read back and
compared.
"""

import argparse
import io
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="1500x2250")
    parser.add_argument("--masks", type=int, default=100)
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--sa1b", nargs="*", default=[], help="files of SA-1B instead")
    options = parser.parse_args()

    if options.sa1b:
        images = [read_sa1b(Path(name)) for name in options.sa1b]
        maps = []
    else:
        from sam_like_scene import describe, sam_like_scene

        rows, columns = map(int, options.size.split("x"))
        scenes = [
            sam_like_scene((rows, columns), options.masks, seed=i) for i in range(options.images)
        ]
        print(describe(scenes[0]))
        images, maps = [scene.records for scene in scenes], [scene.label_map for scene in scenes]
    with tempfile.TemporaryDirectory() as folder:
        stored = store_masks(images, folder)
        report("masks", {
            "stored": stored,
            "SA-1B JSON": [len(sa1b_json(i, records)) for i, records in enumerate(images)],
            "a PNG per mask": [sum(map(mask_png, records)) for records in images],
            "npz of bool": [mask_npz(records) for records in images],
        }, sum(map(len, images)) / len(images))  # fmt: skip
        if maps:
            report("label map", {
                "stored": store_maps(maps, folder),
                "grey PNG": [map_png(label_map) for label_map in maps],
                "npz of int32": [npz(label_map.astype(np.int32)) for label_map in maps],
            }, 1)  # fmt: skip


def report(what: str, sizes: dict[str, Any], per_image: float) -> None:
    """Mean bytes per image of each form, and how many times the stored one it takes."""
    stored = np.mean(sizes["stored"])
    print(f"{what}, {per_image:.0f} per image:")
    for form, values in sizes.items():
        print(f"  {form}: {np.mean(values) / 1000:.1f} kB, {np.mean(values) / stored:.2f}x")


def store_masks(images: list[list[Any]], folder: str) -> float:
    """Bytes per image in the shard's part."""
    from seg_assets.masks.records import MaskRecord
    from seg_assets.storage.store import Store

    store = Store(folder)
    names = [f"image_{i:03}" for i in range(len(images))]
    with store.write_shard("sam_masks", "s", names, {"made": "here"}) as writer:
        for name, records in zip(names, images, strict=True):
            writer.add(name, [record.to_row(name, i) for i, record in enumerate(records)])
    shard = store.open_shard("sam_masks", "s")
    for name, records in zip(names, images, strict=True):
        assert [MaskRecord.from_row(row) for row in shard.rows(name)] == records
    return part_bytes(Path(folder) / "sam_masks") / len(images)


def store_maps(maps: list[np.ndarray], folder: str) -> float:
    """Bytes per image in the shard's part."""
    from seg_assets.classes.table import load_class_table
    from seg_assets.storage.png import decode_label_map, png_cell
    from seg_assets.storage.store import Store

    store, palette = Store(folder), load_class_table("cityscapes19").palette()
    names = [f"image_{i:03}" for i in range(len(maps))]
    with store.write_shard("semantic_maps", "s", names, {"made": "here"}) as writer:
        for name, label_map in zip(names, maps, strict=True):
            writer.add(name, [{"label_map": png_cell(label_map, palette, name)}])
    shard = store.open_shard("semantic_maps", "s")
    for name, label_map in zip(names, maps, strict=True):
        found = decode_label_map(shard.rows(name)[0]["label_map"]["bytes"])
        np.testing.assert_array_equal(found, label_map)
    return part_bytes(Path(folder) / "semantic_maps") / len(maps)


def part_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*.parquet"))


def sa1b_json(image: int, records: list[Any]) -> bytes:
    """A file as SA-1B's are: no spaces, counts as text."""
    from seg_assets.masks.annotations import annotation

    rle = records[0].rle
    content = {
        "image": {
            "image_id": image,
            "width": rle.width,
            "height": rle.height,
            "file_name": f"sa_{image}.jpg",
        },
        "annotations": [
            {"id": i, **annotation(record, "coco_rle")} for i, record in enumerate(records)
        ],
    }
    return json.dumps(content, separators=(",", ":")).encode()


def read_sa1b(path: Path) -> list[Any]:
    """The records of a file."""
    from seg_assets.masks.records import MaskRecord
    from seg_assets.masks.rle import Rle

    records = []
    for entry in json.loads(path.read_text())["annotations"]:
        rle = Rle.from_coco(entry["segmentation"])
        row = {name: value for name, value in entry.items() if name != "segmentation"}
        row |= {"height": rle.height, "width": rle.width, "rle_counts": rle.counts}
        records.append(MaskRecord.from_row(row))
    return records


def mask_png(record: Any) -> int:
    """Bytes of a PNG of 0 and 255, as the package's script writes one per mask."""
    import cv2

    return len(cv2.imencode(".png", record.rle.decode() * np.uint8(255))[1])


def map_png(label_map: np.ndarray) -> int:
    import cv2

    return len(cv2.imencode(".png", label_map)[1])


def mask_npz(records: list[Any]) -> int:
    """Bytes of the masks as uncompressed arrays, as upstream saves arrays."""
    return sum(npz(record.rle.decode()) for record in records)


def npz(array: np.ndarray) -> int:
    file = io.BytesIO()
    np.savez(file, array)
    return file.getbuffer().nbytes


if __name__ == "__main__":
    main()
