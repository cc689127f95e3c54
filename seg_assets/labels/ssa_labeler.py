"""SSA from an image to its result, without Dagster and without a store.

    from seg_assets.labels.ssa_labeler import SsaLabeler

    ssa = SsaLabeler.preset("cityscapes", device="cuda:0")
    result = ssa("street.jpg")
    Image.fromarray(result.overlay()).save("overlay.png")

`ssa_json` writes the result in the form of Semantic-Segment-Anything.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from seg_assets.classes.table import ClassTable
from seg_assets.data.images import read_image
from seg_assets.errors import InputError
from seg_assets.labels.segmentors.load import SEEM, load_segmentor
from seg_assets.labels.segmentors.protocol import Segmentor
from seg_assets.labels.ssa import paint_votes, vote_masks
from seg_assets.labels.ssa_json import SsaResult
from seg_assets.labels.ssa_params import SSA_MASK_PRESETS, SsaParams
from seg_assets.masks.generator import MaskGenerator, load_mask_generator
from seg_assets.masks.params import MaskParams
from seg_assets.viz.overlay import overlay

DEFAULT_SAM = "sam_vit_h"
DEFAULT_SEEM = "seem_focall_v1"


@dataclass(frozen=True, eq=False)
class SsaImage(SsaResult):
    """What SSA says about one image of H x W pixels, and what it is made of.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        segmentor_map: (H, W) uint8, what the segmentor says, 255 = no label.
        classes: the table of both maps and of the votes.
    """

    image: np.ndarray
    segmentor_map: np.ndarray
    classes: ClassTable

    def overlay(self, alpha: float = 0.5) -> np.ndarray:
        """The image under its label map, (H, W, 3) uint8."""
        return overlay(self.image, self.label_map, self.classes, alpha=alpha)


@dataclass(frozen=True)
class SsaLabeler:
    """Labels one image after the other with the same models.

    Attributes:
        mask_generator: finds the masks.
        segmentor: says which class each pixel has; any object that fits the protocol.
        params: the rule of the vote. Their segmentor has no meaning here.
    """

    mask_generator: MaskGenerator
    segmentor: Segmentor
    params: SsaParams = SsaParams()

    @classmethod
    def load(
        cls,
        *,
        sam: str = DEFAULT_SAM,
        params: SsaParams | None = None,
        device: str = "cpu",
        mask_params: MaskParams | None = None,
        seem: str = DEFAULT_SEEM,
    ) -> "SsaLabeler":
        """Load the models.

        Args:
            sam: the mask model's name in models/manifest.toml.
            params: the segmentor and the rule; by default SEEM and the majority.
            device: a torch device such as "cuda:0", for both.
            mask_params: by default those of SSA, the preset "ssa".
            seem: the SEEM that the segmentor "seem" means.

        Raises:
            InputError: a model is not in the manifest, there is no such segmentor, or it has not
                what the rule needs.
            CheckpointError: weights are missing, damaged or do not fit.
        """
        params = name_seem(params or SsaParams(), seem)
        segmentor = load_segmentor(params.segmentor, params, device)
        masks = mask_params or MaskParams.preset("ssa")
        return cls(load_mask_generator(sam, masks, device), segmentor, params)

    @classmethod
    def preset(cls, name: str, *, sam: str = DEFAULT_SAM, device: str = "cpu") -> "SsaLabeler":
        """Load what a preset of SSA names, with the masks that go with it.

        Raises:
            InputError: no preset has that name; else as `load`.
            CheckpointError: as `load`.
        """
        params = SsaParams.preset(name)
        masks = MaskParams.preset(SSA_MASK_PRESETS[name])
        return cls.load(sam=sam, params=params, device=device, mask_params=masks)

    def __call__(self, image: np.ndarray | str | Path, image_id: str | None = None) -> SsaImage:
        """Label one image.

        Args:
            image: (H, W, 3) uint8 RGB pixels, a path or a URL.
            image_id: for segmentors that look labels up; by default the file's name without
                extension.

        Raises:
            ImageError: the file cannot be read, or there are no labels for this image.
            InputError: the array is no RGB image, or the segmentor's answer does not fit it.
        """
        if isinstance(image, np.ndarray):
            pixels, name = image, "image"
        else:
            pixels, name = read_image(str(image)), Path(image).stem
        name = name if image_id is None else image_id

        found = self.segmentor.segment(name, pixels)
        if found.label_map.shape != pixels.shape[:2]:
            raise InputError(
                f"the segmentor's map of {name} has shape {found.label_map.shape} and its image "
                f"{pixels.shape[:2]}: give maps of the images' own size"
            )
        self.segmentor.classes.check(found.label_map, f"the segmentor's map of {name}")

        records = self.mask_generator.find(pixels)
        votes = vote_masks(records, found.label_map, self.params, found.logits)
        return SsaImage(
            records=records,
            votes=votes,
            label_map=paint_votes(records, votes, found.label_map),
            image=pixels,
            segmentor_map=found.label_map,
            classes=self.segmentor.classes,
        )


def name_seem(params: SsaParams, model: str = DEFAULT_SEEM) -> SsaParams:
    """Let the segmentor "seem", for which no chain has stored maps here, be a model by its name."""
    if params.segmentor != SEEM:
        return params
    return params.model_copy(update={"segmentor": f"{SEEM}:{model}"})
