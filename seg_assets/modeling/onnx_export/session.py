"""An exported graph, opened by onnxruntime. Nothing here imports torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from seg_assets.errors import InputError
from seg_assets.modeling.onnx_export.extra import require
from seg_assets.modeling.onnx_export.metadata import GraphKind, GraphMetadata

CPU_ONLY = ("CPUExecutionProvider",)


@dataclass(frozen=True, eq=False)
class OnnxGraph:
    """A graph that is ready to run.

    Attributes:
        session: onnxruntime's InferenceSession.
        metadata: What the file says about itself.
    """

    session: Any
    metadata: GraphMetadata

    def run(self, **inputs: np.ndarray) -> list[np.ndarray]:
        """All outputs, in the graph's order, for inputs by name."""
        return self.session.run(None, inputs)

    def input_shape(self, name: str) -> list[int | str]:
        """Shape of an input; a dynamic dimension has its name in place of a number."""
        return next(found.shape for found in self.session.get_inputs() if found.name == name)


def open_graph(
    path: Path, kind: GraphKind, *, providers: Sequence[str] = CPU_ONLY, threads: int = 0
) -> OnnxGraph:
    """Open a file that `seg-assets models export` wrote.

    Args:
        path: The .onnx file; weights in a file of their own must lie beside it.
        kind: Which graph it must hold.
        providers: What onnxruntime may run it on, best first, e.g. "CUDAExecutionProvider".
        threads: Threads within one operation; 0 leaves it to onnxruntime.

    Raises:
        InputError: onnxruntime or a provider is not installed, or the file is missing, damaged or
            another graph.
    """
    onnxruntime = require("onnxruntime")
    there = onnxruntime.get_available_providers()
    if missing := [name for name in providers if name not in there]:
        raise InputError(
            f"this onnxruntime has no {missing[0]}: choose one of {', '.join(there)}, or install "
            "the onnxruntime that has it"
        )
    if not path.is_file():
        raise InputError(
            f"{path} is not there: write it with `seg-assets models export NAME --out DIR`"
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=list(providers))
    except Exception as error:  # its exceptions have no common base but this
        reason = str(error).splitlines()[0]
        raise InputError(f"onnxruntime cannot open {path} ({reason}): export it again") from error
    metadata = GraphMetadata.from_properties(session.get_modelmeta().custom_metadata_map, path)
    if metadata.graph != kind:
        raise InputError(f"{path} is the {metadata.graph} graph: give the {kind} graph")
    return OnnxGraph(session, metadata)
