import inspect
import subprocess
import sys

import dagster as dg
import pytest
from pydantic import ValidationError

import seg_assets.modeling.torchvision_cpu  # noqa: F401
from seg_assets.errors import InputError
from seg_assets.masks.generator import MaskGenerator
from seg_assets.masks.params import MASK_PRESETS, MaskParams

# isort: split
from segment_anything import SamAutomaticMaskGenerator


def test_names_and_defaults_are_those_of_the_reference_generator():
    signature = inspect.signature(SamAutomaticMaskGenerator.__init__).parameters
    reference = {
        name: parameter.default
        for name, parameter in signature.items()
        if name not in ("self", "model", "output_mode")
    }
    own = {"points_per_batch": None, "precision": "float32", "compile_encoder": False}
    assert MaskParams().model_dump() == reference | own
    assert MaskParams.preset("reference") == MaskParams()


def test_the_generator_takes_the_reference_generators_arguments():
    """Names, order and defaults: whoever uses the package changes one import."""
    ours, reference = (
        [(p.name, p.default) for p in inspect.signature(kind.__init__).parameters.values()]
        for kind in (MaskGenerator, SamAutomaticMaskGenerator)
    )
    assert ours == reference


def test_what_changes_no_mask_makes_no_shard_stale():
    params = MaskParams(points_per_batch=7, compile_encoder=True)
    assert params.that_decide_masks() == MaskParams().that_decide_masks()
    assert MaskParams(precision="bfloat16").that_decide_masks() != params.that_decide_masks()


def test_every_field_is_described():
    assert all(field.description for field in MaskParams.model_fields.values())


@pytest.mark.parametrize("name", MASK_PRESETS)
def test_presets_are_valid(name: str):
    assert isinstance(MaskParams.preset(name), MaskParams)


def test_presets_hold_what_their_sources_use():
    assert MaskParams.preset("upstream").min_mask_region_area == 50
    sa1b = MaskParams.preset("sa1b")
    assert (sa1b.crop_n_layers, sa1b.crop_n_points_downscale_factor) == (2, 2)
    ssa = MaskParams.preset("ssa")
    assert (ssa.points_per_side, ssa.pred_iou_thresh, ssa.stability_score_thresh) == (
        64,
        0.86,
        0.92,
    )


def test_an_unknown_preset_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match="'fast'; choose one of: reference, upstream, sa1b"):
        MaskParams.preset("fast")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"points_per_side": None}, "either points_per_side or point_grids"),
        ({"point_grids": [[[0.5, 0.5]]]}, "either points_per_side or point_grids"),
        (
            {"points_per_side": 4, "crop_n_layers": 3, "crop_n_points_downscale_factor": 2},
            "no point in crop layer 3",
        ),
        (
            {"points_per_side": None, "point_grids": [[[0.5, 0.5]]], "crop_n_layers": 1},
            "1 grids, but crop_n_layers=1 needs 2",
        ),
        ({"points_per_side": None, "point_grids": [[[0.5, 1.5]]]}, r"point_grids\[0\] must hold"),
        ({"points_per_side": None, "point_grids": [[[0.5]]]}, r"point_grids\[0\] must hold"),
        ({"points_per_side": None, "point_grids": [[]]}, r"point_grids\[0\] must hold"),
        ({"points_per_side": 0}, "greater than or equal to 1"),
        ({"pred_iou_thresh": 1.2}, "less than or equal to 1"),
        ({"pred_iou_thresh": float("nan")}, "pred_iou_thresh"),
        ({"crop_overlap_ratio": 1.0}, "less than 1"),
        ({"stability_score_offset": float("inf")}, "finite"),
        ({"min_mask_region_area": -1}, "greater than or equal to 0"),
        ({"iou_thresh": 0.5}, "Extra inputs"),
    ],
)
def test_what_makes_no_sense_is_refused(change: dict, message: str):
    with pytest.raises(ValidationError, match=message):
        MaskParams(**change)


def test_parameters_do_not_change():
    with pytest.raises(ValidationError, match="frozen"):
        MaskParams().points_per_side = 3  # pyright: ignore[reportAttributeAccessIssue]


def test_a_dagster_config_can_derive_from_them():
    class SamMasksConfig(MaskParams, dg.Config):
        recompute: bool = False

    @dg.asset
    def masks(config: SamMasksConfig) -> None:
        assert config.points_per_side is None
        assert config.point_grids == [[[0.5, 0.25]]]
        assert config.pred_iou_thresh == 0.88

    config = {"points_per_side": None, "point_grids": [[[0.5, 0.25]]]}
    run_config = {"ops": {"masks": {"config": config}}}
    assert dg.materialize([masks], run_config=run_config).success


def test_parameters_load_nothing_heavy():
    program = (
        "import sys, seg_assets.masks.params, seg_assets.masks.region_map;"
        "heavy = {'torch', 'torchvision', 'cv2', 'matplotlib', 'pandas'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
