"""The command line, `seg-assets`."""

from seg_assets.cli.app import main

__all__ = ["main"]
