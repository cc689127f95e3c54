from typing import Any, Literal

import dagster as dg
import pytest
from pydantic import BaseModel, Field

from seg_assets.defs.params_schema import params_schema


class Inner(BaseModel):
    side: int = Field(default=3, ge=1, description="Pixels of a side.")


class Outer(BaseModel):
    needed: str = Field(description="what it is called")
    rate: float = Field(default=0.5, gt=0, le=1, description="How much")
    pair: tuple[float, float] = (0.1, 0.2)
    names: tuple[Literal["a", "b"], ...] = ("a",)
    limit: int | None = Field(default=None, ge=1, description="At most so many.")
    mixed: int | Literal["auto"] = "auto"
    kind: Literal["fast", "slow"] = "fast"
    inner: Inner = Field(default=Inner(), description="The inside.")
    maybe: Inner | None = None
    anything: dict[str, Any] = {}


def received(config: dict[str, Any]) -> dict[str, Any]:
    """What an asset gets to see of a run config."""
    seen: dict[str, Any] = {}

    @dg.asset(config_schema=params_schema(Outer, {"rate": "Half is usual."}))
    def thing(context: dg.AssetExecutionContext) -> None:
        seen.update(context.op_execution_context.op_config)

    dg.materialize([thing], run_config={"ops": {"thing": {"config": config}}})
    return seen


def test_values_arrive_as_they_are_given_and_nothing_else_does() -> None:
    config = {
        "needed": "x",
        "rate": 1,
        "pair": [1.5, 2.5],
        "names": ["b", "a"],
        "limit": None,
        "mixed": 11,
        "kind": "slow",
        "inner": {"side": 9},
        "maybe": None,
        "anything": {"deep": [1, {"er": "x"}]},
    }
    assert received(config) == config
    assert received({}) == {}
    assert received({"mixed": "auto", "maybe": {"side": 2}}) == {
        "mixed": "auto",
        "maybe": {"side": 2},
    }


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"speed": 1}, 'Received unexpected config entry "speed"'),
        ({"inner": {"width": 1}}, 'Received unexpected config entry "width"'),
        ({"kind": "medium"}, "not in enum type"),
        ({"names": ["c"]}, "not in enum type"),
        ({"rate": "much"}, "must be a Float|must not be a str|Invalid scalar"),
        ({"limit": 1.5}, "Invalid scalar|must be"),
    ],
)
def test_the_launchpad_refuses_what_has_no_place(config: dict[str, Any], message: str) -> None:
    with pytest.raises(dg.DagsterInvalidConfigError, match=message):
        received(config)


def test_descriptions_tell_bounds_and_defaults() -> None:
    told = {name: field.description for name, field in params_schema(Outer).fields.items()}
    assert told["needed"] == "what it is called."
    assert told["rate"] == "How much. Allowed: above 0, at most 1. Default: 0.5."
    assert told["limit"] == "At most so many. Allowed: at least 1. Default: none."
    assert told["pair"] == "Default: [0.1, 0.2]."
    assert told["inner"] == "The inside."
    more = params_schema(Outer, {"rate": "Half is usual."}).fields["rate"].description
    assert more == "How much. Allowed: above 0, at most 1. Default: 0.5. Half is usual."
