"""What docs/segmentors.md shows works as it stands there."""

import re

import numpy as np

from seg_assets.labels.ssa_params import SsaParams
from seg_assets_tests.conftest import REPOSITORY

PAGE = (REPOSITORY / "docs" / "segmentors.md").read_text(encoding="utf-8")


def test_the_segmentor_of_the_page_votes():
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    names: dict = {}
    exec(example, names)
    assert names["masks"]
    assert names["label_map"].shape == (120, 160)
    assert np.unique(names["label_map"]).tolist() == [0, 3]


def test_the_page_names_every_parameter_that_concerns_a_segmentor():
    about_the_vote = {"rule", "min_vote_share", "top_k"}
    for name in set(SsaParams.model_fields) - about_the_vote:
        assert f"`{name}`" in PAGE
