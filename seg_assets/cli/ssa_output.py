"""The folder that `seg-assets ssa` fills.

json/<image>_semantic.json  the masks with their classes, in SSA's form
maps/<image>.png            indexed PNG of class ids, 255 = no label
segmentor/<image>.png       the segmentor's own map, the same way
overlays/<image>.jpg        the image under its map
done/<image>.json           which file the results are of; written last
errors.csv                  images that could not be labelled in the last run
classes.csv                 ids, names and colours of the maps
settings.json               models and parameters; another run must have the same
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seg_assets.cli.result_folder import ResultFolder, mark_of
from seg_assets.data.formats.sa1b import sa1b_number
from seg_assets.data.images import read_image
from seg_assets.data.shards import ImageRef
from seg_assets.labels.segmentors.label_maps import StoredLabelMaps
from seg_assets.labels.ssa_json import ssa_json
from seg_assets.labels.ssa_labeler import SsaImage, SsaLabeler
from seg_assets.storage.png import encode_label_map


class SsaOutput(ResultFolder[SsaLabeler, SsaImage]):
    """The folder, and which images failed so far."""

    marks = "done/**/*.json"

    def __init__(
        self,
        root: Path,
        settings: Mapping[str, Any],
        label_maps: StoredLabelMaps | None,
        *,
        overwrite: bool = False,
    ) -> None:
        """Go on with the folder, or begin one; nothing is written yet.

        Args:
            root: The folder.
            settings: Models and parameters.
            label_maps: What the segmentor looks up: where one of them changes, its image is not
                done any more. None if the segmentor is a model.
            overwrite: Whether results of other settings are replaced.

        Raises:
            InputError: It holds results of other settings, or of something else.
        """
        super().__init__(root, settings, overwrite=overwrite)
        self._label_maps = label_maps

    def is_done(self, image: ImageRef) -> bool:
        """Whether all results are there, and of this very file and label map."""
        names = _names(image.image_id)
        if not all((self.root / name).is_file() for name in names.values()):
            return False
        return (self.root / names["mark"]).read_bytes() == self._mark(image)

    def label(self, image: ImageRef, labeler: SsaLabeler) -> SsaImage:
        """Label one image."""
        return labeler(read_image(image), image.image_id)

    def keep(self, image: ImageRef, result: SsaImage) -> None:
        """Write an image's JSON, maps and overlay."""
        names = _names(image.image_id)
        content = ssa_json(
            result, result.classes, image_id=_number(image), file_name=_file_name(image)
        )
        palette = result.classes.palette()
        self.write(names["json"], json.dumps(content, ensure_ascii=False).encode())
        self.write(names["map"], encode_label_map(result.label_map, palette))
        self.write(names["segmentor"], encode_label_map(result.segmentor_map, palette))
        self.write_overlay(image.image_id, result.overlay())
        self.write_classes(result.classes)
        self.write(names["mark"], self._mark(image))

    def _mark(self, image: ImageRef) -> bytes:
        label_map = None if self._label_maps is None else self._label_maps.sign_of(image.image_id)
        return json.dumps([mark_of(image).decode(), label_map]).encode()


def _names(image_id: str) -> dict[str, str]:
    return {
        "json": f"json/{image_id}_semantic.json",
        "map": f"maps/{image_id}.png",
        "segmentor": f"segmentor/{image_id}.png",
        "overlay": f"overlays/{image_id}.jpg",
        "mark": f"done/{image_id}.json",
    }


def _number(image: ImageRef) -> int:
    """SA-1B's own number, else one made of the image's id: it stays when images come and go."""
    own = sa1b_number(image.image_id)
    digest = hashlib.sha256(image.image_id.encode()).digest()
    return int.from_bytes(digest[:6], "big") if own is None else own  # exact as a double, too


def _file_name(image: ImageRef) -> str:
    if image.offset is None:
        return image.uri.rpartition("/")[2]
    return f"{image.image_id.rpartition('/')[2]}.jpg"  # a tar file of SA-1B
