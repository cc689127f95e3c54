"""Things are what a table says, or what COCO's classes in it mostly are."""

from seg_assets.classes.table import ClassTable, SemanticClass, load_class_table
from seg_assets.classes.things import find_things


def names(table: str) -> set[str]:
    loaded = load_class_table(table)
    return {loaded.name_of(i) for i in find_things(loaded)}


def test_a_table_that_says_so_is_believed():
    assert find_things(load_class_table("coco133")) == frozenset(range(80))
    said = ClassTable(
        "said", "", (SemanticClass(0, "a", (0, 0, 1), True), SemanticClass(1, "b", (0, 0, 2)))
    )
    assert find_things(said) == {0}


def test_else_a_class_is_what_most_of_cocos_classes_in_it_are():
    assert {"person", "car", "animals", "boat"} < names("merged19")
    assert not names("merged19") & {"structure", "sky", "ground", "water", "tree", "fence"}
    assert names("camvid11") == {"Car", "Pedestrian", "Bicyclist", "SignSymbol"}


def test_a_table_that_coco_does_not_lead_to_has_none():
    strange = ClassTable("strange", "", (SemanticClass(0, "a", (0, 0, 1)),))
    assert find_things(strange) == frozenset()
