import pytest

from seg_assets.errors import InputError
from seg_assets.labels.ssa_params import SSA_MASK_PRESETS, SSA_PRESETS, SsaParams
from seg_assets.masks.params import MaskParams


def test_every_field_is_described():
    assert all(field.description for field in SsaParams.model_fields.values())


@pytest.mark.parametrize("name", SSA_PRESETS)
def test_presets_are_valid_and_have_masks(name: str):
    """Settings of fudan-zvg/Semantic-Segment-Anything, main_ssa.py."""
    params = SsaParams.preset(name)
    assert (params.rule, params.min_vote_share, params.keep_aspect) == ("majority", 0.0, False)
    assert params.align_corners == ("segformer" in params.segmentor)
    masks = MaskParams.preset(SSA_MASK_PRESETS[name])
    assert masks.points_per_side == (128 if name == "foggy_driving" else 64)
    assert (masks.pred_iou_thresh, masks.stability_score_thresh) == (0.86, 0.92)
    assert (masks.crop_n_layers, masks.crop_n_points_downscale_factor) == (1, 2)
    assert masks.min_mask_region_area == 100


def test_an_unknown_preset_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match="'foggy'; choose one of: ade20k, cityscapes, foggy_driv"):
        SsaParams.preset("foggy")
