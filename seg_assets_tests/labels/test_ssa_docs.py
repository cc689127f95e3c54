"""docs/ssa.md tells what the code does."""

import re
from pathlib import Path

from seg_assets.labels.ssa_params import SSA_MASK_PRESETS, SSA_PRESETS, SsaParams
from seg_assets.masks.params import MaskParams

PAGE = (Path(__file__).parents[2] / "docs" / "ssa.md").read_text(encoding="utf-8")


def _rows(heading: str) -> dict[str, list[str]]:
    """The table of a section: first cell -> the others."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = re.findall(r"^\| (.*) \|$", section, re.MULTILINE)[2:]
    cells = [[cell.strip() for cell in line.split("|")] for line in lines]
    return {first: rest for first, *rest in cells}


def test_the_options_are_those_of_the_parameters():
    told = {name: cells[0] for name, cells in _rows("Options").items()}
    defaults = SsaParams().model_dump()
    assert told == {name: str(value).lower() for name, value in defaults.items()}


def test_the_presets_are_those_of_the_code():
    told = _rows("Presets")
    assert list(told) == list(SSA_PRESETS)
    for name, cells in told.items():
        params = SsaParams.preset(name)
        points = MaskParams.preset(SSA_MASK_PRESETS[name]).points_per_side
        assert cells == [
            params.segmentor,
            str(params.align_corners).lower(),
            SSA_MASK_PRESETS[name],
            str(points),
        ]
