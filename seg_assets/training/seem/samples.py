"""What SEEM trains on: an image and the segments in it, whatever they were read from."""

from dataclasses import dataclass, replace

import numpy as np

from seg_assets.classes.table import IGNORE_ID, ClassTable
from seg_assets.data.panoptic.categories import CategoryTable
from seg_assets.data.panoptic.reader import PanopticSample
from seg_assets.data.scenes import Scene
from seg_assets.errors import InputError

SMALLEST_SEGMENT = 10  # pixels; what is smaller can neither be prompted nor be found at stride 4


@dataclass(frozen=True, eq=False)
class SegmentationSample:
    """An image and N segments; segments may overlap, and pixels may belong to none.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        masks: (N, H, W) bool.
        class_ids: (N,) int64, ids of the class table of the training.
        label_map: (H, W) uint8 class ids, 255 = no label; what evaluation compares with.
        referred: (M, H, W) bool, parts of the image that sentences mean.
        sentences: for each of these, the sentences.
    """

    image: np.ndarray
    masks: np.ndarray
    class_ids: np.ndarray
    label_map: np.ndarray
    referred: np.ndarray
    sentences: tuple[tuple[str, ...], ...] = ()

    def __post_init__(self) -> None:
        """Refuse parts that do not belong together.

        Raises:
            InputError: naming what differs.
        """
        height, width = self.image.shape[:2]
        if self.image.ndim != 3 or self.image.shape[2] != 3 or self.image.dtype != np.uint8:
            raise InputError(
                f"a training image has shape {self.image.shape} and type {self.image.dtype}; "
                "give (H, W, 3) uint8 RGB"
            )
        for masks in (self.masks, self.referred):
            if masks.dtype != np.bool_ or masks.shape[1:] != (height, width):
                raise InputError(
                    f"masks of a {width}x{height} training image have shape {masks.shape} and "
                    f"type {masks.dtype}; give (N, {height}, {width}) bool"
                )
        if self.label_map.shape != (height, width):
            raise InputError(
                f"the label map of a {width}x{height} training image has shape "
                f"{self.label_map.shape}; give one of the image's size"
            )
        if len(self.masks) != len(self.class_ids) or len(self.referred) != len(self.sentences):
            raise InputError(
                f"a training image has {len(self.masks)} masks, {len(self.class_ids)} class ids, "
                f"{len(self.referred)} parts that are spoken of and sentences for "
                f"{len(self.sentences)}; give a class per mask and sentences per part"
            )

    def without_small(self, pixels: int = SMALLEST_SEGMENT) -> "SegmentationSample":
        """The sample without segments and parts below so many pixels; its label map stays."""
        kept = self.masks.sum(axis=(1, 2)) >= pixels
        spoken = (self.referred.sum(axis=(1, 2)) >= pixels).nonzero()[0]
        return replace(
            self,
            masks=self.masks[kept],
            class_ids=self.class_ids[kept],
            referred=self.referred[spoken],
            sentences=tuple(self.sentences[i] for i in spoken),
        )


def sample_of_label_map(
    image: np.ndarray, label_map: np.ndarray, table: ClassTable
) -> SegmentationSample:
    """One segment for each class in a label map.

    Args:
        image: (H, W, 3) uint8 RGB.
        label_map: (H, W) ids of `table`, 255 = no label.
        table: the classes.

    Raises:
        UnknownClassError: the map holds other ids.
        InputError: image and map differ in size.
    """
    table.check(label_map, "the label map of a training image")
    present = np.unique(label_map)
    class_ids = present[present != IGNORE_ID].astype(np.int64)
    return SegmentationSample(
        image,
        label_map[None] == class_ids[:, None, None],
        class_ids,
        label_map.astype(np.uint8),
        _nothing(label_map),
    )


def sample_of_scene(scene: Scene, table: ClassTable) -> SegmentationSample:
    """Things of a generated scene one by one; surfaces of one class together, as in COCO panoptic.

    Args:
        scene: in COCO's classes.
        table: COCO's 133 classes, which say what is a thing.
    """
    entities = np.unique(scene.instance_map)
    entities = entities[entities > 0]
    class_ids = scene.class_ids[entities].astype(np.int64)
    return sample_of_entities(scene.image, scene.instance_map, entities, class_ids, table)


def sample_of_panoptic(source: PanopticSample, categories: CategoryTable) -> SegmentationSample:
    """The segments of a panoptic annotation that are no crowds, and its sentences.

    A sentence about a segment means the segment's pixels, any other one what its polygons fill.

    Args:
        source: an image of a panoptic data set.
        categories: of that data set; training ids are the positions in it.
    """
    ids = source.segmented.ids
    kept = [segment for segment in source.segmented.segments if not segment.is_crowd]
    known = {segment.id for segment in kept}
    return SegmentationSample(
        source.image,
        ids[None] == np.array([segment.id for segment in kept], ids.dtype)[:, None, None],
        np.array([categories.train_id(segment.category_id) for segment in kept], np.int64),
        source.segmented.semantic(categories),
        np.array(
            [
                ids == part.segment_id if part.segment_id in known else part.mask(*ids.shape)
                for part in source.referrals
            ],
            bool,
        ).reshape(-1, *ids.shape),
        tuple(part.sentences for part in source.referrals),
    )


def sample_of_entities(
    image: np.ndarray,
    id_map: np.ndarray,
    entity_ids: np.ndarray,
    class_ids: np.ndarray,
    table: ClassTable,
) -> SegmentationSample:
    """Segments given as an id map; those of one stuff class become one segment.

    Args:
        image: (H, W, 3) uint8 RGB.
        id_map: (H, W) integers; pixels of other ids than the listed ones have no label.
        entity_ids: (N,) ids in the map.
        class_ids: (N,) their classes in `table`.
        table: says which classes are things; a class that is not said to be one is stuff.
    """
    groups: dict[tuple[int, int], list[int]] = {}
    for i, class_id in enumerate(class_ids.tolist()):
        part = i if table.classes[class_id].is_thing else -1
        groups.setdefault((class_id, part), []).append(i)
    label_map = np.full(id_map.shape, IGNORE_ID, np.uint8)
    masks = np.zeros((len(groups), *id_map.shape), bool)
    for mask, ((class_id, _), members) in zip(masks, groups.items(), strict=True):
        mask[...] = np.isin(id_map, entity_ids[members])
        label_map[mask] = class_id
    classes = np.array([class_id for class_id, _ in groups], np.int64)
    return SegmentationSample(image, masks, classes, label_map, _nothing(label_map))


def _nothing(label_map: np.ndarray) -> np.ndarray:
    return np.zeros((0, *label_map.shape), bool)
