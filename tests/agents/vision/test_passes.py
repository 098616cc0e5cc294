"""Whether a camera comes by the same places exactly: a recording does, whatever it shows, and no camera."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from agents.vision.offset import Offset
from agents.vision.passes import EXACT_FILMS, EXACT_VIEWS, FEW_FILMS, LEAST_FILMS, MOST_KEPT, Passes

SEEDS = st.integers(0, 2**32 - 1)


def at(*places: tuple[float, float]) -> list[Offset]:
    return [Offset(right, down, 0.9) for right, down in places]


def of(films: list[list[Offset]], of_a_view: int = 2) -> Passes:
    """Return what films tell of which so many in turn show the same view."""
    passes = Passes()
    for number, frames in enumerate(films):
        passes.take(frames, number // of_a_view)
    return passes


@given(SEEDS, st.floats(-8, 8), st.floats(-8, 8), st.integers(EXACT_FILMS, MOST_KEPT), st.integers(0, MOST_KEPT))
def test_a_recording_meets_wherever_it_was_shifted_to_and_one_film_may_be_wrong(
    seed: int, right: float, down: float, count: int, wrong: int
) -> None:
    errors = np.random.default_rng(seed).uniform(-0.09, 0.09, (count, 2))
    films = [at((right + float(x), down + float(y))) for x, y in errors]
    films[wrong % count] = at((right + 5, down))
    passes = of(films)
    assert passes.meet
    assert not passes.differ
    assert passes.goes_on == (wrong % count != count - 1)


@given(SEEDS, st.integers(EXACT_FILMS, MOST_KEPT))
def test_a_tour_differs_and_doesn_t_meet(seed: int, count: int) -> None:
    """Two films of each view lie at one place, and no two views do."""
    chance = np.random.default_rng(seed)
    missed = chance.permutation(np.arange(-4, 4))[: -(-count // 2)]
    passes = of([at((float(missed[number // 2]), float(chance.uniform(-0.1, 0.1)))) for number in range(count)])
    assert passes.differ
    assert not passes.meet


def test_of_a_camera_that_moves_the_nearest_frame_of_each_film_counts() -> None:
    """The rhythm doesn't tell which of its frames is the one."""
    films = [at((-1.3, 0), (0.02 * number, 0), (1.3, 0)) for number in range(EXACT_FILMS)]
    passes = of(films)
    assert passes.meet
    passing = [at((-1.3 + late, late), (late, late), (1.3 + late, late)) for late in (0.0, 0.6, -0.5, 0.4, -0.7)]
    assert of(passing).differ


def test_few_films_and_those_of_few_views_tell_nothing() -> None:
    assert not of([at((float(number), 0)) for number in range(FEW_FILMS - 1)]).differ
    assert of([at((float(number), 0)) for number in range(FEW_FILMS)]).differ
    assert not of([at((number / 2, 0)) for number in range(LEAST_FILMS - 1)]).differ
    assert of([at((number / 2, 0)) for number in range(LEAST_FILMS)]).differ
    assert not of([at((0, 0))] * (EXACT_FILMS - 1)).meet
    assert not of([at((0, 0))] * MOST_KEPT, of_a_view=-(-MOST_KEPT // (EXACT_VIEWS - 1))).meet
    assert not Passes()


def test_a_recording_that_is_shifted_anew_each_time_is_no_tour() -> None:
    """Of a camera that stands all films show one view: its pictures can't lie elsewhere unless somebody shifts them."""
    films = [at((float(number % 5), 0)) for number in range(MOST_KEPT)]
    assert not of(films, of_a_view=MOST_KEPT).differ
    assert of(films).differ


def test_films_that_have_told_are_left() -> None:
    passes = of([at((float(number), 0)) for number in range(MOST_KEPT)])
    passes.forget()
    assert not passes
    assert not passes.differ


@given(
    st.lists(st.lists(st.tuples(st.floats(-13, 13), st.floats(-9, 9)), min_size=1, max_size=5), min_size=1, max_size=40)
)
def test_whatever_films_say_is_bounded_and_never_both(films: list[list[tuple[float, float]]]) -> None:
    passes = of([at(*frames) for frames in films])
    assert len(passes) == min(len(films), MOST_KEPT)
    assert not (passes.meet and passes.differ)
    assert passes.goes_on in {True, False}
