"""docs/ground_truth.md says what the readers do."""

from seg_assets.data.ground_truth.open import FORMATS
from seg_assets.data.label_maps import TABLES
from seg_assets_tests.conftest import REPOSITORY


def test_every_format_and_its_classes_are_on_the_page() -> None:
    page = (REPOSITORY / "docs/ground_truth.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| [`")]
    assert set(FORMATS) == {"auto", *TABLES}
    for name, table in TABLES.items():
        (row,) = [row for row in rows if row.startswith((f"| [`{name}`]", f"| [`{name}:"))]
        assert (f"`{table}`" if table else "any table") in row
    assert len(rows) == len(TABLES)
