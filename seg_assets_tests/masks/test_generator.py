"""The generator against `SamAutomaticMaskGenerator` on the same small seeded model: all exact."""

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from seg_assets.errors import InputError
from seg_assets.masks.generator import MaskGenerator, load_mask_generator
from seg_assets.masks.params import MaskParams
from seg_assets.masks.records import MaskRecord

# isort: split
from segment_anything import SamAutomaticMaskGenerator

# Thresholds under which an untrained model keeps tens of masks.
LOOSE = {
    "points_per_side": 16,
    "pred_iou_thresh": 0.02,
    "stability_score_thresh": 0.5,
    "stability_score_offset": 0.1,
    "box_nms_thresh": 0.9,
}


def _annotation(record: MaskRecord) -> dict[str, Any]:
    """The record as the segment-anything package writes it in its coco_rle mode."""
    return {
        "segmentation": record.rle.to_coco(),
        "area": record.area,
        "bbox": list(record.bbox),
        "predicted_iou": record.predicted_iou,
        "point_coords": [list(point) for point in record.point_coords],
        "stability_score": record.stability_score,
        "crop_box": list(record.crop_box),
    }


def _both(sam, image: np.ndarray, **changes) -> tuple[list[dict], list[dict]]:
    params = MaskParams(**(LOOSE | changes))
    arguments = params.model_dump()
    if params.point_grids is not None:
        arguments["point_grids"] = [np.array(grid) for grid in params.point_grids]
    reference = SamAutomaticMaskGenerator(sam, output_mode="coco_rle", **arguments)
    ours = [_annotation(record) for record in MaskGenerator(sam, params).generate(image)]
    return ours, reference.generate(image)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"points_per_side": 9, "points_per_batch": 7},
        {"box_nms_thresh": 0.3},
        {"box_nms_thresh": 1.0},
        {"pred_iou_thresh": 0.1},
        {"pred_iou_thresh": 0.0, "stability_score_thresh": 0.7},
        {"stability_score_thresh": 0.9, "stability_score_offset": 0.02},
        {"stability_score_thresh": 0.2, "stability_score_offset": 1.0},
        {"min_mask_region_area": 40},
        {"min_mask_region_area": 400, "box_nms_thresh": 0.5},
        {
            "points_per_side": None,
            "point_grids": [[[i * 0.17 % 1, i * 0.31 % 1] for i in range(50)] + [[0.0, 1.0]]],
        },
    ],
    ids=lambda changes: ",".join(changes) or "loose",
)
def test_records_equal_the_segment_anything_package(tiny_sam, patches, changes):
    ours, expected = _both(tiny_sam, patches(96, 160), **changes)
    assert ours == expected
    assert len(ours) >= 5


@pytest.mark.parametrize("size", [(160, 96), (128, 128), (300, 410), (40, 500), (33, 17)], ids=str)
def test_records_are_equal_for_images_of_any_shape(tiny_sam, patches, size):
    ours, expected = _both(tiny_sam, patches(*size))
    assert ours == expected
    assert len(ours) >= 3


@pytest.mark.parametrize(
    "changes",
    [
        {"crop_n_layers": 1},
        {"crop_n_layers": 1, "crop_n_points_downscale_factor": 2, "crop_overlap_ratio": 0.2},
        {"crop_n_layers": 2, "crop_n_points_downscale_factor": 2, "crop_nms_thresh": 0.4},
        {"crop_n_layers": 1, "min_mask_region_area": 60, "points_per_side": 14},
        {
            "crop_n_layers": 1,
            "points_per_side": None,
            "point_grids": [[[0.5, 0.5]], [[i * 0.17 % 1, i * 0.31 % 1] for i in range(40)]],
        },
    ],
    ids=",".join,
)
def test_records_of_crop_layers_equal_the_segment_anything_package(tiny_sam, patches, changes):
    ours, expected = _both(tiny_sam, patches(200, 260), **({"points_per_side": 8} | changes))
    assert ours == expected
    assert len({tuple(annotation["crop_box"]) for annotation in ours}) > 1


def test_records_are_equal_on_a_grey_image(tiny_sam, patches):
    grey = np.repeat(patches(96, 160).mean(2, keepdims=True).astype(np.uint8), 3, axis=2)
    ours, expected = _both(tiny_sam, grey)
    assert ours == expected
    assert len(ours) >= 4


def test_the_masks_have_many_shapes(tiny_sam, patches):
    """Guards the tests above: equality of a few trivial masks would prove nothing."""
    records = MaskGenerator(tiny_sam, MaskParams(**LOOSE)).generate(patches(96, 160))
    areas = [record.area for record in records]
    runs = [len(record.rle.spans()) for record in records]
    assert 20 <= len(records) <= 200
    assert min(areas) < 100
    assert max(areas) > 2000
    assert max(runs) > 100


def test_the_same_image_gives_the_same_records(tiny_sam, patches):
    generator = MaskGenerator(tiny_sam, MaskParams(**LOOSE))
    first = generator.generate(patches(96, 160))
    generator.generate(patches(60, 60))
    assert generator.generate(patches(96, 160)) == first


@pytest.mark.parametrize("layers", [0, 1])
def test_no_masks_are_a_normal_result(planted, patches, layers):
    """With crop layers the segment-anything package ends in an IndexError here."""
    sam = planted(torch.full((3, 64, 64), -9.0), [0.9, 0.9, 0.9])
    params = MaskParams(points_per_side=2, crop_n_layers=layers, min_mask_region_area=10)
    assert MaskGenerator(sam, params).generate(patches(96, 160)) == []


class _PlantedDecoder(torch.nn.Module):
    """Answers every prompt with the same three low-resolution masks and scores."""

    def __init__(self, logits: torch.Tensor, ious: list[float]) -> None:
        super().__init__()
        self.logits, self.ious = logits, torch.tensor(ious)

    def forward(self, *, sparse_prompt_embeddings: torch.Tensor, **_: Any):
        prompts = len(sparse_prompt_embeddings)
        return self.logits.expand(prompts, -1, -1, -1), self.ious.expand(prompts, -1)


@pytest.fixture
def planted(tiny_sam):
    def plant(logits: torch.Tensor, ious: list[float]):
        sam = copy.deepcopy(tiny_sam)
        sam.mask_decoder = _PlantedDecoder(logits, ious)
        return sam

    return plant


def _squares() -> torch.Tensor:
    """Three clear squares, (3, 64, 64), of which the last is empty."""
    logits = torch.full((3, 64, 64), -9.0)
    logits[0, 4:20, 4:20] = 9.0
    logits[1, 30:60, 30:60] = 9.0
    return logits


@pytest.mark.parametrize("layers", [0, 1])
def test_one_mask_is_a_normal_result(planted, patches, layers):
    middle = torch.full((1, 64, 64), -9.0)
    middle[0, 24:40, 24:40] = 9.0
    sam = planted(middle.expand(3, -1, -1), [0.9, 0.1, 0.1])
    grids = [[[0.5, 0.5]]] * (layers + 1)
    params = MaskParams(
        points_per_side=None,
        point_grids=grids,
        crop_n_layers=layers,
        min_mask_region_area=10,
    )
    # So small that each crop's inner edges cut its mask: the whole image's mask is left.
    (record,) = MaskGenerator(sam, params).generate(patches(30, 30))
    assert record.area == record.rle.area > 0


def test_an_empty_mask_drops_out_even_without_thresholds(planted, patches):
    sam = planted(_squares(), [0.9, 0.8, 1.0])
    params = MaskParams(points_per_side=2, pred_iou_thresh=0.0, stability_score_thresh=0.0)
    records = MaskGenerator(sam, params).generate(patches(128, 128))
    assert [round(record.predicted_iou, 3) for record in records] == [0.9, 0.8]
    assert all(0 < record.stability_score <= 1 for record in records)


def test_a_score_at_the_threshold_is_not_enough(planted, patches):
    sam = planted(_squares(), [0.5, 0.75, 0.9])
    params = MaskParams(points_per_side=1, pred_iou_thresh=0.5, stability_score_thresh=0.0)
    records = MaskGenerator(sam, params).generate(patches(128, 128))
    assert [record.predicted_iou for record in records] == [0.75]


@pytest.mark.parametrize("bad", [float("nan"), float("-inf")])
def test_numbers_that_are_none_make_no_masks(planted, patches, bad):
    sam = planted(torch.full((3, 64, 64), bad), [0.9, bad, 0.9])
    params = MaskParams(points_per_side=2, pred_iou_thresh=0.0, stability_score_thresh=0.0)
    assert MaskGenerator(sam, params).generate(patches(128, 128)) == []


def test_a_mask_whose_score_is_no_number_drops_out(planted, patches):
    sam = planted(_squares(), [float("nan"), 0.8, 0.9])
    params = MaskParams(points_per_side=1, pred_iou_thresh=0.0, stability_score_thresh=0.0)
    records = MaskGenerator(sam, params).generate(patches(128, 128))
    assert [round(record.predicted_iou, 3) for record in records] == [0.8]


@pytest.mark.parametrize(("crop_nms_thresh", "left"), [(0.7, 2), (0.5, 1)])
def test_repaired_masks_are_compared_with_the_larger_threshold(
    planted, patches, crop_nms_thresh, left
):
    """Without its island the first mask's box overlaps the second's by an IoU of about 0.6."""
    logits = torch.full((3, 64, 64), -9.0)
    logits[0, 10:30, 10:30] = logits[0, 60:62, 60:62] = 9.0
    logits[1, 10:30, 15:35] = 9.0
    params = MaskParams(
        points_per_side=1,
        pred_iou_thresh=0.0,
        stability_score_thresh=0.0,
        box_nms_thresh=0.5,
        crop_nms_thresh=crop_nms_thresh,
        min_mask_region_area=100,
    )
    sam = planted(logits, [0.9, 0.8, 0.7])
    assert len(MaskGenerator(sam, params).generate(patches(128, 128))) == left


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (2, 3000)], ids=str)
def test_images_one_pixel_wide_are_images(tiny_sam, patches, size):
    params = MaskParams(**(LOOSE | {"points_per_side": 3, "crop_n_layers": 1}))
    for record in MaskGenerator(tiny_sam, params).generate(patches(*size)):
        assert (record.rle.height, record.rle.width) == size
        assert 0 < record.area <= size[0] * size[1]


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 5), np.uint8),
        np.zeros((4, 5, 4), np.uint8),
        np.zeros((4, 5, 3), np.float32),
        np.zeros((0, 5, 3), np.uint8),
    ],
    ids=["grey", "rgba", "float", "empty"],
)
def test_arrays_that_are_no_rgb_images_are_refused(tiny_sam, image):
    with pytest.raises(InputError, match=r"must be \(H, W, 3\) uint8 RGB"):
        MaskGenerator(tiny_sam).generate(image)


def test_the_image_is_encoded_once_per_crop(tiny_sam, patches, monkeypatch):
    calls = []
    forward = tiny_sam.image_encoder.forward
    monkeypatch.setattr(
        tiny_sam.image_encoder, "forward", lambda x: calls.append(x.shape) or forward(x)
    )
    params = MaskParams(points_per_side=3, crop_n_layers=1, points_per_batch=5)
    MaskGenerator(tiny_sam, params).generate(patches(96, 160))
    assert calls == [(1, 3, 128, 128)] * 5


def test_only_masks_of_promising_quality_are_upscaled(tiny_sam, patches, monkeypatch):
    upscaled = []
    upscale = type(tiny_sam).postprocess_masks
    monkeypatch.setattr(
        type(tiny_sam),
        "postprocess_masks",
        lambda self, masks, *sizes: upscaled.append(len(masks)) or upscale(self, masks, *sizes),
    )
    image = patches(96, 160)
    MaskGenerator(tiny_sam, MaskParams(**LOOSE)).generate(image)
    some = sum(upscaled)
    assert 0 < some < 3 * 256
    upscaled.clear()
    MaskGenerator(tiny_sam, MaskParams(**(LOOSE | {"pred_iou_thresh": 1.0}))).generate(image)
    assert sum(upscaled) < some


@pytest.mark.parametrize("size", [(1500, 1600), (3000, 2000), (60, 80)], ids=str)
def test_few_masks_exist_at_full_resolution_at_a_time(planted, patches, monkeypatch, size):
    sam = planted(_squares(), [0.9, 0.8, 1.0])
    at_once = []
    upscale = type(sam).postprocess_masks
    monkeypatch.setattr(
        type(sam),
        "postprocess_masks",
        lambda self, masks, *sizes: at_once.append(len(masks)) or upscale(self, masks, *sizes),
    )
    params = MaskParams(points_per_side=2, pred_iou_thresh=0.0, stability_score_thresh=0.5)
    assert len(MaskGenerator(sam, params).generate(patches(*size))) == 2
    assert sum(at_once) == 12
    assert max(at_once) == 1 or max(at_once) * size[0] * size[1] <= 2**22


def test_records_hold_only_run_lengths(tiny_sam, patches):
    record = MaskGenerator(tiny_sam, MaskParams(**LOOSE)).generate(patches(96, 160))[0]
    assert len(record.rle.counts) < 96 * 160 / 8
    assert not any(isinstance(value, np.ndarray | torch.Tensor) for value in vars(record).values())
    assert replace(record) == record


def test_the_demo_preset_finds_a_usable_number_of_masks(patches):
    generator = load_mask_generator("sam_demo", MaskParams.preset("demo"))
    assert 5 <= len(generator.generate(patches(256, 320))) <= 60
