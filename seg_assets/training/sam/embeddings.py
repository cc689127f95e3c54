"""The image encoder runs once per image; frozen, it need not run again in later epochs."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

import seg_assets.modeling.torchvision_cpu  # noqa: F401

# isort: split
from segment_anything.modeling import Sam

from seg_assets.modeling.checkpoints import state_sha256
from seg_assets.training.sam.normalisation import describe_normalisation, normalise

_log = logging.getLogger(__name__)

_KEY = "embedding"


class EmbeddingCache(Protocol):
    """Embeddings by the hash of their image, of one network."""

    def get(self, key: str) -> Tensor | None:
        """(C, h, w) on the CPU, or None where there is none yet."""
        ...

    def put(self, key: str, embedding: Tensor) -> None:
        """Keep an embedding, (C, h, w) on the CPU."""
        ...


class MemoryCache:
    """Embeddings in this process's memory."""

    def __init__(self) -> None:
        self._embeddings: dict[str, Tensor] = {}

    def get(self, key: str) -> Tensor | None:
        """See `EmbeddingCache`."""
        return self._embeddings.get(key)

    def put(self, key: str, embedding: Tensor) -> None:
        """See `EmbeddingCache`."""
        self._embeddings[key] = embedding


class DiskCache:
    """Embeddings as one file each; several processes and runs may share the folder.

    Args:
        folder: Made when the first embedding is kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, key: str) -> Tensor | None:
        """See `EmbeddingCache`; a damaged file counts as none."""
        path = self._path(key)
        if not path.is_file():
            return None
        try:
            return load_file(path)[_KEY]
        except (SafetensorError, KeyError):
            _log.warning("the cached embedding %s is damaged; it is computed again", path)
            return None

    def put(self, key: str, embedding: Tensor) -> None:
        """See `EmbeddingCache`; the file appears as a whole or not at all."""
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        # Two processes may write the same image: each has its own temporary file.
        temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        save_file({_KEY: embedding}, temporary)
        temporary.replace(path)

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / f"{key}.safetensors"


class FrozenEncoder:
    """A frozen image encoder that remembers.

    Args:
        sam: The model; its encoder must not change any more.
        kind: Where embeddings are kept: "none", "memory" or "disk".
        folder: Folder of the disk cache. Below it, each network, scale of pixels and type of
            numbers has a folder of its own.
    """

    def __init__(self, sam: Sam, kind: str, folder: Path | None) -> None:
        self._sam = sam
        self._kind = kind
        self._folder = folder
        self._caches: dict[torch.dtype, EmbeddingCache] = {}

    @torch.no_grad()
    def embed(
        self, images: Tensor, sizes: Sequence[tuple[int, int]], keys: Sequence[str]
    ) -> Tensor:
        """Embeddings of B images; only those not yet known are computed.

        Args:
            images: (B, 3, S, S) uint8, each at the top left.
            sizes: Their rows and columns.
            keys: Their hashes; unused where nothing is kept.

        Returns:
            (B, C, h, w) on the images' device, without gradient.
        """
        if self._kind == "none":
            return self._encode(images, sizes)
        cache = self._cache(_dtype_in_use(images.device))
        found = {key: cache.get(key) for key in keys}
        known = {key: embedding for key, embedding in found.items() if embedding is not None}
        missing = [place for place, key in enumerate(keys) if key not in known]
        if missing:
            rows = torch.tensor(missing, device=images.device)
            computed = self._encode(images[rows], [sizes[place] for place in missing]).cpu()
            for place, embedding in zip(missing, computed, strict=True):
                known[keys[place]] = embedding.clone()  # not a view that keeps its batch alive
                cache.put(keys[place], known[keys[place]])
        return torch.stack([known[key] for key in keys]).to(images.device)

    def _encode(self, images: Tensor, sizes: Sequence[tuple[int, int]]) -> Tensor:
        return self._sam.image_encoder(normalise(self._sam, images, sizes))

    def _cache(self, dtype: torch.dtype) -> EmbeddingCache:
        if dtype not in self._caches:
            self._caches[dtype] = (
                MemoryCache()
                if self._folder is None
                else DiskCache(self._folder / self._folder_name(dtype))
            )
        return self._caches[dtype]

    def _folder_name(self, dtype: torch.dtype) -> str:
        pixels = describe_normalisation(self._sam)
        state = self._sam.image_encoder.state_dict() | {
            name: torch.tensor(values) for name, values in pixels.items()
        }
        return f"{state_sha256(state)[:32]}-{str(dtype).removeprefix('torch.')}"


def _dtype_in_use(device: torch.device) -> torch.dtype:
    if torch.is_autocast_enabled(device.type):
        return torch.get_autocast_dtype(device.type)
    return torch.float32
