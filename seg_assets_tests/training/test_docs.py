"""docs/training.md lists every value there is, with what the classes say about it."""

import re
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from seg_assets.modeling.seem.adapter_config import AdapterConfig, LoraConfig
from seg_assets.training.config import TrainConfig
from seg_assets.training.sam.params import LossParams, NoiseParams, PointJob
from seg_assets.training.seem.params import (
    CamVidData,
    LossWeights,
    MatchCosts,
    PanopticData,
    PointParams,
    SceneData,
    SeemTaskParams,
)
from seg_assets_tests.conftest import REPOSITORY

PAGE = REPOSITORY / "docs" / "training.md"
SAM = (PointJob, LossParams, NoiseParams)
SEEM = (SeemTaskParams, LossWeights, MatchCosts, PointParams, AdapterConfig, LoraConfig)
PARAMS = (TrainConfig, *SAM, *SEEM, SceneData, CamVidData, PanopticData)


def table(params: type[BaseModel]) -> str:
    """A line per field: name, default, description."""
    lines = ["| key | default | meaning |", "| --- | --- | --- |"]
    for name, field in params.model_fields.items():
        meaning = (field.description or "").rstrip(".")
        choices = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
        if not all(choice in meaning for choice in choices):
            meaning = f"{meaning} ({', '.join(choices)})"
        default = field.get_default(call_default_factory=True)
        lines.append(f"| {name} | {shown(default)} | {meaning} |")
    return "\n".join(lines)


def shown(default: Any) -> str:
    if default is PydanticUndefined:
        return ""
    if isinstance(default, BaseModel):
        return f"see `{type(default).__name__}`"
    if isinstance(default, tuple):
        return ", ".join(map(str, default)) or "none"
    return {None: "none", "": ""}.get(default, str(default))


def written(text: str, params: type[BaseModel]) -> str:
    """What the page has after the class's mark, up to the first line that is no table's."""
    found = re.search(rf"<!-- {params.__name__} -->\n((?:\|.*\n)*)", text)
    assert found, f"the page has no place for {params.__name__}"
    return found[1].strip()


@pytest.mark.parametrize("params", PARAMS)
def test_the_page_lists_all_values(params: type[BaseModel]) -> None:
    """If this fails after a change: run this file as a program, which writes the tables anew."""
    assert written(PAGE.read_text(encoding="utf-8"), params) == table(params)


def write_tables() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for params in PARAMS:
        mark = f"<!-- {params.__name__} -->\n"
        new = mark + table(params) + "\n"
        text = re.sub(re.escape(mark) + r"(?:\|.*\n)*", lambda _, new=new: new, text)
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_tables()
