"""Settings given as text: `KEY VALUE` or `KEY=VALUE`, with dots between the names of nested keys.

The type of the field decides what the text means: "False" for a switch is false, "1e-4" for a rate
is a number, "[0.8, 0.9]" or "0.8,0.9" for a list is two numbers, "none" is no value.
"""

import difflib
import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from seg_assets.errors import InputError

Params = TypeVar("Params", bound=BaseModel)


def apply_overrides(params: Params, overrides: Sequence[str]) -> Params:
    """Change some values of `params`.

    Args:
        params: The values so far; may hold other models, dicts and tuples.
        overrides: What the user gave, e.g. ["lr=1e-4", "epochs", "30", "milestones.0=0.5"].

    Returns:
        A new object of the same class; all values are checked together, so that two that must
        change together may.

    Raises:
        InputError: A key does not exist (the nearest ones are named), lacks its value, or the value
            is not of the key's type or out of bounds.
    """
    values = params.model_dump()
    for key, text in pairs(overrides):
        _set(values, params, key, text)
    try:
        return type(params).model_validate(values)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        message = _said(error)
        raise InputError(f"{where}: {message}" if where else message) from error


def pairs(overrides: Sequence[str]) -> list[tuple[str, str]]:
    """Split overrides in either form into keys and values.

    Raises:
        InputError: A key has no value.
    """
    found: list[tuple[str, str]] = []
    rest = list(overrides)
    while rest:
        key, equals, value = rest.pop(0).partition("=")
        if not equals:
            if not rest:
                raise InputError(f"the setting '{key}' has no value: write {key}=VALUE")
            value = rest.pop(0)
        found.append((key.strip(), value.strip()))
    return found


def _set(values: dict[str, Any], params: BaseModel, key: str, text: str) -> None:
    """Put the value that `text` means where `key` points."""
    container: Any = values
    model: BaseModel | None = params  # the model that `container` was dumped from, if any
    names = key.split(".")
    for depth, name in enumerate(names[:-1]):
        place = _place(container, name, ".".join(names[:depth]))
        container = _mutable(container, place)
        model = getattr(model, name, None) if model is not None else None
        model = model if isinstance(model, BaseModel) else None
    place = _place(container, names[-1], ".".join(names[:-1]))
    if model is not None:
        annotation = type(model).model_fields[names[-1]].annotation
        container[place] = _typed(annotation, key, text)
    else:
        container[place] = _typed(_type_like(container[place]), key, text)


def _place(container: Any, name: str, parent: str) -> str | int:
    if isinstance(container, Mapping):
        if name in container:
            return name
        known = [str(key) for key in container]
    elif isinstance(container, (list, tuple)):
        if name.isdecimal() and int(name) < len(container):
            return int(name)
        known = [str(index) for index in range(len(container))]
    else:
        raise InputError(f"there is no setting '{parent}.{name}': '{parent}' has no parts")
    whole = f"{parent}.{name}" if parent else name
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"choose one of: {', '.join(known)}"
    raise InputError(f"there is no setting '{whole}'; {hint}")


def _mutable(container: Any, place: str | int) -> Any:
    """The inner container at `place`, replaced by a list where it is a tuple."""
    inner = container[place]
    if isinstance(inner, tuple):
        inner = container[place] = list(inner)
    return inner


def _type_like(value: Any) -> Any:
    """Type of a value that no model describes; None may become anything."""
    return Any if value is None else type(value)


def _typed(annotation: Any, key: str, text: str) -> Any:
    """What `text` means for a field of this type, tried as plain text, as JSON, as a list."""
    adapter = TypeAdapter(annotation)
    failures: list[ValidationError] = []
    for reading in _readings(text):
        try:
            return adapter.validate_python(reading)
        except ValidationError as error:
            failures.append(error)
    # that a text is no list says nothing; what is wrong with its parts does
    no_list = failures[0].errors()[0]["type"] in {"tuple_type", "list_type", "set_type"}
    telling = failures[-1] if no_list else failures[0]
    raise InputError(f"{key}={text}: {_said(telling)}") from telling


def _said(error: ValidationError) -> str:
    message = error.errors()[0]["msg"].removeprefix("Value error, ")
    return message[0].lower() + message[1:]


def _readings(text: str) -> list[Any]:
    if text.lower() in {"none", "null"}:
        return [None, text]
    readings: list[Any] = [text]
    try:
        readings.append(json.loads(text))
    except ValueError:
        parts = [part.strip() for part in text.strip("[]()").split(",")]
        readings.append([part for part in parts if part])
    else:
        readings.append([text])
    return readings
