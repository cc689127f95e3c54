import pytest
import torch

from seg_assets.errors import InputError
from seg_assets.modeling.seem.config import DEMO, SEEM_CONFIGS, SeemConfig
from seg_assets.modeling.seem.model import Seem


def test_the_demo_fits_into_eight_megabytes_of_float16() -> None:
    with torch.device("meta"):
        parameters = sum(p.numel() for p in Seem(DEMO).parameters())
    assert parameters < 4_000_000


def test_the_demo_reads_the_real_tokenizer() -> None:
    assert (DEMO.vocab, DEMO.text_context) == (49408, 77)


def test_widths_double() -> None:
    assert SEEM_CONFIGS["focal_l"].widths == (192, 384, 768, 1536)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"depths": (1, 1, 1)}, "depths has not four entries"),
        ({"hidden": 80}, "hidden is 80; make it a multiple of 32"),
        ({"hidden": 32}, "hidden is 32; make it a multiple of 32 above 32"),
        ({"hidden": 96, "heads": 5}, r"four times the heads \(5\)"),
        ({"queries": 2}, "queries is 2"),
        ({"text_width": 30, "text_heads": 4}, "text_width is 30"),
    ],
)
def test_sizes_that_no_model_can_have_are_refused(change: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        SeemConfig(**change)
