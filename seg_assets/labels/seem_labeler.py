"""SEEM as labeller: reads an image once, then names any number of its regions."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from seg_assets.classes.mapping import own_folder
from seg_assets.classes.table import ClassTable
from seg_assets.errors import InputError
from seg_assets.labels.fusion import RegionAnswer, RegionLabel, answers_of, fuse_answers
from seg_assets.labels.logit_factors import LogitFactors
from seg_assets.labels.params import LabelParams
from seg_assets.labels.prompts import RegionPrompt, region_prompts, scale_prompt
from seg_assets.labels.score_groups import ScoreGroups
from seg_assets.labels.tables import semantic_map
from seg_assets.masks.region_map import RegionMap
from seg_assets.modeling.seem.class_table import load_text_table
from seg_assets.modeling.seem.features import ImageFeatures
from seg_assets.modeling.seem.load import load_seem
from seg_assets.modeling.seem.model import Seem
from seg_assets.modeling.seem.prompts import SLOTS, Points, even_subset, pad_points, random_subset
from seg_assets.modeling.seem.region_decoder import decode_regions, regions_at_once

# Regions that are decoded in one go, in however many batches: what waits for the decoder's next
# layer is 0.2 MB for each at full size.
REGIONS_AT_ONCE = 512


@dataclass(frozen=True, eq=False)
class SeemImage:
    """What SEEM knows about an image before it is asked about regions.

    Attributes:
        features: on the model's device; serve all prompts.
        factors: the class scores as stored.
        source_map: (H, W) uint8, the class of the highest score in the model's own table.
        label_map: (H, W) uint8 in the classes of the semantic maps: `source_map` translated, or the
            best of the grouped scores.
    """

    features: ImageFeatures
    factors: LogitFactors
    source_map: np.ndarray
    label_map: np.ndarray


class SeemLabeler:
    """Names the regions of images with a SEEM model; the same input gives the same labels."""

    def __init__(
        self,
        model: Seem,
        text_table: Tensor,
        params: LabelParams | None = None,
        *,
        classes: str | Path | ClassTable = "coco133",
    ) -> None:
        """Take a loaded model into use.

        Args:
            model: a SEEM model in evaluation mode, on its device.
            text_table: (classes + 1, C) unit vectors of the class names and "background".
            params: how images are read and regions named.
            classes: the table that the rows of `text_table` name.

        Raises:
            InputError: table and texts differ in length, or the classes of the semantic maps
                cannot be reached.
        """
        self.params = params or LabelParams()
        self.model = model
        self.text_table = text_table.to(model.device)
        self.class_map = semantic_map(classes, self.params)
        self.map_folders = own_folder(classes)
        if len(text_table) != len(self.class_map.source) + 1:
            raise InputError(
                f"the class table {self.class_map.source.name!r} has {len(self.class_map.source)} "
                f"classes but {len(text_table)} texts were given: pass one for each and one for "
                '"background"'
            )
        self.groups = ScoreGroups.of(self.class_map) if self.params.scoring == "group" else None
        self._choose = (
            random_subset(self.params.seed) if self.params.points == "random" else even_subset
        )

    @torch.inference_mode()
    def read(self, image: np.ndarray) -> SeemImage:
        """Run the backbone and one decoding without prompts.

        The maps are computed from the factors as they are stored, in float16, so that everything
        downstream can be rebuilt from disk without a difference.

        Args:
            image: (H, W, 3) uint8 RGB.

        Raises:
            InputError: the image has another shape or type.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
            raise InputError(
                f"an image of shape {image.shape} and type {image.dtype} cannot be labelled: pass "
                "(H, W, 3) uint8 RGB"
            )
        height, width = image.shape[:2]
        input_size = self.params.input_size(height, width)
        pixels = torch.tensor(resize_image(image, input_size)).permute(2, 0, 1)
        with self._running():
            features = self.model.encode_image(pixels)
            prediction = self.model.decode(features, self.text_table)
            mask_logits = features.masks(prediction.mask_embeddings)
        factors = LogitFactors.of(
            prediction.logits[0].float().cpu().numpy(),
            mask_logits[0].float().cpu().numpy(),
            padded_size=features.padded_size,
            input_size=input_size,
            output_size=(height, width),
            tolerance=self.params.score_tolerance,
            mask_tolerance=self.params.mask_tolerance,
        )
        source_map = factors.argmax()
        if self.groups is None:
            label_map = self.class_map.apply(source_map)
        else:
            label_map = factors.argmax(class_map=self.class_map)
        return SeemImage(features, factors, source_map, label_map)

    def label_regions(self, seem_image: SeemImage, region_map: RegionMap) -> list[RegionLabel]:
        """Name all regions of an image, by ascending region id; no regions give no labels.

        Args:
            seem_image: the image, as `read` gave it.
            region_map: its regions, at the image's size.

        Raises:
            InputError: the region map has another size than the image, or ids without a mask.
        """
        ids, factors = region_map.ids, seem_image.factors
        if ids.shape != factors.output_size:
            raise InputError(
                f"the region map is {ids.shape} and the image {factors.output_size} pixels: "
                "pass the region map of this image"
            )
        if (largest := int(ids.max(initial=0))) > len(region_map.mask_ids):
            raise InputError(
                f"the region map holds region {largest} but names the masks of "
                f"{len(region_map.mask_ids)} regions: give each region its mask"
            )
        prompts = [
            scale_prompt(prompt, factors.output_size, factors.input_size)
            for prompt in region_prompts(ids, self.params)
        ]
        answers: dict[int, RegionAnswer] = {}
        for start in range(0, len(prompts), REGIONS_AT_ONCE):
            answers |= self.ask(seem_image.features, prompts[start : start + REGIONS_AT_ONCE])
        return fuse_answers(
            region_map,
            answers,
            seem_image.label_map,
            self.class_map,
            lambda region_id: factors.region_scores(ids == region_id),
        )

    @torch.inference_mode()
    def ask(self, features: ImageFeatures, prompts: list[RegionPrompt]) -> dict[int, RegionAnswer]:
        """Decode prompts: the class of each is that of the query most like its pixels.

        Args:
            features: of one image.
            prompts: not empty, in pixels of the model's input.

        Returns:
            An answer per region id.
        """
        points = self.prompt_points(features, prompts)
        decoder = self.model.predictor
        batch = self.params.prompts_per_batch or regions_at_once(
            decoder, features, points[SLOTS[0]].xy.shape[1]
        )
        with self._running():
            logits = decode_regions(decoder, features, self.text_table, points, batch=batch).logits
        answers = answers_of(logits.float().cpu().numpy(), self.params.top_k, self.groups)
        return {prompt.region_id: answer for prompt, answer in zip(prompts, answers, strict=True)}

    def _running(self) -> torch.autocast:
        """The precision in which the network runs; norms and softmaxes stay float32."""
        dtype = getattr(torch, self.params.precision)
        on = self.params.precision != "float32"
        return torch.autocast(self.model.device.type, dtype if on else None, enabled=on)

    def prompt_points(
        self, features: ImageFeatures, prompts: list[RegionPrompt]
    ) -> dict[str, Points]:
        """Per slot the chosen points of each prompt: column and row over the padded size."""
        if self._choose is even_subset:  # alike in all slots
            return dict.fromkeys(SLOTS, self._slot_points(features, prompts, SLOTS[0]))
        return {slot: self._slot_points(features, prompts, slot) for slot in SLOTS}

    def _slot_points(
        self, features: ImageFeatures, prompts: list[RegionPrompt], slot: str
    ) -> Points:
        height, width = features.padded_size
        limit, device = self.model.config.max_points, self.model.device
        lists = []
        for prompt in prompts:
            chosen = self._choose(len(prompt.rows), limit, slot).numpy()
            positions = np.stack([prompt.columns[chosen], prompt.rows[chosen]], axis=1)
            lists.append(torch.from_numpy(positions).float() / torch.tensor([width, height]))
        padded = pad_points(lists)
        return Points(padded.xy.to(device), padded.valid.to(device))


def load_seem_labeler(
    name: str = "seem_focall_v1",
    params: LabelParams | None = None,
    device: str | torch.device = "cpu",
) -> SeemLabeler:
    """Load a SEEM of models/manifest.toml and its class texts as a labeller.

    Args:
        name: of the model.
        params: how images are read and regions named.
        device: where the model runs.

    Raises:
        InputError: the manifest has no such model, its class table or that of the semantic maps
            cannot be used, or the device is not there.
        CheckpointError: the weights are missing, damaged or do not fit.
    """
    loaded = load_seem(name, device)
    return SeemLabeler(loaded.model, load_text_table(loaded), params, classes=loaded.entry.classes)


def resize_image(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize (H, W, 3) uint8 to (height, width), bicubic with antialiasing, as SEEM's demo does."""
    if image.shape[:2] == size:
        return image
    return np.asarray(Image.fromarray(image).resize((size[1], size[0]), Image.Resampling.BICUBIC))
