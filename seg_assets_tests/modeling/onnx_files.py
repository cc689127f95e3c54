"""`sam_demo` as ONNX files, written once for all tests: tracing takes half a minute."""

import atexit
import shutil
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pytest
from click.testing import CliRunner

from seg_assets.cli import main

NEEDS = ("onnxruntime", "onnxscript")


@dataclass(frozen=True)
class DemoFiles:
    """What `seg-assets models export sam_demo` wrote and said."""

    folder: Path
    stdout: str


@lru_cache(maxsize=1)
def demo_files() -> DemoFiles:
    """Export all graphs of `sam_demo`, each compared with torch."""
    for package in NEEDS:
        pytest.importorskip(package)
    folder = Path(tempfile.mkdtemp(prefix="onnx-"))  # outlives a test module, unlike its fixtures
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    result = CliRunner().invoke(main, ["models", "export", "sam_demo", "--out", str(folder)])
    assert result.exit_code == 0, result.output
    return DemoFiles(folder, result.stdout)
