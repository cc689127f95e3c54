"""From the name of a model of Hugging Face to a segmentor that is ready to run."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from seg_assets.errors import CheckpointError, InputError
from seg_assets.labels.segmentors.hugging_face.class_names import recognised_table
from seg_assets.labels.segmentors.hugging_face.repository import (
    Repository,
    explained,
    find_repository,
    first_line,
    needs_transformers,
    repository_config,
)
from seg_assets.labels.segmentors.hugging_face.segmentor import (
    MASK_CLASSIFIERS,
    HuggingFaceSegmentor,
)
from seg_assets.modeling.checkpoints import usable_device
from seg_assets.modeling.precision import Precision

logger = logging.getLogger(__name__)

ONEFORMER = "oneformer"
TASK = "the task is semantic"  # what OneFormer is told, in the words of its training


def load_hugging_face_segmentor(
    name: str,
    device: str | torch.device = "cpu",
    *,
    keep_aspect: bool = True,
    align_corners: bool = False,
    precision: Precision = "float32",
) -> HuggingFaceSegmentor:
    """Load a model of the hub, or of a folder that `save_pretrained` wrote.

    Args:
        name: see `find_repository`.
        device: where it shall run.
        keep_aspect: see `SsaParams`, as for those that follow.
        align_corners: how scores are scaled.
        precision: of the large matrix products.

    Raises:
        InputError: transformers is not installed, the repository cannot be read, its architecture
            is none for semantic segmentation, or the device is not there.
        CheckpointError: weights are missing or do not fit.
    """
    target = usable_device(device)
    repository = find_repository(name)
    config = repository_config(repository)
    classes = recognised_table(config.id2label, repository.name)
    network = _read_network(repository, config)
    return HuggingFaceSegmentor(
        network.to(target),
        _read_processor(repository, config.model_type),
        classes,
        task_tokens=_task_tokens(repository, config) if config.model_type == ONEFORMER else None,
        keep_aspect=keep_aspect,
        align_corners=align_corners,
        precision=precision,
    )


def _read_network(repository: Repository, config: Any) -> Any:
    """The network with its weights, in evaluation mode."""
    where, auto_class = repository.name, _auto_class(repository, config)
    try:
        with explained(where), _no_progress_bars():
            network, report = auto_class.from_pretrained(
                where,
                config=config,
                dtype=torch.float32,
                output_loading_info=True,
                **repository.arguments(),
            )
    except RuntimeError as error:  # shapes that do not fit
        raise CheckpointError(
            f"the weights of {where} do not fit their configuration ({first_line(error)}): "
            "save the model again"
        ) from error
    except (SafetensorError, UnpicklingError, EOFError) as error:
        raise CheckpointError(
            f"the weights of {where} are damaged ({first_line(error)}): fetch them again"
        ) from error
    # transformers would leave random numbers there, as in a backbone without a trained head
    if missing := sorted(report["missing_keys"]):
        raise CheckpointError(
            f"the weights of {where} lack {len(missing)} keys that segmentation needs, "
            f"{missing[0]} first: choose a checkpoint that was trained for semantic segmentation"
        )
    if unused := sorted(report["unexpected_keys"]):
        logger.info("%s: %d weights are not used, %s first", where, len(unused), unused[0])
    return network.eval()


@contextmanager
def _no_progress_bars() -> Iterator[None]:
    """Keep transformers from drawing on the terminal while it reads weights."""
    from transformers.utils import logging as hf_logging  # noqa: PLC0415

    shown = hf_logging.is_progress_bar_enabled()
    hf_logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            hf_logging.enable_progress_bar()


def _auto_class(repository: Repository, config: Any) -> Any:
    """Which of transformers' automatic classes builds the network."""
    with needs_transformers():
        from transformers import (  # noqa: PLC0415
            AutoModelForSemanticSegmentation,
            AutoModelForUniversalSegmentation,
        )
    if config.model_type in MASK_CLASSIFIERS:
        return AutoModelForUniversalSegmentation
    if type(config) in AutoModelForSemanticSegmentation._model_mapping:
        return AutoModelForSemanticSegmentation
    raise InputError(
        f"{repository.name} is a {config.model_type} model, which gives no semantic map here: "
        f"choose a SegFormer, UperNet, DPT or BeiT for semantic segmentation, or one of "
        f"{', '.join(MASK_CLASSIFIERS)}"
    )


def _read_processor(repository: Repository, model_type: str) -> Any:
    """The image processor of the network."""
    with needs_transformers():
        from transformers import AutoImageProcessor  # noqa: PLC0415
    # OneFormer's would download names of classes for training, from another repository
    without = {"class_info_file": None} if model_type == ONEFORMER else {}
    with explained(repository.name):
        return AutoImageProcessor.from_pretrained(
            repository.name, **repository.arguments(), **without
        )


def _task_tokens(repository: Repository, config: Any) -> Tensor:
    """What OneFormer is told: (1, T) int64, zero after the end of the sentence."""
    with needs_transformers():
        from transformers import AutoTokenizer  # noqa: PLC0415
    with explained(repository.name):
        tokenizer = AutoTokenizer.from_pretrained(repository.name, **repository.arguments())
    tokens = tokenizer(
        [TASK],
        padding="max_length",
        max_length=config.task_seq_len,
        truncation=True,
        return_tensors="pt",
    )
    return tokens["input_ids"] * tokens["attention_mask"]
