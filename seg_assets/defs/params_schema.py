"""Run config out of the library's parameter classes, where a Dagster config class cannot derive.

Dagster's config classes know no tuples, no nested parameters of the library and no unions, which
the parameters of training have. So their fields are told to Dagster one by one: names, types,
descriptions. The library's class then checks the values, and knows the defaults: what is not given
stays out of the config, so that a recipe's values can lie under it.
"""

from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import dagster as dg
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from seg_assets.defs.config import told_bounds

_SCALARS = (bool, int, float, str)
_NOTHING: Mapping[str, str] = {}


def params_schema(model: type[BaseModel], told: Mapping[str, str] = _NOTHING) -> dg.Shape:
    """A config with the fields of `model`, none of them required.

    Args:
        model: the library's parameters.
        told: more to say about some fields, by name.
    """
    fields = {}
    for name, field in model.model_fields.items():
        kind = _config_type(field.annotation, f"{model.__name__}_{name}")
        description = f"{_description(field)} {told.get(name, '')}".strip()
        fields[name] = dg.Field(kind, is_required=False, description=description)
    return dg.Shape(fields)


def choices(name: str, values: tuple[str, ...]) -> dg.Enum:
    """One of some texts; Dagster wants each such type under a name of its own."""
    return dg.Enum(name, [dg.EnumValue(value) for value in values])


def _config_type(annotation: Any, name: str) -> Any:
    """Dagster's type for an annotation; what it has no type for is any value, checked later."""
    kind, inner = get_origin(annotation), get_args(annotation)
    found: Any = dg.Any
    if kind in (Union, UnionType) and NoneType in inner:
        others = [item for item in inner if item is not NoneType]
        only = _config_type(others[0], name) if len(others) == 1 else dg.Any
        found = dg.Any if only is dg.Any else dg.Noneable(only)
    elif kind is Literal and all(isinstance(value, str) for value in inner):
        found = choices(name, inner)
    elif kind is tuple:
        found = dg.Array(_config_type(inner[0], name))
    elif annotation in _SCALARS:
        found = annotation
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        found = params_schema(annotation)
    return found


def _description(field: FieldInfo) -> str:
    """The field's own description, its bounds and its default."""
    sentences = [field.description.rstrip(".")] if field.description else []
    if bounds := told_bounds(field):
        sentences.append(f"Allowed: {bounds}")
    default = field.default
    if default is not PydanticUndefined and not isinstance(default, BaseModel):
        listed = list(default) if isinstance(default, tuple) else default
        sentences.append(f"Default: {'none' if listed is None else listed}")
    return " ".join(f"{sentence}." for sentence in sentences)
