"""The loop that every stage shares: image by image, resumable, one bad image never stops it."""

import hashlib
import json
import logging
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from seg_assets.errors import ComparisonError, SegAssetsError, StoreError
from seg_assets.stages.overlap import Outcome, Steps, overlapped
from seg_assets.stages.progress import Progress
from seg_assets.storage.store import Store
from seg_assets.storage.writer import ShardWriter

logger = logging.getLogger(__name__)

# Raise the number with a change that gives other results from the same inputs: finished shards
# then show as stale in Dagster and are done anew instead of being reused.
CODE_VERSIONS = {
    "raw_images": "1",
    "sam_masks": "2",
    "seem_logits": "2",
    "seem_labels": "3",
    "region_labels": "3",
    "ssa_masks": "1",
    "ssa_maps": "1",
    "semantic_maps": "2",
    "merged_maps": "2",
    "evaluation_metrics": "3",
    "evaluation_masks": "1",
    "evaluation_objects": "1",
    "evaluation_report": "4",
    "training_categories": "1",
    "training_panoptic": "1",
    "training_semantic": "1",
    "training_grounding": "1",
    "training_dataset": "1",
}

# What a kill can cost: images whose work is done again. Stages without a network are done with an
# image in a moment, and a thousand shards of eleven thousand images should not become millions of
# files.
IMAGES_PER_PART = 16
LIGHT_IMAGES_PER_PART = 128

# Unexpected errors on so many images in a row are a fault of the set-up, not of the images: at the
# start, and once images went well (then a device was lost, which fails for every image to come).
SYSTEMATIC_FAILURES = 3
LATER_SYSTEMATIC_FAILURES = 16

RowsOfImage = Mapping[str, Sequence[Mapping[str, Any]]]
"""Rows to store for one image: {asset: rows}."""

Process = Callable[[str], RowsOfImage]
"""From an image's id to its rows."""


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
    prepare: Callable[[Stopwatch], Process | Steps[Any, Any, RowsOfImage]],
    *,
    images_per_part: int = IMAGES_PER_PART,
    recompute: bool = False,
) -> StageReport:
    """Write one shard of one or several assets, going on where an earlier run was interrupted.

    A finished shard is left as it is, but for the parts in which images failed: those are tried
    again.

    Args:
        store: where to write.
        shard: name of the shard.
        assets: what is written; each image's rows are given to all of them together.
        image_ids: the images, in order.
        provenance: JSON values that decide the result (parameters, checkpoints, inputs); with
            another provenance the shard is done anew.
        prepare: called once when there is something to do (load the model here); gives the function
            from image id to rows, or steps that overlap for neighbouring images.
        images_per_part: images in one file, the unit that is kept when a run is interrupted.
        recompute: do finished images anew.

    Returns:
        The report; the shard is complete in the store.

    Raises:
        StoreError: the store cannot be written.
        Exception: whatever `prepare` raises, and the last image's error when too many in a row fail
            in an unexpected way. None of these images is recorded; the next run begins with them.
    """
    started = time.monotonic()
    watch = Stopwatch()
    with ExitStack() as stack:
        writers: dict[str, ShardWriter] = {}
        for asset in assets:
            version = {"code_version": CODE_VERSIONS[asset]}
            writers[asset] = stack.enter_context(
                store.write_shard(
                    asset,
                    shard,
                    image_ids,
                    {**provenance, **version},
                    images_per_part=images_per_part,
                    retry_failed=True,
                    recompute=recompute,
                )
            )
        unfinished = {i for writer in writers.values() for i in writer.pending}
        pending = [i for i in image_ids if i in unfinished]
        reused = len(image_ids) - len(pending)
        if pending and not reused:
            logger.info(
                "the first image takes up to a minute longer where inner loops are not compiled "
                "yet, once per installation"
            )
        progress = Progress(f"{'+'.join(assets)} of {shard}", len(image_ids), done=reused)
        if pending:
            _process_images(pending, prepare(watch), writers, progress)
    failed = len(store.open_shard(assets[-1], shard).failed)
    return StageReport(
        images=len(image_ids) - failed,
        reused=reused,
        failed=failed,
        seconds=time.monotonic() - started,
        seconds_per_step=dict(watch.seconds),
        peak_memory_mib=peak_memory_mib(),
    )


def _process_images(
    pending: Sequence[str],
    process: Process | Steps[Any, Any, RowsOfImage],
    writers: Mapping[str, ShardWriter],
    progress: Progress,
) -> None:
    """Give each image's rows, or its failure, to the writers that still wait for the image."""
    waiting = {asset: set(writer.pending) for asset, writer in writers.items()}
    begun = any(writer.reused for writer in writers.values())
    limit = LATER_SYSTEMATIC_FAILURES if begun else SYSTEMATIC_FAILURES
    # to be recorded once it is clear that the images are at fault: what failed, and why
    failed: dict[str, tuple[str | None, str]] = {}
    unexpected = 0

    def record_failures() -> None:
        for image_id, (kind, message) in failed.items():
            for asset, writer in writers.items():
                if image_id in waiting[asset]:
                    writer.fail(image_id, kind or asset, message)
        failed.clear()

    for image_id, outcome in _outcomes(pending, process):
        try:
            rows = outcome()
        except StoreError:
            raise
        except SegAssetsError as error:
            kind = error.kind if isinstance(error, ComparisonError) else None
            failed[image_id] = kind, str(error)
        except Exception as error:  # one image must not stop the shard: it is recorded later
            logger.exception("image %s failed", image_id)
            failed[image_id] = None, f"{type(error).__name__}: {error}"
            unexpected += 1
            if unexpected >= limit:
                raise
        else:
            record_failures()
            limit, unexpected = LATER_SYSTEMATIC_FAILURES, 0
            for asset, writer in writers.items():
                if image_id in waiting[asset]:
                    writer.add(image_id, rows[asset])
        if not unexpected:
            record_failures()
        progress.step()
    record_failures()


def _outcomes(
    pending: Sequence[str], process: Process | Steps[Any, Any, RowsOfImage]
) -> Iterator[tuple[str, Outcome[RowsOfImage]]]:
    if isinstance(process, Steps):
        yield from overlapped(pending, process)
    else:
        for image_id in pending:
            yield image_id, partial(process, image_id)


def sha256_of(value: Any) -> str:
    """SHA-256 of a JSON value, for a provenance that would be too long to keep as it is."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def peak_memory_mib() -> float:
    """Largest resident size of this process so far, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)
