"""The generator against `SamAutomaticMaskGenerator` on the same small models.

Bit for bit where the package's own arithmetic runs in both, within tolerances that the tests state
where ours does.
"""

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from seg_assets.data.scenes import make_scene
from seg_assets.errors import InputError
from seg_assets.masks import generator as generator_module
from seg_assets.masks.generator import MaskGenerator, load_mask_generator
from seg_assets.masks.params import MaskParams
from seg_assets.masks.upscaling.tracer import trace_masks
from seg_assets.modeling.sam import load_sam
from seg_assets_tests.masks.conftest import needs_the_fast_way

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


def _both(sam, image: np.ndarray, **changes) -> tuple[list[dict], list[dict]]:
    """Our annotations and the package's: one import is all that differs."""
    arguments: dict[str, Any] = LOOSE | changes
    if "point_grids" in arguments:
        arguments["point_grids"] = [np.array(grid) for grid in arguments["point_grids"]]
    return tuple(
        generator(sam, output_mode="coco_rle", **arguments).generate(image)
        for generator in (MaskGenerator, SamAutomaticMaskGenerator)
    )


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
def test_records_equal_the_segment_anything_package(plain_sam, patches, changes):
    ours, expected = _both(plain_sam, patches(96, 160), **changes)
    assert ours == expected
    assert len(ours) >= 5


@pytest.mark.parametrize("size", [(160, 96), (128, 128), (300, 410), (40, 500), (33, 17)], ids=str)
def test_records_are_equal_for_images_of_any_shape(plain_sam, patches, size):
    ours, expected = _both(plain_sam, patches(*size))
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
def test_records_of_crop_layers_equal_the_segment_anything_package(plain_sam, patches, changes):
    ours, expected = _both(plain_sam, patches(200, 260), **({"points_per_side": 8} | changes))
    assert ours == expected
    assert len({tuple(annotation["crop_box"]) for annotation in ours}) > 1


def test_records_are_equal_on_a_grey_image(plain_sam, patches):
    grey = np.repeat(patches(96, 160).mean(2, keepdims=True).astype(np.uint8), 3, axis=2)
    ours, expected = _both(plain_sam, grey)
    assert ours == expected
    assert len(ours) >= 4


def test_the_fast_passes_find_the_masks_of_the_segment_anything_package(patches):
    """On trained weights, in both orders of magnitude of image size.

    Sums in another order round otherwise, so a pixel on a mask's edge may fall to the other side.
    """
    sam = load_sam("sam_demo").model
    arguments = {
        "points_per_side": 12,
        "pred_iou_thresh": 0.3,
        "stability_score_thresh": 0.7,
        "stability_score_offset": 0.5,
    }
    for seed, size in enumerate([(240, 320), (600, 500)]):
        image = np.array(Image.fromarray(make_scene(seed, 256).image).resize(size[::-1]))
        ours = MaskGenerator(sam, **arguments).generate(image)
        expected = SamAutomaticMaskGenerator(sam, **arguments).generate(image)
        assert len(ours) == len(expected) > 5
        for own, other in zip(ours, expected, strict=True):
            assert own["point_coords"] == other["point_coords"]
            assert own["predicted_iou"] == pytest.approx(other["predicted_iou"], abs=1e-5)
            assert own["stability_score"] == pytest.approx(other["stability_score"], abs=1e-3)
            differing = (own["segmentation"] != other["segmentation"]).sum()
            assert differing <= 1e-4 * own["area"] + 2


@pytest.mark.parametrize("mode", ["binary_mask", "uncompressed_rle", "coco_rle"])
def test_every_output_mode_is_that_of_the_segment_anything_package(plain_sam, patches, mode):
    arguments = LOOSE | {"points_per_side": 6, "output_mode": mode}
    image = patches(96, 160)
    ours = MaskGenerator(plain_sam, **arguments).generate(image)
    expected = SamAutomaticMaskGenerator(plain_sam, **arguments).generate(image)
    assert len(ours) == len(expected) > 3
    for own, other in zip(ours, expected, strict=True):
        assert own.keys() == other.keys()
        mask, expected_mask = own.pop("segmentation"), other.pop("segmentation")
        assert own == other
        assert type(mask) is type(expected_mask)
        assert (
            np.array_equal(mask, expected_mask) if mode == "binary_mask" else mask == expected_mask
        )


def test_an_unknown_output_mode_is_refused(tiny_sam):
    with pytest.raises(InputError, match="no output mode is called 'png'; choose one of: binary"):
        MaskGenerator(tiny_sam, output_mode="png")


def test_several_images_searched_together_give_what_each_gives_alone(tiny_sam, patches):
    params = MaskParams(**(LOOSE | {"points_per_side": 5}), crop_n_layers=1)
    generator = MaskGenerator.from_params(tiny_sam, params)
    images = [patches(96, 160), patches(60, 60), patches(200, 90)]
    together = [generator.select(findings) for findings in generator.search(images)]
    assert together == [generator.find(image) for image in images]
    assert all(together)


def test_the_masks_have_many_shapes(tiny_sam, patches):
    """Guards the tests above: equality of a few trivial masks would prove nothing."""
    records = MaskGenerator.from_params(tiny_sam, MaskParams(**LOOSE)).find(patches(96, 160))
    areas = [record.area for record in records]
    runs = [len(record.rle.spans()) for record in records]
    assert 20 <= len(records) <= 200
    assert min(areas) < 100
    assert max(areas) > 2000
    assert max(runs) > 100


def test_the_same_image_gives_the_same_records(tiny_sam, patches):
    generator = MaskGenerator.from_params(tiny_sam, MaskParams(**LOOSE))
    first = generator.find(patches(96, 160))
    generator.find(patches(60, 60))
    assert generator.find(patches(96, 160)) == first


@pytest.mark.parametrize("layers", [0, 1])
def test_no_masks_are_a_normal_result(planted, patches, layers):
    """With crop layers the segment-anything package ends in an IndexError here."""
    sam = planted(torch.full((3, 64, 64), -9.0), [0.9, 0.9, 0.9])
    params = MaskParams(points_per_side=2, crop_n_layers=layers, min_mask_region_area=10)
    assert MaskGenerator.from_params(sam, params).find(patches(96, 160)) == []


class _PlantedDecoder(torch.nn.Module):
    """Answers every prompt with the same three low-resolution masks and scores."""

    def __init__(self, logits: torch.Tensor, ious: list[float]) -> None:
        super().__init__()
        self.num_multimask_outputs = 3
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
    (record,) = MaskGenerator.from_params(sam, params).find(patches(30, 30))
    assert record.area == record.rle.area > 0


def test_an_empty_mask_drops_out_even_without_thresholds(planted, patches):
    sam = planted(_squares(), [0.9, 0.8, 1.0])
    params = MaskParams(points_per_side=2, pred_iou_thresh=0.0, stability_score_thresh=0.0)
    records = MaskGenerator.from_params(sam, params).find(patches(128, 128))
    assert [round(record.predicted_iou, 3) for record in records] == [0.9, 0.8]
    assert all(0 < record.stability_score <= 1 for record in records)


def test_a_score_at_the_threshold_is_not_enough(planted, patches):
    sam = planted(_squares(), [0.5, 0.75, 0.9])
    params = MaskParams(points_per_side=1, pred_iou_thresh=0.5, stability_score_thresh=0.0)
    records = MaskGenerator.from_params(sam, params).find(patches(128, 128))
    assert [record.predicted_iou for record in records] == [0.75]


@pytest.mark.parametrize("bad", [float("nan"), float("-inf")])
def test_numbers_that_are_none_make_no_masks(planted, patches, bad):
    sam = planted(torch.full((3, 64, 64), bad), [0.9, bad, 0.9])
    params = MaskParams(points_per_side=2, pred_iou_thresh=0.0, stability_score_thresh=0.0)
    assert MaskGenerator.from_params(sam, params).find(patches(128, 128)) == []


def test_a_mask_whose_score_is_no_number_drops_out(planted, patches):
    sam = planted(_squares(), [float("nan"), 0.8, 0.9])
    params = MaskParams(points_per_side=1, pred_iou_thresh=0.0, stability_score_thresh=0.0)
    records = MaskGenerator.from_params(sam, params).find(patches(128, 128))
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
    assert len(MaskGenerator.from_params(sam, params).find(patches(128, 128))) == left


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (2, 3000)], ids=str)
def test_images_one_pixel_wide_are_images(tiny_sam, patches, size):
    params = MaskParams(**(LOOSE | {"points_per_side": 3, "crop_n_layers": 1}))
    for record in MaskGenerator.from_params(tiny_sam, params).find(patches(*size)):
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
        MaskGenerator(tiny_sam).find(image)


def test_the_image_is_encoded_once_per_crop(tiny_sam, patches, monkeypatch):
    calls = []
    forward = tiny_sam.image_encoder.forward
    monkeypatch.setattr(
        tiny_sam.image_encoder, "forward", lambda x: calls.append(x.shape) or forward(x)
    )
    params = MaskParams(points_per_side=3, crop_n_layers=1, points_per_batch=5)
    MaskGenerator.from_params(tiny_sam, params).find(patches(96, 160))
    assert calls == [(1, 3, 128, 128)] * 5


def test_only_masks_of_promising_quality_are_traced(tiny_sam, patches, monkeypatch):
    traced = []
    monkeypatch.setattr(
        "seg_assets.masks.crop_search.trace_masks",
        lambda logits, *others: traced.append(len(logits)) or trace_masks(logits, *others),
    )
    image = patches(96, 160)
    MaskGenerator.from_params(tiny_sam, MaskParams(**LOOSE)).find(image)
    some = sum(traced)
    assert 0 < some < 3 * 256
    traced.clear()
    MaskGenerator.from_params(tiny_sam, MaskParams(**(LOOSE | {"pred_iou_thresh": 1.0}))).find(
        image
    )
    assert sum(traced) < some


@pytest.mark.parametrize("size", [(1500, 1600), (3000, 2000), (129, 80)], ids=str)
@needs_the_fast_way
def test_no_mask_exists_at_full_resolution(planted, patches, monkeypatch, size):
    sam = planted(_squares(), [0.9, 0.8, 1.0])
    for module in ("plain", "tracer"):
        monkeypatch.delattr(f"seg_assets.masks.upscaling.{module}.upscale_logits")
    params = MaskParams(points_per_side=2, pred_iou_thresh=0.0, stability_score_thresh=0.5)
    assert len(MaskGenerator.from_params(sam, params).find(patches(*size))) == 2


def test_an_image_of_64_million_pixels_is_an_image(planted):
    sam = planted(_squares(), [0.9, 0.8, 1.0])
    params = MaskParams(points_per_side=2, pred_iou_thresh=0.0, min_mask_region_area=100)
    image = np.zeros((8000, 8000, 3), np.uint8)
    records = MaskGenerator.from_params(sam, params).find(image)
    assert [record.area > 3e6 for record in records] == [True, True]
    assert sum(len(record.rle.counts) for record in records) < 20_000


def test_a_gpu_that_runs_out_of_memory_encodes_fewer_images_at_a_time(
    tiny_sam, patches, monkeypatch
):
    params = MaskParams(**(LOOSE | {"points_per_side": 5}), crop_n_layers=1)
    generator = MaskGenerator.from_params(tiny_sam, params)
    expected = generator.find(patches(96, 160))
    embed, sizes = generator.model.embed, []

    def fits_two(images):
        sizes.append(len(images))
        if len(images) > 2:
            raise torch.cuda.OutOfMemoryError("simulated")
        return embed(images)

    monkeypatch.setattr(generator_module, "_VIEWS_ON_CPU", 4)
    monkeypatch.setattr(generator.model, "embed", fits_two)
    assert generator.find(patches(96, 160)) == expected
    assert sizes == [4, 2, 2, 1]


def test_records_hold_only_run_lengths(tiny_sam, patches):
    record = MaskGenerator.from_params(tiny_sam, MaskParams(**LOOSE)).find(patches(96, 160))[0]
    assert len(record.rle.counts) < 96 * 160 / 8
    assert not any(isinstance(value, np.ndarray | torch.Tensor) for value in vars(record).values())
    assert replace(record) == record


def test_the_demo_preset_finds_a_usable_number_of_masks(patches):
    generator = load_mask_generator("sam_demo", MaskParams.preset("demo"))
    assert 5 <= len(generator.find(patches(256, 320))) <= 60
