"""Charts as PNG bytes, for metadata and reports. Matplotlib is loaded when a chart is drawn."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from seg_assets.classes.table import ClassTable
from seg_assets.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 110
BAR_COLOR = "#3b74b5"


def bar_chart(
    names: Sequence[str],
    values: Sequence[float] | np.ndarray,
    *,
    title: str = "",
    colors: Sequence[tuple[int, int, int]] | np.ndarray | None = None,
    unit: str = "",
    limit: float | None = None,
) -> bytes:
    """Draw horizontal bars from top to bottom, each with its value.

    Args:
        names: One per bar; none gives an empty chart that says so.
        values: Lengths of the bars; nan is shown as a dash.
        title: Over the chart.
        colors: RGB 0..255 per bar; by default one colour for all.
        unit: What the values are, under the axis.
        limit: End of the axis; by default the largest value.

    Returns:
        PNG bytes.

    Raises:
        InputError: The lists differ in length.
    """
    lengths = np.asarray(values, dtype=np.float64)
    if len(names) != len(lengths) or (colors is not None and len(colors) != len(names)):
        raise InputError("A bar chart needs one value, and one colour if any, per name.")
    shades = [BAR_COLOR] * len(names)
    if colors is not None:
        shades = [f"#{int(r):02x}{int(g):02x}{int(b):02x}" for r, g, b in colors]
    figure, axes = _figure(7.0, 0.9 + 0.27 * max(len(names), 2))
    finite = lengths[np.isfinite(lengths)]
    end = limit or (float(finite.max()) if finite.size and finite.max() > 0 else 1.0)
    places = np.arange(len(names))
    axes.barh(places, np.nan_to_num(lengths), color=shades, edgecolor="#00000040", height=0.74)
    for place, length in zip(places.tolist(), lengths.tolist(), strict=True):
        shown = f"{length:.3g}" if np.isfinite(length) else "–"
        at = length if np.isfinite(length) else 0.0
        axes.text(at + end * 0.012, place, shown, va="center", fontsize=8)
    axes.set_yticks(places, list(names), fontsize=8)
    axes.set_ylim(max(len(names), 1) - 0.4, -0.6)
    axes.set_xlim(0, end * 1.1)
    axes.set_xlabel(unit, fontsize=8)
    axes.tick_params(axis="x", labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    if not len(names):
        _say_empty(axes)
    return _png(figure, axes, title)


def confusion_chart(counts: np.ndarray, table: ClassTable, *, title: str = "") -> bytes:
    """Draw a confusion matrix; every row (true class) adds up to 100 percent.

    Only classes that occur in the truth or in the prediction are shown; the last column, for
    pixels that got no label, only if there are any.

    Args:
        counts: (C, C + 1) integers: rows truth, columns prediction, last column "no label".
        table: The C classes.
        title: Over the chart.

    Returns:
        PNG bytes.

    Raises:
        InputError: The counts do not have the shape that the table asks for.
    """
    classes = len(table)
    if counts.shape != (classes, classes + 1):
        raise InputError(
            f"A confusion chart of table {table.name!r} needs counts of shape "
            f"{(classes, classes + 1)}, not {counts.shape}."
        )
    present = np.flatnonzero((counts.sum(axis=1) > 0) | (counts[:, :classes].sum(axis=0) > 0))
    columns = present.tolist() + ([classes] if counts[:, classes].any() else [])
    chosen = counts[present][:, columns].astype(np.float64)
    totals = chosen.sum(axis=1, keepdims=True)
    shares = np.divide(chosen, totals, out=np.zeros_like(chosen), where=totals > 0)
    names = [table.name_of(int(class_id)) for class_id in present]
    heads = [table.name_of(c) if c < classes else "no label" for c in columns]
    side = 0.30 * max(len(names), 3)
    figure, axes = _figure(1.9 + side + 0.3 * (len(columns) - len(names)), 1.9 + side)
    if not len(present):
        _say_empty(axes)
        return _png(figure, axes, title)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="equal")
    for row, column in zip(*np.nonzero(shares >= 0.005), strict=True):
        share = float(shares[row, column])
        color = "white" if share > 0.55 else "#333333"
        axes.text(
            column, row, f"{share * 100:.0f}", ha="center", va="center", fontsize=6, color=color
        )
    axes.set_xticks(np.arange(len(heads)), heads, rotation=90, fontsize=7)
    axes.set_yticks(np.arange(len(names)), names, fontsize=7)
    axes.set_xlabel("predicted", fontsize=8)
    axes.set_ylabel("true (rows add up to 100 %)", fontsize=8)
    axes.tick_params(length=0)
    return _png(figure, axes, title)


def _figure(width: float, height: float) -> tuple["Figure", "Axes"]:
    """Make a figure, sized in inches, that belongs to no window and no global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def _say_empty(axes: "Axes") -> None:
    axes.text(0.5, 0.5, "nothing to show", ha="center", va="center", transform=axes.transAxes)
    axes.set_xticks([])
    axes.set_yticks([])


def _png(figure: "Figure", axes: "Axes", title: str) -> bytes:
    if title:
        axes.set_title(title, fontsize=10, loc="left")
    buffer = io.BytesIO()
    # without the software's name and version the bytes depend on the picture alone
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
