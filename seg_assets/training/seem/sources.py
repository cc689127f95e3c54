"""Where training samples come from: generated scenes, CamVid's folders, panoptic data sets."""

from abc import ABC, abstractmethod
from dataclasses import replace

import numpy as np

from seg_assets.classes.table import ClassTable, load_class_table
from seg_assets.data.formats.camvid import LABEL_FORMAT, find_camvid_images
from seg_assets.data.images import read_image
from seg_assets.data.label_maps import label_table, read_label_map
from seg_assets.data.panoptic.reader import open_panoptic
from seg_assets.data.scenes import CLASS_TABLE, make_scene
from seg_assets.data.shards import ImageRef
from seg_assets.errors import InputError
from seg_assets.training.seem.params import CamVidData, PanopticData, SceneData
from seg_assets.training.seem.samples import (
    SegmentationSample,
    sample_of_label_map,
    sample_of_panoptic,
    sample_of_scene,
)


class SampleSource(ABC):
    """Numbered samples in one class table.

    Attributes:
        table: the classes; training ids are its ids.
    """

    table: ClassTable

    @abstractmethod
    def __len__(self) -> int:
        """How many samples there are."""

    @abstractmethod
    def __getitem__(self, index: int) -> SegmentationSample:
        """Sample `index`, from 0 on; the same one each time."""


class SceneSource(SampleSource):
    """Generated scenes."""

    def __init__(self, data: SceneData, size: int, table: ClassTable | None = None) -> None:
        """Draw scenes of `size` x `size` pixels; the table must be COCO's 133 classes."""
        self.data, self.size = data, size
        self.table = table or load_class_table(CLASS_TABLE)
        if self.table.names != load_class_table(CLASS_TABLE).names:
            raise InputError(
                f"generated scenes are labelled in {CLASS_TABLE}, not in {self.table.name}: "
                "leave `classes` out"
            )

    def __len__(self) -> int:
        return self.data.count

    def __getitem__(self, index: int) -> SegmentationSample:
        """Draw a scene."""
        return sample_of_scene(
            make_scene(self.data.first_seed + index, self.size, view=self.data.view), self.table
        )


class CamVidSource(SampleSource):
    """A split of a CamVid folder: each class in an image is one segment."""

    def __init__(self, data: CamVidData, table: ClassTable | None = None) -> None:
        """List the split's images.

        Raises:
            InputError: the folder has no such split, or the table is not CamVid's.
        """
        own = load_class_table(label_table(LABEL_FORMAT))
        self.table = table or own
        if len(self.table) != len(own):
            raise InputError(
                f"CamVid's labels have {len(own)} classes and {self.table.name} has "
                f"{len(self.table)}: leave `classes` out, or give names for the same classes"
            )
        splits = find_camvid_images(data.folder)
        if data.split not in splits:
            raise InputError(
                f"{data.folder} has no {data.split}.txt; choose one of: {', '.join(splits)}"
            )
        self._images = [image for image in splits[data.split] if image.label_uri is not None]
        self._images = self._images[: data.limit]

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> SegmentationSample:
        """Read an image and its labels."""
        image: ImageRef = self._images[index]
        labels = read_label_map(str(image.label_uri), LABEL_FORMAT)
        return sample_of_label_map(read_image(image), labels, self.table)


class PanopticSource(SampleSource):
    """A split of a panoptic data set, with its sentences."""

    def __init__(self, data: PanopticData, table: ClassTable | None = None) -> None:
        """Open the split.

        Raises:
            InputError: there is no such split, or the table has another number of classes.
        """
        self._dataset = open_panoptic(data.folder, data.split)
        self._count = min(len(self._dataset), data.limit or len(self._dataset))
        categories = self._dataset.categories
        self.table = table or categories.to_class_table("panoptic", f"categories of {data.folder}")
        if len(self.table) != len(categories):
            raise InputError(
                f"{data.folder} has {len(categories)} categories and {self.table.name} has "
                f"{len(self.table)} classes: leave `classes` out, or give a name for each category"
            )

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> SegmentationSample:
        """Read an image with its segments and sentences."""
        return sample_of_panoptic(self._dataset[index], self._dataset.categories)


class CachedSource(SampleSource):
    """Keeps the samples of another source in memory, eight mask pixels to a byte."""

    def __init__(self, source: SampleSource) -> None:
        """Wrap a source; samples are made when they are first asked for."""
        self.table, self._source = source.table, source
        self._kept: dict[int, tuple[SegmentationSample, np.ndarray]] = {}

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> SegmentationSample:
        """The kept sample, or a new one."""
        if index not in self._kept:
            made = self._source[index]
            height, width = made.masks.shape[1:]
            # a view of one value: the shape of the masks without their memory
            blank = np.broadcast_to(np.False_, (len(made.masks), height, width))
            self._kept[index] = replace(made, masks=blank), np.packbits(made.masks, axis=2)
        sample, packed = self._kept[index]
        width = sample.image.shape[1]
        return replace(sample, masks=np.unpackbits(packed, axis=2, count=width).astype(bool))


def open_source(
    data: SceneData | CamVidData | PanopticData,
    size: int,
    table: ClassTable | None = None,
    *,
    cache: bool = False,
) -> SampleSource:
    """Open what the parameters name.

    Args:
        data: which data.
        size: side of the training square; generated scenes are drawn at it.
        table: classes to use in place of the data's own.
        cache: keep the samples in memory.

    Raises:
        InputError: the data is not there, empty, or in other classes than the table's.
    """
    source: SampleSource
    if isinstance(data, SceneData):
        source = SceneSource(data, size, table)
    elif isinstance(data, CamVidData):
        source = CamVidSource(data, table)
    else:
        source = PanopticSource(data, table)
    if not len(source):
        raise InputError(f"the {data.kind} data has no image with labels: give another folder")
    return CachedSource(source) if cache else source
