import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from seg_assets.classes.table import load_class_table
from seg_assets.errors import InputError
from seg_assets.viz.charts import bar_chart, confusion_chart

TABLE = load_class_table("merged19")


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def test_bar_chart_uses_the_given_colours():
    data = bar_chart(["sky", "tree"], [0.9, 0.5], colors=[(10, 20, 230), (20, 200, 30)])
    seen = {tuple(pixel) for pixel in pixels(data).reshape(-1, 3).tolist()}
    assert {(10, 20, 230), (20, 200, 30)} <= seen


@pytest.mark.parametrize(
    ("names", "values"),
    [([], []), (["a"], [np.nan]), (["a"], [0.0]), (["a", "b"], [np.nan, 1.0])],
)
def test_bar_chart_of_little_or_nothing_is_a_picture(names, values):
    assert pixels(bar_chart(names, values, title="t", unit="IoU", limit=1)).size


def test_bar_chart_refuses_lists_that_differ():
    with pytest.raises(InputError, match="one value"):
        bar_chart(["a", "b"], [1.0])


def test_confusion_chart_shows_only_classes_that_occur():
    counts = np.zeros((19, 20), np.int64)
    counts[1, 1] = counts[3, 3] = 5
    two = pixels(confusion_chart(counts, TABLE))
    counts[np.arange(12), np.arange(12)] = 5
    twelve = pixels(confusion_chart(counts, TABLE, title="all"))
    assert twelve.shape[0] > two.shape[0]
    assert twelve.shape[1] > two.shape[1]


def test_confusion_chart_of_nothing_is_a_picture():
    assert pixels(confusion_chart(np.zeros((19, 20), np.int64), TABLE)).size


def test_confusion_chart_shows_a_class_that_is_only_predicted_and_unlabelled_pixels():
    counts = np.zeros((19, 20), np.int64)
    counts[1, [1, 2, 19]] = 5
    assert pixels(confusion_chart(counts, TABLE)).size


def test_confusion_chart_refuses_another_shape():
    with pytest.raises(InputError, match="merged19"):
        confusion_chart(np.zeros((19, 19), np.int64), TABLE)


def test_charts_are_the_same_bytes_every_time():
    assert bar_chart(["a"], [0.5], title="t") == bar_chart(["a"], [0.5], title="t")


def test_matplotlib_is_not_loaded_before_a_chart_is_drawn():
    code = (
        "import sys, seg_assets.viz.charts, seg_assets.viz.contact_sheet, seg_assets.viz.overlay;"
        "sys.exit('matplotlib' in sys.modules or 'torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
