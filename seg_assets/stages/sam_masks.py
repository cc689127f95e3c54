"""sam_masks: everything that SAM can cut out of each image of a shard, without names."""

from collections.abc import Sequence

import numpy as np

from seg_assets.data.images import read_row
from seg_assets.masks.params import MaskParams
from seg_assets.modeling.identity import checkpoint_identity
from seg_assets.modeling.manifest import entry
from seg_assets.stages.overlap import Steps
from seg_assets.stages.run import RowsOfImage, StageReport, Stopwatch, run_stage
from seg_assets.storage.lineage import upstream
from seg_assets.storage.store import Store

# Images that a GPU encodes in one batch.
IMAGES_TOGETHER = 4


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
        from seg_assets.masks.generator import Findings, load_mask_generator  # noqa: PLC0415

        with watch.time("load model"):
            generator = load_mask_generator(sam, params, device)

        def read(image_id: str) -> np.ndarray:
            with watch.time("read"):
                return read_row(images.rows(image_id)[0])

        def search(pixels: Sequence[np.ndarray]) -> list[Findings]:
            with watch.time("masks"):
                return generator.search(pixels)

        def select(image_id: str, findings: Findings) -> RowsOfImage:
            with watch.time("select"):
                records = generator.select(findings)
            return {"sam_masks": [r.to_row(image_id, i) for i, r in enumerate(records)]}

        on_cpu = generator.model.device.type == "cpu"
        together = 1 if on_cpu else IMAGES_TOGETHER
        return Steps(read, search, select, together=together, overlap=not on_cpu)

    provenance = {
        "model": sam,
        "checkpoint": checkpoint_identity(entry(sam, kind="sam")),
        "params": params.that_decide_masks(),
        "upstream": upstream(images),
    }
    return run_stage(
        store, shard, ["sam_masks"], images.image_ids, provenance, prepare, recompute=recompute
    )
