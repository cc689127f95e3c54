from typing import Any

import pytest
from pydantic import ValidationError

from seg_assets.data.ct.params import FLARE22, CtParams


def test_params_are_written_and_read_as_json() -> None:
    params = CtParams(size=256, removed_labels=(1, 12))
    assert CtParams.model_validate_json(params.model_dump_json()) == params


@pytest.mark.parametrize(
    "values",
    [
        {"width": 0},
        {"size": 8},
        {"train_share": 0},
        {"train_share": 1.1},
        {"min_voxels": -1},
        {"modality": "pet"},
        {"removed_labels": (0,)},
        {"removed_labels": (256,)},
        {"class_names": {0: "background"}},
        {"class_names": {1: ""}},
        {"low_percentile": 60},
        {"windows": 3},
    ],
)
def test_values_out_of_range_and_unknown_names_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        CtParams(**values)


def test_the_organs_of_flare22_are_numbered_from_1_to_13() -> None:
    assert list(FLARE22) == list(range(1, 14))
    assert FLARE22[12] == "duodenum"
