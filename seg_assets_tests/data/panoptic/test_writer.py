import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from seg_assets.data.panoptic.categories import Category, CategoryTable
from seg_assets.data.panoptic.grounding_json import Referral
from seg_assets.data.panoptic.panoptic_png import encode_panoptic
from seg_assets.data.panoptic.reader import open_panoptic
from seg_assets.data.panoptic.segments import describe_segments
from seg_assets.data.panoptic.semantic_png import encode_semantic
from seg_assets.data.panoptic.writer import AnnotatedImage, SplitWriter
from seg_assets.errors import InputError, StoreError
from seg_assets.storage.local_files import LocalFiles
from seg_assets_tests.conftest import REPOSITORY
from seg_assets_tests.data.panoptic.street import files
from seg_assets_tests.data.panoptic.tables import CAR, SKY, STREET, grid

IDS = grid("0113", "0113").astype(np.int32)
SQUARE = (3.0, 0.0, 4.0, 0.0, 4.0, 2.0, 3.0, 2.0)


def annotated(stem: str, *, said: bool = True) -> AnnotatedImage:
    image = describe_segments(IDS, {1: SKY.id, 3: CAR.id})
    referral = Referral((SQUARE,), ("the car", "it"), 3, CAR.id, 2, (3, 0, 1, 2))
    return AnnotatedImage(
        stem=stem,
        jpeg=b"jpeg of " + stem.encode(),
        height=2,
        width=4,
        panoptic_png=encode_panoptic(IDS),
        segments=image.segments,
        semantic_png=encode_semantic(image.semantic(STREET), STREET),
        referrals=(referral,) if said else (),
    )


def write(root: Path, *stems: str) -> SplitWriter:
    with SplitWriter(root, "train", STREET, {"by": "a test"}) as writer:
        for stem in stems:
            writer.add(annotated(stem, said=stem != "silent"))
    return writer


def test_the_tree_is_as_documented(tmp_path: Path) -> None:
    summary = write(tmp_path, "b", "silent").summary
    found = files(tmp_path)
    assert sorted(found) == [
        "train/dataset.json",
        "train/grounding.json",
        "train/images/b.jpg",
        "train/images/silent.jpg",
        "train/panoptic.json",
        "train/panoptic/b.png",
        "train/panoptic/silent.png",
        "train/semantic/b.png",
        "train/semantic/silent.png",
    ]
    assert found["train/images/b.jpg"] == b"jpeg of b"
    images = [
        {"id": 1, "file_name": "b.jpg", "height": 2, "width": 4},
        {"id": 2, "file_name": "silent.jpg", "height": 2, "width": 4},
    ]
    panoptic = json.loads(found["train/panoptic.json"])
    assert panoptic["images"] == images
    assert panoptic["categories"] == STREET.to_json()
    assert [a["file_name"] for a in panoptic["annotations"]] == ["b.png", "silent.png"]
    assert panoptic["annotations"][0]["segments_info"][1] == {
        "id": 3,
        "category_id": CAR.id,
        "area": 2,
        "bbox": [3, 0, 1, 2],
        "iscrowd": 0,
    }
    grounding = json.loads(found["train/grounding.json"])
    assert grounding["images"] == images
    (annotation,) = grounding["annotations"]
    assert (annotation["image_id"], annotation["ann_id"]) == (1, 3)
    assert json.loads(found["train/dataset.json"]) == {
        "images": 2,
        "segments": 4,
        "referrals": 1,
        "sentences": 2,
        "unlabelled_share": 0.25,
        "segments_per_category": {"sky": 2, "road": 0, "car": 2, "person": 0},
        "pixels_per_category": {"sky": 8, "road": 0, "car": 4, "person": 0},
        "failed": {},
        "made_of": {"by": "a test", "categories": STREET.digest},
        "content": summary.content,
    }


def test_the_same_images_give_the_same_bytes(tmp_path: Path) -> None:
    write(tmp_path / "a", "x", "y")
    write(tmp_path / "b", "x", "y")
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert write(tmp_path / "c", "x").summary.content != write(tmp_path / "d", "y").summary.content


def test_an_error_leaves_the_older_split_as_it_was(tmp_path: Path) -> None:
    write(tmp_path, "old")
    before = files(tmp_path)
    with pytest.raises(InputError):
        write(tmp_path, "new", "new")
    assert files(tmp_path) == before


def test_there_is_no_summary_before_the_end(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="the split train is not finished"):
        _ = SplitWriter(tmp_path, "train", STREET, {}).summary


def test_a_new_split_replaces_the_old_one_as_a_whole(tmp_path: Path) -> None:
    write(tmp_path, "old", "both")
    write(tmp_path, "both")
    assert sorted(p.name for p in (tmp_path / "train/images").iterdir()) == ["both.jpg"]
    assert [path.name for path in tmp_path.iterdir()] == ["train"]


def test_where_folders_cannot_change_places_the_old_one_is_removed_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "old")
    swap = LocalFiles.swap_folders

    def no_exchange(self: LocalFiles, fresh: str, current: str) -> bool:
        return not (self.root / current).exists() and swap(self, fresh, current)

    monkeypatch.setattr(LocalFiles, "swap_folders", no_exchange)
    write(tmp_path, "new")
    assert [path.name for path in (tmp_path / "train/images").iterdir()] == ["new.jpg"]


KILLED = """
import os, signal
from seg_assets_tests.data.panoptic.test_writer import STREET, SplitWriter, annotated
with SplitWriter({root!r}, "train", STREET, {{}}) as writer:
    writer.add(annotated("half"))
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_build_leaves_no_split_and_the_next_one_takes_over(tmp_path: Path) -> None:
    script = KILLED.format(root=str(tmp_path))
    killed = subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, check=False
    )
    assert killed.returncode == -9, killed.stderr
    assert not (tmp_path / "train").exists()
    with pytest.raises(InputError, match="train is no finished split"):
        open_panoptic(str(tmp_path), "train")
    write(tmp_path, "whole")
    assert [path.name for path in tmp_path.iterdir()] == ["train"]
    assert [path.name for path in (tmp_path / "train/images").iterdir()] == ["whole.jpg"]


def test_two_writers_of_a_split_do_not_meet(tmp_path: Path) -> None:
    with SplitWriter(tmp_path, "train", STREET, {}) as writer:
        writer.add(annotated("a"))
        second = SplitWriter(tmp_path, "train", STREET, {})
        with pytest.raises(StoreError, match="the split train in .* is being written"):
            second.__enter__()
        write_other = SplitWriter(tmp_path, "validation", STREET, {})
        with write_other:
            write_other.add(annotated("a"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["train", "validation"]


def test_faults_are_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"two images of the split train would both be a\.jpg"):
        write(tmp_path, "a", "a")
    with pytest.raises(InputError, match="the split train would have no images; give at least one"):
        write(tmp_path)
    with (
        pytest.raises(InputError, match="no images: a failed because it is cut"),
        SplitWriter(tmp_path, "train", STREET, {}) as writer,
    ):
        writer.fail("a", "it is cut")
    with pytest.raises(InputError, match=r"split name '\.\./a' cannot be used"):
        SplitWriter(tmp_path, "../a", STREET, {})
    white = CategoryTable((Category(1, "snow", (255, 255, 255), is_thing=False),))
    with pytest.raises(InputError, match="white is padding"):
        SplitWriter(tmp_path, "train", white, {})
    assert list(tmp_path.iterdir()) == []
