"""sam_masks: everything that SAM can cut out of each image of a shard, without names."""

from seg_assets.data.images import read_row
from seg_assets.masks.params import MaskParams
from seg_assets.modeling.identity import checkpoint_identity
from seg_assets.modeling.manifest import entry
from seg_assets.stages.run import RowsOfImage, StageReport, Stopwatch, run_stage, upstream
from seg_assets.storage.store import Store


def generate_sam_masks(
    store: Store,
    shard: str,
    *,
    sam: str,
    params: MaskParams,
    device: str = "cpu",
    recompute: bool = False,
) -> StageReport:
    """Write the automatic masks of each image of `raw_images`, as COCO run lengths.

    Args:
        store: where `raw_images` of the shard lies and `sam_masks` goes.
        shard: name of the shard.
        sam: a SAM model of models/manifest.toml.
        params: of the mask generator.
        device: a torch device such as "cuda:0".
        recompute: do finished images anew.
    """
    images = store.open_shard("raw_images", shard)

    def prepare(watch: Stopwatch):
        # torch is imported only when there is something to do
        from seg_assets.masks.generator import MaskGenerator  # noqa: PLC0415
        from seg_assets.modeling.sam import load_sam  # noqa: PLC0415

        with watch.time("load model"):
            generator = MaskGenerator(load_sam(sam, device).model, params)

        def cut(image_id: str) -> RowsOfImage:
            with watch.time("read"):
                pixels = read_row(images.rows(image_id)[0])
            with watch.time("masks"):
                records = generator.generate(pixels)
            return {"sam_masks": [r.to_row(image_id, i) for i, r in enumerate(records)]}

        return cut

    provenance = {
        "model": sam,
        "checkpoint": checkpoint_identity(entry(sam, kind="sam")),
        "params": params.model_dump(mode="json"),
        "upstream": upstream(images),
    }
    return run_stage(
        store, shard, ["sam_masks"], images.image_ids, provenance, prepare, recompute=recompute
    )
