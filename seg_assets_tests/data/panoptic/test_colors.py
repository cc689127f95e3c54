"""S21. The formula and the four numbers are those of panopticapi's code (utils.py)."""

import numpy as np
import pytest

from seg_assets.data.panoptic.categories import Category, CategoryTable
from seg_assets.data.panoptic.colors import SPREAD, SegmentColors, id_to_rgb, rgb_to_id
from seg_assets.errors import InputError
from seg_assets_tests.data.panoptic.tables import CAR, PERSON, SKY, STREET


@pytest.mark.parametrize(
    ("rgb", "number"),
    [
        ((240, 230, 0), 59120),
        ((10, 10, 10), 657930),
        ((0, 0, 150), 9830400),
        ((255, 255, 255), 16777215),
        ((0, 0, 0), 0),
    ],
)
def test_an_id_is_r_plus_256_g_plus_65536_b(rgb: tuple[int, int, int], number: int) -> None:
    assert int(rgb_to_id(rgb)) == number
    assert id_to_rgb(number).tolist() == list(rgb)


def test_ten_thousand_ids_survive_the_way_to_colours_and_back() -> None:
    ids = np.random.default_rng(0).integers(0, 1 << 24, (100, 100))
    colors = id_to_rgb(ids)
    assert (colors.shape, colors.dtype) == ((100, 100, 3), np.uint8)
    np.testing.assert_array_equal(rgb_to_id(colors), ids)
    assert rgb_to_id(colors).dtype == np.int32


def drawn(image: str = "a", seed: int = 0, count: int = 300) -> list[int]:
    colors = SegmentColors(STREET, image, seed)
    return [colors.next_id(CAR) for _ in range(count)]


def test_stuff_keeps_its_colour_and_instances_get_near_ones() -> None:
    colors = SegmentColors(STREET, "a")
    sky = int(rgb_to_id(SKY.color))
    assert [colors.next_id(SKY), colors.next_id(SKY)] == [sky, sky]
    found = drawn()
    assert found[0] == int(rgb_to_id(CAR.color))
    assert len(set(found)) == len(found)
    distance = np.abs(id_to_rgb(np.array(found)).astype(int) - CAR.color)
    assert distance.max() <= SPREAD
    assert distance.max(axis=0).tolist() == [SPREAD] * 3  # all of it is used


def test_no_instance_has_the_colour_of_a_category_black_or_white() -> None:
    # every colour around one thing belongs to other categories, but for one
    dark = Category(1, "dark", (0, 0, 1), is_thing=True)
    near = [(r, g, b) for r in range(5) for g in range(6) for b in range(6)]
    others = [c for c in near if c not in ((0, 0, 0), (0, 0, 1), (4, 5, 5))]
    table = CategoryTable(
        (dark, *(Category(i, str(i), c, is_thing=False) for i, c in enumerate(others, 2)))
    )
    bases = {int(rgb_to_id(item.color)) for item in table.categories}
    colors = SegmentColors(table, "a")
    colors.next_id(dark)
    found = {colors.next_id(dark) for _ in range(3000)}
    assert len(found) == 3000
    assert not found & (bases | {0, 0xFFFFFF})


def test_colours_depend_on_seed_and_image_alone() -> None:
    assert drawn() == drawn()
    assert drawn(image="b")[1:] != drawn()[1:] != drawn(seed=1)[1:]
    # golden: a change here changes the bytes of users' data sets
    assert drawn(count=3) == [9306112, 10289152, 9502720]


def test_other_categories_do_not_change_a_categorys_colours() -> None:
    colors = SegmentColors(STREET, "a")
    mixed = [colors.next_id(item) for item in (CAR, PERSON, CAR, PERSON, CAR)]
    assert mixed[::2] == drawn(count=3)


def test_more_instances_than_near_colours_go_further_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seg_assets.data.panoptic.colors.SPREAD", 1)
    monkeypatch.setattr("seg_assets.data.panoptic.colors._TRIES_PER_SPREAD", 100)
    colors = SegmentColors(STREET, "a")
    found = [colors.next_id(PERSON) for _ in range(200)]
    assert len(set(found)) == 200  # 27 colours are at most 1 away, 125 at most 2
    distance = np.abs(id_to_rgb(np.array(found)).astype(int) - PERSON.color).max(axis=1)
    assert distance[1:10].max() == 1
    assert distance.max() >= 3


def test_a_table_that_cannot_be_painted_is_refused() -> None:
    white = CategoryTable((Category(1, "snow", (255, 255, 255), is_thing=False),))
    with pytest.raises(InputError, match="white is padding"):
        SegmentColors(white, "a")
