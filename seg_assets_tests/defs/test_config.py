"""Run config: the library's parameters are the Launchpad's fields."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from pydantic import BaseModel

from seg_assets.defs.assets.labels import SeemConfig
from seg_assets.defs.assets.masks import SamMasksConfig
from seg_assets.labels.params import LabelParams
from seg_assets.masks.params import MaskParams
from seg_assets_tests.defs.conftest import RunJob

STAGES = [
    # op, its config, the library's parameters as everywhere else when nothing is said
    ("sam_masks", SamMasksConfig, MaskParams.preset("upstream")),
    ("seem", SeemConfig, LabelParams()),
]


def fields_in_dagster(definitions: dg.Definitions, op: str) -> dict[str, Any]:
    schema = definitions.resolve_job_def("label_shards").run_config_schema.config_type
    ops = schema.fields["ops"].config_type.fields
    return ops[op].config_type.fields["config"].config_type.fields


@pytest.mark.parametrize(("op", "config", "params"), STAGES)
def test_dagster_shows_every_parameter_with_default_and_description(
    definitions: dg.Definitions, op: str, config: type, params: BaseModel
) -> None:
    shown = fields_in_dagster(definitions, op)
    assert set(shown) == {*type(params).model_fields, "recompute"}
    assert shown["recompute"].description
    for name, field in type(params).model_fields.items():
        assert shown[name].description.startswith(field.description), name
        assert not shown[name].is_required, name
        if (default := getattr(params, name)) is not None:
            assert shown[name].default_value == default, name


@pytest.mark.parametrize(
    ("op", "name", "bounds"),
    [
        ("sam_masks", "points_per_side", "Allowed: at least 1, at most 1024."),
        ("sam_masks", "pred_iou_thresh", "Allowed: at least 0.0, at most 1.0."),
        ("sam_masks", "crop_overlap_ratio", "Allowed: at least 0.0, below 1.0."),
        ("seem", "short_side", "Allowed: at least 32."),
        ("seem", "seed", "Allowed: at least 0, below 2147483648."),
    ],
)
def test_dagster_shows_the_bounds_and_the_library_keeps_its_words(
    definitions: dg.Definitions, op: str, name: str, bounds: str
) -> None:
    assert fields_in_dagster(definitions, op)[name].description.endswith(f" {bounds}")
    params = MaskParams if op == "sam_masks" else LabelParams
    assert "Allowed" not in (params.model_fields[name].description or "")


@pytest.mark.parametrize(("op", "config", "params"), STAGES)
def test_the_config_keeps_the_bounds_and_gives_the_library_its_parameters(
    op: str, config: type, params: BaseModel
) -> None:
    for name, field in type(params).model_fields.items():
        assert config.model_fields[name].metadata == field.metadata, name
    assert config().params() == params
    assert config(recompute=True).params() == params


@pytest.mark.parametrize("op", ["raw_images", "semantic_maps", "merged_maps", "evaluation_metrics"])
def test_every_stage_can_be_done_anew(definitions: dg.Definitions, op: str) -> None:
    shown = fields_in_dagster(definitions, op)["recompute"]
    assert shown.default_value is False
    assert shown.description


@pytest.mark.parametrize(
    ("config", "values", "sentence"),
    [
        (
            SamMasksConfig,
            {"points_per_side": 0},
            "points_per_side should be greater than or equal to 1, not 0",
        ),
        (
            SamMasksConfig,
            {"pred_iou_thresh": 1.5, "crop_n_layers": 7},
            "pred_iou_thresh should be less than or equal to 1, not 1.5; "
            "crop_n_layers should be less than or equal to 6, not 7",
        ),
        (
            SamMasksConfig,
            {"point_grids": [[[0.5, 0.5]]]},
            "give either points_per_side or point_grids and leave the other empty",
        ),
        (SeemConfig, {"top_k": 0}, "top_k should be greater than or equal to 1, not 0"),
        (SeemConfig, {"points": "all"}, "points should be 'even' or 'random', not 'all'"),
        (SeemConfig, {"erosion_size": 10}, "erosion_size and gentle_erosion_size must be odd"),
    ],
)
def test_a_value_out_of_bounds_is_one_sentence(
    config: type[dg.Config], values: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(dg.Failure) as caught:
        config(**values)
    assert caught.value.description == f"the run config cannot be used: {sentence}"


@pytest.mark.parametrize(
    ("op", "values"),
    [("sam_masks", {"points_per_side": 0}), ("seem", {"erosion_size": 10})],
)
def test_a_run_with_a_wrong_value_fails_with_the_sentence_and_is_not_retried(
    run_job: RunJob, copied: Path, op: str, values: dict[str, Any]
) -> None:
    job = {"sam_masks": "mask_shards", "seem": "name_shards"}[op]
    result = run_job(job, copied, run_config={"ops": {op: {"config": values}}})
    (event,) = result.get_step_failure_events()
    error = event.step_failure_data.error
    assert error.message.startswith("the run config cannot be used: ")
    assert (error.stack, error.cause) == ([], None)


def test_an_unknown_field_is_refused_before_the_run_starts(run_job: RunJob, copied: Path) -> None:
    config = {"ops": {"sam_masks": {"config": {"points_per_sid": 4}}}}
    with pytest.raises(dg.DagsterInvalidConfigError, match="points_per_sid"):
        run_job("mask_shards", copied, run_config=config)
