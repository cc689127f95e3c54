import subprocess
import sys

import pytest

from seg_assets.training.sam.params import BoxParams, LossParams, PointParams


def test_defaults_are_those_of_the_paper():
    loss = LossParams()
    assert (loss.focal_weight, loss.dice_weight, loss.iou_weight) == (20, 1, 1)
    assert (loss.focal, loss.focal_alpha, loss.focal_gamma) == ("pixel", 0.25, 2)
    assert loss.mask_choice == "lowest_loss"
    assert (PointParams().num_iter, PointParams().points) == ("auto", "accumulate")
    assert BoxParams().trained == ("mask_decoder",)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"cache": "disk"}, "cache_dir goes with"),
        ({"cache": "memory", "cache_dir": "x"}, "cache_dir goes with"),
        ({"cache": "memory", "trained": ("image_encoder",)}, "needs a frozen image encoder"),
        ({"trained": ()}, "at least 1 item"),
        ({"objects_per_image": 0}, "greater than or equal to 1"),
        ({"loss": {"focal": "sum"}}, "'pixel' or 'per_mask'"),
        ({"colour": 1}, "Extra inputs"),
    ],
)
def test_impossible_parameters_are_refused(fields: dict, message: str):
    with pytest.raises(ValueError, match=message):
        BoxParams.model_validate(fields)


def test_parameters_and_presets_need_no_torch():
    code = (
        "import sys; import seg_assets.training.sam.params, seg_assets.training.sam.presets; "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
