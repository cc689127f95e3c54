import pytest

from seg_assets.classes.table import load_class_table
from seg_assets.errors import InputError
from seg_assets.labels.segmentors.hugging_face.class_names import KNOWN_TABLES, recognised_table


def names_of(table: str) -> dict[int, str]:
    return dict(enumerate(load_class_table(table).names))


@pytest.mark.parametrize("table", KNOWN_TABLES)
def test_the_projects_tables_are_recognised_by_their_names(table):
    assert recognised_table(names_of(table), "any/model") is load_class_table(table)


def test_blanks_capitals_and_further_names_make_no_difference():
    names = names_of("ade150") | {6: "Road, route", 7: "bed ", 11: "sidewalk;pavement"}
    assert recognised_table(names, "nvidia/segformer").name == "ade150"


@pytest.mark.parametrize("key", ["ade20k150", "cityscapes19", "coco133"])
def test_the_names_that_published_models_have_are_recognised(shared_dir, key):
    import json

    names = json.loads((shared_dir / "classes" / "ssa_classes.json").read_text())[key]
    assert recognised_table(dict(enumerate(names)), "any/model").name in KNOWN_TABLES


def test_another_order_is_another_table():
    names = names_of("cityscapes19")
    names[0], names[1] = names[1], names[0]
    table = recognised_table(names, "me/my street-net")
    assert table.name == "my_street-net"
    assert table.names[:2] == ("sidewalk", "road")


def test_names_of_an_own_table_are_made_unique():
    table = recognised_table({0: "case", 1: "case ", 2: "", 3: "ignore"}, "m")
    assert table.names == ("case", "case (1)", "class 2", "ignore (3)")


def test_colours_of_an_own_table_are_distinct_and_not_black():
    table = recognised_table({i: f"LABEL_{i}" for i in range(255)}, "m")
    colors = {item.color for item in table.classes}
    assert len(colors) == 255
    assert all(max(color) > 100 for color in colors)


@pytest.mark.parametrize("ids", [{0: "a", 2: "b"}, {1: "a"}])
def test_gaps_in_the_ids_are_refused(ids):
    with pytest.raises(InputError, match="not 0, 1, 2"):
        recognised_table(ids, "m")


def test_more_classes_than_a_label_map_can_hold_are_refused():
    with pytest.raises(InputError, match="256 classes"):
        recognised_table({i: str(i) for i in range(256)}, "m")
