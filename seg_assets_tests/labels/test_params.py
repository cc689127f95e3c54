import subprocess
import sys

import dagster as dg
import pytest
from pydantic import ValidationError

from seg_assets.labels.params import LabelParams


def test_the_defaults_are_the_reference_pipelines():
    params = LabelParams()
    assert (params.short_side, params.max_side) == (None, None)
    assert (params.erosion_size, params.gentle_erosion_size, params.erosion_keep) == (11, 3, 0.3)
    assert params.points == "even"


@pytest.mark.parametrize(
    ("short_side", "max_side", "image", "expected"),
    [
        (None, None, (1500, 2250), (1500, 2250)),
        (512, None, (1500, 2250), (512, 768)),
        (512, None, (2250, 1500), (768, 512)),
        (512, None, (100, 301), (512, 1541)),
        (None, 1024, (1500, 2250), (682, 1024)),
        (None, 1024, (600, 800), (600, 800)),
        (512, 600, (1500, 2250), (400, 600)),
        (None, 32, (1, 4000), (1, 32)),
        (64, None, (50, 50), (64, 64)),
    ],
)
def test_input_size_keeps_the_aspect(short_side, max_side, image, expected):
    assert LabelParams(short_side=short_side, max_side=max_side).input_size(*image) == expected


@pytest.mark.parametrize(
    "wrong",
    [
        {"erosion_size": 10},
        {"gentle_erosion_size": 2},
        {"erosion_size": 3, "gentle_erosion_size": 5},
        {"points": "all"},
        {"prompts_per_batch": 0},
        {"score_tolerance": -1.0},
        {"short_sides": 512},
    ],
)
def test_wrong_values_are_refused(wrong):
    with pytest.raises(ValidationError):
        LabelParams.model_validate(wrong)


def test_what_changes_no_label_makes_no_shard_stale():
    default = LabelParams().that_decide_labels()
    assert LabelParams(prompts_per_batch=7).that_decide_labels() == default
    others = {
        "short_side": 512,
        "max_side": 1024,
        "points": "random",
        "seed": 1,
        "precision": "bfloat16",
        "scoring": "group",
        "top_k": 5,
        "semantic_classes": "source",
        "pavement_to_sidewalk": True,
        "erosion_size": 13,
        "gentle_erosion_size": 5,
        "erosion_keep": 0.5,
        "score_tolerance": 0.0,
        "mask_tolerance": 0.001,
        "confidence_maps": True,
        "dense_scores": True,
    }
    assert others.keys() | {"prompts_per_batch"} == LabelParams.model_fields.keys()
    for name, value in others.items():
        assert LabelParams(**{name: value}).that_decide_labels() != default, name


def test_a_dagster_config_can_derive_from_them():
    class LabelConfig(LabelParams, dg.Config):
        pass

    fields = LabelConfig.to_fields_dict()
    assert fields.keys() == LabelParams.model_fields.keys()
    assert all(field.description for field in fields.values())

    seen = []

    @dg.asset
    def labels(config: LabelConfig) -> None:
        seen.append(config)

    run_config = {"ops": {"labels": {"config": {"points": "random", "short_side": 512}}}}
    dg.materialize([labels], run_config=run_config)
    assert seen[0].points == "random"
    assert seen[0].input_size(600, 800) == (512, 682)


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("params", ["torch", "cv2", "pandas", "matplotlib"]),
        ("fusion", ["torch"]),
        ("logit_factors", ["torch", "cv2"]),
    ],
)
def test_importing_brings_in_nothing_heavy(module, heavy):
    code = (
        f"import sys, seg_assets.labels.{module}; "
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
