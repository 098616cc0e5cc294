"""One camera's looks in order: what the last sound look says of those that hide the approved view."""

from __future__ import annotations

import av
import cv2
import numpy as np
import pytest

from agents.vision.eye import MOST_WAITING, Eye, Taken
from agents.vision.fingerprint import Fingerprint, fingerprint, merge
from agents.vision.loop import Loop
from agents.vision.measure import Trace, measure
from agents.vision.thresholds import Thresholds
from support.pictures import footage
from support.views import Image, drawn_room, grainy, looked_at, overlaid, person, resized, turned

ROOM = drawn_room(1)
NOON = 1_790_000_000.0
SOUND = measure(looked_at(grainy(ROOM, 3, 1)), None)[0]


def seen(image: Image, at: int) -> Fingerprint:
    return fingerprint(looked_at(overlaid(grainy(image, 3, at), f"12:00:{at:02}"), kilobits=256))


def named(room: Image, *looks: Image) -> list[str]:
    """Return what is named of each look at a camera whose approved view is a room."""
    eye = Eye(Thresholds(), [merge([seen(room, at) for at in range(2)])])
    return [
        eye.look(SOUND, seen(look, 20 + at)).conditions.state for at, look in enumerate((room, room, room, *looks))
    ][3:]


def hall() -> Image:
    """Return a part of a real hall: a table before a bare wall, boards."""
    with av.open(str(footage("hall"))) as container:
        frame = next(iter(container.decode(video=0))).to_ndarray(format="bgr24")
    return turned(resized(np.asarray(frame, np.uint8), 704, 576), 0, 0.1, zoom=2)


def beds(image: Image, top: int = 340) -> Image:
    """Return a room with made beds close together from a height on, in all colours."""
    rng, found = np.random.default_rng(10), image.copy()
    for row in range(5):
        x, y = int(rng.integers(-60, 0)), top - int(rng.integers(10, 50)) + row * (image.shape[0] - top) // 5
        while x < image.shape[1]:
            wide, colour = int(rng.integers(80, 150)), rng.integers(50, 210, 3).astype(float)
            cv2.rectangle(found, (x, y), (x + wide - 12, y + 60), tuple(colour), -1)
            for fold in range(6):
                cv2.line(found, (x, y + 10 * fold), (x + wide - 12, y + 10 * fold + 4), tuple(colour / 2), 1)
            cv2.rectangle(found, (x, y), (x + wide - 12, y + 60), (30, 30, 30), 2)
            x += wide
    return found


@pytest.mark.parametrize("place", [0.65, 0.85])
def test_somebody_among_beds_before_the_rest_of_a_bare_wall_has_not_moved_the_camera(place: float) -> None:
    room = hall()
    nap = beds(room)
    with_somebody = person(nap, place, 1.3)
    assert named(room, with_somebody) == ["moved"], "the case is at hand: by the approved view alone it looks elsewhere"
    assert named(room, nap, with_somebody, with_somebody) == ["ok"] * 3


def test_a_camera_that_is_turned_while_beds_stand_has_moved() -> None:
    room = hall()
    nap = beds(room)
    elsewhere = np.ascontiguousarray(drawn_room(51)[::-1, ::-1])
    assert named(room, nap, turned(nap, 0.35, 0.1), elsewhere, nap) == ["ok", "moved", "moved", "ok"]


def test_a_camera_that_creeps_away_has_moved() -> None:
    """Each look is nearly the one before; the last sound one stays where the view was still in place."""
    found = named(ROOM, *(turned(ROOM, 0.01 * step) for step in range(13)))
    assert found == sorted(found, key=("ok", "moved").index)
    assert found.index("moved") <= 6


def test_pictures_in_turns_are_looped_also_after_one_stood_frozen_for_long() -> None:
    """While it stood all looks were alike: that is nothing that is usual."""
    room, eye, trace = drawn_room(1, 352, 288), Eye(Thresholds()), list[Trace]()

    def state(noise: int, at: int) -> str:
        picture = looked_at(overlaid(grainy(room, 2, noise), f"{at // 60:02}:{at % 60:02}"))
        measures, kept = measure(picture, trace[-1] if trace else None)
        trace.append(kept)
        return eye.look(measures, fingerprint(picture), Taken(10.0 * at, kept.imprint)).conditions.state

    numbers = [*range(30), *[99] * 60, *range(100, 110), *[number * 3 % 5 for number in range(40)]]
    states = [state(noise, at) for at, noise in enumerate(numbers)]
    assert states == ["ok"] * 31 + ["frozen"] * 59 + ["ok"] * 10 + states[100:]
    assert states[115:] == ["looped"] * 25


def test_stripes_that_come_again_are_no_pictures_in_turns() -> None:
    """Interference of a lamp or a line has few phases, and lies over all of the view whoever stands behind it."""
    room, eye, trace = drawn_room(1, 352, 288), Eye(Thresholds()), list[Trace]()

    def state(at: int, phase: int | None) -> str:
        stripes = 0.0 if phase is None else 24 * np.sin(np.arange(352) * 2 * np.pi / 9 + phase)[:, None]
        picture = looked_at(overlaid(grainy(np.clip(room + stripes, 0, 255), 2, at), f"{at // 60:02}:{at % 60:02}"))
        measures, kept = measure(picture, trace[-1] if trace else None)
        trace.append(kept)
        return eye.look(measures, fingerprint(picture), Taken(10.0 * at, kept.imprint)).conditions.state

    assert {state(at, None) for at in range(25)} == {"ok"}
    assert {state(at, at * 3 % 5) for at in range(25, 55)} == {"striped"}
    assert {state(at, None) for at in range(55, 60)} == {"ok"}


def test_a_look_of_which_it_is_not_known_when_it_was_taken_teaches_nothing_of_how_near_live_ones_are() -> None:
    """Else the look before it would be learnt again each time."""
    room, eye, learnt = drawn_room(1, 352, 288), Eye(Thresholds()), list[int]()
    for number in range(20):
        picture = looked_at(overlaid(grainy(room, 2, number), f"{number:02}"))
        measures, kept = measure(picture, None)
        eye.look(measures, fingerprint(picture), None if number % 5 == 4 else Taken(10.0 * number, kept.imprint))
        learnt.append(eye._turns._looks)
    assert all(learnt[number] == learnt[number - 1] for number in (14, 19))
    assert learnt[-2] > learnt[13] > 0


def test_frames_that_wait_for_a_look_have_told_all_by_then() -> None:
    """A recording that begins anew between two looks is known at the same look as if each frame had been asked of at once."""
    sizes = np.random.default_rng(3).integers(2_000, 6_000, 700).tolist()
    eye, at_once, looks = Eye(Thresholds()), Loop(), list[tuple[float | None, bool]]()
    view = fingerprint(looked_at(ROOM))
    for number, size in enumerate([*sizes, *sizes]):
        eye.frame(number / 15, size, keyframe=number % 30 == 0)
        at_once.frame(number / 15, size)
        if number % 70 == 69:
            looks.append((eye.look(SOUND, view).scores["copied"], at_once.looping))
    assert [told for told, _ in looks] == [float(known) for _, known in looks]
    assert {known for _, known in looks} == {False, True}


def test_what_a_look_s_numbers_took_is_let_go_once_they_are_made() -> None:
    """They are made of all cameras at once, when a report is written, and looks are kept until the next ones."""
    eye = Eye(Thresholds(), [seen(ROOM, 0)])
    for at in range(3):
        judged = eye.look(SOUND, seen(ROOM, at))
    before, numbers = set(vars(judged.matched)), judged.scores
    assert numbers["in_place"] == pytest.approx(1.0, abs=0.2)
    kept = vars(judged.matched)
    assert not [name for name in set(kept) - before if not isinstance(kept[name], float | int | tuple | type(None))]


def test_what_is_remembered_of_frames_is_that_of_all_so_far_and_few_wait() -> None:
    sizes = np.random.default_rng(4).integers(2_000, 6_000, 3 * MOST_WAITING).tolist()
    eye, at_once = Eye(Thresholds()), Loop()
    for first in range(0, len(sizes), 40):
        frames = [((first + number) / 15, size, False) for number, size in enumerate(sizes[first : first + 40])]
        eye.frames(frames)
        at_once.frames(frames)
        assert len(eye._waiting) < MOST_WAITING
        if first % 280 == 0:
            assert eye.loop.latest == at_once.latest
    assert eye.loop.kept(NOON) == at_once.kept(NOON)
