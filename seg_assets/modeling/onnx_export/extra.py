"""The optional packages: onnxscript writes graphs, onnxruntime runs them."""

from importlib import import_module
from typing import Any

from seg_assets.errors import InputError

_PURPOSE = {"onnxscript": "exporting to ONNX", "onnxruntime": "running ONNX graphs"}


def require(package: str) -> Any:
    """Import "onnxscript" or "onnxruntime".

    Raises:
        InputError: It is not installed.
    """
    try:
        return import_module(package)
    except ModuleNotFoundError as error:
        raise InputError(
            f"{_PURPOSE[package]} needs {error.name}, which is not installed: "
            "install the project with its extra, seg_assets[onnx]"
        ) from error
