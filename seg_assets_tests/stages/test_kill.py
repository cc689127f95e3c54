"""A run killed in the middle of a shard: the next run finishes it, byte for byte the same."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from seg_assets.data.shards import register_shards
from seg_assets.data.sources import find_shards
from seg_assets.storage.store import Store
from seg_assets_tests.conftest import REPOSITORY
from seg_assets_tests.stages.conftest import write_pictures

pytestmark = pytest.mark.usefixtures("tiny_models")

# Images take a moment each, so that the kill comes in the middle.
SCRIPT = """
import sys, time, torch
torch.set_num_threads(1)
from seg_assets.data.shards import load_shard
from seg_assets.labels.params import LabelParams
from seg_assets.masks.generator import MaskGenerator
from seg_assets.stages.raw_images import record_raw_images
from seg_assets.stages.sam_masks import generate_sam_masks
from seg_assets.stages.seem_labels import label_with_seem
from seg_assets.storage.store import Store
from seg_assets_tests.stages.conftest import EVERYTHING

store, delay = Store(sys.argv[1]), float(sys.argv[2])
generate = MaskGenerator.generate
def slowly(self, image):
    time.sleep(delay)
    return generate(self, image)
MaskGenerator.generate = slowly
shard = load_shard(store, "pictures_0000")
record_raw_images(store, shard)
report = generate_sam_masks(store, shard.name, sam="sam_tiny", params=EVERYTHING)
print("masks reused", report.reused)
report = label_with_seem(store, shard.name, seem="seem_demo", params=LabelParams())
print("labels reused", report.reused)
"""


def start(root: Path, delay: float) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(root), str(delay)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def digests(root: Path) -> dict[str, str]:
    """SHA-256 of every visible file of the assets."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for asset in ("raw_images", "sam_masks", "seem_logits", "seem_labels", "region_labels")
        for path in sorted((root / asset).rglob("*"))
        if path.is_file() and not any(p.startswith(".") for p in path.relative_to(root).parts)
    }


def wait_for(found, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < deadline, "nothing was written in time"
        time.sleep(0.02)


@pytest.mark.slow
def test_a_killed_run_goes_on_and_gives_the_same_bytes(tmp_path: Path) -> None:
    write_pictures(tmp_path / "pictures", 40)
    shards = find_shards(tmp_path / "pictures" / "images", prefix="pictures")
    calm, killed = tmp_path / "calm", tmp_path / "killed"
    for root in (calm, killed):
        register_shards(Store(root), shards)

    undisturbed = start(calm, 0.0)
    _, errors = undisturbed.communicate(timeout=300)
    assert undisturbed.returncode == 0, errors

    run = start(killed, 0.1)
    # 40 images are three parts of 16, 16 and 8; kill while the second one is being written
    unfinished = killed / ".pending" / "sam_masks"
    wait_for(lambda: list(unfinished.rglob("part-00000*.parquet")))
    time.sleep(0.5)
    run.send_signal(signal.SIGKILL)
    run.communicate()
    assert run.returncode == -signal.SIGKILL
    assert not Store(killed).is_complete("sam_masks", "pictures_0000")
    first = next(unfinished.rglob("part-00000*.parquet"))
    before = (first.stat().st_ino, first.stat().st_mtime_ns, first.read_bytes())

    again = start(killed, 0.0)
    output, errors = again.communicate(timeout=300)
    assert again.returncode == 0, errors
    assert "masks reused 16" in output

    first = next((killed / "sam_masks" / "pictures_0000").glob("part-00000*.parquet"))
    assert before == (first.stat().st_ino, first.stat().st_mtime_ns, first.read_bytes())
    assert digests(killed) == digests(calm)
