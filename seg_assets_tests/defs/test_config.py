"""Run config: the library's parameters are the Launchpad's fields."""

from typing import Any

import dagster as dg
import pytest
from pydantic import BaseModel

from seg_assets.defs.assets.labels import SeemConfig
from seg_assets.defs.assets.masks import SamMasksConfig
from seg_assets.labels.params import LabelParams
from seg_assets.masks.params import MaskParams
from seg_assets_tests.defs.conftest import SHARD

STAGES = [("sam_masks", SamMasksConfig, MaskParams), ("seem", SeemConfig, LabelParams)]


def fields_in_dagster(definitions: dg.Definitions, op: str) -> dict[str, Any]:
    schema = definitions.resolve_job_def("label_shards").run_config_schema.config_type
    ops = schema.fields["ops"].config_type.fields
    return ops[op].config_type.fields["config"].config_type.fields


@pytest.mark.parametrize(("op", "config", "params"), STAGES)
def test_dagster_shows_every_parameter_with_default_and_description(
    definitions: dg.Definitions, op: str, config: type, params: type[BaseModel]
) -> None:
    shown = fields_in_dagster(definitions, op)
    assert set(shown) == {*params.model_fields, "recompute"}
    for name, field in params.model_fields.items():
        assert shown[name].description == field.description, name
        assert not shown[name].is_required, name
        if field.default is not None:
            assert shown[name].default_value == field.default, name


@pytest.mark.parametrize(("op", "config", "params"), STAGES)
def test_the_config_keeps_the_bounds_and_gives_the_library_its_parameters(
    op: str, config: type, params: type[BaseModel]
) -> None:
    for name, field in params.model_fields.items():
        assert config.model_fields[name].metadata == field.metadata, name
    assert config().params() == params()
    assert config(recompute=True).params() == params()


@pytest.mark.parametrize(
    ("op", "config", "wrong"),
    [
        ("sam_masks", {"points_per_side": 0}, "points_per_side"),
        ("sam_masks", {"pred_iou_thresh": 1.5}, "pred_iou_thresh"),
        ("sam_masks", {"points_per_side": 2, "crop_n_layers": 7}, "crop_n_layers"),
        ("sam_masks", {"points_per_sid": 4}, "points_per_sid"),
        ("sam_masks", {"points_per_side": "many"}, "points_per_side"),
        ("seem", {"erosion_size": 10}, "erosion_size"),
        ("seem", {"top_k": 0}, "top_k"),
        ("seem", {"points": "all"}, "points"),
    ],
    ids=lambda case: next(iter(case)) if isinstance(case, dict) else case,
)
def test_a_wrong_value_is_refused_and_named(
    definitions: dg.Definitions, op: str, config: dict[str, Any], wrong: str
) -> None:
    job = definitions.resolve_job_def("label_shards")
    with pytest.raises(Exception) as caught:
        job.execute_in_process(
            partition_key=SHARD,
            run_config={"ops": {op: {"config": config}}},
        )
    print(type(caught.value), str(caught.value)[:2000])
    assert wrong in str(caught.value)
