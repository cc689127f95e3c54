import re
from pathlib import Path

import numpy as np
import pytest

from seg_assets.data.panoptic.categories import read_categories
from seg_assets.data.panoptic.sentences import read_user_sentences
from seg_assets_tests.conftest import REPOSITORY
from seg_assets_tests.data.panoptic.street import SIZE, write_street

PAGE = (REPOSITORY / "docs/training_data.md").read_text(encoding="utf-8")
CODE, JSONS = (re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL) for kind in ("python", "json"))


def test_the_example_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_street(tmp_path, 2)
    (tmp_path / "images").rename(tmp_path / "photos")
    (tmp_path / "labels").rename(tmp_path / "photos_labels")
    (tmp_path / "instances").rename(tmp_path / "photos_instances")
    monkeypatch.chdir(tmp_path)
    (example,) = CODE
    found: dict = {}
    exec(example, found)  # the page is ours
    assert found["summary"].images == 2
    assert found["sample"].image.shape == (*SIZE, 3)
    assert np.unique(found["sample"].segmented.semantic(found["data"].categories))[-1] == 255


def test_the_files_of_the_page_can_be_read() -> None:
    categories, sentences = JSONS
    assert read_categories(categories.encode(), "categories").names == ("road", "car")
    assert read_user_sentences(sentences.encode(), "sentences").keys() == {"city/frame_01"}
