"""Run config of the stages: what the Launchpad shows, and the sentence for a wrong value."""

from typing import Any

import dagster as dg
from pydantic import Field, ValidationError
from pydantic.fields import FieldInfo

from seg_assets.defs.failures import plain_failures
from seg_assets.errors import InputError

_BOUNDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


class BoundedConfig(dg.Config):
    """Base of all configs: a wrong value is a sentence.

    Dagster's schema knows no bounds, so they are told at the end of each field's description.
    """

    @classmethod
    def __pydantic_init_subclass__(cls, **options: Any) -> None:
        """Tell the bounds in the descriptions of this class; the library's own stay as they are."""
        super().__pydantic_init_subclass__(**options)
        for field in cls.model_fields.values():
            if bounds := told_bounds(field):
                field.description = f"{field.description} Allowed: {bounds}."

    def __init__(self, **values: Any) -> None:
        """Check the values.

        Raises:
            dg.Failure: a value is out of bounds, or some of them do not go together.
        """
        try:
            super().__init__(**values)
        except ValidationError as error:
            with plain_failures():
                raise InputError(_sentence(error)) from error


def told_bounds(field: FieldInfo) -> str:
    """The bounds of a field in words: "at least 1, at most 1024"; "" without any."""
    told = (
        f"{words} {getattr(bound, name)}"
        for bound in field.metadata
        for name, words in _BOUNDS.items()
        if hasattr(bound, name)
    )
    return ", ".join(told)


def _sentence(error: ValidationError) -> str:
    wrong = []
    for found in error.errors():
        name = ".".join(str(part) for part in found["loc"])
        message = found["msg"].removeprefix("Value error, ").removeprefix("Input ")
        wrong.append(f"{name} {message}, not {found['input']!r}" if name else message)
    return f"the run config cannot be used: {'; '.join(wrong)}"


class StageConfig(BoundedConfig):
    """Options that every stage has; base of the configs with a stage's own parameters."""

    recompute: bool = Field(
        default=False, description="Do finished images of the shard anew instead of keeping them."
    )
