import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from seg_assets.classes.mapping import (
    ClassMap,
    bundled_class_maps,
    find_class_map,
    load_class_map,
    read_class_map,
)
from seg_assets.classes.table import ClassTable, SemanticClass, load_class_table
from seg_assets.errors import InputError, UnknownClassError

PETS = ClassTable(
    "pets", "Pets", (SemanticClass(0, "cat", (9, 0, 0)), SemanticClass(1, "dog", (0, 9, 0)))
)
BEASTS = ClassTable(
    "beasts", "Beasts", (SemanticClass(0, "lion", (9, 9, 0)), SemanticClass(1, "wolf", (0, 9, 9)))
)


def names(classes: tuple[SemanticClass, ...]) -> list[str]:
    return [item.name for item in classes]


@pytest.fixture(scope="session")
def class_facts(shared_dir: Path) -> dict:
    return json.loads((shared_dir / "classes/sam_seem_classes.json").read_text())


@pytest.fixture(scope="session")
def samseem_summary(shared_dir: Path) -> dict:
    return json.loads((shared_dir / "golden/pipeline/samseem_summary.json").read_text())


# The published maps


def test_coco_goes_to_base28_and_merged19_as_published(class_facts: dict) -> None:
    to28 = load_class_map("coco133", "base28")
    to19 = load_class_map("coco133", "merged19")
    for item in class_facts["coco133"]:
        assert (to28.lut[item["id"]], to19.lut[item["id"]]) == (item["to28"], item["to19"])


def test_base28_merges_to_merged19_as_published(class_facts: dict, samseem_summary: dict) -> None:
    merge = load_class_map("base28", "merged19")
    published = {int(source): target for source, target in class_facts["merge28to19"].items()}
    assert {source: int(merge.lut[source]) for source in range(28)} == published
    golden = {int(key): value for key, value in samseem_summary["merge_table"].items()}
    assert {source: int(merge.lut[source]) for source in golden if source < 28} == {
        source: target for source, target in golden.items() if source < 28
    }


def test_golden_label_maps_merge_exactly(shared_dir: Path) -> None:
    merge = load_class_map("base28", "merged19")
    for index in range(3):
        with np.load(shared_dir / f"golden/pipeline/samseem_{index}.npz") as golden:
            for kind in ("pipeline", "seem"):
                merged = merge.apply(golden[f"{kind}28_fixed"])
                np.testing.assert_array_equal(merged, golden[f"{kind}19_fixed"])


def test_classes_that_overwrite_each_other_upstream_do_not_here(samseem_summary: dict) -> None:
    """Upstream remaps in place, so 21 pairs of COCO classes in one image end in a wrong class."""
    to28 = load_class_map("coco133", "base28")
    collisions = samseem_summary["remap_collisions"]
    assert len(collisions) == 21
    for pair in collisions:
        both = np.array([[pair["coco_id"], pair["also_present_coco_id"]]], np.uint8)
        alone = to28.apply(both[:, 1:])[0, 0]
        assert to28.apply(both).tolist() == [[pair["correct28"], alone]]


def test_golden_score_maps_become_the_golden_label_maps(shared_dir: Path) -> None:
    """Images 0 and 2 of the golden data hold colliding pairs; the `_fixed` maps are right."""
    to28 = load_class_map("coco133", "base28")
    for index in range(3):
        with np.load(shared_dir / f"golden/pipeline/samseem_{index}.npz") as golden:
            scores = np.zeros((133, *golden["seem28_fixed"].shape), np.uint8)
            scores[golden["coco_ids"]] = golden["seem_scores_u8"]
            coco_map = scores.argmax(axis=0).astype(np.uint8)
            np.testing.assert_array_equal(to28.apply(coco_map), golden["seem28_fixed"])


# What is reached and what is dropped


def test_coco_reaches_all_of_base28_but_three(class_facts: dict) -> None:
    unreachable = load_class_map("coco133", "base28").unreachable()
    assert names(unreachable) == ["sidewalk", "column", "awning"]
    assert [item.id for item in unreachable] == class_facts["unreachable28"]


def test_pavement_goes_to_sidewalk_when_asked() -> None:
    plain = load_class_map("coco133", "base28")
    asked = load_class_map("coco133", "base28", pavement_to_sidewalk=True)
    pavement = plain.source.id_of("pavement-merged")
    assert plain.target.name_of(int(plain.lut[pavement])) == "road"
    assert asked.target.name_of(int(asked.lut[pavement])) == "sidewalk"
    assert names(asked.unreachable()) == ["column", "awning"]
    assert np.flatnonzero(plain.lut != asked.lut).tolist() == [pavement]


def test_pavement_is_ground_in_merged19_either_way() -> None:
    plain = load_class_map("coco133", "merged19")
    asked = load_class_map("coco133", "merged19", pavement_to_sidewalk=True)
    np.testing.assert_array_equal(plain.lut, asked.lut)


@pytest.mark.parametrize(
    ("source", "target", "dropped"),
    [
        ("coco133", "base28", []),
        ("coco133", "merged19", []),
        ("base28", "merged19", []),
        ("camvid11", "base28", ["Pole"]),
        ("camvid11", "merged19", ["Pole"]),
        ("cityscapes19", "base28", ["pole"]),
        ("cityscapes19", "merged19", ["pole"]),
        ("cityscapes19", "camvid11", []),
        ("ade150", "base28", ["pole"]),
        ("ade150", "merged19", ["pole"]),
        ("coco133", "voc21", []),
        ("ade150", "voc21", ["animal"]),
        ("base28", "voc21", ["furniture", "animal", "other"]),
        ("base28", "ade150", ["furniture", "other"]),
        ("voc21", "base28", ["background"]),
        ("voc21", "merged19", ["background"]),
    ],
)
def test_only_these_classes_have_no_counterpart(
    source: str, target: str, dropped: list[str]
) -> None:
    assert names(load_class_map(source, target).dropped()) == dropped


@pytest.mark.parametrize(
    ("source", "target", "unreachable"),
    [
        ("coco133", "camvid11", ["Pole"]),
        ("base28", "camvid11", ["Pole"]),
        ("ade150", "camvid11", []),
        ("coco133", "cityscapes19", ["pole", "rider"]),
        ("ade150", "base28", []),
        ("coco133", "voc21", []),
        ("ade150", "voc21", ["bird", "cat", "cow", "dog", "horse", "sheep", "train"]),
        ("ade150", "cityscapes19", ["rider", "train"]),
        (
            "base28",
            "cityscapes19",
            ["pole", "rider", "truck", "bus", "train", "motorcycle"],
        ),
    ],
)
def test_only_these_classes_are_never_reached(
    source: str, target: str, unreachable: list[str]
) -> None:
    assert names(load_class_map(source, target).unreachable()) == unreachable


@pytest.mark.parametrize(
    ("source", "name", "target", "becomes"),
    [
        ("coco133", "bicycle", "base28", "minibike"),
        ("coco133", "motorcycle", "base28", "car"),
        ("cityscapes19", "motorcycle", "base28", "car"),
        ("cityscapes19", "rider", "base28", "person"),
        ("cityscapes19", "traffic light", "base28", "streetlight"),
        ("camvid11", "Bicyclist", "base28", "minibike"),
        ("camvid11", "Pavement", "base28", "sidewalk"),
        ("camvid11", "Pavement", "merged19", "ground"),
        ("ade150", "minibike", "base28", "minibike"),
        ("ade150", "column", "merged19", "structure"),
        ("coco133", "person", "camvid11", "Pedestrian"),
        ("coco133", "grass-merged", "cityscapes19", "terrain"),
        ("coco133", "couch", "voc21", "sofa"),
        ("coco133", "truck", "voc21", "background"),
        ("coco133", "table-merged", "voc21", "background"),
        ("coco133", "table-merged", "ade150", "table"),
        ("coco133", "motorcycle", "ade150", "minibike"),
        ("coco133", "zebra", "ade150", "animal"),
        ("coco133", "pavement-merged", "ade150", "sidewalk"),
        ("ade150", "armchair", "voc21", "chair"),
        ("ade150", "truck", "voc21", "background"),
        ("ade150", "plant", "voc21", "pottedplant"),
        ("ade150", "van", "cityscapes19", "car"),
        ("ade150", "streetlight", "cityscapes19", "pole"),
        ("base28", "minibike", "ade150", "bicycle"),
        ("base28", "minibike", "voc21", "bicycle"),
        ("base28", "streetlight", "cityscapes19", "traffic light"),
        ("base28", "tree", "voc21", "background"),
        ("voc21", "motorbike", "base28", "car"),
        ("voc21", "sofa", "merged19", "furniture"),
    ],
)
def test_documented_choices_hold(source: str, name: str, target: str, becomes: str) -> None:
    class_map = load_class_map(source, target)
    class_id = class_map.lut[class_map.source.id_of(name)]
    assert class_map.target.name_of(int(class_id)) == becomes


@pytest.mark.parametrize(
    ("source", "target", "exceptions"),
    [
        ("coco133", "voc21", {}),
        ("coco133", "ade150", {}),
        ("base28", "ade150", {"minibike": "bicycle", "streetlight": "traffic light"}),
        ("base28", "cityscapes19", {}),
        ("base28", "voc21", {}),
        ("ade150", "cityscapes19", {}),
        ("ade150", "voc21", {}),
    ],
)
def test_a_class_goes_to_the_class_of_its_name(
    source: str, target: str, exceptions: dict[str, str]
) -> None:
    class_map = load_class_map(source, target)
    for name in set(class_map.source.names) & set(class_map.target.names):
        becomes = class_map.target.name_of(int(class_map.lut[class_map.source.id_of(name)]))
        assert becomes == exceptions.get(name, name)


def test_vocs_classes_go_where_coco_sends_the_same_thing() -> None:
    """Through COCO's names and the published map: what VOC calls by another name comes last."""
    others = {
        "aeroplane": "airplane",
        "diningtable": "dining table",
        "motorbike": "motorcycle",
        "pottedplant": "potted plant",
        "sofa": "couch",
        "tvmonitor": "tv",
    }
    voc, coco = load_class_map("voc21", "base28"), load_class_map("coco133", "base28")
    for item in voc.source.classes[1:]:
        same = coco.source.id_of(others.get(item.name, item.name))
        assert voc.lut[item.id] == coco.lut[same]


def test_camvid_is_reached_as_its_data_sheet_says(shared_dir: Path) -> None:
    sheet = json.loads((shared_dir / "data/camvid/classes.json").read_text())["classes"][:11]
    for source, key in (
        ("coco133", "coco133"),
        ("ade150", "ade150"),
        ("cityscapes19", "cityscapes_trainId"),
    ):
        class_map = load_class_map(source, "camvid11")
        for item in sheet:
            expected = {other["name"] for other in item[key]}
            got = {c.name for c in class_map.source.classes if class_map.lut[c.id] == item["id"]}
            assert got == expected


# The lookup


@pytest.mark.parametrize(("source", "target"), bundled_class_maps())
def test_every_bundled_map_loads_and_keeps_255(source: str, target: str) -> None:
    class_map = load_class_map(source, target)
    assert (class_map.source.name, class_map.target.name) == (source, target)
    assert (class_map.lut[len(class_map.source) :] == 255).all()
    with pytest.raises(ValueError, match="read-only"):
        class_map.lut[0] = 1


def test_unknown_ids_are_named_before_any_lookup() -> None:
    """133 is SEEM's no-object class: it must be resolved before the map, not slip through it."""
    with pytest.raises(
        UnknownClassError, match="frame_7 holds class ids 133, 200, outside .*coco133"
    ):
        load_class_map("coco133", "base28").apply(np.array([[0, 133, 200]], np.uint8), "frame_7")


@given(
    hnp.arrays(
        st.sampled_from([np.uint8, np.int32]),
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=12),
        elements=st.sampled_from([*range(133), 255]),
    )
)
def test_two_steps_equal_the_joined_map(coco_map: np.ndarray) -> None:
    in_two = load_class_map("base28", "merged19").apply(
        load_class_map("coco133", "base28").apply(coco_map)
    )
    at_once = load_class_map("coco133", "merged19").apply(coco_map)
    assert at_once.dtype == np.uint8
    np.testing.assert_array_equal(at_once, in_two)
    np.testing.assert_array_equal(at_once == 255, coco_map == 255)


def test_the_same_table_twice_is_the_identity() -> None:
    identity = load_class_map("camvid11", "camvid11")
    label_map = np.array([[0, 10, 255]], np.uint8)
    np.testing.assert_array_equal(identity.apply(label_map), label_map)
    assert not identity.unreachable()
    assert not identity.dropped()


def test_maps_that_give_other_results_have_other_digests() -> None:
    road = load_class_map("coco133", "base28")
    sidewalk = load_class_map("coco133", "base28", pavement_to_sidewalk=True)
    assert road.digest == load_class_map("coco133", "base28").digest
    assert road.digest != sidewalk.digest
    red = ClassTable("rooms", "rooms", (SemanticClass(0, "kitchen", (255, 0, 0)),))
    blue = ClassTable("rooms", "rooms", (SemanticClass(0, "kitchen", (0, 0, 255)),))
    assert ClassMap.identity(red).digest != ClassMap.identity(blue).digest


def test_maps_join_only_through_a_shared_table() -> None:
    with pytest.raises(InputError, match="to 'base28' cannot be followed by one from 'coco133'"):
        load_class_map("coco133", "base28").then(load_class_map("coco133", "base28"))


def test_tables_without_a_map_are_an_error() -> None:
    with pytest.raises(
        InputError, match="no class map from 'merged19' to 'coco133'; write merged19_"
    ):
        load_class_map("merged19", "coco133")


@pytest.mark.parametrize(
    ("lut", "message"),
    [
        (np.zeros(256, np.int64), "type int64"),
        (np.zeros(10, np.uint8), "shape .10,."),
        (np.zeros(256, np.uint8), "must send the ids from 2 on to 255"),
        (
            np.r_[np.uint8(9), np.full(255, 255, np.uint8)],
            "class id 9, outside class table 'beasts'",
        ),
    ],
)
def test_a_faulty_lookup_table_is_refused(lut: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ClassMap(PETS, BEASTS, lut)


# Tables and maps of one's own

ROOMS = """
name = "rooms"
title = "Inside or outside"
classes = [
    { id = 0, name = "inside",  color = [200, 120, 60] },
    { id = 1, name = "outside", color = [60, 160, 90] },
]
"""

BASE28_TO_ROOMS = """
source = "base28"
target = "rooms.toml"
unlisted = "outside"

[classes]
inside = ["wall", "floor", "ceiling", "furniture"]
ignore = ["person", "animal"]
"""


@pytest.fixture
def rooms(tmp_path: Path) -> Path:
    (tmp_path / "base28_to_rooms.toml").write_text(BASE28_TO_ROOMS)
    (tmp_path / "rooms.toml").write_text(ROOMS)
    return tmp_path / "rooms.toml"


def test_your_own_map_lies_beside_your_own_table(rooms: Path) -> None:
    found = load_class_map("base28", rooms)
    base28 = load_class_table("base28")
    label_map = np.array([[base28.id_of(n) for n in ("floor", "sky", "person")] + [255]], np.uint8)
    assert found.apply(label_map).tolist() == [[0, 1, 255, 255]]
    assert names(found.dropped()) == ["person", "animal"]
    read = read_class_map(rooms.with_name("base28_to_rooms.toml"))
    np.testing.assert_array_equal(read.lut, found.lut)


def test_a_table_that_is_loaded_already_finds_its_maps_in_the_folders_it_is_told(
    rooms: Path,
) -> None:
    table = load_class_table(rooms)
    assert find_class_map("base28", table) is None
    found = find_class_map("base28", table, folders=[rooms.parent])
    assert found is not None
    np.testing.assert_array_equal(found.lut, load_class_map("base28", rooms).lut)


def test_two_tables_of_one_name_are_told_apart(rooms: Path) -> None:
    before = load_class_table(rooms)
    rooms.write_text(rooms.read_text().replace("title = ", 'title = "Edited." # '))
    with pytest.raises(InputError, match="two class tables called 'rooms' which are not alike"):
        load_class_map(before, rooms)


def test_where_no_map_is_there_is_none_to_find(rooms: Path) -> None:
    assert find_class_map("merged19", "coco133") is None
    assert find_class_map(rooms, "base28") is None  # only the other direction is written


def test_other_tables_reach_your_own_through_base28(rooms: Path) -> None:
    camvid = load_class_map("camvid11", rooms)
    assert camvid.lut[camvid.source.id_of("Road")] == 1
    assert names(camvid.dropped()) == ["Pole", "Pedestrian"]


@pytest.mark.parametrize(
    ("old", "new", "error", "message"),
    [
        ('"wall", ', '"wal", ', UnknownClassError, "no class 'wal'; did you mean 'wall'"),
        ('"person", ', '"persona", ', UnknownClassError, "no class 'persona'"),
        ("inside =", "indoor =", UnknownClassError, "'rooms' has no class 'indoor'"),
        ('"outside"', '"outdoor"', UnknownClassError, "'rooms' has no class 'outdoor'"),
        (
            'unlisted = "outside"',
            "",
            InputError,
            "22 classes of 'base28' are not listed, 'building'",
        ),
        ('"person"', '"wall"', InputError, "'wall' is listed under 'inside' and under 'ignore'"),
        ("[classes]", "[class]", InputError, "classes: Field required"),
        ('"base28"', '"base27"', InputError, "no class table 'base27'"),
    ],
)
def test_a_faulty_map_file_is_named_with_its_fault(
    rooms: Path, old: str, new: str, error: type[InputError], message: str
) -> None:
    path = rooms.with_name("base28_to_rooms.toml")
    path.write_text(BASE28_TO_ROOMS.replace(old, new, 1))
    with pytest.raises(InputError) as caught:
        read_class_map(path)
    assert type(caught.value) is error
    assert message in str(caught.value)


def test_a_table_that_borrows_a_bundled_name_does_not_get_its_map(tmp_path: Path) -> None:
    (tmp_path / "merged19.toml").write_text(ROOMS.replace('"rooms"', '"merged19"'))
    with pytest.raises(InputError, match="written for other tables of the same names"):
        load_class_map("base28", tmp_path / "merged19.toml")
