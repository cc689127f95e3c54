"""A small folder of pictures with ground truth, to build data sets from."""

from pathlib import Path

import numpy as np
from PIL import Image

from seg_assets.data.shards import Shard
from seg_assets.data.sources import find_shards

SIZE = (48, 64)


def label_map(number: int) -> np.ndarray:
    """Ids of cityscapes19: sky (10), road (0), two cars (13), a person (11), a part unlabelled."""
    ids = np.zeros(SIZE, np.uint8)
    ids[:20] = 10
    ids[25:35, 5:20] = 13
    ids[25 + number : 35 + number, 40:50] = 13
    ids[22:40, 30:34] = 11
    ids[44:, :8] = 255
    return ids


def write_street(folder: Path, count: int = 3) -> None:
    """images/<name>.jpg or .png and labels/<name>.png, in a folder below."""
    for kind in ("images", "labels", "instances"):
        (folder / kind / "city").mkdir(parents=True)
    for number in range(count):
        ids = label_map(number)
        colors = np.random.default_rng(number).integers(0, 256, (256, 3)).astype(np.uint8)
        suffix = "jpg" if number else "png"
        Image.fromarray(colors[ids]).save(folder / f"images/city/street_{number}.{suffix}")
        Image.fromarray(ids).save(folder / f"labels/city/street_{number}.png")
        instances = np.zeros(SIZE, np.uint16)
        instances[:, 30:60] = 300  # the right car and the person; the left car is a crowd
        Image.fromarray(instances).save(folder / f"instances/city/street_{number}.png")


def street_shards(folder: Path, **options) -> list[Shard]:
    return find_shards(
        folder / "images",
        prefix="street",
        label_root=folder / "labels",
        label_format="png:cityscapes19",
        **options,
    )


def files(root: Path) -> dict[str, bytes]:
    """All files below a folder by relative name, hidden ones too."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }
