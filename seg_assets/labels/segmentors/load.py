"""From a segmentor's name to the segmentor, its classes, and what its results came from.

    seem:NAME            a SEEM of the model manifest
    hf:REPOSITORY        a model of the Hugging Face hub (@REVISION may follow), or of a folder
    maps:FOLDER:TABLE    label maps on disk or behind a URL, in a class table

"seem" alone means the maps that the chain has stored, which need no segmentor.
"""

from pathlib import Path

from seg_assets.classes.mapping import own_folder
from seg_assets.classes.table import ClassTable, load_class_table
from seg_assets.errors import InputError
from seg_assets.labels.segmentors.label_maps import (
    StoredLabelMaps,
    check_label_map_folder,
    label_maps_digest,
)
from seg_assets.labels.segmentors.protocol import Segmentor
from seg_assets.labels.ssa_params import SsaParams
from seg_assets.labels.tables import map_folders
from seg_assets.modeling.identity import checkpoint_identity
from seg_assets.modeling.manifest import entry

SEEM, HUGGING_FACE, MAPS = "seem", "hf", "maps"


def load_segmentor(spec: str, params: SsaParams, device: str = "cpu") -> Segmentor:
    """Load the segmentor called `spec`.

    Args:
        spec: see above.
        params: how it scales images and logits, its precision, and the rule of the vote.
        device: a torch device such as "cuda:0".

    Raises:
        InputError: no such segmentor, its package is not installed, its repository cannot be
            reached, it has no logits and the rule needs them, or the device is not there.
        CheckpointError: its weights are missing, damaged or do not fit.
    """
    kind, name = _split(spec)
    if kind != HUGGING_FACE and params.rule == "mean_logits":
        raise InputError(
            f"the segmentor {spec!r} gives labels without logits: choose the rule 'majority', or "
            f"a segmentor of the kind '{HUGGING_FACE}:'"
        )
    if kind == SEEM:
        from seg_assets.labels.segmentors.seem import load_seem_segmentor  # noqa: PLC0415

        return load_seem_segmentor(name, device)
    if kind == HUGGING_FACE:
        from seg_assets.labels.segmentors.hugging_face.load import (  # noqa: PLC0415
            load_hugging_face_segmentor,
        )

        return load_hugging_face_segmentor(
            name,
            device,
            keep_aspect=params.keep_aspect,
            align_corners=params.align_corners,
            precision=params.precision,
        )
    return _label_maps(name)


def segmentor_classes(spec: str, params: SsaParams) -> ClassTable:
    """The table of the segmentor's label maps, without loading weights.

    Raises:
        InputError: no such segmentor, its package is not installed, or its repository cannot be
            reached.
    """
    kind, name = _split(spec)
    if kind == SEEM:
        return load_class_table(entry(name, kind="seem").classes)
    if kind == HUGGING_FACE:
        from seg_assets.labels.segmentors.hugging_face.repository import (  # noqa: PLC0415
            find_repository,
            repository_classes,
        )

        return repository_classes(find_repository(name))
    return load_class_table(_split_maps(name)[1])


def segmentor_identity(spec: str) -> str:
    """What decides the segmentor's labels, besides the images and the parameters.

    Returns:
        A checkpoint's SHA-256; the repository and its commit; the SHA-256 of a folder's files, or
        of the listing of a folder of label maps.

    Raises:
        InputError: no such segmentor, or its repository cannot be reached.
        CheckpointError: its weights are not there.
        StoreError: the storage of the label maps does not answer.
    """
    kind, name = _split(spec)
    if kind == SEEM:
        return checkpoint_identity(entry(name, kind="seem"))
    if kind == HUGGING_FACE:
        from seg_assets.labels.segmentors.hugging_face.repository import (  # noqa: PLC0415
            find_repository,
        )

        return find_repository(name).identity()
    return label_maps_digest(_split_maps(name)[0])


def segmentor_folders(spec: str) -> tuple[Path, ...]:
    """Where class maps of your own may lie for a segmentor's classes, besides the project's.

    Beside the .toml file of label maps, beside the table of a fine-tuned SEEM, in a model's folder.
    What is not known any more, as on another machine, has no such folder.
    """
    kind, _, name = spec.partition(":")
    if kind == MAPS:
        return own_folder(name.rpartition(":")[2])
    if kind == SEEM:
        return map_folders(name)
    return (Path(name),) if Path(name).is_dir() else ()


def stored_label_maps(spec: str) -> StoredLabelMaps | None:
    """The label maps that the segmentor looks up; None if it is a model.

    Raises:
        InputError: no such segmentor, no such folder or no such class table.
        StoreError: the storage of the label maps does not answer.
    """
    kind, name = _split(spec)
    return _label_maps(name) if kind == MAPS else None


def _label_maps(name: str) -> StoredLabelMaps:
    source, table = _split_maps(name)
    check_label_map_folder(source)
    return StoredLabelMaps(source, table)


def _split(spec: str) -> tuple[str, str]:
    kind, _, name = spec.partition(":")
    if kind == SEEM and not name:
        raise InputError(
            f"the segmentor {spec!r} is not known here, where no chain has stored its maps: write "
            f"{SEEM}:NAME for a SEEM of the manifest, as {SEEM}:seem_demo"
        )
    if kind not in (SEEM, HUGGING_FACE, MAPS) or not name:
        raise InputError(
            f"the segmentor {spec!r} is not known: write {SEEM}:NAME for a SEEM of the manifest, "
            f"{HUGGING_FACE}:REPOSITORY, {HUGGING_FACE}:FOLDER or {MAPS}:FOLDER:TABLE"
        )
    return kind, name


def _split_maps(name: str) -> tuple[str, str]:
    source, _, table = name.rpartition(":")
    if not source or not table or table.startswith("//"):  # only the colon of a URL
        raise InputError(
            f"the label maps {MAPS}:{name} lack their class table: write "
            f"{MAPS}:{name.rstrip(':')}:ade150, say, or the path of a .toml file after the colon"
        )
    return source, table
