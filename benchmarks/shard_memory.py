"""Peak memory of the whole chain over a shard of 8 and of 64 images: it must not grow.

    python benchmarks/shard_memory.py [--images 8 64] [--size 384]

Each shard runs in a process of its own, on generated scenes, with the demo's small models. What is
printed is the largest resident size of that process, and the part above its size before the first
image.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path


def run_shard(folder: Path, images: int, size: int) -> None:
    """Run the chain in this process and print its memory as JSON."""
    import torch

    from seg_assets.data.scenes import write_scenes
    from seg_assets.data.shards import register_shards
    from seg_assets.data.sources import find_shards
    from seg_assets.labels.params import LabelParams
    from seg_assets.labels.seem_labeler import load_seem_labeler
    from seg_assets.masks.params import MaskParams
    from seg_assets.modeling.sam import load_sam
    from seg_assets.stages.evaluation import score_maps
    from seg_assets.stages.maps import merge_maps, paint_semantic_maps
    from seg_assets.stages.raw_images import record_raw_images
    from seg_assets.stages.run import peak_memory_mib
    from seg_assets.stages.sam_masks import generate_sam_masks
    from seg_assets.stages.seem_labels import label_with_seem
    from seg_assets.storage.store import Store

    torch.set_num_threads(1)
    write_scenes(folder / "scenes", range(images), size)
    shard = find_shards(
        folder / "scenes" / "images",
        prefix="scenes",
        shard_size=images,
        label_root=folder / "scenes" / "labels",
        label_format="png:coco133",
    )[0]
    store = Store(folder / "store")
    register_shards(store, [shard])
    load_sam("sam_demo")
    load_seem_labeler("seem_demo")
    before = peak_memory_mib()
    record_raw_images(store, shard)
    generate_sam_masks(store, shard.name, sam="sam_demo", params=MaskParams.preset("demo"))
    label_with_seem(store, shard.name, seem="seem_demo", params=LabelParams())
    paint_semantic_maps(store, shard.name)
    merge_maps(store, shard.name)
    score_maps(store, shard)
    print(json.dumps({"images": images, "before": before, "peak": peak_memory_mib()}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, nargs="+", default=[8, 64])
    parser.add_argument("--size", type=int, default=384)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one is not None:
        with tempfile.TemporaryDirectory() as folder:
            run_shard(Path(folder), options.one, options.size)
        return
    print("| images in the shard | peak MiB | above the loaded models, MiB |")
    print("| --- | --- | --- |")
    peaks = []
    for images in options.images:
        command = [sys.executable, __file__, "--one", str(images), "--size", str(options.size)]
        run = subprocess.run(command, capture_output=True, text=True, check=True)
        result = json.loads(run.stdout.splitlines()[-1])
        peaks.append(result["peak"])
        print(f"| {images} | {result['peak']:.0f} | {result['peak'] - result['before']:.0f} |")
    print(f"\nlast / first: {peaks[-1] / peaks[0]:.3f}")


if __name__ == "__main__":
    main()
