"""SEEM as a segmentor: its map without prompts, in its own classes."""

import numpy as np

from seg_assets.classes.table import ClassTable
from seg_assets.labels.params import LabelParams
from seg_assets.labels.seem_labeler import SeemLabeler, load_seem_labeler
from seg_assets.labels.segmentors.protocol import Segmentation
from seg_assets.labels.tables import SOURCE


class SeemSegmentor:
    """The class of the highest score at each pixel."""

    def __init__(self, labeler: SeemLabeler) -> None:
        self._labeler = labeler

    @property
    def classes(self) -> ClassTable:
        """SEEM's own table."""
        return self._labeler.class_map.source

    def segment(self, image_id: str, image: np.ndarray) -> Segmentation:
        """Read an image, (H, W, 3) uint8 RGB; see `Segmentor.segment`."""
        return Segmentation(self._labeler.read(image).source_map)


def load_seem_segmentor(name: str, device: str = "cpu") -> SeemSegmentor:
    """Load a SEEM of the model manifest; it reads images at their native resolution.

    Raises:
        InputError: the manifest has no such model, or the device is not there.
        CheckpointError: the weights are missing, damaged or do not fit.
    """
    return SeemSegmentor(load_seem_labeler(name, LabelParams(semantic_classes=SOURCE), device))
