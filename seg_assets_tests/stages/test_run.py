"""The loop of all stages: which failures are recorded, which stop it, which inputs it refuses."""

from collections.abc import Callable

import pytest

from seg_assets.errors import ImageError
from seg_assets.stages.run import (
    LATER_SYSTEMATIC_FAILURES,
    RowsOfImage,
    StageReport,
    run_stage,
)
from seg_assets.storage.store import Store

IMAGES = [f"{number:03d}" for number in range(40)]


def run(store: Store, process: Callable[[str], RowsOfImage]) -> StageReport:
    return run_stage(store, "city", ["evaluation_metrics"], IMAGES, {}, lambda watch: process)


def rows(image_id: str) -> RowsOfImage:
    numbers = {"pixels": int(image_id), "ignored": 0, "confusion": []}
    return {"evaluation_metrics": [{"method": "seem", "table": "camvid11", **numbers}]}


def test_failures_among_good_images_are_recorded_in_their_places(store: Store) -> None:
    known, unexpected = {"000", "007", "039"}, {"006", "008", "009", "038"}

    def process(image_id: str) -> RowsOfImage:
        if image_id in known:
            raise ImageError(f"{image_id} is truncated")
        if image_id in unexpected:
            raise ValueError(image_id)
        return rows(image_id)

    report = run(store, process)
    reader = store.open_shard("evaluation_metrics", "city")
    assert reader.manifest.image_ids == IMAGES
    assert reader.failed == {
        **{i: ("evaluation_metrics", f"{i} is truncated") for i in known},
        **{i: ("evaluation_metrics", f"ValueError: {i}") for i in unexpected},
    }
    assert (report.images, report.failed) == (33, 7)
    assert [row["pixels"] for row in reader.rows("037")] == [37]


def test_a_device_lost_in_the_middle_stops_the_run_and_spoils_no_image(store: Store) -> None:
    lost_at = 10
    asked = []

    def lose_the_device(image_id: str) -> RowsOfImage:
        asked.append(image_id)
        if int(image_id) >= lost_at:
            raise RuntimeError("the device is gone")
        return rows(image_id)

    with pytest.raises(RuntimeError, match="the device is gone"):
        run(store, lose_the_device)
    assert len(asked) == lost_at + LATER_SYSTEMATIC_FAILURES
    assert not store.is_complete("evaluation_metrics", "city")

    run(store, rows)
    reader = store.open_shard("evaluation_metrics", "city")
    assert reader.image_ids == IMAGES
    assert not reader.failed


def test_any_number_of_images_may_be_bad_in_a_known_way(store: Store) -> None:
    def process(image_id: str) -> RowsOfImage:
        raise ImageError(f"{image_id} is truncated")

    assert run(store, process).failed == len(IMAGES)
