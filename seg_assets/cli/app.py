"""The program: its commands, and what it says when something goes wrong.

A command's module is imported when it runs and not before, so that `seg-assets --help` is quick.
"""

import logging
import os
import sys
from importlib import import_module
from pathlib import Path

import click
from dotenv import load_dotenv
from tqdm import tqdm

from seg_assets.errors import InputError, SegAssetsError

COMMANDS = {
    "data": "Prepare data sets for training.",
    "demo": "Label generated scenes with small models, and show the result.",
    "evaluate": "Compare label maps with ground truth, from wherever they are.",
    "export": "Write finished shards in other people's formats.",
    "label": "Label a folder, an image or a tar file without Dagster.",
    "models": "List, download and verify the weights.",
    "prompt": "Cut out of an image what points and boxes tell.",
    "shards": "Cut image collections into shards, Dagster's partitions.",
    "ssa": "Let a segmentor's label maps vote on the masks, without Dagster.",
    "train": "Fine-tune a SAM or a SEEM on your data.",
}
"""Commands by name; each is a click command of that name in `seg_assets.cli.<name>`."""


class _FailedWork(click.ClickException):
    """One line on stderr and exit status 1."""

    exit_code = 1


class _WrongUsage(click.ClickException):
    """One line on stderr and exit status 2, as click gives it for a wrong option."""

    exit_code = 2


class Program(click.Group):
    """A group that imports its commands when they are called for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands by name; nothing is imported."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in COMMANDS:
            return None
        return getattr(import_module(f"seg_assets.cli.{cmd_name}"), cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the help's list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> object:
        """Run; an error of ours becomes one line, or a traceback with SEG_DEBUG=1."""
        try:
            return super().invoke(ctx)
        except SegAssetsError as error:
            if os.environ.get("SEG_DEBUG") == "1":
                raise
            kind = _WrongUsage if isinstance(error, InputError) else _FailedWork
            raise kind(str(error)) from error


class _Lines(logging.Handler):
    """Log lines on stderr, above a progress bar where there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        tqdm.write(self.format(record), file=sys.stderr)


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="seg_assets", prog_name="seg-assets")
@click.option("-v", "--verbose", is_flag=True, help="Say more about what is being done.")
def main(verbose: bool) -> None:
    """Turn images into semantic label maps: SAM finds the masks, SEEM names them.

    Settings come from the environment and from a file .env in the current folder, as for Dagster;
    .env.example lists them.
    """
    load_dotenv(Path(".env"))
    logger = logging.getLogger("seg_assets")
    logger.handlers = [_Lines()]
    logger.setLevel(logging.INFO if verbose else logging.WARNING)
