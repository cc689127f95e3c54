"""The main path: image -> masks -> regions -> names -> label map -> merged map, without Dagster.

    from seg_assets.pipeline import Pipeline

    pipeline = Pipeline.load(sam="sam_vit_h", seem="seem_focall_v1", device="cuda:0")
    result = pipeline("photo.jpg")
    Image.fromarray(result.overlay()).save("overlay.png")

The same steps, streamed over a shard of images and into the store, are in `stages`.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from seg_assets.classes.mapping import ClassMap
from seg_assets.classes.table import ClassTable
from seg_assets.data.images import read_image
from seg_assets.labels.fusion import RegionLabel, paint_labels
from seg_assets.labels.params import MERGED_CLASSES, LabelParams
from seg_assets.labels.seem_labeler import SeemLabeler, load_seem_labeler
from seg_assets.labels.tables import merged_map
from seg_assets.masks.generator import MaskGenerator, load_mask_generator
from seg_assets.masks.params import MaskParams
from seg_assets.masks.records import MaskRecord
from seg_assets.masks.region_map import RegionMap, paint_regions
from seg_assets.viz.overlay import overlay


@dataclass(frozen=True)
class LabelledImage:
    """Everything that the pipeline finds in one image of H x W pixels.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        masks: SAM's masks, overlapping, in the generator's order.
        region_map: the masks made disjoint; 0 = no region.
        regions: one record per region: class, score, margin, vote share, fallback.
        seem_map: (H, W) uint8, SEEM's own label per pixel.
        semantic_map: (H, W) uint8, the regions' labels, SEEM's where there is no region.
        merged_map: (H, W) uint8, `semantic_map` in the coarser classes.
        source_classes: SEEM's own table, of the regions' `source_id`.
        semantic_classes: the table of `seem_map` and `semantic_map`.
        merged_classes: the table of `merged_map`.
    """

    image: np.ndarray
    masks: tuple[MaskRecord, ...]
    region_map: RegionMap
    regions: tuple[RegionLabel, ...]
    seem_map: np.ndarray
    semantic_map: np.ndarray
    merged_map: np.ndarray
    source_classes: ClassTable
    semantic_classes: ClassTable
    merged_classes: ClassTable

    @property
    def coverage(self) -> float:
        """Share of the pixels that lie in a region, 0 to 1."""
        return float((self.region_map.ids > 0).mean())

    def overlay(self, alpha: float = 0.5) -> np.ndarray:
        """The image under its merged map, (H, W, 3) uint8."""
        return overlay(self.image, self.merged_map, self.merged_classes, alpha=alpha)


class Pipeline:
    """Labels one image after the other with the same models."""

    def __init__(
        self,
        mask_generator: MaskGenerator,
        labeler: SeemLabeler,
        merged_classes: str = MERGED_CLASSES,
    ) -> None:
        self.mask_generator = mask_generator
        self.labeler = labeler
        self.merge: ClassMap = merged_map(
            labeler.class_map.target, merged_classes, labeler.map_folders
        )

    @classmethod
    def load(
        cls,
        *,
        sam: str = "sam_vit_h",
        seem: str = "seem_focall_v1",
        device: str = "cpu",
        mask_params: MaskParams | None = None,
        label_params: LabelParams | None = None,
        merged_classes: str = MERGED_CLASSES,
    ) -> "Pipeline":
        """Load both models by their names in models/manifest.toml.

        Raises:
            InputError: a model is not in the manifest, or no map leads to the wanted classes.
            CheckpointError: its weights are missing, damaged or do not fit.
        """
        return cls(
            load_mask_generator(sam, mask_params or MaskParams.preset("upstream"), device),
            load_seem_labeler(seem, label_params or LabelParams(), device),
            merged_classes,
        )

    def __call__(self, image: np.ndarray | str | Path) -> LabelledImage:
        """Label one image, given as (H, W, 3) uint8 RGB pixels, a path or a URL.

        Raises:
            ImageError: the file cannot be read as an image.
        """
        pixels = image if isinstance(image, np.ndarray) else read_image(str(image))
        height, width = pixels.shape[:2]

        masks = self.mask_generator.find(pixels)
        region_map = paint_regions(masks, height, width)

        seem_image = self.labeler.read(pixels)
        regions = self.labeler.label_regions(seem_image, region_map)

        seem_map = seem_image.label_map
        semantic_map = paint_labels(region_map, regions, seem_map)
        merged_map = self.merge.apply(semantic_map)

        return LabelledImage(
            image=pixels,
            masks=tuple(masks),
            region_map=region_map,
            regions=tuple(regions),
            seem_map=seem_map,
            semantic_map=semantic_map,
            merged_map=merged_map,
            source_classes=self.labeler.class_map.source,
            semantic_classes=self.merge.source,
            merged_classes=self.merge.target,
        )
