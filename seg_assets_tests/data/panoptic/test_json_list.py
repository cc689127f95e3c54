import io
import json
from pathlib import Path

import pytest

from seg_assets.data.panoptic.json_list import JsonList, write_json_object


@pytest.mark.parametrize("count", [0, 1, 3])
def test_elements_join_to_a_list_as_often_as_asked(tmp_path: Path, count: int) -> None:
    elements = [{"id": i, "name": f"ä\n{i}"} for i in range(count)]
    with JsonList(tmp_path) as lines:
        for element in elements:
            lines.add(element)
        for _ in range(2):
            target = io.BytesIO()
            lines.copy_to(target)
            assert json.loads(b"[" + target.getvalue() + b"]") == elements
    assert list(tmp_path.iterdir()) == []


def test_an_object_takes_lists_from_files_and_other_values_as_they_are(tmp_path: Path) -> None:
    with JsonList(tmp_path) as lines, JsonList(tmp_path) as none:
        lines.add({"id": 1})
        lines.add({"id": 2})
        path = tmp_path / "object.json"
        write_json_object(path, {"a": lines, "b": none, "c": ["ä"], "d": {"e": None}})
    assert json.loads(path.read_bytes()) == {
        "a": [{"id": 1}, {"id": 2}],
        "b": [],
        "c": ["ä"],
        "d": {"e": None},
    }
