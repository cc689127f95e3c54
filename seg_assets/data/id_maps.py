"""PNGs whose pixels are numbers of objects or classes, not colours."""

import numpy as np

from seg_assets.data.files import StorageOptions, read_bytes
from seg_assets.data.images import open_image
from seg_assets.errors import ImageError


def read_id_map(
    uri: str, size: tuple[int, int] | None = None, storage_options: StorageOptions = None
) -> np.ndarray:
    """Read the stored numbers of a grey or indexed PNG of 1, 8 or 16 bits.

    Args:
        uri: the PNG.
        size: (height, width) of the image that it belongs to.
        storage_options: keyword arguments of the fsspec file system.

    Returns:
        (H, W) int32; of a palette the indices, not the colours.

    Raises:
        ImageError: the file is missing, damaged, holds colours, or has another size.
        StoreError: the storage does not answer.
    """
    image = open_image(read_bytes(uri, storage_options=storage_options), uri, formats=("PNG",))
    if image.mode not in ("1", "L", "P", "I", "I;16"):
        raise ImageError(
            f"{uri} holds colours ({image.mode}), not numbers of objects: convert it to a grey or "
            "indexed PNG"
        )
    try:
        ids = np.array(image, np.int32)
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged data
        raise ImageError(f"{uri} is truncated or damaged ({error}): fetch it again") from error
    if size is not None and ids.shape != size:
        raise ImageError(
            f"{uri} is {ids.shape[0]} x {ids.shape[1]} pixels, its image {size[0]} x {size[1]}: "
            "give the masks of this image"
        )
    return ids
