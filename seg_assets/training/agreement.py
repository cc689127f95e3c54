"""What must be the same for a run to be continued, and what may change."""

from collections.abc import Mapping

from seg_assets.errors import InputError
from seg_assets.training.config import TrainConfig
from seg_assets.training.schedule import depends_on_length
from seg_assets.training.task import Json

FREE = {
    "device",
    "workers",
    "max_skipped",
    "first_logged",
    "log_every",
    "save_every",
    "evaluate_every",
    "evaluate_at_start",
    "trackers",
}
"""Fields of the configuration that do not decide the weights."""

_LENGTH = {"steps", "epochs"}
_TOLD = {"run_id", "seg_assets", "trained.tensors", "trained.parameters"}  # decide nothing
_NAMED = 4


def check_agreement(
    saved: Mapping[str, Json], wanted: Mapping[str, Json], config: TrainConfig, where: str
) -> None:
    """Refuse to continue a run that is not the same training.

    The number of steps may change where the learning rate does not depend on it (a constant one, or
    milestones given as steps): a run can then be made longer.

    Args:
        saved: The run's config.json.
        wanted: What it would be now.
        config: The configuration in `wanted`.
        where: The run's folder, for the error.

    Raises:
        InputError: Names what differs, with both values.
    """
    free = {f"config.{name}" for name in FREE | _LENGTH} | _TOLD
    if not depends_on_length(config):
        free.add("steps")
    before, now = _flat(saved), _flat(wanted)
    differing = [
        f"{key} was {_shown(before, key)} and is {_shown(now, key)} now"
        for key in sorted(before.keys() | now.keys())
        if key not in free and before.get(key) != now.get(key)
    ]
    if differing:
        more = len(differing) - _NAMED
        named = "; ".join(differing[:_NAMED]) + (f"; and {more} more" if more > 0 else "")
        raise InputError(
            f"the run {where} cannot go on as another training: {named}; "
            "give another folder, or the old values"
        )


def _flat(record: Mapping[str, Json], prefix: str = "") -> dict[str, Json]:
    flat: dict[str, Json] = {}
    for key, value in record.items():
        if isinstance(value, dict) and value:
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def _shown(flat: Mapping[str, Json], key: str) -> str:
    return repr(flat[key]) if key in flat else "not there"
