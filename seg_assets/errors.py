"""Errors that a user may see. Each message is one sentence: what is wrong, where, what to do.

SegAssetsError
├── InputError          wrong usage: an option, a path, an unknown shard or model (exit status 2)
│   └── UnknownClassError   an id or a name that is not in a class table
├── ImageError          one image or label file cannot be read; the shard goes on without it
│   └── ComparisonError     an image's prediction and ground truth cannot be compared
├── CheckpointError     weights are missing, damaged, or do not fit the model
├── TrainingError       a training cannot start or go on: wrong parameters, no data, NaN
└── StoreError          a shard is missing, unfinished or damaged, or the store cannot be written
"""


class SegAssetsError(Exception):
    """Base of all errors whose message is meant for the user."""


class InputError(SegAssetsError):
    """Wrong usage: the caller can mend it by asking for something else."""


class UnknownClassError(InputError):
    """A class id or name that the class table or map does not hold."""


class ImageError(SegAssetsError):
    """One image or label file that cannot be read."""


class ComparisonError(ImageError):
    """A prediction and a ground truth that cannot be compared.

    Attributes:
        kind: what is wrong, by which such images are counted: "unreadable truth", "unknown ids",
            "other size" or "no prediction".
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class CheckpointError(SegAssetsError):
    """Weights that are missing, damaged, or do not fit the model."""


class TrainingError(SegAssetsError):
    """A training that cannot start or cannot go on."""


class StoreError(SegAssetsError):
    """A shard that is missing, unfinished or damaged, or a store that cannot be written."""
