"""Which weights a result came from, found without opening them."""

from seg_assets.modeling.manifest import ModelEntry, base_of, missing_weights, weights_path
from seg_assets.modeling.weights_file import read_record, sha256_of


def checkpoint_identity(entry: ModelEntry) -> str:
    """Hash of the weights of `entry`: published, else recorded at the download, else computed.

    Loading holds the file against the same hash, so the cheap answer is also the true one. Seeded
    random weights are named by their configuration and seed.

    Returns:
        64 hex digits, or "seed 0 of demo" where random weights stand in; for a file that lies on
        the weights of another entry both, as "... on ...".

    Raises:
        InputError: the entry's base is none.
        CheckpointError: the weights are not there.
    """
    own, base = _own_identity(entry), base_of(entry)
    return own if base is None else f"{own} on {_own_identity(base)}"


def _own_identity(entry: ModelEntry) -> str:
    path = weights_path(entry)
    if not path.is_file():
        if entry.seed is not None:
            return f"seed {entry.seed} of {entry.config}"
        raise missing_weights(entry)
    if entry.sha256 is not None:
        return entry.sha256
    record = read_record(path)
    return record.sha256 if record is not None else sha256_of(path)
