import os
import subprocess
import sys
import threading
import time

import pytest
import torch

from seg_assets.errors import InputError, StoreError
from seg_assets.modeling import devices
from seg_assets.modeling.devices import (
    Slot,
    default_lock_dir,
    lease,
    lease_several,
    parse_devices,
)

HOLDER = """
import sys, time
from pathlib import Path
from seg_assets.modeling.devices import lease, parse_devices
with lease(parse_devices("cpu"), Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(devices, "RETRY_SECONDS", 0.01)


@pytest.mark.parametrize(
    ("text", "processes", "slots"),
    [
        ("cpu", 2, [("cpu", 0)]),
        ("cpu:3", 2, [("cpu", 0), ("cpu", 1), ("cpu", 2)]),
        ("cuda", 1, [("cuda:0", 0)]),
        (" cuda:1 , cuda:0,", 2, [("cuda:1", 0), ("cuda:1", 1), ("cuda:0", 0), ("cuda:0", 1)]),
        ("cuda:0,cuda:0", 1, [("cuda:0", 0), ("cuda:0", 1)]),
        ("cpu,cuda:2", 1, [("cpu", 0), ("cuda:2", 0)]),
    ],
)
def test_devices_become_slots(text, processes, slots):
    assert parse_devices(text, processes) == [Slot(*slot) for slot in slots]


@pytest.mark.parametrize(("count", "names"), [(0, ["cpu"]), (2, ["cuda:0", "cuda:1"])])
def test_no_devices_mean_all_there_are(monkeypatch, count, names):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    assert [slot.device for slot in parse_devices("")] == names


@pytest.mark.parametrize("text", ["tpu", "cuda:x", "cpu:-1", "cuda 0", "cpu:0"])
def test_what_is_no_device_is_refused(text):
    with pytest.raises(InputError, match="SEG_DEVICES"):
        parse_devices(text)


def test_processes_get_slots_of_their_own(tmp_path):
    slots = parse_devices("cpu:2")
    with lease(slots, tmp_path) as first, lease(slots, tmp_path) as second:
        assert {first.name, second.name} == {"cpu.0", "cpu.1"}


def test_who_finds_no_free_slot_waits_for_one(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(devices, "REPORT_SECONDS", 0.0)
    slots = parse_devices("cpu")
    leased = []

    def wait():
        with lease(slots, tmp_path) as slot:
            leased.append(slot)

    waiting = threading.Thread(target=wait)
    with caplog.at_level("INFO", logger="seg_assets"), lease(slots, tmp_path):
        waiting.start()
        time.sleep(0.2)
        assert leased == []
    waiting.join(timeout=10)
    assert leased == slots
    assert "too few slots are free (of 1)" in caplog.text


def test_an_error_in_the_block_frees_the_slot(tmp_path):
    with pytest.raises(KeyError), lease(parse_devices("cpu"), tmp_path):
        raise KeyError
    with lease(parse_devices("cpu"), tmp_path) as slot:
        assert slot.device == "cpu"


def test_a_process_that_is_killed_frees_its_slot(tmp_path):
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with lease(parse_devices("cpu:2"), tmp_path) as slot:
            assert slot.name == "cpu.1"  # the other process has the first
        holder.kill()
        holder.wait()
    with lease(parse_devices("cpu"), tmp_path) as slot:
        assert slot.device == "cpu"


def test_a_lock_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with (
        pytest.raises(StoreError, match=r"file/cpu\.0 cannot be written .*TMPDIR"),
        lease(parse_devices("cpu"), tmp_path / "file"),
    ):
        pass


def test_a_lock_never_follows_a_link(tmp_path):
    (tmp_path / "cpu.0").symlink_to(tmp_path / "elsewhere")
    with (
        pytest.raises(StoreError, match="cannot be written"),
        lease(parse_devices("cpu"), tmp_path),
    ):
        pass
    assert not (tmp_path / "elsewhere").exists()


def test_locks_belong_to_the_user():
    assert str(os.getuid()) in str(default_lock_dir())


def test_several_slots_are_held_together_or_not_at_all(tmp_path):
    slots = parse_devices("cpu:3")
    with lease_several(slots, 2, tmp_path) as held:
        assert [slot.index for slot in held] == [0, 1]
        with lease(slots, tmp_path) as third:  # the one that is left
            assert third.index == 2
    with lease_several(slots, 3, tmp_path) as held:
        assert len(held) == 3


def test_a_cuda_device_is_taken_once_for_several(tmp_path):
    slots = parse_devices("cuda:0,cuda:1", processes_per_device=2)
    with lease_several(slots, 2, tmp_path) as held:
        assert [slot.device for slot in held] == ["cuda:0", "cuda:1"]
    with pytest.raises(InputError, match="3 devices are asked for and there are 2"):
        lease_several(slots, 3, tmp_path).__enter__()


def test_who_waits_for_several_holds_none(tmp_path):
    slots = parse_devices("cpu:2")
    waiting = threading.Event()

    def want_two():
        waiting.set()
        with lease_several(slots, 2, tmp_path):
            pass

    with lease([slots[1]], tmp_path):
        other = threading.Thread(target=want_two)
        other.start()
        waiting.wait()
        time.sleep(0.3)
        with lease([slots[0]], tmp_path):  # free, although the other one wants it
            pass
    other.join(timeout=10)
    assert not other.is_alive()
