"""ssa_masks and ssa_maps: any segmentor's label map, voted into SAM's masks."""

from collections.abc import Callable

from seg_assets.classes.record import table_record
from seg_assets.data.images import read_row
from seg_assets.errors import ImageError, InputError
from seg_assets.labels.segmentors.load import load_segmentor, segmentor_classes, segmentor_identity
from seg_assets.labels.segmentors.protocol import Segmentation
from seg_assets.labels.ssa import paint_votes, vote_masks
from seg_assets.labels.ssa_params import SsaParams
from seg_assets.labels.tables import stored_classes
from seg_assets.masks.records import MaskRecord
from seg_assets.stages.run import (
    IMAGES_PER_PART,
    LIGHT_IMAGES_PER_PART,
    RowsOfImage,
    StageReport,
    Stopwatch,
    run_stage,
)
from seg_assets.storage.lineage import upstream
from seg_assets.storage.png import decode_label_map, png_cell
from seg_assets.storage.reader import ShardReader
from seg_assets.storage.store import Store

SSA_ASSETS = ("ssa_masks", "ssa_maps")
OWN_SEEM = "seem"
"""The segmentor whose maps the chain has stored already."""

Segment = Callable[[str], Segmentation]
"""From an image's id to the segmentor's map of it."""


def vote_shard(
    store: Store,
    shard: str,
    *,
    params: SsaParams,
    device: str = "cpu",
    recompute: bool = False,
) -> StageReport:
    """Write the class that a segmentor's map gives to each SAM mask, and the map of these classes.

    Args:
        store: where `sam_masks` of the shard lies, and `seem_labels` for the segmentor "seem",
            `raw_images` for any other.
        shard: name of the shard.
        params: the segmentor and the rule of the vote.
        device: a torch device such as "cuda:0", for segmentors that are networks.
        recompute: do finished images anew.

    Raises:
        InputError: the segmentor is not known, its package is not installed, or it has no logits
            for the rule.
        StoreError: what the votes are made of is missing.
    """
    masks = store.open_shard("sam_masks", shard)
    own_seem = params.segmentor == OWN_SEEM
    if own_seem and params.rule == "mean_logits":
        raise InputError(
            f"the segmentor '{OWN_SEEM}' has stored labels without logits: choose the rule "
            "'majority', or a segmentor of the kind 'hf:'"
        )
    if own_seem:
        source = store.open_shard("seem_labels", shard)
        table, checkpoint = stored_classes(source, "source_classes"), None
    else:
        source = store.open_shard("raw_images", shard)
        table = segmentor_classes(params.segmentor, params)
        checkpoint = segmentor_identity(params.segmentor)
    palette = table.palette()

    def prepare(watch: Stopwatch):
        with watch.time("load model"):
            segment = _stored_maps(source) if own_seem else _segmentor(source, params, device)

        def vote(image_id: str) -> RowsOfImage:
            with watch.time("read"):
                records = [MaskRecord.from_row(row) for row in masks.rows(image_id)]
            with watch.time("segment"):
                found = segment(image_id)
            with watch.time("vote"):
                votes = vote_masks(records, found.label_map, params, found.logits)
                voted = paint_votes(records, votes, found.label_map)
            with watch.time("encode"):
                maps = {
                    "image_id": image_id,
                    "label_map": png_cell(voted, palette, image_id),
                    "segmentor_map": png_cell(found.label_map, palette, image_id),
                }
                return {
                    "ssa_masks": [item.to_row(image_id) for item in votes],
                    "ssa_maps": [maps],
                }

        return vote

    return run_stage(
        store,
        shard,
        SSA_ASSETS,
        masks.image_ids,
        {
            "segmentor": params.segmentor,
            "checkpoint": checkpoint,
            "params": params.model_dump(mode="json"),
            "classes": table_record(table),
            "upstream": upstream(source, masks),
        },
        prepare,
        images_per_part=LIGHT_IMAGES_PER_PART if own_seem else IMAGES_PER_PART,
        recompute=recompute,
    )


def needs_device(params: SsaParams) -> bool:
    """Whether the segmentor is a network that runs in this stage."""
    return not (params.segmentor == OWN_SEEM or params.segmentor.startswith("maps:"))


def _stored_maps(seem_labels: ShardReader) -> Segment:
    def read(image_id: str) -> Segmentation:
        _check_present(seem_labels, image_id)
        cell = seem_labels.rows(image_id)[0]["source_map"]
        return Segmentation(decode_label_map(cell["bytes"]))

    return read


def _segmentor(images: ShardReader, params: SsaParams, device: str) -> Segment:
    segmentor = load_segmentor(params.segmentor, params, device)

    def segment(image_id: str) -> Segmentation:
        _check_present(images, image_id)
        return segmentor.segment(image_id, read_row(images.rows(image_id)[0]))

    return segment


def _check_present(source: ShardReader, image_id: str) -> None:
    """Let an image fail alone that has masks, but failed where its labels come from.

    Raises:
        ImageError: it did.
    """
    if image_id in source.failed:
        stage, message = source.failed[image_id]
        raise ImageError(f"{stage} failed for {image_id}, so that nobody labels it: {message}")
