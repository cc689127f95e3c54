"""Cityscapes, and data sets in its layout such as Foggy Driving.

leftImg8bit/<split>/<city>/<name>_leftImg8bit.png               the images
gtFine/<split>/<city>/<name>_gtFine_labelTrainIds.png           train ids, 255 = no label
gtFine/<split>/<city>/<name>_gtFine_labelIds.png                label ids
gtFine/<split>/<city>/<name>_gtFine_instanceIds.png             16 bits: 1000 x label id + number

Or folders called trainIds, labelIds and instanceIds, in which a file has its image's name. Files of
gtCoarse are read where there are none of gtFine. Foggy images (<name>_leftImg8bit_foggy_beta_0.01)
share the truth of the clear one.
"""

from collections.abc import Mapping
from pathlib import PurePosixPath

import numpy as np

from seg_assets.classes.table import IGNORE_ID
from seg_assets.data.files import Folder, open_folder
from seg_assets.data.ground_truth.image_truth import ImageTruth
from seg_assets.data.ground_truth.label_files import (
    PNG_SUFFIX,
    LabelFiles,
    label_folder,
    png_files,
)
from seg_assets.data.ground_truth.segments import truth_of_segments
from seg_assets.data.id_maps import read_id_map
from seg_assets.data.label_maps import check_cityscapes_labels
from seg_assets.data.panoptic.converters.cityscapes import (
    LABEL_IDS,
    OFFSET,
    cityscapes_to_panoptic,
)
from seg_assets.errors import ImageError, InputError

_IMAGE = "_leftImg8bit"
_FINE, _COARSE = "_gtFine", "_gtCoarse"
_TRAIN_IDS, _LABEL_IDS, _INSTANCE_IDS = "labelTrainIds", "labelIds", "instanceIds"
# What else lies in the folders of the labels.
_OTHERS = (_TRAIN_IDS, _LABEL_IDS, _INSTANCE_IDS, "instanceTrainIds", "color", "panoptic")


class CityscapesLabels(LabelFiles):
    """Train ids; classes only."""

    unique_names = True
    kind = _TRAIN_IDS
    flat_folder = "trainIds"

    def key(self, image_id: str) -> str:
        """The name without what Cityscapes appends to it, and behind that."""
        folder, slash, name = image_id.rpartition("/")
        return folder + slash + name.partition(_IMAGE)[0]

    def list_files(self) -> Mapping[str, str]:
        """Image id -> URL of the label file; gtFine before gtCoarse."""
        folder = label_folder(self.source, self.storage_options)
        flat = Folder(folder.filesystem, folder.child(self.flat_folder))
        found = png_files(flat if flat.kind() == "folder" else folder)
        suffix = f"_{self.kind}"
        named = {stem[: -len(suffix)]: uri for stem, uri in found.items() if stem.endswith(suffix)}
        if named:
            return _prefer_fine(named)
        plain = {
            stem: uri
            for stem, uri in found.items()
            if not stem.endswith(tuple(f"_{other}" for other in (*_OTHERS, _IMAGE[1:])))
        }
        if not plain:
            others = [kind for kind in _OTHERS if any(s.endswith(f"_{kind}") for s in found)]
            there = f" (it holds *_{', *_'.join(others)})" if others else ""
            raise InputError(
                f"{self.source} holds no *{suffix}{PNG_SUFFIX}{there}: give the folder with them "
                "or name another label format"
            )
        return plain


class CityscapesIds(CityscapesLabels):
    """Label ids; with instance ids beside them also segments and objects.

    A thing without a number is a group: one crowd per class.
    """

    kind = _LABEL_IDS
    flat_folder = "labelIds"

    def read_file(self, uri: str) -> ImageTruth:
        """Read the label ids and, where they lie beside, the instance ids."""
        classes = super().read_file(uri)
        before, found, after = uri.rpartition(_LABEL_IDS)
        instances = f"{before}{_INSTANCE_IDS}{after}"
        if not found or open_folder(instances, self.storage_options).kind() != "file":
            return classes
        ids = read_id_map(instances, classes.label_map.shape, self.storage_options)
        check_cityscapes_labels(np.where(ids >= OFFSET, ids // OFFSET, ids), instances)
        segmented = cityscapes_to_panoptic(ids, image=PurePosixPath(uri).name)
        class_of = {label_id: train_id for train_id, label_id in enumerate(LABEL_IDS)}
        found = {item.id: class_of[item.category_id] for item in segmented.segments}
        differs = segmented.lookup(found, IGNORE_ID) != classes.label_map
        if differs.any():
            y, x = np.argwhere(differs)[0].tolist()
            raise ImageError(
                f"{uri} and {instances} say different things of {np.count_nonzero(differs)} pixels,"
                f" row {y}, column {x} first: give files of one image and one release"
            )
        return truth_of_segments(classes.label_map, segmented, class_of, self.table.things)


def _prefer_fine(named: Mapping[str, str]) -> dict[str, str]:
    """Drop coarse labels of images that have fine ones, and give images their own names.

    Raises:
        InputError: an image has two label files of one kind.
    """
    fine = {PurePosixPath(stem.removesuffix(_FINE)).name for stem in named if stem.endswith(_FINE)}
    files: dict[str, str] = {}
    for stem, uri in named.items():
        plain = stem.removesuffix(_FINE).removesuffix(_COARSE)
        if stem.endswith(_COARSE) and PurePosixPath(plain).name in fine:
            continue
        other = files.setdefault(plain + _IMAGE, uri)
        if other != uri:
            raise InputError(f"{other} and {uri} label the same image: remove one of them")
    return files
