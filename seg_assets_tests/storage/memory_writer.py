"""Writes and reads a shard of N images with 1 MB rows; prints the peak resident size in kB.

python -m seg_assets_tests.storage.memory_writer ROOT N
"""

import resource
import sys

import numpy as np

from seg_assets.storage.schema import SCHEMAS
from seg_assets.storage.store import Store

SIZES = [name for name in SCHEMAS["seem_logits"].names if name.endswith(("height", "width"))]

if __name__ == "__main__":
    root, count = sys.argv[1], int(sys.argv[2])
    store, random = Store(root), np.random.default_rng(0)
    image_ids = [f"image_{number:03d}" for number in range(count)]
    with store.write_shard("seem_logits", "s", image_ids, {}) as writer:
        for image_id in writer.pending:
            row = dict.fromkeys([*SIZES, "queries"], 1)
            writer.add(image_id, [{**row, "class_logits": b"", "mask_logits": random.bytes(2**20)}])
    for _, rows in store.open_shard("seem_logits", "s"):
        assert len(rows[0]["mask_logits"]) == 2**20
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
