from seg_assets.data.panoptic.base_colors import free_color


def test_the_nearest_free_colour_is_found_and_stays_in_range() -> None:
    taken = {(0, 0, 0)}
    for _ in range(30):
        color = free_color((0, 0, 0), taken)
        assert color not in taken
        assert all(0 <= value <= 3 for value in color)  # 64 colours lie there
        taken.add(color)
    assert free_color((0, 0, 0), {(0, 0, 0)}) == (0, 0, 1)
