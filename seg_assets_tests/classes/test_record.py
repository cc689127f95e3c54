import json

import pytest

from seg_assets.classes.record import read_table_record, table_record
from seg_assets.classes.table import ClassTable, SemanticClass, class_table_names, load_class_table
from seg_assets.errors import InputError

OWN = ClassTable(
    "rooms",
    "Inside or outside",
    (
        SemanticClass(0, "inside", (200, 120, 60), is_thing=True),
        SemanticClass(1, "outside", (60, 160, 90)),
    ),
)


@pytest.mark.parametrize("name", class_table_names())
def test_a_table_of_the_project_is_recorded_by_its_name(name: str) -> None:
    table = load_class_table(name)
    assert table_record(table) == name
    assert read_table_record(name) == table


def test_a_table_of_your_own_is_recorded_whole_and_survives_json() -> None:
    record = json.loads(json.dumps(table_record(OWN)))
    assert record["name"] == "rooms"
    assert record["classes"][0]["color"] == [200, 120, 60]
    assert read_table_record(record) == OWN


def test_another_table_of_a_bundled_name_is_not_taken_for_the_bundled_one() -> None:
    borrowed = ClassTable("base28", OWN.title, OWN.classes)
    record = table_record(borrowed)
    assert not isinstance(record, str)
    assert read_table_record(record) == borrowed


@pytest.mark.parametrize("record", [{}, {"name": "a", "title": "", "classes": [{"id": 0}]}])
def test_a_record_that_is_none_is_one_sentence(record: dict) -> None:
    with pytest.raises(InputError, match="record of a class table lacks a field"):
        read_table_record(record)


def test_things_are_the_classes_known_to_be_countable() -> None:
    assert OWN.things == {0}
    assert load_class_table("coco133").things == frozenset(range(80))
    assert load_class_table("base28").things == frozenset()
