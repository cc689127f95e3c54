"""What every reader of ground truth can do."""

from typing import Protocol

from seg_assets.classes.table import ClassTable
from seg_assets.data.ground_truth.image_truth import ImageTruth


class GroundTruth(Protocol):
    """The ground truth of a source, one image at a time.

    Images are asked for by the ids that shards give them: the path relative to the images' folder,
    with slashes and without extension. Nothing is listed before it is asked for, and only once.
    """

    @property
    def source(self) -> str:
        """Where it lies: absolute, or a URL."""
        ...

    @property
    def label_format(self) -> str:
        """How it is written, see `label_maps`; never "auto"."""
        ...

    @property
    def table(self) -> ClassTable:
        """The classes of label maps, segments and objects."""
        ...

    def image_ids(self) -> tuple[str, ...]:
        """Ids of all images with truth, sorted, as the data set's own layout names them.

        Raises:
            InputError: the source is missing, damaged or not of this format.
            StoreError: the storage does not answer.
        """
        ...

    def find(self, image_id: str) -> str | None:
        """The one of `image_ids` that is this image; None for none. Raises as `image_ids`."""
        ...

    def label_uri(self, image_id: str) -> str | None:
        """URL of the image's label file; None for an image without truth. Raises as `image_ids`."""
        ...

    def read(self, image_id: str) -> ImageTruth:
        """Read the truth of one image.

        Raises:
            ImageError: there is none, or its files are damaged or do not agree.
            UnknownClassError: ids outside the format's classes; the message names them.
            InputError, StoreError: as `image_ids`.
        """
        ...
