import pytest

from seg_assets.errors import InputError
from seg_assets.modeling.devices import parse_devices
from seg_assets.training.placement import Placement, choose_slots, first_devices
from seg_assets.training.recipe import seem_recipe

RECIPE = seem_recipe({"train": {"kind": "scenes"}})


def test_processes_see_their_devices_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    two = Placement(("cuda:1", "cuda:3"))
    assert two.environment() == {"CUDA_VISIBLE_DEVICES": "1,3"}
    assert two.placed(RECIPE) == RECIPE


def test_devices_count_among_those_that_we_see_ourselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,GPU-abc")
    assert Placement(("cuda:1",)).environment() == {"CUDA_VISIBLE_DEVICES": "GPU-abc"}


def test_on_the_cpu_no_cuda_device_is_seen() -> None:
    placement = Placement(("cpu", "cpu"))
    assert placement.environment() == {"CUDA_VISIBLE_DEVICES": ""}
    assert placement.placed(RECIPE).config.device == "cpu"


@pytest.mark.parametrize(
    ("devices", "processes", "cpu_only", "expected"),
    [
        ("cuda:0,cuda:1", 2, False, ("cuda:0", "cuda:1")),
        ("cuda:0,cuda:0,cuda:1", 2, False, ("cuda:0", "cuda:1")),  # two slots are one device
        ("cuda:1", 1, False, ("cuda:1",)),
        ("cuda:1", 2, True, ("cpu", "cpu")),
        ("cpu:2", 2, False, ("cpu", "cpu")),
        ("cuda:0,cpu:2", 2, False, ("cpu", "cpu")),
        ("cuda:0,cpu:2", 1, False, ("cuda:0",)),
    ],
)
def test_each_process_gets_a_device_of_its_own(
    devices: str, processes: int, cpu_only: bool, expected: tuple[str, ...]
) -> None:
    found = first_devices(parse_devices(devices), processes, cpu_only=cpu_only)
    assert found.devices == expected


@pytest.mark.parametrize("devices", ["cuda:0", "cuda:0,cuda:0", "cpu", "cuda:0,cpu"])
def test_too_few_devices_are_refused(devices: str) -> None:
    with pytest.raises(InputError, match="2 processes need as many CUDA devices or CPU slots"):
        choose_slots(parse_devices(devices), 2)
    with pytest.raises(InputError, match="0 processes cannot train"):
        choose_slots(parse_devices(devices), 0)
