"""Simulated clicks (S16)."""

import numpy as np

from seg_assets.training.seem.clicks import Click, next_click, paint_click


def disc(row: int, column: int, radius: int, side: int = 40) -> np.ndarray:
    y, x = np.mgrid[:side, :side]
    return (y - row) ** 2 + (x - column) ** 2 <= radius**2


NOTHING = np.zeros((40, 40), bool)


def test_a_missed_disc_is_clicked_in_its_centre_s16() -> None:
    click = next_click(NOTHING, disc(15, 22, 8), NOTHING)
    assert click is not None
    assert click.positive
    assert abs(click.row - 15) <= 1
    assert abs(click.column - 22) <= 1


def test_what_is_painted_by_mistake_gets_a_negative_click_s16() -> None:
    target = disc(12, 12, 6)
    click = next_click(target | disc(28, 28, 7), target, NOTHING)
    assert click is not None
    assert not click.positive
    assert abs(click.row - 28) <= 1
    assert abs(click.column - 28) <= 1


def test_the_larger_error_is_clicked_s16() -> None:
    target = disc(12, 12, 4) | disc(30, 10, 3)
    predicted = disc(30, 10, 3) | disc(28, 28, 8)
    click = next_click(predicted, target, NOTHING)
    assert click is not None
    assert not click.positive
    assert next_click(NOTHING, target, NOTHING) == Click(12, 12, positive=True)


def test_a_good_answer_gets_no_click_s16() -> None:
    target = np.zeros((40, 40), bool)
    target[:, :40] = True
    almost, not_quite = target.copy(), target.copy()
    almost[:3] = False  # IoU 37 / 40 = .925
    not_quite[:3] = not_quite[3, :1] = False
    assert next_click(almost, target, NOTHING) is None
    assert next_click(not_quite, target, NOTHING) is not None


def test_prompted_pixels_are_no_errors_s16() -> None:
    target = disc(15, 22, 8)
    assert next_click(NOTHING, target, target) is None
    left = target.copy()
    left[:, 23:] = False
    click = next_click(NOTHING, target, left)
    assert click is not None
    assert click.column > 22


def test_the_border_of_the_image_is_a_rim_s16() -> None:
    target = np.zeros((40, 40), bool)
    target[:, :21] = True
    click = next_click(NOTHING, target, NOTHING)
    assert click is not None
    assert click.column == 10


def test_a_click_is_a_square_of_three_pixels_s16() -> None:
    prompt = np.zeros((5, 5), bool)
    paint_click(prompt, Click(2, 2, positive=True))
    assert prompt.sum() == 9
    assert prompt[1:4, 1:4].all()
    corner = np.zeros((5, 5), bool)
    paint_click(corner, Click(0, 4, positive=True))
    assert corner.sum() == 4
    assert corner[:2, 3:].all()


def test_nothing_to_find_and_nothing_found_is_no_error() -> None:
    assert next_click(NOTHING, NOTHING, NOTHING) is None
