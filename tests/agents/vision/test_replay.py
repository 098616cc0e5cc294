"""Which of what comes again is a recording: the one that has the same noise, at the same frame."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from agents.vision.film import FilmFrame
from agents.vision.imprint import IMPRINT_BYTES, Imprint
from agents.vision.offset import Offset
from agents.vision.replay import CHANCES, PATIENCE_SECONDS, SHOWN_SECONDS, TOLD_SECONDS, Replay, Window

FRAME = 0.2
WITHIN = 0.16
AGO = 62.4
ROOM = np.random.default_rng(1).normal(0, 16, IMPRINT_BYTES)
"""What a picture shows without its noise."""


def noise(at: float) -> Imprint:
    """Return the noise of the frame that is taken at a second."""
    return np.clip(ROOM + np.random.default_rng(round(at / FRAME)).normal(0, 8, IMPRINT_BYTES), -127, 127).astype(
        np.int8
    )


def live(at: float) -> Imprint | None:
    return noise(at)


def recorded(begins: float, until: float = 1e9, ago: float = AGO) -> Callable[[float], Imprint]:
    """Return a camera of which a recording is played from some second on: what was so long ago, once and again."""

    def shown(at: float) -> Imprint:
        while begins <= at < until:
            at -= ago
        return noise(at)

    return shown


class Run:
    """A camera that is looked at each ten seconds, and filmed when somebody asks."""

    def __init__(
        self,
        shown: Callable[[float], Imprint | None],
        lies: Callable[[float], Offset | None] = lambda _: None,
        changed: float = 0.0,
    ) -> None:
        self.replay = Replay()
        self.shown, self.lies, self.changed = shown, lies, changed
        self.now = 0.0
        self.films = 0
        self.wanted: Window | None = None

    def until(self, end: float, *, surely: tuple[float, ...] = (), maybe: tuple[float, ...] = ()) -> bool:
        """Look on, with such a rhythm; return what the last look says."""
        says = False
        while self.now < end:
            self.replay.look(self.now, self.shown(self.now), self.changed)
            says = self.replay.shows(surely, maybe, WITHIN)
            self.wanted = self.wanted or self.replay.want(self.now)
            while (window := self.wanted) is not None and window.begin < self.now + 10:
                times = [n * FRAME for n in range(round(window.begin / FRAME) - 3, round(window.end / FRAME) + 3)]
                times = [at for at in times if window.begin <= at <= window.end]
                found = [(at, self.shown(at)) for at in times]
                self.films += 1
                self.replay.filmed(times, [FilmFrame(item, self.lies(at)) for at, item in found if item is not None])
                self.wanted = self.replay.want(window.end)
            self.now += 10
        return says


def test_a_recording_is_shown_by_its_noise_soon_after_its_rhythm_may_come_again() -> None:
    run = Run(recorded(200))
    assert not run.until(270)
    assert run.until(300, maybe=(AGO,))
    assert run.replay.alike is not None
    assert run.replay.alike > 0.7


def test_a_room_in_which_the_same_happens_again_is_live() -> None:
    run = Run(live)
    run.until(300)
    for _ in range(40):
        assert not run.until(run.now + 30, surely=(AGO, 2 * AGO))


@pytest.mark.parametrize("off", [-2, -1, 1, 2])
def test_another_frame_than_that_one_shows_nothing(off: int) -> None:
    """The rhythm is wrong by a frame or two: they are among those that are filmed, or not, and no other frame has the noise."""
    run = Run(recorded(200))
    run.until(270)
    assert run.until(310, maybe=(AGO + off * FRAME,)) == (abs(off * FRAME) <= WITHIN)


def test_what_was_told_while_a_rhythm_might_have_been_chance_counts_when_it_is_sure() -> None:
    run = Run(live)
    run.until(300)
    run.until(400, surely=(3 * AGO,))
    run.until(410, surely=(3 * AGO,), maybe=(AGO,))
    for _ in range(12):
        assert not run.until(run.now + 10, surely=(AGO,))


def test_where_pictures_have_no_noise_a_rhythm_is_believed_after_a_while() -> None:
    run = Run(lambda _: np.zeros(IMPRINT_BYTES, np.int8))
    run.until(300)
    assert not run.until(300 + PATIENCE_SECONDS - 10, surely=(AGO,))
    assert run.until(300 + PATIENCE_SECONDS + 20, surely=(AGO,))


def test_where_nothing_is_known_of_that_time_a_rhythm_is_believed_at_once() -> None:
    without = Run(lambda _: None)
    without.until(300)
    assert without.until(310, surely=(AGO,))
    young = Run(live)
    young.until(100)
    assert young.until(110, surely=(2 * 3600.0,))


def test_a_rhythm_that_may_be_chance_alone_is_no_loop_without_noise() -> None:
    run = Run(lambda _: np.zeros(IMPRINT_BYTES, np.int8))
    run.until(300)
    assert not run.until(600, maybe=(AGO,))


def test_a_recording_that_ends_is_no_loop_soon_after() -> None:
    run = Run(recorded(200, until=400))
    run.until(270)
    assert run.until(400, surely=(AGO,))
    assert not run.until(400 + SHOWN_SECONDS + 40, surely=(AGO,))
    assert not run.until(1000)


def test_chances_are_few_where_nothing_comes_of_them() -> None:
    run = Run(live)
    run.until(600)
    for number in range(60):
        run.until(run.now + 10, maybe=(50.0 + 3.1 * number,))
    assert run.films <= 3 * (CHANCES + 1)


def test_one_that_was_told_isn_t_looked_for_without_end_and_is_looked_for_again() -> None:
    run = Run(live)
    run.until(300)
    run.until(300 + TOLD_SECONDS / 3, surely=(AGO,))
    once = run.films
    assert 2 <= once <= 6
    run.until(run.now + 2 * TOLD_SECONDS, surely=(AGO,))
    assert once < run.films <= 8 * once


def test_a_clock_that_is_set_back_makes_all_begin_anew() -> None:
    run = Run(recorded(200))
    run.until(270)
    assert run.until(310, maybe=(AGO,))
    run.now = 0.0
    assert not run.until(20)
    assert run.replay.alike is None
    assert run.replay.want(0.0) is None


@pytest.mark.parametrize(("level", "films"), [(8.0, 2), (3.0, 1)])
def test_one_film_alone_shows_a_recording_only_where_it_is_alike_beyond_chance(level: float, films: int) -> None:
    """A rhythm that may be chance: coded so coarsely that much of the noise is another, it takes two."""

    def coded(at: float) -> Imprint:
        again = np.random.default_rng([2, round(at / FRAME)]).normal(0, level, IMPRINT_BYTES)
        return np.clip(recorded(200)(at) + again, -127, 127).astype(np.int8)

    run = Run(coded)
    run.until(270)
    while run.replay.alike is None and run.films < 5:
        run.until(run.now + 10, maybe=(AGO,))
    assert run.films == films


def test_what_is_handed_in_that_nobody_asked_for_is_left() -> None:
    replay = Replay()
    replay.filmed([1.0], [FilmFrame(noise(1.0), None)])
    replay.look(1.0, noise(1.0))
    replay.filmed([], [])
    assert replay.want(1.0) is None


def test_a_recording_that_pictures_have_shown_goes_on_by_its_rhythm_where_no_more_come() -> None:
    """Frames are lost on the line, or keyframes come too seldom from now on: nothing has told against it."""
    run = Run(recorded(200))
    run.until(270)
    assert run.until(310, surely=(AGO,))
    for now in range(310, 900, 10):
        run.replay.look(now, None)
        assert run.replay.shows((AGO,), (), WITHIN), now
    assert run.replay.want(900.0) is None


def test_no_frames_are_asked_for_that_come_after_a_long_hole() -> None:
    """There were no looks for twenty minutes: what comes after them is nothing to wait for."""
    replay = Replay()
    for at in (*range(0, 100, 10), *range(1300, 1400, 10)):
        replay.look(at, noise(at))
    replay.shows((1250.0,), (), WITHIN)
    assert replay.want(1395.0) is None
    replay.shows((1250.0, 1320.0), (), WITHIN)
    window = replay.want(1395.0)
    assert window is not None
    assert window.begin < 1420


@pytest.mark.parametrize("dwell", [20, 30, 60])
def test_a_tour_of_presets_is_live_though_each_comes_again(dwell: int) -> None:
    """A look at which all is new has no imprint; the others show three rooms in turn, each with noise of its own."""
    rooms = [np.random.default_rng(seed).normal(0, 12, IMPRINT_BYTES) for seed in (1, 2, 3)]

    def tour(at: float) -> Imprint | None:
        if at % dwell == 0:
            return None
        return np.clip(rooms[int(at // dwell) % 3] + noise(at), -127, 127).astype(np.int8)

    run = Run(tour)
    run.until(400)
    for _ in range(20):
        run.until(run.now + 30, surely=(3.0 * dwell,))
        assert run.replay.alike is None


DWELL = 10
PRESETS = 5
TOUR = float(DWELL * PRESETS)


def preset(at: float) -> Imprint:
    """Return what a camera shows that turns to another of five presets before each look."""
    room = np.random.default_rng([3, int(at // DWELL) % PRESETS]).normal(0, 30, IMPRINT_BYTES)
    return np.clip(room + noise(at) - ROOM, -127, 127).astype(np.int8)


def misses(pixels: float) -> Callable[[float], Offset]:
    """Return where a camera's film lies that misses each preset by so much, each time otherwise."""

    def lies(at: float) -> Offset:
        right, down = np.random.default_rng([4, int(at // DWELL)]).uniform(-pixels, pixels, 2)
        return Offset(float(right), float(down), 0.9)

    return lies


def test_a_camera_that_comes_by_each_preset_again_but_not_exactly_is_live() -> None:
    run = Run(preset, misses(1.0), changed=0.4)  # walls that are alike: no more than that changes
    run.until(300)
    for _ in range(40):
        assert not run.until(run.now + 30, surely=(TOUR, 2 * TOUR))


@pytest.mark.parametrize("shifted", [0.0, 3.4])
def test_a_recording_of_a_tour_lies_at_one_place_and_is_one_by_its_rhythm(shifted: float) -> None:
    """Wherever a forger shifted it to."""
    run = Run(preset, lambda at: Offset(shifted + misses(0.1)(at).right, 0.0, 0.9), changed=0.4)
    run.until(300)
    assert not run.until(300 + PATIENCE_SECONDS - 10, surely=(TOUR,))
    assert run.until(300 + PATIENCE_SECONDS + 20, surely=(TOUR,))


def test_a_recording_of_a_camera_that_was_seen_not_to_come_by_exactly_is_shown_by_coming_by_exactly() -> None:
    """Its rhythm is that of the tour, too, which is refuted; what has the recording's own length is not."""
    begins, ago = 600.0, 130.0

    def lies(at: float) -> Offset | None:
        return misses(1.0)(at) if at < begins else misses(0.05)(at)

    run = Run(preset, lies, changed=0.4)
    run.until(300)
    assert not run.until(begins + 10, surely=(TOUR,))
    assert not run.until(begins + 60, surely=(ago,))
    assert run.until(begins + 180, surely=(ago,))
    assert run.replay.alike == 0.9
    run.lies = misses(2.0)
    assert not run.until(run.now + 2 * SHOWN_SECONDS + 60, surely=(ago,))


def test_films_of_a_tour_that_come_seldom_still_show_that_it_is_a_recording() -> None:
    """Every other one is missing: others were filmed then, or a frame was lost. Eight that lie exactly where they did take more than two minutes."""
    begins, ago = 600.0, 130.0

    def lies(at: float) -> Offset | None:
        if at < begins:
            return misses(1.0)(at)
        return misses(0.05)(at) if int(at // DWELL) % 2 else None

    run = Run(lambda at: preset(at) if at < begins or int(at // DWELL) % 2 else noise(at + 0.5), lies, changed=0.4)
    run.until(300)
    assert not run.until(begins + 10, surely=(TOUR,))
    run.until(begins + 260, surely=(ago,))
    assert run.replay.alike == 0.9


def test_where_films_lie_tells_nothing_of_a_camera_that_stands_and_it_isn_t_filmed_without_end() -> None:
    """Each film costs the decoder a second: three minutes of them are enough to know that no more comes of it."""
    run = Run(lambda _: np.zeros(IMPRINT_BYTES, np.int8), lambda _: Offset(0.1, 0.0, 0.9))
    run.until(300)
    run.until(700, surely=(AGO,))
    assert 12 <= run.films <= 24


def test_a_flash_now_and_then_makes_no_tour_of_a_recording_that_is_shifted_anew_each_time() -> None:
    """A forger shifts each stretch otherwise, and shows something else for a moment each minute: the camera stands, for it shows the room that it showed before."""

    def lies(at: float) -> Offset:
        angle = float(np.random.default_rng([9, int(at // 10)]).uniform(0, 2 * np.pi))
        return Offset(1.5 * float(np.cos(angle)), 1.5 * float(np.sin(angle)), 0.9)

    run = Run(lambda at: None if at % 60 == 0 else recorded(200)(at), lies)
    run.until(300)
    run.until(300 + PATIENCE_SECONDS + 20, surely=(AGO,))
    for _ in range(20):
        assert run.until(run.now + 30, surely=(AGO,))


def test_noise_tells_nothing_of_a_frame_that_lies_beside_the_earlier_look() -> None:
    """A recording that is shifted by a pixel: its places don't meet."""
    run = Run(live, lambda _: Offset(1.0, 0.0, 0.9))
    run.until(300)
    run.until(300 + PATIENCE_SECONDS - 10, surely=(AGO,))
    assert run.until(300 + PATIENCE_SECONDS + 20, surely=(AGO,))


def test_a_filmed_frame_that_is_a_look_too_is_not_usual_beside_itself() -> None:
    """A recording whose length is a whole number of looks, of a room so bare that no look is like another: its keyframes are looked at and filmed."""
    again, replay = recorded(100, ago=60.0), Replay()

    def faint(at: float) -> Imprint:
        return np.asarray(again(at) - 0.7 * ROOM, np.int8)

    for at in range(0, 200, 10):
        replay.look(at, faint(at))
    replay.shows((), (60.0,), WITHIN)
    window = replay.want(190.0)
    assert window is not None
    at = round((window.begin + window.end) / 2)
    for further in range(200, at + 10, 10):
        replay.look(further, faint(further))
    replay.filmed([at], [FilmFrame(faint(at), None)])
    assert replay.alike is not None
    assert replay.alike > 0.85


def test_a_camera_that_stands_goes_on_being_a_recording_by_its_noise_alone() -> None:
    """The recording ends, and what is live is too dark to tell by: it lies where it lay, as all that it shows."""
    ends = 320.0
    run = Run(lambda at: recorded(200)(at) if at < ends else np.clip(ROOM, -127, 127).astype(np.int8), misses(0.1))
    run.until(270)
    assert run.until(310, maybe=(AGO,))
    assert not run.until(ends + SHOWN_SECONDS + 40, maybe=(AGO,))
