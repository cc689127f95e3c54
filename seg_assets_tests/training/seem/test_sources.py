"""Where samples come from."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seg_assets.classes.table import load_class_table
from seg_assets.data.panoptic.panoptic_png import encode_panoptic
from seg_assets.errors import InputError
from seg_assets.training.seem.params import CamVidData, PanopticData, SceneData
from seg_assets.training.seem.sources import CachedSource, open_source
from seg_assets_tests.training.seem.shapes import TABLE, Shapes


def camvid(folder: Path) -> Path:
    """Two training images of 8 x 6 pixels: sky (0) above, road (3) below, a corner unlabelled."""
    for kind in ("images", "labels"):
        (folder / kind).mkdir()
    lines = []
    for i in range(2):
        labels = np.zeros((6, 8), np.uint8)
        labels[3:] = 3
        labels[0, :2] = 11
        Image.fromarray(labels).save(folder / "labels" / f"{i}.png")
        Image.fromarray(np.full((6, 8, 3), 40 * i, np.uint8)).save(folder / "images" / f"{i}.png")
        lines.append(f"images/{i}.png labels/{i}.png\n")
    (folder / "train.txt").write_text("".join(lines))
    return folder


def panoptic(folder: Path) -> Path:
    """One image: a cat on grass, with a sentence."""
    split = folder / "train"
    (split / "images").mkdir(parents=True)
    (split / "panoptic").mkdir()
    ids = np.full((6, 8), 500, np.int32)
    ids[2:4, 2:5] = 700
    Image.fromarray(np.zeros((6, 8, 3), np.uint8)).save(split / "images" / "a.png")
    (split / "panoptic" / "a.png").write_bytes(encode_panoptic(ids))
    segments = [
        {"id": 500, "category_id": 2, "area": 42, "bbox": [0, 0, 8, 6], "iscrowd": 0},
        {"id": 700, "category_id": 5, "area": 6, "bbox": [2, 2, 3, 2], "iscrowd": 0},
    ]
    content = {
        "images": [{"id": 1, "file_name": "a.png", "height": 6, "width": 8}],
        "annotations": [{"image_id": 1, "file_name": "a.png", "segments_info": segments}],
        "categories": [
            {"id": 5, "name": "cat", "isthing": 1, "color": [9, 8, 7]},
            {"id": 2, "name": "grass", "isthing": 0, "color": [1, 2, 3]},
        ],
    }
    (split / "panoptic.json").write_text(json.dumps(content))
    annotation = {
        "id": 1,
        "image_id": 1,
        "category_id": 5,
        "ann_id": 700,
        "segmentation": [[2, 2, 5, 2, 5, 4, 2, 4]],
        "sentences": [{"raw": "the cat"}],
    }
    grounding = {"images": content["images"], "annotations": [annotation]}
    (split / "grounding.json").write_text(json.dumps(grounding))
    return folder


def test_scenes_are_numbered_from_their_first_seed() -> None:
    source = open_source(SceneData(first_seed=1_000_005, count=2), 64)
    later = open_source(SceneData(first_seed=1_000_006, count=1), 64)
    assert len(source) == 2
    assert source.table.name == "coco133"
    assert np.array_equal(source[1].image, later[0].image)


def test_scenes_take_no_other_classes() -> None:
    with pytest.raises(InputError, match="leave `classes` out"):
        open_source(SceneData(), 64, load_class_table("camvid11"))


def test_camvid_gives_a_segment_per_class(tmp_path: Path) -> None:
    source = open_source(CamVidData(folder=str(camvid(tmp_path))), 64)
    assert len(source) == 2
    sample = source[1]
    assert sample.class_ids.tolist() == [0, 3]
    assert sample.masks.sum((1, 2)).tolist() == [22, 24]
    assert sample.label_map[0, 0] == 255
    assert sample.image[0, 0].tolist() == [40, 40, 40]
    assert len(open_source(CamVidData(folder=str(tmp_path), limit=1), 64)) == 1


def test_camvid_mistakes_are_named(tmp_path: Path) -> None:
    folder = str(camvid(tmp_path))
    with pytest.raises(InputError, match=r"no val\.txt; choose one of: train"):
        open_source(CamVidData(folder=folder, split="val"), 64)
    with pytest.raises(InputError, match="11 classes"):
        open_source(CamVidData(folder=folder), 64, load_class_table("coco133"))


def test_panoptic_data_brings_its_classes_and_sentences(tmp_path: Path) -> None:
    source = open_source(PanopticData(folder=str(panoptic(tmp_path))), 64)
    assert source.table.names == ("cat", "grass")
    assert source.table.things == {0}
    sample = source[0]
    assert sample.class_ids.tolist() == [1, 0]
    assert sample.masks.sum((1, 2)).tolist() == [42, 6]
    assert sample.sentences == (("the cat",),)
    assert sample.referred.sum() == 6
    with pytest.raises(InputError, match="2 categories"):
        open_source(PanopticData(folder=str(tmp_path)), 64, TABLE)


class Counting(Shapes):
    made = 0

    def __getitem__(self, index: int):
        self.made += 1
        return super().__getitem__(index)


def test_a_cache_makes_each_sample_once_and_gives_it_unchanged() -> None:
    inner = Counting(2, side=50, sentences=True)  # 50 is no multiple of 8
    cached = CachedSource(inner)
    assert len(cached) == 2
    for _ in range(3):
        got = cached[1]
        want = Shapes(2, side=50, sentences=True)[1]
        assert np.array_equal(got.masks, want.masks)
        assert got.masks.dtype == np.bool_
        assert np.array_equal(got.image, want.image)
        assert np.array_equal(got.referred, want.referred)
        assert got.sentences == want.sentences
    assert inner.made == 1
    got.masks[:] = False  # a copy
    assert cached[1].masks.any()
