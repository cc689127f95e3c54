import re
from pathlib import Path

import numpy as np
import pytest

from seg_assets.storage.png import png_cell
from seg_assets.storage.schema import schema_tables
from seg_assets.storage.store import Store

PAGE = (Path(__file__).parents[2] / "docs" / "storage.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
OPTIONAL = ("polars", "duckdb", "datasets")  # not needed by seg_assets, so perhaps not installed


def test_the_page_lists_the_columns_of_the_schema() -> None:
    assert PAGE.endswith(schema_tables()), (
        "replace the tables in docs/storage.md by the output of "
        'python -c "from seg_assets.storage.schema import schema_tables; print(schema_tables())"'
    )


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda text: text.split()[1].rstrip(","))
def test_the_examples_of_the_page_run(
    example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in OPTIONAL:
        if re.search(rf"^(import|from) {name}\b", example, flags=re.MULTILINE):
            pytest.importorskip(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    fill(Store("data"))
    found: dict = {}
    exec(example, found)  # the page is ours
    if "table" in found:
        assert len(found["table"]) == (2 if "sum(" in example else 4)
    if "errors" in found:
        assert found["errors"].fetchall() == [("c", "no", "read")]
    if "ids" in found:
        np.testing.assert_array_equal(found["ids"], label_map())
    if "picture" in found:
        np.testing.assert_array_equal(np.array(found["picture"]), label_map())
    if "pictures" in found:
        assert list(found["pictures"]) == ["a", "b"]
    if "writer" in found:
        assert found["writer"].manifest.totals["rows"] == 2


def label_map() -> np.ndarray:
    return np.arange(12, dtype=np.uint8).reshape(3, 4)


def fill(store: Store) -> None:
    """Two good images and a bad one, with two regions each."""
    palette = np.zeros((256, 3), np.uint8)
    region = {"mask_id": 0, "area": 5, "source_id": 0, "score": 0.5, "margin": 0.1}
    region |= {"vote_share": 1.0, "fallback": False, "proposals": [{"source_id": 0, "score": 0.5}]}
    rows = {
        "region_labels": lambda _: [region | {"region_id": n, "class_id": n} for n in (1, 2)],
        "merged_maps": lambda image: [{"label_map": png_cell(label_map(), palette, image)}],
    }
    for asset, make_rows in rows.items():
        with store.write_shard(asset, "city", ["a", "b", "c"], {}) as writer:
            for image_id in ("a", "b"):
                writer.add(image_id, make_rows(image_id))
            writer.fail("c", "read", "no")
