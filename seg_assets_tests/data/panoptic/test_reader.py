import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seg_assets.data.panoptic.dataset import build_dataset
from seg_assets.data.panoptic.reader import PanopticDataset, open_panoptic
from seg_assets.errors import ImageError, InputError
from seg_assets_tests.data.panoptic.street import SIZE, street_shards, write_street


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_street(tmp_path / "street", 3)
    build_dataset(tmp_path / "data", "train", street_shards(tmp_path / "street"))
    return tmp_path / "data"


@pytest.fixture
def data(root: Path) -> PanopticDataset:
    return open_panoptic(str(root), "train")


def test_a_sample_has_picture_segments_and_sentences(data: PanopticDataset) -> None:
    sample = data[1]
    assert (sample.image_id, sample.stem) == (2, "city_street_1")
    assert (sample.image.shape, sample.image.dtype) == ((*SIZE, 3), np.uint8)
    assert (sample.segmented.ids.shape, sample.segmented.ids.dtype) == (SIZE, np.int32)
    assert {r.segment_id for r in sample.referrals} == {s.id for s in sample.segmented.segments}
    assert len(list(data)) == len(data) == 3
    with pytest.raises(IndexError):
        _ = data[3]


def test_opening_reads_no_picture_and_workers_get_a_copy(root: Path, data: PanopticDataset) -> None:
    copy = pickle.loads(pickle.dumps(data))
    for name in ("images", "panoptic", "semantic"):
        for path in (root / "train" / name).iterdir():
            path.write_bytes(b"")
    again = open_panoptic(str(root), "train")
    assert again.referrals(0) == copy.referrals(0) != ()
    with pytest.raises(ImageError, match=r"city_street_0\.jpg is empty"):
        copy.image(0)


def test_an_image_without_sentences_has_none(root: Path) -> None:
    (root / "train/grounding.json").unlink()
    assert open_panoptic(str(root), "train")[0].referrals == ()


def test_polygons_that_are_all_too_short_leave_the_image_to_class_names(root: Path) -> None:
    """S24: such an image still trains."""
    path = root / "train/grounding.json"
    content = json.loads(path.read_text())
    for annotation in content["annotations"]:
        annotation["segmentation"], annotation["bbox"] = [[0, 0, 1, 0, 1, 1]], None
    path.write_text(json.dumps(content))
    sample = open_panoptic(str(root), "train")[0]
    assert sample.referrals == ()
    assert len(sample.segmented.segments) == 5


def test_the_layout_of_seems_own_scripts_is_read(root: Path) -> None:
    (root / "train/panoptic.json").rename(root / "train/panoptic/pgt.json")
    assert len(open_panoptic(str(root), "train")[0].segmented.segments) == 5


def test_cocos_sample_is_read(shared_dir: Path) -> None:
    data = open_panoptic(str(shared_dir / "data"), "coco_panoptic")
    sample = data[0]
    assert sample.stem == "000000142238"
    lookup = np.full(256, 255, np.uint8)
    for position, item in enumerate(data.categories.categories):
        lookup[item.id] = position
    with Image.open(shared_dir / f"data/coco_panoptic/sem133/{sample.stem}.png") as expected:
        found = sample.segmented.semantic(data.categories)
        np.testing.assert_array_equal(found, lookup[np.asarray(expected)])
    assert sample.referrals == ()


def test_missing_splits_are_a_sentence(root: Path) -> None:
    with pytest.raises(InputError, match="validation is no finished split .* there are train"):
        open_panoptic(str(root), "validation")
    with pytest.raises(InputError, match="build the data set first"):
        open_panoptic(str(root / "nowhere"), "train")


def test_files_that_do_not_fit_are_a_sentence(root: Path, data: PanopticDataset) -> None:
    Image.new("RGB", (8, 8)).save(root / "train/images/city_street_0.jpg")
    Image.new("RGB", (8, 8)).save(root / "train/panoptic/city_street_0.png")
    with pytest.raises(ImageError, match=r"street_0\.jpg has 8 x 8 pixels but panoptic\.json says"):
        data.image(0)
    with pytest.raises(ImageError, match=r"street_0\.png has 8 x 8 pixels but panoptic\.json says"):
        data.segmented(0)
    (root / "train/panoptic/city_street_1.png").unlink()
    with pytest.raises(ImageError, match=r"street_1\.png is not there"):
        _ = data[1]


def test_a_split_without_annotations_is_a_sentence(root: Path) -> None:
    path = root / "train/panoptic.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "annotations": []}))
    with pytest.raises(InputError, match=r"panoptic\.json annotates no images"):
        open_panoptic(str(root), "train")
