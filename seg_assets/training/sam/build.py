"""From parameters, as read from JSON, to a training task."""

from collections.abc import Mapping

from seg_assets.data.instances import InstanceDataset, open_instances
from seg_assets.modeling.sam import load_sam
from seg_assets.training.sam.box import SamBoxTask
from seg_assets.training.sam.params import BoxJob, InstanceSource, PointJob
from seg_assets.training.sam.point import SamPointTask
from seg_assets.training.sam.presets import with_preset
from seg_assets.training.task import Json


def build_box_task(params: Mapping[str, Json] | BoxJob) -> SamBoxTask:
    """Load the model, open the data and make the task.

    Args:
        params: What `BoxJob` takes; a key `preset` puts the values of a recipe under them.

    Raises:
        InputError: There is no such model, preset or data.
        CheckpointError: The weights to start from are missing, damaged or do not fit.
        ValidationError: A parameter is wrong.
    """
    if not isinstance(params, BoxJob):
        params = BoxJob.model_validate(with_preset(params, SamBoxTask.name))
    train, held_out = _open(params.train), _open_held_out(params.held_out)
    return SamBoxTask(load_sam(params.base), train, held_out, params)


def build_point_task(params: Mapping[str, Json] | PointJob) -> SamPointTask:
    """Load the model, open the data and make the task; see `build_box_task`."""
    if not isinstance(params, PointJob):
        params = PointJob.model_validate(with_preset(params, SamPointTask.name))
    train, held_out = _open(params.train), _open_held_out(params.held_out)
    return SamPointTask(load_sam(params.base), train, held_out, params)


def _open(source: InstanceSource) -> InstanceDataset:
    return open_instances(source.path, source.format, **source.options)


def _open_held_out(source: InstanceSource | None) -> InstanceDataset | None:
    return None if source is None else _open(source)
