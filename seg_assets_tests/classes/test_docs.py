"""docs/classes.md says what the tables and maps say."""

import re
from pathlib import Path

import pytest

from seg_assets.classes.mapping import bundled_class_maps, load_class_map
from seg_assets.classes.table import SemanticClass, class_table_names, load_class_table
from seg_assets_tests.conftest import REPOSITORY


@pytest.fixture(scope="module")
def page() -> str:
    return (REPOSITORY / "docs/classes.md").read_text(encoding="utf-8")


def hex_color(item: SemanticClass) -> str:
    return "#{:02x}{:02x}{:02x}".format(*item.color)


def test_the_legend_shows_every_class_with_its_color(page: str) -> None:
    merge = load_class_map("base28", "merged19")
    picture = (REPOSITORY / "docs/classes_legend.svg").read_text(encoding="utf-8")
    for item in merge.source.classes:
        merged = merge.target.classes[merge.lut[item.id]]
        assert (
            f"| {item.id} | {item.name} | `{hex_color(item)}` "
            f"| {merged.id} {merged.name} | `{hex_color(merged)}` |"
        ) in page
    for item in (*merge.source.classes, *merge.target.classes):
        assert f">{item.id} {item.name}</text>" in picture
        assert f'fill="{hex_color(item)}"' in picture


def test_every_table_and_map_is_on_the_page(page: str) -> None:
    for name in class_table_names():
        assert f"| `{name}` | {len(load_class_table(name))} |" in page
    for source, target in bundled_class_maps():
        assert f"| `{source}` | `{target}` |" in page


def test_the_example_of_an_own_table_and_map_works(page: str, tmp_path: Path) -> None:
    for name, content in re.findall(r"```toml\n# (\S+\.toml)\n(.*?)```", page, re.DOTALL):
        (tmp_path / name).write_text(content)
    rooms = load_class_map("base28", tmp_path / "rooms.toml")
    assert rooms.target.names == ("inside", "outside")
    assert [item.name for item in rooms.dropped()] == ["person", "animal"]
