"""A run killed in the middle of a shard: the next run finishes it, byte for byte the same."""

import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from seg_assets.data.shards import register_shards
from seg_assets.data.sources import find_shards
from seg_assets.labels.params import LabelParams
from seg_assets.labels.seem_labeler import SeemLabeler
from seg_assets.stages.raw_images import record_raw_images
from seg_assets.stages.sam_masks import generate_sam_masks
from seg_assets.stages.seem_labels import label_with_seem
from seg_assets.storage.store import Store
from seg_assets_tests.conftest import REPOSITORY
from seg_assets_tests.stages.conftest import EVERYTHING, write_pictures

pytestmark = pytest.mark.usefixtures("tiny_models")

# The run stops for good before a chosen mask, so that the kill comes in the middle of a part.
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

store, images_left = Store(sys.argv[1]), int(sys.argv[2])
search = MaskGenerator.search
def search_until_stopped(self, images):
    global images_left
    if images_left == 0:
        print("stopped", flush=True)
        time.sleep(600)
    images_left -= 1
    return search(self, images)
MaskGenerator.search = search_until_stopped
shard = load_shard(store, "pictures_0000")
record_raw_images(store, shard)
report = generate_sam_masks(store, shard.name, sam="sam_tiny", params=EVERYTHING)
print("masks reused", report.reused)
report = label_with_seem(store, shard.name, seem="seem_demo", params=LabelParams())
print("labels reused", report.reused)
"""


def start(root: Path, images: int = 1000) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(root), str(images)],
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


@pytest.mark.slow
def test_a_killed_run_goes_on_and_gives_the_same_bytes(tmp_path: Path) -> None:
    write_pictures(tmp_path / "pictures", 24)
    shards = find_shards(tmp_path / "pictures" / "images", prefix="pictures")
    calm, killed = tmp_path / "calm", tmp_path / "killed"
    for root in (calm, killed):
        register_shards(Store(root), shards)

    undisturbed = start(calm)
    _, errors = undisturbed.communicate(timeout=300)
    assert undisturbed.returncode == 0, errors

    # 24 images are two parts of 16 and 8; the second one is being written when the kill comes
    run = start(killed, 20)
    assert run.stdout is not None
    assert run.stdout.readline() == "stopped\n"
    run.send_signal(signal.SIGKILL)
    run.communicate()
    assert run.returncode == -signal.SIGKILL
    assert not Store(killed).is_complete("sam_masks", "pictures_0000")
    first = next((killed / ".pending" / "sam_masks").rglob("part-00000*.parquet"))
    before = (first.stat().st_ino, first.stat().st_mtime_ns, first.read_bytes())

    again = start(killed)
    output, errors = again.communicate(timeout=300)
    assert again.returncode == 0, errors
    assert "masks reused 16" in output

    first = next((killed / "sam_masks" / "pictures_0000").glob("part-00000*.parquet"))
    assert before == (first.stat().st_ino, first.stat().st_mtime_ns, first.read_bytes())
    assert digests(killed) == digests(calm)


def test_assets_that_are_written_together_may_be_interrupted_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a kill between the end of one asset's part and the end of another's."""
    write_pictures(tmp_path / "pictures", 18)
    (shard,) = find_shards(tmp_path / "pictures" / "images", prefix="pictures")
    calm, broken = tmp_path / "calm", tmp_path / "broken"
    for root in (calm, broken):
        record_raw_images(Store(root), shard)
        generate_sam_masks(Store(root), shard.name, sam="sam_tiny", params=EVERYTHING)
    label_with_seem(Store(calm), shard.name, seem="seem_demo", params=LabelParams())

    label_regions, left = SeemLabeler.label_regions, iter(range(17))

    def until_stopped(self, *arguments):
        if next(left, None) is None:
            raise KeyboardInterrupt
        return label_regions(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(SeemLabeler, "label_regions", until_stopped)
        with pytest.raises(KeyboardInterrupt):
            label_with_seem(Store(broken), shard.name, seem="seem_demo", params=LabelParams())
    (kept,) = (broken / ".pending" / "seem_logits").rglob("*.parquet")
    (lost,) = (broken / ".pending" / "seem_labels").rglob("*.parquet")
    lost.unlink()
    inode = kept.stat().st_ino

    label_with_seem(Store(broken), shard.name, seem="seem_demo", params=LabelParams())
    assert (broken / "seem_logits" / shard.name / kept.name).stat().st_ino == inode
    assert digests(broken) == digests(calm)
