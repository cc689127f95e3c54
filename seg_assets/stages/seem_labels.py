"""seem_logits, seem_labels and region_labels: SEEM reads each image once and names its regions."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from seg_assets.classes.record import table_record
from seg_assets.data.images import read_row
from seg_assets.labels.fusion import RegionLabel
from seg_assets.labels.params import LabelParams
from seg_assets.labels.tables import semantic_map
from seg_assets.masks.records import MaskRecord
from seg_assets.masks.region_map import paint_regions
from seg_assets.modeling.identity import checkpoint_identity
from seg_assets.modeling.manifest import entry
from seg_assets.stages.overlap import Steps
from seg_assets.stages.run import RowsOfImage, StageReport, Stopwatch, run_stage
from seg_assets.storage.lineage import upstream
from seg_assets.storage.png import png_cell
from seg_assets.storage.store import Store

if TYPE_CHECKING:
    from seg_assets.labels.logit_factors import LogitFactors

SEEM_ASSETS = ("seem_logits", "seem_labels", "region_labels")


class Named(NamedTuple):
    """What is kept of an image once it is named; its features are not."""

    factors: "LogitFactors"
    label_map: np.ndarray
    source_map: np.ndarray
    regions: list[RegionLabel]


def label_with_seem(
    store: Store,
    shard: str,
    *,
    seem: str,
    params: LabelParams,
    device: str = "cpu",
    recompute: bool = False,
) -> StageReport:
    """Write SEEM's scores, its own label maps and the class of each SAM region.

    The three are written together because one pass through the backbone serves them all.

    Args:
        store: where `raw_images` and `sam_masks` of the shard lie.
        shard: name of the shard.
        seem: a SEEM model of models/manifest.toml.
        params: of the labelling.
        device: a torch device such as "cuda:0".
        recompute: do finished images anew.
    """
    images = store.open_shard("raw_images", shard)
    masks = store.open_shard("sam_masks", shard)
    model = entry(seem, kind="seem")
    class_map = semantic_map(model.classes, params)
    grouped = params.scoring == "group"
    palette, source_palette = class_map.target.palette(), class_map.source.palette()

    def prepare(watch: Stopwatch):
        # torch is imported only when there is something to do
        from seg_assets.labels.confidence import grey_png  # noqa: PLC0415
        from seg_assets.labels.score_storage import check_storable, encode_scores  # noqa: PLC0415
        from seg_assets.labels.seem_labeler import load_seem_labeler  # noqa: PLC0415

        with watch.time("load model"):
            labeler = load_seem_labeler(seem, params, device)

        def read(image_id: str) -> tuple[np.ndarray, list[MaskRecord]]:
            with watch.time("read"):
                pixels = read_row(images.rows(image_id)[0])
                if params.dense_scores:
                    check_storable(len(class_map.target), pixels.shape[:2])
                return pixels, [MaskRecord.from_row(row) for row in masks.rows(image_id)]

        def label(group: Sequence[tuple[np.ndarray, list[MaskRecord]]]) -> list[Named]:
            found = []
            for pixels, records in group:
                with watch.time("features"):
                    seem_image = labeler.read(pixels)
                with watch.time("regions"):
                    region_map = paint_regions(records, *pixels.shape[:2])
                    regions = labeler.label_regions(seem_image, region_map)
                found.append(
                    Named(seem_image.factors, seem_image.label_map, seem_image.source_map, regions)
                )
            return found

        def encode(image_id: str, named: Named) -> RowsOfImage:
            with watch.time("encode"):
                logits = named.factors.to_row(image_id)
                if params.dense_scores:
                    logits["dense_scores"] = encode_scores(named.factors, class_map)
                maps = {
                    "image_id": image_id,
                    "label_map": png_cell(named.label_map, palette, image_id),
                    "source_map": png_cell(named.source_map, source_palette, image_id),
                }
                if params.confidence_maps:
                    sure = named.factors.confidence(class_map=class_map if grouped else None)
                    maps |= {"confidence": grey_png(sure.winner), "margin": grey_png(sure.margin)}
                return {
                    "seem_logits": [logits],
                    "seem_labels": [maps],
                    "region_labels": [region.to_row(image_id) for region in named.regions],
                }

        on_cpu = labeler.model.device.type == "cpu"
        return Steps(read, label, encode, overlap=not on_cpu)

    provenance = {
        "model": seem,
        "checkpoint": checkpoint_identity(model),
        "params": params.that_decide_labels(),
        "source_classes": table_record(class_map.source),
        "classes": table_record(class_map.target),
        "class_map": class_map.digest,
        "upstream": upstream(images, masks),
    }
    return run_stage(
        store, shard, SEEM_ASSETS, masks.image_ids, provenance, prepare, recompute=recompute
    )
