"""A frozen picture's noise comes again however it is coded; a live sensor's is new, also in rooms where nothing moves."""

from __future__ import annotations

import numpy as np
import pytest

from agents.vision.eye import Eye
from agents.vision.fingerprint import fingerprint
from agents.vision.measure import Trace, measure
from agents.vision.picture import Picture
from agents.vision.thresholds import Thresholds
from support.views import HEIGHT, WIDTH, Image, blurred, drawn_room, grainy, lit, looked_at, overlaid

RATES = (1000, 1400, 1200)
"""Kilobits a second: a rate-controlled encoder takes another quantizer for each keyframe."""


class Looks:
    """A camera's looks, and what each was called."""

    def __init__(self) -> None:
        self.eye, self.number = Eye(Thresholds()), 0
        self.trace: Trace | None = None

    def see(self, image: Image) -> str:
        """Look at a picture with its clock, coded at the next rate."""
        self.number += 1
        picture: Picture = looked_at(
            overlaid(image, f"2026-11-29 12:00:{self.number:02}"), kilobits=RATES[self.number % len(RATES)]
        )
        measures, self.trace = measure(picture, self.trace)
        return self.eye.look(measures, fingerprint(picture)).conditions.state


@pytest.mark.parametrize("sigma", [2.0, 3.0])
def test_the_first_look_that_comes_again_is_frozen_whatever_the_quantizer(sigma: float) -> None:
    room, looks = drawn_room(1), Looks()
    assert {looks.see(grainy(room, sigma, seed)) for seed in range(4)} == {"ok"}
    stands = grainy(room, sigma, 99)
    assert looks.see(stands) == "ok"
    assert {looks.see(stands) for _ in range(2)} == {"frozen"}
    assert looks.see(grainy(room, sigma, 100)) == "ok"


def test_a_still_room_under_another_lamp_is_not_frozen() -> None:
    room, looks = drawn_room(2), Looks()
    views = [room] * 4 + [lit(room, 1.3), lit(room, 0.6), lit(room, 0.6), lit(room, gamma=0.7)]
    assert "frozen" not in {looks.see(grainy(view, 1.5, seed)) for seed, view in enumerate(views)}


def test_gravel_before_a_quiet_sensor_is_not_frozen() -> None:
    """Its pattern is as fine as noise, and comes again."""
    gravel = np.random.default_rng(1).normal(0, 5, (HEIGHT, WIDTH, 1))
    yard, looks = np.asarray(np.clip(drawn_room(1) + gravel, 0, 255), np.uint8), Looks()
    views = [yard] * 4 + [lit(yard, 1.5)] * 2 + [lit(yard, 0.7)]
    assert "frozen" not in {looks.see(grainy(view, 1.0, seed)) for seed, view in enumerate(views)}


def test_a_short_recording_that_is_played_again_is_not_frozen() -> None:
    """Each of its pictures comes again after four looks, and none of them at the next look."""
    room, looks = drawn_room(1), Looks()
    recorded = [grainy(room, 2.0, seed) for seed in range(4)]
    played = [looks.see(image) for image in recorded * 3]
    assert "frozen" not in played
    assert [looks.see(recorded[0]) for _ in range(3)][1:] == ["frozen", "frozen"]


def test_a_room_that_is_burnt_out_in_part_is_not_frozen() -> None:
    """What is white has no noise that could be new."""
    room, looks = drawn_room(1), Looks()
    glare = room.copy()
    glare[: HEIGHT * 2 // 5] = 255
    assert "frozen" not in {looks.see(grainy(room, 2.0, seed)) for seed in range(4)}

    def burnt(seed: int) -> Image:
        seen = grainy(glare, 2.0, seed)
        seen[: HEIGHT * 2 // 5] = 255
        return seen

    assert "frozen" not in {looks.see(burnt(seed)) for seed in range(10, 14)}
    stands = burnt(99)
    assert [looks.see(stands) for _ in range(3)][1:] == ["frozen", "frozen"]


def test_a_lamp_that_is_switched_teaches_nothing_of_the_noise() -> None:
    """All of the picture differs from the look before by a hundred times the noise: learnt from, new noise would be held for half as new as ever."""
    room, looks = drawn_room(2), Looks()
    assert {looks.see(grainy(room, 2.0, seed)) for seed in range(4)} == {"ok"}
    dim = lit(room, 0.55)
    assert {looks.see(grainy(view, 2.0, 10 + seed)) for seed, view in enumerate([dim, room] * 4)} == {"ok"}
    assert looks.eye._usual._renewed["coloured"].known == pytest.approx(1.2, abs=0.4)


def test_a_picture_that_grows_brighter_teaches_nothing_of_the_noise() -> None:
    """Most of it differs by three times the noise while a camera fits its exposure: the first looks would make new noise half as new as that."""
    room, looks = drawn_room(2), Looks()
    growing = [np.asarray(np.clip(room + np.int16(step), 0, 255), np.uint8) for step in (0, 12, 24, 36, 48)]
    seen = [*growing, *[growing[-1]] * 6]
    assert {looks.see(grainy(view, 5.0, seed)) for seed, view in enumerate(seen)} == {"ok"}
    assert looks.eye._usual._renewed["coloured"].known == pytest.approx(1.2, abs=0.4)


def test_a_lens_that_nobody_saw_go_out_of_focus_has_not_frozen_the_picture() -> None:
    """Nothing was approved, so that each such look counts as sound: the noise of lately falls until what is left of it is as much."""
    room, looks = drawn_room(3), Looks()
    assert {looks.see(grainy(room, 2.0, seed)) for seed in range(6)} == {"ok"}
    assert {looks.see(blurred(grainy(room, 2.0, seed), 2)) for seed in range(20, 34)} == {"ok"}


def test_what_takes_the_noise_away_has_not_frozen_the_picture() -> None:
    """Something flat over half of the view, or a lens out of focus behind the sensor: the same again says nothing there, and the state is another."""
    room, looks = drawn_room(1), Looks()
    assert {looks.see(grainy(room, 2.0, seed)) for seed in range(4)} == {"ok"}

    def hidden(seed: int) -> Image:
        seen = grainy(room, 2.0, seed)
        seen[:, : WIDTH * 6 // 10] = (120, 60, 40)
        return seen

    assert "frozen" not in {looks.see(hidden(seed)) for seed in range(10, 15)}
    assert "frozen" not in {looks.see(blurred(grainy(room, 2.0, seed), 4)) for seed in range(20, 25)}


def test_a_picture_that_freezes_in_better_light_than_the_usual_is_frozen() -> None:
    """Under the lamps there was three times the noise: what is left by day is the sensor's own, and nothing has taken it away."""
    room, looks = drawn_room(1), Looks()
    assert {looks.see(grainy(lit(room, 0.6), 4.0, seed)) for seed in range(5)} == {"ok"}
    assert {looks.see(grainy(room, 1.2, seed)) for seed in range(50, 54)} == {"ok"}
    stands = grainy(room, 1.2, 99)
    assert looks.see(stands) == "ok"
    assert {looks.see(stands) for _ in range(6)} == {"frozen"}
