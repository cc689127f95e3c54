"""S20."""

import json

import pytest

from seg_assets.classes.table import ClassTable, SemanticClass, load_class_table
from seg_assets.data.panoptic.categories import Category, CategoryTable, read_categories
from seg_assets.errors import InputError, UnknownClassError
from seg_assets_tests.data.panoptic.tables import CAR, ROAD, SKY, STREET


def category(**changes) -> Category:
    return Category(**{"id": 5, "name": "tree", "color": (1, 2, 3), "is_thing": False, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id": 0}, "'tree' has the id 0; ids start at 1"),
        ({"id": SKY.id}, "'sky' and 'tree' both have the id 3"),
        ({"name": "sky"}, "two categories are named 'sky'"),
        ({"name": " "}, "cannot have the name ' '"),
        ({"name": "background"}, "the network's own class"),
        ({"color": (0, 0, 256)}, r"the colour \[0, 0, 256\]; give three"),
        ({"color": (0, 0)}, "give three"),
    ],
)
def test_a_faulty_table_is_refused(changes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        CategoryTable((SKY, category(**changes)))


@pytest.mark.parametrize("count", [0, 256])
def test_a_table_has_1_to_255_categories(count: int) -> None:
    items = tuple(category(id=i + 1, name=str(i), color=(1, 2, i % 256)) for i in range(count))
    with pytest.raises(InputError, match=f"has {count} categories"):
        CategoryTable(items)


@pytest.mark.parametrize(
    ("color", "message"),
    [
        ((0, 0, 0), "black is no segment"),
        ((255, 255, 255), "white is padding"),
        (SKY.color, "'sky' and 'tree' both have the colour"),
    ],
)
def test_colours_that_cannot_be_painted_are_refused(color, message: str) -> None:
    with pytest.raises(InputError, match=message):
        CategoryTable((SKY, category(color=color))).check_colors()


def test_training_ids_are_positions_and_not_ids() -> None:
    assert STREET.names == ("sky", "road", "car", "person")
    assert [STREET.train_id(item.id) for item in STREET.categories] == [0, 1, 2, 3]
    assert STREET.by_id(7) == ROAD
    assert 7 in STREET
    assert 2 not in STREET
    with pytest.raises(UnknownClassError, match="category id 2 is not in the category table"):
        STREET.train_id(2)


def test_json_and_back() -> None:
    entries = STREET.to_json()
    assert entries[2] == {"id": 1, "name": "car", "isthing": 1, "color": [0, 0, 142]}
    assert CategoryTable.from_json(entries) == STREET
    data = json.dumps({"categories": entries, "images": []}).encode()
    assert read_categories(data, "a.json") == STREET
    assert read_categories(json.dumps(entries).encode(), "a.json") == STREET
    grouped = CategoryTable((category(supercategory="plant"),))
    assert CategoryTable.from_json(grouped.to_json()) == grouped


def test_a_category_without_a_colour_gets_one_of_its_own() -> None:
    entries = [{"id": i, "name": str(i), "isthing": 0} for i in range(1, 40)]
    colors = [item.color for item in CategoryTable.from_json(entries).categories]
    assert len(set(colors)) == 39
    assert all(abs(value - 128) <= 2 for color in colors for value in color)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "a.json is not JSON"),
        ("{}", "a.json holds no list of categories"),
        ('[{"id": 1, "name": "a", "color": [1, 2, 3]}]', "0.isthing: Field required"),
        ('[{"id": 1, "name": "a", "color": [1, 2, 300], "isthing": 1}]', "0.color"),
        ('[{"id": 1, "name": "a", "color": [0, 0, 0], "isthing": 1}]', "black is no segment"),
    ],
)
def test_a_faulty_file_is_a_sentence(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_categories(text.encode(), "a.json")


def test_a_class_table_becomes_categories_with_equal_training_ids() -> None:
    classes = load_class_table("cityscapes19")
    table = CategoryTable.from_class_table(classes)
    assert [item.id for item in table.categories] == list(range(1, 20))
    assert table.names == classes.names
    assert [c.name for c in table.categories if c.is_thing][:3] == ["person", "rider", "car"]
    assert table.to_class_table("again", classes.title).classes == classes.classes


def test_things_may_be_named() -> None:
    table = CategoryTable.from_class_table(load_class_table("camvid11"), ["Car"])
    assert [item.name for item in table.categories if item.is_thing] == ["Car"]
    none = CategoryTable.from_class_table(load_class_table("camvid11"))
    assert not any(item.is_thing for item in none.categories)
    with pytest.raises(UnknownClassError, match="no class 'Cars'; did you mean 'Car'"):
        CategoryTable.from_class_table(load_class_table("camvid11"), ["Cars"])


def test_unusable_colours_of_a_class_table_move_to_the_nearest_free_one() -> None:
    colors = [(255, 255, 255), (0, 0, 0), (0, 0, 0), CAR.color, CAR.color]
    classes = tuple(SemanticClass(i, str(i), color) for i, color in enumerate(colors))
    table = CategoryTable.from_class_table(ClassTable("odd", "Odd", classes))
    table.check_colors()
    found = [item.color for item in table.categories]
    assert found[3] == CAR.color
    for before, after in zip(colors, found, strict=True):
        assert max(abs(a - b) for a, b in zip(before, after, strict=True)) <= 1


@pytest.mark.parametrize("name", ["ade150", "coco133", "camvid11", "base28", "merged19"])
def test_the_projects_tables_can_be_trained(name: str) -> None:
    CategoryTable.from_class_table(load_class_table(name)).check_colors()


def test_the_digest_follows_the_content() -> None:
    assert STREET.digest == CategoryTable.from_json(STREET.to_json()).digest
    assert STREET.digest != CategoryTable((ROAD, SKY)).digest != CategoryTable((SKY, ROAD)).digest
