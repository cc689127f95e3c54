"""Which image of a data set an image id means."""

from collections.abc import Callable, Iterable
from pathlib import PurePosixPath


class ImageNames:
    """The ids under which a data set knows its images.

    Args:
        image_ids: all of them.
        key: what two names of one image have in common; the id itself by default.
        unique_names: no two folders of this data set hold images of one name, so an image is found
            whatever folder it lies in.
    """

    def __init__(
        self,
        image_ids: Iterable[str],
        *,
        key: Callable[[str], str] = str,
        unique_names: bool = False,
    ) -> None:
        self.sorted = tuple(sorted(image_ids))
        self._key = key
        self._by_key = {key(image_id): image_id for image_id in self.sorted}
        self._by_name: dict[str, str | None] = {}
        if unique_names:
            for found, image_id in self._by_key.items():
                name = PurePosixPath(found).name
                # two after all: then only the whole path tells which
                self._by_name[name] = None if name in self._by_name else image_id

    def find(self, image_id: str) -> str | None:
        """The data set's own id of an image; None where it has no such image."""
        wanted = self._key(image_id)
        if wanted in self._by_key:
            return self._by_key[wanted]
        return self._by_name.get(PurePosixPath(wanted).name)
