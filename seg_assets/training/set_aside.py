"""Make room for a training that is to begin anew."""

from itertools import count
from pathlib import Path

from seg_assets.errors import StoreError
from seg_assets.training.run_folder import RunFolder


def set_aside(run_dir: str | Path) -> Path | None:
    """Give the run in a folder another name, `<folder>.old-1` and so on; nothing is deleted.

    Returns:
        Where it is now, or None where there was no run.

    Raises:
        InputError: The folder holds something else than a run.
        StoreError: A process trains there, or the folder cannot be renamed.
    """
    folder = RunFolder(run_dir)
    if folder.config() is None:
        return None
    path = folder.path.absolute()
    names = (path.with_name(f"{path.name}.old-{number}") for number in count(1))
    target = next(name for name in names if not name.exists())
    with folder.hold():  # nobody trains there; the lock moves along
        try:
            path.rename(target)
        except OSError as error:
            raise StoreError(
                f"{path} cannot be renamed ({error}): choose another folder"
            ) from error
    (target / ".lock").unlink(missing_ok=True)
    return target
