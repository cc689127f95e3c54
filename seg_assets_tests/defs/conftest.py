"""The graph run in process over tiny models: a shard with good and bad pictures, done once."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from PIL import Image

from seg_assets.data.shards import register_shards
from seg_assets.data.sources import find_shards
from seg_assets.definitions import defs
from seg_assets.defs.resources import DevicesResource, ModelsResource, StoreResource
from seg_assets.storage.store import Store
from seg_assets_tests.stages.conftest import EVERYTHING, MANIFEST, write_pictures

SHARD = "pictures_0000"
GOOD = ["picture_000", "picture_001", "picture_002"]
EVERYTHING_CONFIG = {"ops": {"sam_masks": {"config": EVERYTHING.model_dump(exclude_unset=True)}}}

RunJob = Callable[..., dg.ExecuteInProcessResult]


@dataclass(frozen=True)
class FinishedRun:
    """What a run of `label_shards` has left, for tests that only look."""

    result: dg.ExecuteInProcessResult
    root: Path

    @property
    def store(self) -> Store:
        return Store(self.root / "store")

    @property
    def materializations(self) -> dict[str, dg.AssetMaterialization]:
        """By asset; one each."""
        events = self.result.get_asset_materialization_events()
        found = [event.step_materialization_data.materialization for event in events]
        assert len({m.asset_key for m in found}) == len(found)
        return {m.asset_key.to_user_string(): m for m in found}

    @property
    def checks(self) -> dict[str, dg.AssetCheckEvaluation]:
        """By name."""
        return {check.check_name: check for check in self.result.get_asset_check_evaluations()}


@pytest.fixture(scope="session")
def definitions() -> dg.Definitions:
    return defs()


@contextmanager
def tiny_environment(folder: Path) -> Iterator[pytest.MonkeyPatch]:
    """Models of our own, and device slots that no other process of this machine holds."""
    (folder / "models").mkdir()
    (folder / "models" / "manifest.toml").write_text(MANIFEST)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEG_MODELS_DIR", str(folder / "models"))
        patch.setattr("seg_assets.modeling.devices.default_lock_dir", lambda: folder / "slots")
        for name in ("SEG_DATA_DIR", "SEG_SAM_MODEL", "SEG_SEEM_MODEL", "SEG_DEVICES", "SEG_DEBUG"):
            patch.delenv(name, raising=False)
        yield patch


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[pytest.MonkeyPatch]:
    with tiny_environment(tmp_path_factory.mktemp("environment")) as patch:
        yield patch


@pytest.fixture
def run_job(environment: pytest.MonkeyPatch, execute: RunJob) -> RunJob:
    """`execute`, in the tests' environment."""
    return execute


@pytest.fixture(scope="session")
def execute(definitions: dg.Definitions) -> RunJob:
    """Execute a job in process; a failed step is a result, not an exception."""

    def run(
        job: str | dg.AssetCheckKey,
        root: Path,
        *,
        shard: str = SHARD,
        run_config: dict[str, Any] | None = None,
        **resources: Any,
    ) -> dg.ExecuteInProcessResult:
        loaded = definitions
        if isinstance(job, dg.AssetCheckKey):
            only = dg.define_asset_job("only", selection=dg.AssetSelection.checks(job))
            loaded, job = dg.Definitions.merge(definitions, dg.Definitions(jobs=[only])), "only"
        with dg.DagsterInstance.ephemeral() as instance:
            instance.add_dynamic_partitions("shards", [shard])
            return loaded.resolve_job_def(job).execute_in_process(
                # as a tag: Dagster does not take a partition key for checks alone
                tags={"dagster/partition": shard},
                instance=instance,
                raise_on_error=False,
                run_config=run_config,
                resources={
                    "store": StoreResource(root=str(root / "store")),
                    "models": ModelsResource(sam="sam_tiny", seem="seem_demo"),
                    "devices": DevicesResource(devices="cpu"),
                    **resources,
                },
            )

    return run


def register(root: Path) -> None:
    """Make the pictures below `root` a shard of its store."""
    shards = find_shards(
        root / "pictures" / "images",
        prefix="pictures",
        label_root=root / "pictures" / "labels",
        label_format="png:base28",
    )
    register_shards(Store(root / "store"), shards)


def add_bad_pictures(images: Path) -> None:
    """A JPEG that ends too early, and a text that calls itself a JPEG."""
    Image.new("RGB", (64, 48), "red").save(images / "picture_cut.jpg")
    whole = (images / "picture_cut.jpg").read_bytes()
    (images / "picture_cut.jpg").write_bytes(whole[: len(whole) * 3 // 4])
    (images / "picture_not.jpg").write_text("this is no picture")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, execute: RunJob) -> FinishedRun:
    """Three good pictures, one cut short and one that is none, through the whole graph."""
    root = tmp_path_factory.mktemp("finished")
    write_pictures(root / "pictures", len(GOOD))
    add_bad_pictures(root / "pictures" / "images")
    register(root)
    with tiny_environment(tmp_path_factory.mktemp("environment")):
        return FinishedRun(execute("label_shards", root, run_config=EVERYTHING_CONFIG), root)


@pytest.fixture
def copied(finished: FinishedRun, tmp_path: Path) -> Path:
    """A copy of the finished run's store, to be damaged; its folder's parent is the root."""
    shutil.copytree(finished.root / "store", tmp_path / "store")
    return tmp_path
