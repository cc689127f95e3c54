"""The manifest that finishes a shard, and the fingerprint that tells two results apart."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from seg_assets.errors import InputError, StoreError
from seg_assets.storage.files import Files
from seg_assets.storage.names import MANIFEST

FORMAT = 1


@dataclass(frozen=True)
class ImageFailure:
    """An image that a stage gave up; a row of the `errors` schema."""

    image_id: str
    stage: str
    message: str


@dataclass(frozen=True)
class PartRecord:
    """What a finished part holds.

    Attributes:
        name: file name inside the shard's folder.
        image_ids: all images of the part in order, failed ones too.
        rows: rows in the file.
        bytes: size of the file.
        sha256: hexadecimal SHA-256 of the file.
        failures: the images without rows because a stage gave them up.
    """

    name: str
    image_ids: tuple[str, ...]
    rows: int
    bytes: int
    sha256: str
    failures: tuple[ImageFailure, ...]


@dataclass(frozen=True)
class Manifest:
    """A finished shard: readers follow it and nothing else. It holds no time and no device."""

    asset: str
    shard: str
    fingerprint: str
    provenance: Mapping[str, Any]
    parts: tuple[PartRecord, ...]

    @property
    def image_ids(self) -> list[str]:
        """All images in order, failed ones too."""
        return [image_id for part in self.parts for image_id in part.image_ids]

    @property
    def failures(self) -> list[ImageFailure]:
        """The images that failed, in order."""
        return [failure for part in self.parts for failure in part.failures]

    @property
    def digest(self) -> str:
        """SHA-256 over those of the parts: what the shard holds, not only what was asked for.

        Made again with the same fingerprint, it differs where the outside world has changed (an
        image file with other pixels).
        """
        return hashlib.sha256("".join(part.sha256 for part in self.parts).encode()).hexdigest()

    @property
    def totals(self) -> dict[str, int]:
        """Images (failed ones too), failed images, rows and bytes of the shard."""
        return {
            "images": sum(len(part.image_ids) for part in self.parts),
            "failed": sum(len(part.failures) for part in self.parts),
            "rows": sum(part.rows for part in self.parts),
            "bytes": sum(part.bytes for part in self.parts),
        }

    def to_json(self) -> bytes:
        """Return the bytes of _manifest.json: the same bytes for the same shard."""
        parts = [
            {
                "name": part.name,
                "images": len(part.image_ids),
                "rows": part.rows,
                "bytes": part.bytes,
                "sha256": part.sha256,
                "image_ids": list(part.image_ids),
            }
            for part in self.parts
        ]
        document = {
            "format": FORMAT,
            "asset": self.asset,
            "shard": self.shard,
            "fingerprint": self.fingerprint,
            "provenance": dict(self.provenance),
            "totals": self.totals,
            "parts": parts,
            "errors": [asdict(failure) for failure in self.failures],
        }
        return (json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()

    @classmethod
    def from_json(cls, data: bytes, where: str) -> "Manifest":
        """Read _manifest.json.

        Args:
            data: the bytes of the file.
            where: its location, for messages.

        Raises:
            StoreError: the file is damaged or of another format.
        """
        try:
            document = json.loads(data)
            if document["format"] != FORMAT:
                raise StoreError(
                    f"{where} has format {document['format']}, this version reads {FORMAT}: "
                    f"materialise the shard again"
                )
            failures = {error["image_id"]: ImageFailure(**error) for error in document["errors"]}
            parts = tuple(
                PartRecord(
                    name=part["name"],
                    image_ids=tuple(part["image_ids"]),
                    rows=part["rows"],
                    bytes=part["bytes"],
                    sha256=part["sha256"],
                    failures=tuple(failures[i] for i in part["image_ids"] if i in failures),
                )
                for part in document["parts"]
            )
            return cls(
                asset=document["asset"],
                shard=document["shard"],
                fingerprint=document["fingerprint"],
                provenance=document["provenance"],
                parts=parts,
            )
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(
                f"{where} is damaged ({error}): materialise the shard again"
            ) from error


def fingerprint(
    asset: str,
    schema: pa.Schema,
    provenance: Mapping[str, Any],
    image_ids: Sequence[str],
    images_per_part: int,
) -> str:
    """Return the SHA-256 of everything that decides a shard's bytes.

    Descriptions of columns do not count: mending a sentence recomputes nothing.

    Raises:
        InputError: the provenance is not plain JSON.
    """
    columns = [[field.name, str(field.type), field.nullable] for field in schema]
    document = {
        "format": FORMAT,
        "asset": asset,
        "columns": columns,
        "provenance": dict(provenance),
        "image_ids": list(image_ids),
        "images_per_part": images_per_part,
    }
    try:
        text = json.dumps(document, sort_keys=True, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise InputError(
            f"the provenance of {asset} is not plain JSON ({error}): "
            f"use strings, finite numbers, booleans, lists and dicts with string keys"
        ) from error
    return hashlib.sha256(text.encode()).hexdigest()


def load_manifest(files: Files, asset: str, shard: str) -> Manifest | None:
    """Read the manifest of a shard; None if it has none, that is, if it is not finished.

    Raises:
        StoreError: the manifest is damaged.
    """
    path = f"{asset}/{shard}/{MANIFEST}"
    try:
        data = files.read(path)
    except FileNotFoundError:
        return None
    return Manifest.from_json(data, files.location(path))
