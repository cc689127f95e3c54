"""training_dataset: the segments, maps and sentences of all shards as folders to train from."""

import hashlib
import os
from collections.abc import Iterator, Mapping

from pydantic import BaseModel, ConfigDict, Field

from seg_assets.data.images import read_row_bytes, reference_of
from seg_assets.data.panoptic.annotate import file_stems
from seg_assets.data.panoptic.pictures import to_jpeg
from seg_assets.data.panoptic.split_folder import SplitFolder
from seg_assets.data.panoptic.writer import AnnotatedImage, SplitSummary, SplitWriter
from seg_assets.data.shards import list_shards, load_shard
from seg_assets.errors import ImageError, InputError, StoreError
from seg_assets.stages.progress import Progress
from seg_assets.stages.training_categories import load_categories
from seg_assets.stages.training_data import (
    open_segments,
    referral_of_row,
    segmented_of_row,
)
from seg_assets.storage.lineage import upstream
from seg_assets.storage.store import Store

FOLDER = "training_dataset"
TRAIN, VALIDATION = "train", "validation"

_STEPS = ("training_semantic", "training_grounding")


class SplitParams(BaseModel):
    """Which images are for training and which for validation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shards: list[str] = Field(
        default=[], description="Shards to take. Empty: all with finished training_grounding."
    )
    validation_shards: list[str] = Field(
        default=[],
        description=(
            "Shards of which all images are for validation, and the others' none: frames of one "
            "video should not be on both sides. Empty: see validation_share."
        ),
    )
    validation_share: float = Field(
        default=0.2,
        ge=0,
        lt=1,
        description=(
            "Without validation_shards: share of the images, by a hash of their ids; at least one "
            "of several unless it is 0."
        ),
    )


def export_training_dataset(
    store: Store, folder: str | os.PathLike[str] | None = None, params: SplitParams | None = None
) -> dict[str, SplitSummary]:
    """Write the splits "train" and "validation" of a training data set.

    Args:
        store: where the training data of the shards lie.
        folder: where to write, on this machine; None for the store's own folder.
        params: which images go where.

    Returns:
        split -> what it holds. A split without images is not written, and one that was written
        before is removed: its images may be in the other one now.

    Raises:
        InputError: an unknown shard, no images for training, or no folder for a store that is not
            on this machine.
        StoreError: a step is missing for a shard, or was made from other data than are there now.
    """
    chosen = params or SplitParams()
    if folder is None:
        if not store.is_local:
            raise InputError(
                f"the store {store.location()} is not on this machine: give the data set a folder"
            )
        folder = store.location(FOLDER)
    shards = _choose_shards(store, chosen)
    images = {name: open_segments(store, name).image_ids for name in shards}
    splits = _split(images, chosen)
    if not splits[TRAIN]:
        raise InputError(
            "no image is left for training: name fewer validation shards, or a smaller share"
        )
    written = {}
    for split, members in splits.items():
        if members:
            written[split] = _write_split(store, folder, split, members, chosen)
        else:
            SplitFolder(folder, split).remove()
    return written


def _choose_shards(store: Store, params: SplitParams) -> list[str]:
    registered = list_shards(store)
    for name in (*params.shards, *params.validation_shards):
        load_shard(store, name)  # or the sentence that no such shard is registered
    finished = [n for n in registered if all(store.is_complete(step, n) for step in _STEPS)]
    chosen = sorted({*params.shards, *params.validation_shards}) if params.shards else finished
    if missing := sorted({*chosen, *params.validation_shards} - set(finished)):
        raise StoreError(
            f"the training data of shard {missing[0]} are not finished: materialise "
            f"training_panoptic, {' and '.join(_STEPS)} for it"
        )
    if not chosen:
        raise StoreError(
            "no shard has finished training data: materialise training_panoptic, "
            f"{' and '.join(_STEPS)} for one"
        )
    return chosen


def _split(images: Mapping[str, list[str]], params: SplitParams) -> dict[str, dict[str, list[str]]]:
    """Divide the images: split -> shard -> image ids, in the shards' order."""
    if params.validation_shards:
        held_out = {(s, i) for s in params.validation_shards for i in images[s]}
    else:
        pairs = [(shard, image_id) for shard, ids in images.items() for image_id in ids]
        pairs.sort(key=lambda pair: hashlib.sha256("/".join(pair).encode()).digest())
        wanted = round(params.validation_share * len(pairs))
        if params.validation_share and len(pairs) > 1:
            wanted = max(wanted, 1)
        held_out = set(pairs[:wanted])
    splits: dict[str, dict[str, list[str]]] = {TRAIN: {}, VALIDATION: {}}
    for shard, ids in images.items():
        for image_id in ids:
            split = VALIDATION if (shard, image_id) in held_out else TRAIN
            splits[split].setdefault(shard, []).append(image_id)
    return splits


def _write_split(
    store: Store,
    folder: str | os.PathLike[str],
    split: str,
    members: Mapping[str, list[str]],
    params: SplitParams,
) -> SplitSummary:
    stems = file_stems(members)
    made_of = {
        "shards": {
            shard: {"images": len(ids), **_digests(store, shard)} for shard, ids in members.items()
        },
        "split": params.model_dump(),
    }
    progress = Progress(f"training_dataset/{split}", len(stems))
    with SplitWriter(folder, split, load_categories(store), made_of) as writer:
        for shard, ids in members.items():
            images = _read_images(store, shard, {i: stems[shard, i] for i in ids})
            for image_id, image in images:
                if isinstance(image, str):
                    writer.fail(image_id, image)
                else:
                    writer.add(image)
                progress.step()
    return writer.summary


def _digests(store: Store, shard: str) -> dict[str, str]:
    names = ("raw_images", "training_panoptic", *_STEPS)
    return upstream(*(store.open_shard(name, shard) for name in names))


def _read_images(
    store: Store, shard: str, stems: Mapping[str, str]
) -> Iterator[tuple[str, AnnotatedImage | str]]:
    """Yield (image id, image) for the images with a stem, or what is wrong with one."""
    raw_images = store.open_shard("raw_images", shard)
    panoptic = open_segments(store, shard)
    semantic = store.open_shard("training_semantic", shard)
    grounding = store.open_shard("training_grounding", shard)
    for image_id, stem in stems.items():
        for reader in (semantic, grounding):
            if image_id in reader.failed:
                yield image_id, reader.failed[image_id][1]
                break
        else:
            source, segments = raw_images.rows(image_id)[0], panoptic.rows(image_id)[0]
            try:
                jpeg, height, width = to_jpeg(read_row_bytes(source), reference_of(source).where)
                segmented = segmented_of_row(segments)
            except ImageError as error:
                yield image_id, str(error)
                continue
            yield (
                image_id,
                AnnotatedImage(
                    stem=stem,
                    jpeg=jpeg,
                    height=height,
                    width=width,
                    panoptic_png=segments["panoptic"]["bytes"],
                    segments=segmented.segments,
                    semantic_png=semantic.rows(image_id)[0]["label_map"]["bytes"],
                    referrals=tuple(referral_of_row(row) for row in grounding.rows(image_id)),
                ),
            )
