import io
import math
from typing import Any

import numpy as np
import pytest
from PIL import Image

from seg_assets.viz.curves import MAX_LINES, _losses, _metrics, _running_mean, draw_curves


def train_row(step: int, terms: dict[str, float], **changes: Any) -> dict[str, Any]:
    row = {"kind": "train", "step": step, "lr": 1e-4, "loss": sum(terms.values())}
    return {**row, "terms": terms, "grad_norm": 2.0, **changes}


def evaluate_row(step: int, **metrics: float) -> dict[str, Any]:
    return {"kind": "evaluate", "step": step, "metrics": metrics}


def picture(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def test_a_long_run_of_many_terms_is_a_picture_of_at_most_150_kb() -> None:
    rng = np.random.default_rng(0)
    rows: list[dict[str, Any]] = []
    for step in range(1, 5001):
        terms = {f"term{k}_{layer}": rng.random() for k in range(20) for layer in range(10)}
        rows.append(train_row(step, terms, grad_norm=10 ** rng.normal()))
    rows += [evaluate_row(step, mIoU=rng.random()) for step in range(0, 5001, 50)]
    data = draw_curves(rows, title="a long run", metric="mIoU")
    assert len(data) <= 150_000
    height, width, _ = picture(data).shape
    assert width == 720
    assert height > 300


def test_each_kind_of_number_adds_a_panel() -> None:
    losses = [train_row(step, {"a": 1.0}) for step in (1, 2)]
    scores = [evaluate_row(0, mIoU=0.2), evaluate_row(2, mIoU=0.4)]
    heights = [len(picture(draw_curves(rows))) for rows in (losses, [*losses, *scores])]
    # three panels and four panels both take two rows
    assert heights[0] == heights[1] > len(picture(draw_curves(scores)))
    assert (picture(draw_curves([*losses, *scores])) != 255).any()


def test_no_rows_give_a_picture_that_says_so() -> None:
    assert (picture(draw_curves([])) != 255).any()


def test_the_same_rows_give_the_same_bytes() -> None:
    rows = [train_row(1, {"a": 1.0})]
    assert draw_curves(rows) == draw_curves(rows)


def test_terms_of_numbered_layers_are_added_up() -> None:
    found = _losses([train_row(3, {"ce_0": 1.0, "ce_1": 2.0, "dice_0": 0.5})])
    assert found == {"loss": [(3, 3.5)], "ce": [(3, 3.0)], "dice": [(3, 0.5)]}


def test_only_the_largest_terms_are_drawn() -> None:
    found = _losses([train_row(1, {f"{name}_x": float(ord(name)) for name in "abcdefghijklmnop"})])
    assert len(found) == MAX_LINES + 1
    assert "p_x" in found
    assert "a_x" not in found


def test_metrics_on_other_scales_get_a_panel_of_their_own() -> None:
    rows = [evaluate_row(0, objects=40.0, miou=0.5)]
    assert _metrics(rows, "miou") == [
        ("metrics on held-out data", {"miou": [(0, 0.5)]}),
        ("other metrics", {"objects": [(0, 40.0)]}),
    ]


def test_a_number_that_was_not_finite_is_a_gap() -> None:
    rows = [train_row(1, {"a": 1.0}), train_row(2, {"a": 1.0}, loss=None, grad_norm=None)]
    losses = [value for _, value in _losses(rows)["loss"]]
    assert losses[0] == 1.0
    assert math.isnan(losses[1])
    draw_curves(rows)


@pytest.mark.parametrize("count", [3, 60])
def test_the_running_mean_of_a_constant_is_the_constant(count: int) -> None:
    values = np.full(count, 4.0)
    values[1] = np.nan
    np.testing.assert_allclose(_running_mean(values), 4.0)
