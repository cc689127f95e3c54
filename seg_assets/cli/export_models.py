"""`seg-assets models export`: a SAM as ONNX files."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from seg_assets.modeling.onnx_export.metadata import DEFAULT_OPSET, GRAPH_KINDS, OPSETS, GraphKind

if TYPE_CHECKING:
    from seg_assets.modeling.onnx_export.check import GraphCheck


@click.command()
@click.argument("name", metavar="NAME")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, metavar="DIR", help="For the files."
)
@click.option(
    "--graph",
    "wanted",
    type=click.Choice([*GRAPH_KINDS, "all"]),
    default="all",
    show_default=True,
    help="Which graphs, as listed above.",
)
@click.option(
    "--opset",
    type=click.IntRange(OPSETS[0], OPSETS[-1]),
    default=DEFAULT_OPSET,
    show_default=True,
    help="Version of ONNX's operators.",
)
@click.option(
    "--check/--no-check",
    default=True,
    show_default=True,
    help="Whether to compare each graph with torch, in numbers and in speed.",
)
def export(name: str, out: Path, wanted: str, opset: int, check: bool) -> None:
    """Write the SAM called NAME as ONNX graphs, which run without torch and without this project.

    \b
    encoder  images -> embeddings, once per image
    decoder  an embedding, points, boxes and earlier masks -> masks
    box      an image and boxes -> masks, all in one graph

    The files are DIR/NAME_<graph>.onnx; weights of more than 2 GB are beside them, in a file whose
    name ends with .data. A graph that differs from torch by more than 0.001 is not written.
    """  # noqa: D301
    # This brings torch, which takes seconds to import: not for --help.
    from seg_assets.modeling.onnx_export.export import (  # noqa: PLC0415
        export_sam,
        load_exportable,
    )

    kinds: list[GraphKind] = [kind for kind in GRAPH_KINDS if wanted in (kind, "all")]
    for graph in export_sam(load_exportable(name), out, kinds, opset=opset, check=check):
        beside = f" with {graph.data.name}" if graph.data else ""
        click.echo(f"{graph.kind}: {graph.path}{beside}, {graph.bytes / 1e6:,.1f} MB")
        if graph.check is not None:
            click.echo(f"  {_describe(graph.check)}")


def _describe(check: "GraphCheck") -> str:
    return (
        f"largest difference to torch {check.largest_difference:.1e}; "
        f"{_speed(check.seconds)} (torch: {_speed(check.torch_seconds)})"
    )


def _speed(seconds: float) -> str:
    return f"{seconds:.4f} s/step, {1 / seconds:.2f} images/s"
