"""Learning curves of a training run as a PNG. Matplotlib is loaded when they are drawn."""

import io
import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Row: TypeAlias = Mapping[str, Any]
Series: TypeAlias = dict[str, list[tuple[int, float]]]

MAX_POINTS = 600  # of one line: more than a picture has pixels says nothing more
MAX_LINES = 10  # in one panel, besides the loss: colours run out
_DPI, _WIDTH, _PANEL_HEIGHT = 80, 9.0, 2.5
_SMOOTH_FROM = 40  # points from which a mean runs beside the single steps
_LOSS, _RATE = "loss", "lr"
# decoder layers and points of view are numbered; their terms are shown as one sum
_NUMBERED = re.compile(r"[_./-]?\d+$")


def draw_curves(rows: Sequence[Row], *, title: str = "", metric: str | None = None) -> bytes:
    """Draw how a training went: loss and its terms, gradient, learning rate, metrics.

    Rows are those of metrics.jsonl. Terms that differ only in a number at the end are added up.
    A number that was not finite leaves a gap. Axes of loss and gradient are logarithmic where
    values span more than a factor of twenty.

    Args:
        rows: of kind "train" (step, lr, loss, terms, grad_norm) and "evaluate" (step, metrics), in
            any order; others are left out. None at all gives a picture that says so.
        title: over the picture.
        metric: the metric whose best value is marked and which is drawn thick.

    Returns:
        PNG bytes, at most 150 kB.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    steps = _in_order(rows, "train")
    evaluations = _in_order(rows, "evaluate")
    panels = [
        ("loss and its terms", _losses(steps), True),
        ("gradient norm before clipping", _single(steps, "grad_norm"), True),
        ("learning rate", _single(steps, _RATE), False),
        *((name, found, False) for name, found in _metrics(evaluations, metric)),
    ]
    shown = [panel for panel in panels if panel[1]]
    figure = Figure(
        figsize=(_WIDTH, 0.4 + _PANEL_HEIGHT * ((max(len(shown), 1) + 1) // 2)),
        dpi=_DPI,
        layout="constrained",
    )
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=10)
    if not shown:
        figure.text(0.5, 0.4, "no step has been logged yet", ha="center", fontsize=9)
    for place, (heading, series, may_be_logarithmic) in enumerate(shown, start=1):
        axes = figure.add_subplot((len(shown) + 1) // 2, 1 if len(shown) == 1 else 2, place)
        _draw(axes, series, metric)
        axes.set_title(heading, fontsize=9, loc="left")
        if may_be_logarithmic and _spans(series):
            axes.set_yscale("log")
    buffer = io.BytesIO()
    # without the software's name and version the bytes depend on the picture alone
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _in_order(rows: Sequence[Row], kind: str) -> list[Row]:
    return sorted((row for row in rows if row.get("kind") == kind), key=lambda row: row["step"])


def _losses(rows: Sequence[Row]) -> Series:
    """The loss, and the largest of its terms, those of numbered layers added up."""
    terms: Series = {}
    for row in rows:
        sums: dict[str, float] = {}
        for name, value in (row.get("terms") or {}).items():
            group = _NUMBERED.sub("", name) or name
            sums[group] = sums.get(group, 0.0) + _number(value)
        for group, value in sums.items():
            terms.setdefault(group, []).append((row["step"], value))
    means = {name: _mean_of(points) for name, points in terms.items()}
    largest = sorted((name for name in terms if means[name] > 0), key=lambda name: -means[name])
    chosen = {name: terms[name] for name in largest[:MAX_LINES]} if len(terms) > 1 else {}
    return {**_single(rows, _LOSS), **chosen}


def _metrics(rows: Sequence[Row], metric: str | None) -> list[tuple[str, Series]]:
    """The metrics in two panels: those between 0 and 1, and those on other scales."""
    series: Series = {}
    for row in rows:
        for name, value in (row.get("metrics") or {}).items():
            series.setdefault(name, []).append((row["step"], _number(value)))
    unit = {
        name: points
        for name, points in series.items()
        if all(not math.isfinite(value) or 0 <= value <= 1 for _, value in points)
    }
    if metric in unit:  # the deciding one first, and never the one that is left out
        unit = {metric: unit[metric], **unit}
    scores = dict(list(unit.items())[:MAX_LINES])
    others = dict([item for item in series.items() if item[0] not in unit][:MAX_LINES])
    return [("metrics on held-out data", scores), ("other metrics", others)]


def _single(rows: Sequence[Row], key: str) -> Series:
    points = [(row["step"], _number(row[key])) for row in rows if key in row]
    return {key: points} if points else {}


def _draw(axes: "Axes", series: Series, metric: str | None) -> None:
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415

    for name, points in series.items():
        thin = _thinned(points)
        steps, values = [step for step, _ in thin], [value for _, value in thin]
        few = len(thin) <= _SMOOTH_FROM or name == _RATE  # the rate is no noisy number
        main = name in (_LOSS, metric) or len(series) == 1
        (line,) = axes.plot(
            steps,
            values,
            marker="." if len(thin) <= _SMOOTH_FROM else None,
            markersize=5,
            linewidth=1.6 if main else 0.9,
            alpha=1.0 if few else 0.3,
            color="black" if name == _LOSS else None,
            label=name if few else None,
        )
        if not few:
            running = _running_mean(np.asarray(values))
            axes.plot(steps, running, linewidth=1.4, color=line.get_color(), label=name)
        if name == metric and (known := [p for p in points if math.isfinite(p[1])]):
            step, best = max(known, key=lambda point: point[1])
            axes.plot([step], [best], marker="*", markersize=11, color=line.get_color())
            axes.annotate(
                f"{best:.3f}", (step, best), (4, 5), textcoords="offset points", fontsize=8
            )
    axes.set_xlabel("step", fontsize=8)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.tick_params(labelsize=7)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    if len(series) > 1 or metric in series:
        axes.legend(fontsize=6, ncols=2 if len(series) > 5 else 1, framealpha=0.6)


def _thinned(points: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """At most `MAX_POINTS`, evenly taken, with the first and the last."""
    if len(points) <= MAX_POINTS:
        return points
    places = np.linspace(0, len(points) - 1, MAX_POINTS).round().astype(int)
    return [points[place] for place in places]


def _running_mean(values: np.ndarray) -> np.ndarray:
    """Mean of each value and its neighbours, a twentieth of the curve; gaps are left out."""
    window = max(3, len(values) // 20)
    known = np.isfinite(values)
    kernel = np.ones(window)
    sums = np.convolve(np.where(known, values, 0.0), kernel, mode="same")
    counts = np.convolve(known.astype(float), kernel, mode="same")
    return np.divide(sums, counts, out=np.full(len(values), np.nan), where=counts > 0.5)


def _spans(series: Series) -> bool:
    values = [value for points in series.values() for _, value in points if math.isfinite(value)]
    positive = [value for value in values if value > 0]
    return len(positive) == len(values) > 0 and max(positive) > 20 * min(positive)


def _mean_of(points: Sequence[tuple[int, float]]) -> float:
    known = [value for _, value in points if math.isfinite(value)]
    return sum(known) / len(known) if known else 0.0


def _number(value: object) -> float:
    """A row's number; null stands for one that was not finite."""
    return float(value) if isinstance(value, (int, float)) else math.nan
