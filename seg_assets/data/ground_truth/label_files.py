"""Ground truth that lies in files of one image each."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property

from seg_assets.classes.table import ClassTable, load_class_table
from seg_assets.data.files import Folder, StorageOptions, open_folder
from seg_assets.data.ground_truth.image_names import ImageNames
from seg_assets.data.ground_truth.image_truth import ImageTruth
from seg_assets.data.label_maps import label_table, read_label_map
from seg_assets.errors import ImageError, InputError

PNG_SUFFIX = ".png"


class LabelFiles(ABC):
    """Reads label files; a format says where they lie, and what lies beside them.

    Args:
        source: the folder of the label files, or of the whole data set.
        label_format: see `label_maps`.
        files: image id -> label file, where they are known already: nothing is listed, and images
            are found by exactly these ids.
        storage_options: keyword arguments of the fsspec file system.

    Raises:
        InputError: the format or its class table is unknown.
    """

    unique_names = False
    """Whether an image's name tells it from all others of the data set, without its folder."""

    def __init__(
        self,
        source: str,
        label_format: str,
        *,
        files: Mapping[str, str] | None = None,
        storage_options: StorageOptions = None,
    ) -> None:
        self.source = source
        self.label_format = label_format
        self.storage_options = storage_options
        self._table = load_class_table(label_table(label_format))
        self._given = files

    @property
    def table(self) -> ClassTable:
        """The classes of the label files."""
        return self._table

    def image_ids(self) -> tuple[str, ...]:
        """Ids of all images with a label file, sorted."""
        return self._names.sorted

    def find(self, image_id: str) -> str | None:
        """The data set's own id of an image with a label file; None for another."""
        return self._names.find(image_id)

    def label_uri(self, image_id: str) -> str | None:
        """URL of an image's label file; None for an image without."""
        own = self.find(image_id)
        return None if own is None else self._files[own]

    def read(self, image_id: str) -> ImageTruth:
        """Read an image's label file and what lies beside it."""
        uri = self.label_uri(image_id)
        if uri is None:
            raise ImageError(
                f"{self.source} has no label file of image {image_id}: leave the image out or give "
                "it one"
            )
        return self.read_file(uri)

    def read_file(self, uri: str) -> ImageTruth:
        """Read a label file and what lies beside it."""
        label_map = read_label_map(uri, self.label_format, self.storage_options)
        self.table.check(label_map, uri)
        return ImageTruth(label_map)

    @abstractmethod
    def list_files(self) -> Mapping[str, str]:
        """Image id -> URL of the label file, of all images that have one."""

    def key(self, image_id: str) -> str:
        """What the names of an image and of its label file have in common."""
        return image_id

    @cached_property
    def _files(self) -> Mapping[str, str]:
        return self.list_files() if self._given is None else self._given

    @cached_property
    def _names(self) -> ImageNames:
        if self._given is not None:
            return ImageNames(self._files)
        return ImageNames(self._files, key=self.key, unique_names=self.unique_names)


def label_folder(source: str, storage_options: StorageOptions) -> Folder:
    """Open the folder of label files.

    Raises:
        InputError: it is not there, or is a file.
    """
    folder = open_folder(source, storage_options)
    kind = folder.kind()
    if kind != "folder":
        fault = "is a file" if kind == "file" else "is not there"
        raise InputError(f"the label folder {source} {fault}: give a folder that exists")
    return folder


def png_files(folder: Folder) -> dict[str, str]:
    """Relative name without extension -> URL of each PNG below a folder.

    Raises:
        InputError: two files differ in their extension only (a.png, a.PNG).
    """
    found: dict[str, str] = {}
    for name in folder.files():
        if name.lower().endswith(PNG_SUFFIX):
            uri = folder.uri_of(folder.child(name))
            other = found.setdefault(name[: -len(PNG_SUFFIX)], uri)
            if other != uri:
                raise InputError(f"{other} and {uri} label the same image: remove one of them")
    return found
