import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seg_assets.classes.table import (
    ClassTable,
    SemanticClass,
    class_table_names,
    load_class_table,
)
from seg_assets.errors import InputError, UnknownClassError

SIZES = {
    "ade150": 150,
    "base28": 28,
    "camvid11": 11,
    "cityscapes19": 19,
    "coco133": 133,
    "merged19": 19,
    "voc21": 21,
}

PETS = ClassTable(
    "pets", "Two pets", (SemanticClass(0, "cat", (9, 0, 0)), SemanticClass(1, "dog", (0, 9, 0)))
)


@pytest.fixture(scope="session")
def class_facts(shared_dir: Path) -> dict:
    return json.loads((shared_dir / "classes/sam_seem_classes.json").read_text())


def test_the_bundled_tables_are_these() -> None:
    assert {name: len(load_class_table(name)) for name in class_table_names()} == SIZES


@pytest.mark.parametrize("name", SIZES)
def test_a_bundled_table_is_called_as_its_file_and_has_distinct_colors(name: str) -> None:
    table = load_class_table(name)
    assert table.name == name
    assert table.title
    colors = {item.color for item in table.classes}
    assert len(colors) == len(table)
    assert (0, 0, 0) not in colors


def test_base28_and_merged19_have_the_published_names_and_colors(class_facts: dict) -> None:
    for name, key in (("base28", "classes28"), ("merged19", "classes19")):
        expected = [(c["id"], c["name"], tuple(c["rgb"])) for c in class_facts[key]]
        assert [(c.id, c.name, c.color) for c in load_class_table(name).classes] == expected


def test_coco133_has_the_published_order_and_things(class_facts: dict) -> None:
    expected = [(c["id"], c["name"], c["isthing"]) for c in class_facts["coco133"]]
    table = load_class_table("coco133")
    assert [(c.id, c.name, c.is_thing) for c in table.classes] == expected
    assert sum(bool(c.is_thing) for c in table.classes) == 80


def test_ade150_has_the_published_order(shared_dir: Path) -> None:
    facts = json.loads((shared_dir / "classes/ssa_classes.json").read_text())
    table = load_class_table("ade150")
    # The published list writes "bed " with a trailing space; ours does not.
    assert list(table.names) == [name.strip() for name in facts["ade20k150"]]
    assert sum(bool(c.is_thing) for c in table.classes) == 100


def test_cityscapes19_and_camvid11_have_their_standard_colors(shared_dir: Path) -> None:
    cityscapes = json.loads((shared_dir / "data/cityscapes/classes.json").read_text())
    table = load_class_table("cityscapes19")
    assert list(table.names) == cityscapes["trainId_to_name"]
    assert [list(c.color) for c in table.classes] == cityscapes["palette"]
    camvid = json.loads((shared_dir / "data/camvid/classes.json").read_text())
    expected = [(c["id"], c["name"], tuple(c["rgb"])) for c in camvid["classes"][:11]]
    assert [(c.id, c.name, c.color) for c in load_class_table("camvid11").classes] == expected


def test_voc21_has_the_palette_of_its_own_files(shared_dir: Path) -> None:
    """The PNGs of the data set carry the colours; its black background is grey here."""
    path = shared_dir / "data/voc/SegmentationClass/2011_000003.png"
    stored = Image.open(path).getpalette() or []
    colors = [tuple(stored[3 * k : 3 * k + 3]) for k in range(21)]
    table = load_class_table("voc21")
    assert [c.color for c in table.classes[1:]] == colors[1:]
    assert (colors[0], table.classes[0].name) == ((0, 0, 0), "background")
    assert table.things == frozenset(range(1, 21))
    names = (shared_dir / "data/voc/class_names.txt").read_text().split("\n")
    plain = [re.sub("[^a-z]", "", name) for name in names if name]
    assert list(table.names) == plain


def test_names_and_ids_lead_to_each_other() -> None:
    table = load_class_table("base28")
    assert [table.id_of(name) for name in table.names] == list(range(28))
    assert [table.name_of(class_id) for class_id in range(28)] == list(table.names)
    assert table.name_of(255) == "ignore"


def test_an_unknown_name_is_named_with_its_neighbours() -> None:
    with pytest.raises(
        UnknownClassError, match=r"'pets' has no class 'dogs'; did you mean 'dog'\?"
    ):
        PETS.id_of("dogs")
    with pytest.raises(UnknownClassError, match="'pets' has no class 'zebra'; see docs"):
        PETS.id_of("zebra")


@pytest.mark.parametrize("class_id", [2, 254, 256, -1])
def test_an_unknown_id_has_no_name(class_id: int) -> None:
    with pytest.raises(
        UnknownClassError, match=f"class id {class_id} is outside class table 'pets'"
    ):
        PETS.name_of(class_id)


def test_the_palette_is_black_where_there_is_no_class() -> None:
    palette = PETS.palette()
    assert palette.shape == (256, 3)
    assert palette.dtype == np.uint8
    assert palette[:2].tolist() == [[9, 0, 0], [0, 9, 0]]
    assert not palette[2:].any()


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.uint16, np.int64])
def test_a_label_map_of_the_table_passes(dtype: type) -> None:
    PETS.check(np.array([[0, 1, 255]], dtype))
    PETS.check(np.zeros((0, 4), dtype))


@pytest.mark.parametrize(
    ("label_map", "message"),
    [
        (np.array([[0, 133]], np.uint8), "frame_1 holds class id 133, outside class table 'pets'"),
        (np.array([[7, 2], [2, 1]], np.uint8), "frame_1 holds class ids 2, 7, outside"),
        (np.array([[-1, 300]], np.int32), "frame_1 holds class ids -1, 300, outside"),
        (np.arange(20, dtype=np.uint8)[None], "10, 11 and 8 more, outside"),
    ],
)
def test_unknown_ids_in_a_label_map_are_named(label_map: np.ndarray, message: str) -> None:
    with pytest.raises(UnknownClassError) as caught:
        PETS.check(label_map, "frame_1")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "label_map",
    [np.zeros((2, 2), np.float32), np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2), bool)],
)
def test_what_is_not_a_label_map_is_refused(label_map: np.ndarray) -> None:
    with pytest.raises(InputError, match="one .height, width. plane of integer class ids"):
        PETS.check(label_map)


def test_your_own_table_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "pets.toml"
    path.write_text(
        'name = "pets"\ntitle = "Two pets"\nclasses = [\n'
        '  { id = 0, name = "cat", color = [9, 0, 0] },\n'
        '  { id = 1, name = "dog", color = [0, 9, 0] },\n]\n'
    )
    assert load_class_table(path) == PETS
    assert load_class_table(str(path)) == PETS


def test_an_unknown_table_is_answered_with_the_known_ones() -> None:
    with pytest.raises(
        InputError, match="no class table 'coco'; choose from ade150, base28, .*toml"
    ):
        load_class_table("coco")


CAT, DOG = SemanticClass(0, "cat", (9, 0, 0)), SemanticClass(1, "dog", (0, 9, 0))


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ((), "has 0 classes"),
        (tuple(SemanticClass(i, f"c{i}", (1, 1, 1)) for i in range(256)), "has 256 classes"),
        ((DOG, CAT), "class 'dog' has id 1 at position 0"),
        ((CAT, SemanticClass(1, "cat", (1, 1, 1))), "has the name 'cat' twice"),
        ((SemanticClass(0, "ignore", (1, 1, 1)),), "'ignore' cannot be a class name"),
        ((SemanticClass(0, " ", (1, 1, 1)),), "' ' cannot be a class name"),
        ((SemanticClass(0, "cat", (1, 1, 256)),), "three 0..255 values"),
    ],
)
def test_a_faulty_table_is_refused(classes: tuple[SemanticClass, ...], message: str) -> None:
    with pytest.raises(InputError) as caught:
        ClassTable("faulty", "Faulty", classes)
    assert message in str(caught.value)
