"""The loop that every stage shares: image by image, resumable, one bad image never stops it."""

import logging
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from seg_assets.errors import SegAssetsError, StoreError
from seg_assets.stages.progress import Progress
from seg_assets.storage.store import Store

logger = logging.getLogger(__name__)

# Raise the number with a change that gives other results from the same inputs: finished shards
# then show as stale in Dagster and are done anew instead of being reused.
CODE_VERSIONS = {
    "raw_images": "1",
    "sam_masks": "1",
    "seem_logits": "1",
    "seem_labels": "1",
    "region_labels": "1",
    "semantic_maps": "1",
    "merged_maps": "1",
    "evaluation_metrics": "1",
    "evaluation_report": "1",
}

# What a kill can cost: images whose work is done again.
IMAGES_PER_PART = 16

# Unexpected errors on the first images, and on nothing but them, are a fault of the set-up.
SYSTEMATIC_FAILURES = 3

RowsOfImage = Mapping[str, Sequence[Mapping[str, Any]]]
"""Rows to store for one image: {asset: rows}."""


@dataclass
class Stopwatch:
    """Adds up seconds per named step."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def time(self, step: str) -> Iterator[None]:
        """Add the time spent inside the block to `step`."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[step] = self.seconds.get(step, 0.0) + time.perf_counter() - started


@dataclass(frozen=True)
class StageReport:
    """What one stage did to one shard.

    Attributes:
        images: images of the shard that this stage has results for, reused ones included.
        reused: images whose results an earlier run had already written.
        failed: images in the error table.
        seconds: wall time of this run.
        seconds_per_step: wall time by step, summed over the images.
        peak_memory_mib: the largest resident size of the process so far, in MiB.
    """

    images: int
    reused: int
    failed: int
    seconds: float
    seconds_per_step: Mapping[str, float]
    peak_memory_mib: float

    @property
    def images_per_second(self) -> float:
        """Images of this run per second; 0 when all were reused."""
        fresh = max(self.images + self.failed - self.reused, 0)
        return fresh / self.seconds if self.seconds > 0 else 0.0


def run_stage(
    store: Store,
    shard: str,
    assets: Sequence[str],
    image_ids: Sequence[str],
    provenance: Mapping[str, Any],
    prepare: Callable[[Stopwatch], Callable[[str], RowsOfImage]],
    *,
    recompute: bool = False,
) -> StageReport:
    """Write one shard of one or several assets, going on where an earlier run was interrupted.

    Args:
        store: where to write.
        shard: name of the shard.
        assets: what is written; each image's rows are given to all of them together.
        image_ids: the images, in order.
        provenance: JSON values that decide the result (parameters, checkpoints, inputs); with
            another provenance the shard is done anew.
        prepare: called once when there is something to do (load the model here); gives the function
            from image id to rows.
        recompute: do finished images anew.

    Returns:
        The report; the shard is complete in the store.

    Raises:
        StoreError: the store cannot be written.
        Exception: whatever `prepare` raises, and the first images' error when each of them fails
            in an unexpected way.
    """
    started = time.monotonic()
    watch = Stopwatch()
    with ExitStack() as stack:
        writers = {}
        for asset in assets:
            version = {"code_version": CODE_VERSIONS[asset]}
            writers[asset] = stack.enter_context(
                store.write_shard(
                    asset,
                    shard,
                    image_ids,
                    {**provenance, **version},
                    images_per_part=IMAGES_PER_PART,
                    recompute=recompute,
                )
            )
        unfinished = {asset: set(writer.pending) for asset, writer in writers.items()}
        pending = [i for i in image_ids if any(i in ids for ids in unfinished.values())]
        reused = len(image_ids) - len(pending)
        progress = Progress(f"{'+'.join(assets)} of {shard}", len(image_ids), done=reused)
        process = prepare(watch) if pending else None
        succeeded = unexpected = 0
        for image_id in pending:
            assert process is not None
            try:
                rows, failure = process(image_id), None
                succeeded += 1
            except StoreError:
                raise
            except SegAssetsError as error:
                rows, failure = {}, str(error)
            except Exception as error:  # one image must not stop the shard: it is recorded below
                logger.exception("image %s of shard %s failed", image_id, shard)
                rows, failure = {}, f"{type(error).__name__}: {error}"
                unexpected += 1
                if not succeeded and not reused and unexpected >= SYSTEMATIC_FAILURES:
                    raise
            for asset, writer in writers.items():
                if image_id not in unfinished[asset]:
                    continue
                if failure is None:
                    writer.add(image_id, rows[asset])
                else:
                    writer.fail(image_id, asset, failure)
            progress.step()
    failed = len(store.open_shard(assets[-1], shard).failed)
    return StageReport(
        images=len(image_ids) - failed,
        reused=reused,
        failed=failed,
        seconds=time.monotonic() - started,
        seconds_per_step=dict(watch.seconds),
        peak_memory_mib=peak_memory_mib(),
    )


def upstream(store: Store, shard: str, *assets: str) -> dict[str, str]:
    """Fingerprints of the shards that a stage reads, for its provenance."""
    return {asset: store.open_shard(asset, shard).manifest.fingerprint for asset in assets}


def peak_memory_mib() -> float:
    """Largest resident size of this process so far, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)
