"""What was in a view and left: it never counts, or stops counting, by so much and no more, and only for an hour."""

from __future__ import annotations

import numpy as np
import pytest

from agents.vision.eye import Eye
from agents.vision.fingerprint import Fingerprint, fingerprint, merge
from agents.vision.match import Match, match
from agents.vision.measure import measure
from agents.vision.pair import Pair
from agents.vision.settling import LEARNT_EACH, MOST_GONE, SETTLED_LOOKS, Settling, without_what_left
from agents.vision.thresholds import Thresholds
from support.views import Image, drawn_room, grainy, hidden, lit, looked_at, person, turned

ROOM = drawn_room(2)
OCCUPIED = person(person(ROOM, 0.3, 1.2), 0.7, 1.1)
ENOUGH = 12
SOUND = measure(looked_at(grainy(ROOM, 3, 1)), None)[0]


def seen(image: Image, at: int) -> Fingerprint:
    return fingerprint(looked_at(grainy(image, 3, at), kilobits=256))


EMPTY = [seen(ROOM, at) for at in range(ENOUGH)]


def beside(look: Fingerprint, view: Fingerprint) -> Match:
    found = match(look, [view], None)
    assert found is not None
    return found


def settled(view: Fingerprint, looks: list[Fingerprint]) -> Settling:
    found = Settling(view)
    for look in looks:
        found.learn(Pair(look, found.approved))
    return found


def test_who_has_left_at_a_second_round_never_counts_and_the_place_does() -> None:
    view = merge([seen(person(ROOM, 0.3, 1.2), at) for at in range(50, 53)])
    kept, gone = without_what_left(view, EMPTY[:3])
    assert 0.1 < gone < MOST_GONE
    assert (kept.steady <= view.steady).all()
    assert beside(EMPTY[5], view).in_place < 0.85
    assert beside(EMPTY[5], kept).in_place > 0.97
    assert beside(seen(hidden(ROOM, 0.5, "hand"), 60), kept).in_place < 0.6, "a cover still takes much of it"


def test_of_a_view_less_steady_only_what_its_edges_tell_is_told_once() -> None:
    view = merge([seen(person(ROOM, 0.3, 1.2), at) for at in range(50, 53)])
    look = seen(hidden(ROOM, 0.5, "hand"), 60)
    whole = beside(look, view)
    steady = view.steady.copy()
    steady[:, :24] = 0
    left = view.steadied(steady)
    assert left.by_edges is view.by_edges
    found = beside(look, left)
    assert found.as_scores() == beside(look, Fingerprint.from_json(left.to_json())).as_scores()
    assert found.as_scores() != whole.as_scores()
    assert beside(look, view).as_scores() == whole.as_scores()


def test_a_place_that_stays_counts_as_before_whoever_walks_by_in_one_of_the_later_looks() -> None:
    view = merge([seen(ROOM, at) for at in range(50, 53)])
    kept, gone = without_what_left(view, EMPTY[:3])
    assert gone < 0.03
    _, passed = without_what_left(view, [EMPTY[0], seen(person(ROOM, 0.5, 1.2), 70), EMPTY[1]])
    assert passed < gone + 0.03
    assert int(kept.steady.sum()) >= 0.95 * int(view.steady.sum())


def test_who_has_come_at_a_second_round_is_not_added() -> None:
    view = merge([seen(ROOM, at) for at in range(50, 53)])
    kept, gone = without_what_left(view, [seen(person(ROOM, 0.5, 0.9), at) for at in range(3)])
    assert 0.02 < gone < MOST_GONE
    assert (kept.steady <= view.steady).all()
    assert beside(EMPTY[5], kept).in_place > 0.97


def test_a_camera_that_was_turned_between_the_rounds_keeps_less_of_its_view_than_a_view_needs() -> None:
    view = merge([seen(ROOM, at) for at in range(50, 53)])
    elsewhere = turned(ROOM, 0.3, 0.1)
    assert without_what_left(view, [seen(elsewhere, at) for at in range(3)])[1] > 0.5


def test_what_could_not_be_seen_at_a_second_round_has_not_left() -> None:
    view = merge([seen(ROOM, at) for at in range(50, 53)])
    dark = [seen(lit(ROOM, 0.02), at) for at in range(3)]
    assert without_what_left(view, dark)[1] < 0.1
    bare = merge([fingerprint(looked_at(np.full_like(ROOM, 150))) for _ in range(2)])
    assert without_what_left(bare, EMPTY[:2])[1] < MOST_GONE, "a wall without anything on it loses nothing"
    with pytest.raises(ValueError, match="without a later look"):
        without_what_left(view, [])


def test_who_stood_there_while_the_view_was_approved_stops_counting() -> None:
    approved = merge([seen(OCCUPIED, at) for at in range(50, 53)])
    before, after = beside(EMPTY[0], approved), beside(EMPTY[0], settled(approved, EMPTY).view)
    assert after.in_place > before.in_place + 0.3
    assert after.identity > before.identity + 0.3
    assert before.covered_structure > 0.2
    assert after.covered_structure < 0.1


def test_a_view_that_stays_stays_as_it_was() -> None:
    approved = merge([seen(ROOM, at) for at in range(50, 53)])
    kept = settled(approved, EMPTY).view
    weight = approved.steady[approved.strength > np.median(approved.strength)].astype(float)
    left = kept.steady[approved.strength > np.median(approved.strength)].astype(float)
    assert left.sum() >= 0.97 * weight.sum()


@pytest.mark.parametrize("shown", [ROOM, hidden(ROOM, 0.3, "hand"), drawn_room(3), np.full_like(ROOM, 128)])
def test_nothing_is_ever_added_and_what_counts_never_falls_below_its_share(shown: Image) -> None:
    approved = merge([seen(OCCUPIED, at) for at in range(50, 53)])
    view = settled(approved, [seen(shown, at) for at in range(ENOUGH)] * 4).view
    assert (view.steady <= approved.steady).all()
    whole, left = beside(approved, approved), beside(approved, view)
    assert left.in_place == pytest.approx(whole.in_place, abs=0.02), "what is left of the view is still the view"
    assert int(view.steady.sum()) >= 0.35 * int(approved.steady.sum())


def test_a_part_of_the_place_that_was_covered_after_the_hour_is_missed_for_ever() -> None:
    approved = merge([seen(ROOM, at) for at in range(50, 53)])
    found = settled(approved, [EMPTY[at % ENOUGH] for at in range(SETTLED_LOOKS)])
    known = found.view
    for look in [seen(hidden(ROOM, 0.3, "hand"), at) for at in range(ENOUGH)]:
        found.learn(Pair(look, found.approved))
    assert found.view is known


def test_each_third_sound_look_is_learnt_from_and_stands_for_three() -> None:
    approved = merge([seen(OCCUPIED, at) for at in range(50, 53)])
    found = Settling(approved)
    wanted = []
    for look in EMPTY[: 2 * LEARNT_EACH]:
        wanted.append(found.wants())
        if wanted[-1]:
            found.learn(Pair(look, approved))
    assert wanted == [False, False, True] * 2
    usual, soon = beside(EMPTY[8], settled(approved, EMPTY).view), beside(EMPTY[8], found.view)
    assert soon.in_place == pytest.approx(usual.in_place, abs=0.02), "who has left for a minute is known to have"


def test_the_hour_ends_with_its_looks_and_not_with_those_that_were_learnt_from() -> None:
    found = Settling(merge([seen(ROOM, at) for at in range(50, 53)]))
    pair, wanted = Pair(EMPTY[0], found.approved), 0
    for _ in range(2 * SETTLED_LOOKS):
        if found.wants():
            wanted += 1
            found.learn(pair)
    assert wanted == SETTLED_LOOKS // LEARNT_EACH


def test_one_passer_by_takes_nothing_away() -> None:
    approved = merge([seen(ROOM, at) for at in range(50, 53)])
    with_somebody = seen(person(ROOM, 0.5, 1.2), 70)
    view = settled(approved, [*EMPTY[:3], with_somebody, with_somebody, *EMPTY[3:6]]).view
    assert int(view.steady.sum()) >= 0.97 * int(approved.steady.sum())


def watching(approved: Fingerprint) -> Eye:
    return Eye(Thresholds(), [approved])


def presence(eye: Eye, look: Fingerprint) -> float:
    found = eye.look(SOUND, look).matched
    assert found is not None
    return found.in_place


def with_somebody() -> Fingerprint:
    return merge([seen(person(ROOM, 0.5, 0.9), at) for at in range(50, 53)])


def test_an_eye_forgets_nothing_while_the_same_views_are_in_force() -> None:
    approved = with_somebody()
    eye = watching(approved)
    first, *_ = [presence(eye, look) for look in EMPTY]
    eye.approved = (approved,)
    assert presence(eye, EMPTY[0]) > first + 0.25
    eye.approved = (with_somebody(),)
    assert presence(eye, EMPTY[0]) == pytest.approx(first, abs=0.05)


def test_an_eye_learns_nothing_from_a_covered_lens() -> None:
    approved = merge([seen(ROOM, at) for at in range(50, 53)])
    eye = watching(approved)
    covered = [seen(hidden(ROOM, 0.5, "sticker"), at) for at in range(ENOUGH)]
    assert {eye.look(SOUND, look).conditions.state for look in covered * 4} == {"covered"}
    assert presence(eye, EMPTY[0]) == pytest.approx(presence(watching(approved), EMPTY[0]))


def test_a_cover_that_grows_by_a_little_each_few_minutes_is_named_where_one_brought_in_at_once_is() -> None:
    """Whoever cuts the agent's power begins the hour anew: what is learnt within it must hide no more than a cover may hide anyway."""
    room = drawn_room(5)
    approved = merge([seen(room, at) for at in range(50, 53)])
    sound, slowly = measure(looked_at(grainy(room, 3, 1)), None)[0], Eye(Thresholds(), [approved])
    at_once, named = {}, {}
    for share in (0.15, 0.2, 0.24, 0.28, 0.32, 0.36, 0.4, 0.44, 0.48, 0.52):
        looks = [seen(hidden(room, share, "sticker"), at) for at in range(3)]
        fresh = Eye(Thresholds(), [approved])
        at_once[share] = [fresh.look(sound, look).conditions.state for look in looks][-1]
        named[share] = [slowly.look(sound, looks[at % 3]).conditions.state for at in range(30)][-1]
    assert at_once[0.36] == "covered", "the case is at hand"
    assert {named[share] for share in (0.44, 0.48, 0.52)} == {"covered"}, named
    assert named[0.2] == "ok"
