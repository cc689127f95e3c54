from importlib import import_module

import pytest

from seg_assets.errors import InputError
from seg_assets.training.registry import TASKS, build_task

LINE = "seg_assets_tests.training.line:build"


def test_a_builder_of_ones_own() -> None:
    assert len(build_task(LINE, {"samples": 5})) == 5


def test_a_registered_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TASKS, "line", LINE)
    assert build_task("line", {}).name == "line"
    with pytest.raises(InputError, match=r"no training task 'lime'; did you mean line\?"):
        build_task("lime", {})


@pytest.mark.parametrize("name", ["no.such.module:build", "seg_assets.errors:build"])
def test_what_cannot_be_imported_is_an_error(name: str) -> None:
    with pytest.raises(InputError, match=f"the training task {name} cannot be imported"):
        build_task(name, {})


def test_every_registered_builder_is_there() -> None:
    for name, place in TASKS.items():
        module, _, function = place.partition(":")
        assert callable(getattr(import_module(module), function)), name
