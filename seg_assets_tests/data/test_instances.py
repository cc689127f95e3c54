import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

from seg_assets.data.instances import FORMATS, open_instances
from seg_assets.errors import InputError
from seg_assets_tests.conftest import REPOSITORY


def test_a_format_is_opened_by_name_with_its_options() -> None:
    dataset = open_instances("3:5", "scenes", size=64)
    assert [dataset[i].image_id for i in range(len(dataset))] == ["scene_0000003", "scene_0000004"]
    assert dataset[0].image.shape == (64, 64, 3)


def test_paths_may_be_path_objects(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="gone.json is not there"):
        open_instances(tmp_path / "gone.json", "coco")


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_says_what_it_did_not_find(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        open_instances(tmp_path / "gone", name)
    assert "gone" in str(caught.value)


def test_unknown_formats_and_options_are_refused_with_the_known() -> None:
    with pytest.raises(InputError, match=r"no data set format 'lvis': choose one of coco, .*voc"):
        open_instances("x", "lvis")
    with pytest.raises(InputError, match=r"'coco' has no option 'crowds': did you mean 'crowd'\?"):
        open_instances("x", "coco", crowds=True)
    with pytest.raises(
        InputError, match=r"'scenes' has no option 'zzz': use size, view, level, min_"
    ):
        open_instances("0:1", "scenes", zzz=1)


def test_the_documentation_lists_every_format_with_its_options() -> None:
    lines = (REPOSITORY / "docs/datasets.md").read_text().splitlines()
    for name, reader in FORMATS.items():
        row = next(line for line in lines if line.startswith(f"| [`{name}`]"))
        options = list(inspect.signature(reader).parameters)[1:]
        assert re.findall(r"`(\w+)`", row)[1:] == options
        assert f"## {name}" in lines


def test_data_sets_load_without_torch() -> None:
    code = "import sys, seg_assets.data.instances; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
