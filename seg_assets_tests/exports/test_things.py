import pytest

from seg_assets.classes.table import ClassTable, SemanticClass, load_class_table
from seg_assets.errors import UnknownClassError
from seg_assets.exports.things import categories_of, thing_names
from seg_assets_tests.exports.literal import TABLE


def test_the_table_says_which_classes_are_things() -> None:
    assert thing_names(TABLE) == {"car", "dog"}
    assert len(thing_names(load_class_table("coco133"))) == 80


def test_where_it_says_nothing_most_of_coco_decides() -> None:
    base = thing_names(load_class_table("base28"))
    assert base >= {"person", "car", "animal", "boat", "minibike", "furniture"}
    # tree takes a plant (a thing) and trees (stuff): no majority
    assert not base & {"sky", "wall", "road", "tree", "water", "sidewalk"}
    assert {"person", "car"} <= thing_names(load_class_table("merged19"))


def test_a_table_that_nothing_is_known_of_has_no_things() -> None:
    own = ClassTable("own", "own", (SemanticClass(0, "bolt", (1, 2, 3)),))
    assert thing_names(own) == set()
    assert thing_names(own, ["bolt"]) == {"bolt"}


def test_the_answer_may_be_given() -> None:
    assert thing_names(TABLE, ["sky"]) == {"sky"}
    assert thing_names(TABLE, []) == set()
    with pytest.raises(UnknownClassError, match="no class 'cat'"):
        thing_names(TABLE, ["cat"])


def test_categories_count_from_one() -> None:
    categories = categories_of(TABLE, ["sky"]).categories
    assert [(item.id, item.name, item.is_thing) for item in categories] == [
        (1, "sky", True),
        (2, "car", False),
        (3, "dog", False),
    ]
