import io
import json
from pathlib import Path

import pytest

from seg_assets.data.panoptic.json_list import JsonList


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
