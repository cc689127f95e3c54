"""Write a SAM as ONNX files: trace, describe, check, and only then put each file in its place."""

import hashlib
import logging
import re
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import seg_assets.modeling.torchvision_cpu  # noqa: F401

# isort: split
from segment_anything.modeling import Sam

from seg_assets import __version__
from seg_assets.errors import InputError
from seg_assets.modeling.checkpoints import LoadedModel
from seg_assets.modeling.manifest import entry
from seg_assets.modeling.onnx_export.check import GraphCheck, SamReference
from seg_assets.modeling.onnx_export.extra import require
from seg_assets.modeling.onnx_export.graphs import build_graph
from seg_assets.modeling.onnx_export.metadata import (
    DEFAULT_OPSET,
    GRAPH_KINDS,
    OPSETS,
    GraphKind,
    GraphMetadata,
)
from seg_assets.modeling.sam import SAM_CONFIGS, load_sam
from seg_assets.storage.files import explained
from seg_assets.storage.local_files import LocalFiles

_log = logging.getLogger(__name__)

# A protobuf file ends at 2 GiB; the rest of that is for the graph itself.
EMBED_UP_TO = 2_000_000_000
# Smaller tensors stay in the graph, where shape inference can read them.
_SMALL = 1024

_HASH_DIGITS = 8


@dataclass(frozen=True)
class ExportedGraph:
    """A file that was written.

    Attributes:
        kind: Which graph it is.
        path: The .onnx file.
        data: The file beside it with its weights, where they do not fit into a protobuf file.
        bytes: Size of both.
        check: Its comparison with torch; None where none was asked for.
    """

    kind: GraphKind
    path: Path
    data: Path | None
    bytes: int
    check: GraphCheck | None


def load_exportable(name: str) -> LoadedModel[Sam]:
    """Load the SAM that the model manifest calls `name` on the CPU, if it can be exported.

    Raises:
        InputError: The manifest has no such SAM, or its network is none of ours.
        CheckpointError: The weights are missing, damaged or do not fit.
    """
    config = entry(name, kind="sam").config
    if config not in SAM_CONFIGS:  # said before anyone downloads its weights
        raise InputError(
            f"{name} cannot be exported, for its network is '{config}': choose a model whose "
            f"configuration is one of {', '.join(SAM_CONFIGS)}"
        )
    return load_sam(name, "cpu")


def export_sam(
    loaded: LoadedModel[Sam],
    folder: Path,
    kinds: Sequence[GraphKind] = GRAPH_KINDS,
    *,
    opset: int = DEFAULT_OPSET,
    check: bool = True,
    embed_up_to: int = EMBED_UP_TO,
) -> Iterator[ExportedGraph]:
    """Write graphs as `folder`/<model>_<graph>.onnx, and yield each when it is in its place.

    A file of that name is replaced at once, by a whole file that has passed its check.

    Args:
        loaded: The model, on the CPU.
        folder: Where to write; made if it is missing.
        kinds: Which graphs.
        opset: Version of ONNX's operators, one of `OPSETS`.
        check: Whether to run each graph in onnxruntime and compare it with torch.
        embed_up_to: Bytes of weights above which they go to a file of their own.

    Raises:
        InputError: The opset is none of `OPSETS`, or onnxscript or onnxruntime is not installed.
        CheckpointError: A graph computes something else than torch.
        StoreError: The folder cannot be written.
    """
    if opset not in OPSETS:
        raise InputError(f"the opset is {opset}: choose one from {OPSETS[0]} to {OPSETS[-1]}")
    require("onnxscript")
    if check:
        require("onnxruntime")  # tracing takes minutes: miss it before
    files = LocalFiles(str(folder))
    with explained("create", str(folder)):
        folder.mkdir(parents=True, exist_ok=True)
    reference = SamReference(loaded.model) if check else None
    for kind in kinds:
        start = time.monotonic()
        model = trace(loaded, kind, opset)
        _log.info("traced the %s graph in %.0f s", kind, time.monotonic() - start)
        name = f"{loaded.entry.name}_{kind}"
        with _scratch_folder(folder) as scratch:
            data = write(model, scratch / f"{name}.onnx", embed_up_to)
            checked = reference.check(scratch / f"{name}.onnx", kind) if reference else None
            # The data first, whose name tells its content: the graph never speaks of other data.
            written = [*([data] if data else []), f"{name}.onnx"]
            for file in written:
                files.publish(scratch / file, file)
        _remove_old_data(folder, name, keep=data)
        yield ExportedGraph(
            kind=kind,
            path=folder / f"{name}.onnx",
            data=folder / data if data else None,
            bytes=sum((folder / file).stat().st_size for file in written),
            check=checked,
        )


def trace(loaded: LoadedModel[Sam], kind: GraphKind, opset: int) -> Any:
    """One graph of a model as an `onnx_ir.Model` that holds the network's own tensors."""
    graph = build_graph(loaded.model, kind)
    with warnings.catch_warnings():
        # Torch's own, about torch's own code.
        warnings.filterwarnings("ignore", r".*isinstance\(treespec, LeafSpec\)", FutureWarning)
        program = torch.onnx.export(
            graph.module,
            kwargs=graph.inputs,
            dynamic_shapes=graph.dynamic,
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            opset_version=opset,
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export returned no program")
    model: Any = program.model
    _forget_source(model)
    model.metadata_props.update(_describe(loaded, kind).to_properties())
    return model


def write(model: Any, path: Path, embed_up_to: int) -> str | None:
    """Write a traced model.

    Returns:
        Name of the file beside `path` that holds the weights; None where `path` holds them.
    """
    import onnx_ir  # noqa: PLC0415  # comes with onnxscript

    weights = [value.const_value for value in model.graph.initializers.values()]
    if sum(tensor.nbytes for tensor in weights) <= embed_up_to:
        with explained("write", str(path)):
            onnx_ir.save(model, path)
        return None
    digest = hashlib.sha256()
    for tensor in weights:
        digest.update(tensor.tobytes())
    data = f"{path.stem}-{digest.hexdigest()[:_HASH_DIGITS]}.data"
    with explained("write", str(path)):
        onnx_ir.save(model, path, external_data=data, size_threshold_bytes=_SMALL)
    return data


def _describe(loaded: LoadedModel[Sam], kind: GraphKind) -> GraphMetadata:
    return GraphMetadata(
        graph=kind,
        model=loaded.entry.name,
        checkpoint_sha256=loaded.sha256,
        trained=loaded.trained,
        licence=loaded.entry.licence,
        version=__version__,
        image_size=loaded.model.image_encoder.img_size,
        mean=loaded.entry.mean,
        std=loaded.entry.std,
        mask_threshold=loaded.model.mask_threshold,
    )


def _forget_source(model: Any) -> None:
    """Drop the exporter's notes on each node: paths and lines of the source on this machine."""
    model.graph.metadata_props.clear()
    for node in model.graph.all_nodes():
        node.metadata_props.clear()
        for value in node.outputs:
            value.metadata_props.clear()
    for value in (*model.graph.inputs, *model.graph.initializers.values()):
        value.metadata_props.clear()


@contextmanager
def _scratch_folder(folder: Path) -> Iterator[Path]:
    """A hidden folder inside `folder`, so that files can be renamed from it into place."""
    with explained("write to", str(folder)):
        scratch = tempfile.TemporaryDirectory(prefix=".export-", dir=folder)
    with scratch as path:
        yield Path(path)


def _remove_old_data(folder: Path, name: str, keep: str | None) -> None:
    """Remove weights that an earlier graph of this name had beside it."""
    old = re.compile(rf"{re.escape(name)}-[0-9a-f]{{{_HASH_DIGITS}}}\.data")
    for path in folder.iterdir():
        if old.fullmatch(path.name) and path.name != keep:
            path.unlink()
