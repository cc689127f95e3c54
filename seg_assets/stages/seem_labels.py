"""seem_logits, seem_labels and region_labels: SEEM reads each image once and names its regions."""

from seg_assets.classes.record import table_record
from seg_assets.data.images import read_row
from seg_assets.labels.params import LabelParams
from seg_assets.labels.tables import semantic_map
from seg_assets.masks.records import MaskRecord
from seg_assets.masks.region_map import paint_regions
from seg_assets.modeling.identity import checkpoint_identity
from seg_assets.modeling.manifest import entry
from seg_assets.stages.run import RowsOfImage, StageReport, Stopwatch, run_stage
from seg_assets.storage.lineage import upstream
from seg_assets.storage.png import png_cell
from seg_assets.storage.store import Store

SEEM_ASSETS = ("seem_logits", "seem_labels", "region_labels")


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
    palette, source_palette = class_map.target.palette(), class_map.source.palette()

    def prepare(watch: Stopwatch):
        # torch is imported only when there is something to do
        from seg_assets.labels.seem_labeler import load_seem_labeler  # noqa: PLC0415

        with watch.time("load model"):
            labeler = load_seem_labeler(seem, params, device)

        def label(image_id: str) -> RowsOfImage:
            with watch.time("read"):
                pixels = read_row(images.rows(image_id)[0])
                records = [MaskRecord.from_row(row) for row in masks.rows(image_id)]
            with watch.time("features"):
                seem_image = labeler.read(pixels)
            with watch.time("regions"):
                region_map = paint_regions(records, *pixels.shape[:2])
                regions = labeler.label_regions(seem_image, region_map)
            with watch.time("encode"):
                maps = {
                    "image_id": image_id,
                    "label_map": png_cell(seem_image.label_map, palette, image_id),
                    "source_map": png_cell(seem_image.source_map, source_palette, image_id),
                }
                return {
                    "seem_logits": [seem_image.factors.to_row(image_id)],
                    "seem_labels": [maps],
                    "region_labels": [region.to_row(image_id) for region in regions],
                }

        return label

    provenance = {
        "model": seem,
        "checkpoint": checkpoint_identity(model),
        "params": params.model_dump(mode="json"),
        "source_classes": table_record(class_map.source),
        "classes": table_record(class_map.target),
        "class_map": class_map.digest,
        "upstream": upstream(images, masks),
    }
    return run_stage(
        store, shard, SEEM_ASSETS, masks.image_ids, provenance, prepare, recompute=recompute
    )
