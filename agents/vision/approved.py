"""What a look beside the approved view comes to: covered, moved, blurred."""

from __future__ import annotations

import math

from agents.vision.match import Kept, Match
from agents.vision.thresholds import Thresholds


def covered(seen: Match, t: Thresholds) -> bool:
    """Tell whether something hides a part of the view that stays where it is, out of focus.

    A camera that looks elsewhere, or is out of focus as a whole, also lacks structure where it was: these come first.
    """
    poor = seen.covered_ratio >= t.covered_poor_ratio and seen.covered_structure >= t.covered_structure
    part = seen.covered_ratio >= t.covered_ratio or poor
    whole = seen.in_place <= t.covered_whole_in_place and seen.own_structure <= t.covered_whole_structure
    if not (part or whole) or not _telling(seen, t) or moved(seen, t) or blurred(seen, t):
        return False
    familiar = whole or not _is_strange(seen, t, rest=seen.rest_identity < t.covered_rest_identity)
    return familiar and (_stays(seen, t) or seen.covered_ratio >= t.covered_wide_ratio)


def _stays(seen: Match, t: Thresholds) -> bool:
    """Tell whether what hides a part of the view is where it was in the look before, or was there and is larger now."""
    if seen.covered_still is None or seen.covered_grown is None:
        return True
    return seen.covered_still >= t.covered_still or seen.covered_grown >= t.covered_grown


def _is_strange(seen: Match, t: Thresholds, *, rest: bool) -> bool:
    """Tell whether what can be seen beside the region that lacks structure is another view: `rest` does where enough lies there.

    Else what is sharp does, wherever it is.
    """
    return rest if seen.rest_share >= t.covered_rest_share else _is_other(seen, t)


def _is_other(seen: Match, t: Thresholds) -> bool:
    """Tell whether there is sharp structure well inside the region, and all edges agree by chance at the most: the more there are, the more do."""
    own = seen.own_structure - t.moved_other_structure
    return own >= 0 and seen.covered_sharp >= t.moved_other_sharp and seen.identity <= t.moved_other_chance * own


def moved(seen: Match, t: Thresholds) -> bool:
    """Tell whether the camera looks elsewhere: the approved structure is found there, or nowhere."""
    return _telling(seen, t) and (found_elsewhere(seen, t) or _lost(seen, t)) and not rest_stays(seen, t)


def rest_stays(seen: Match, t: Thresholds) -> bool:
    """Tell whether a large part of the view is gone and the rest is where it was: whatever agrees elsewhere, the camera looks where it did."""
    much = seen.covered_ratio >= t.covered_ratio
    return much and seen.rest_share >= t.moved_rest_share and seen.rest_identity >= t.moved_rest_identity


def blurred(seen: Match, t: Thresholds) -> bool:
    """Tell whether the view is in place and out of focus all over."""
    soft = seen.own_structure <= t.blurred_structure and seen.sharpness <= t.blurred_sharpness
    return soft and _telling(seen, t) and seen.coarse_in_place >= t.blurred_coarse_in_place


def away(seen: Match, t: Thresholds) -> bool:
    """Tell whether the approved view is not in its place, whatever is there instead."""
    return _telling(seen, t) and seen.in_place <= t.view_away


def _telling(seen: Match, t: Thresholds) -> bool:
    """Tell whether the approved structure could be seen at all: in a dark room, behind its noise, it can't.

    Where by day nearly as much is seen as it has, whatever it is, the light is enough: beside it a faint structure is weak.
    """
    by_day = seen.light == "day" and seen.own_structure >= t.approved_own_structure
    return seen.visible >= t.approved_visible or by_day


def found_elsewhere(seen: Match, t: Thresholds) -> bool:
    """Tell whether the approved structure is found, and not where it was."""
    return _agrees_elsewhere(seen, t) or _settled_elsewhere(seen, t) or _zoomed(seen, t)


def _zoomed(seen: Match, t: Thresholds) -> bool:
    """Tell whether the view is found nearer or farther, about its own middle.

    A lens zooms about its axis. What agrees by chance does so at any shift and turn, so that a little more says much here.
    """
    gain = seen.zoomed - seen.identity
    far = max(seen.zoom, 1 / seen.zoom) >= t.moved_zoomed_times
    best = far and seen.zoomed >= max(seen.registered, t.moved_zoomed) and gain >= t.moved_zoomed_gain
    lost = seen.anchored <= t.moved_lost_anchored
    return best or (lost and seen.zoomed >= t.moved_zoomed_lost and gain >= t.moved_zoomed_lost_gain)


def _settled_elsewhere(seen: Match, t: Thresholds) -> bool:
    """Tell whether the view's larger parts fit at another place, each for itself, and fewer of them where they were.

    Boards and blinds agree with themselves at many places, so that a small zoom or turn leaves the whole nearly as well as it was; its parts
    fit at one.
    """
    more, gain = seen.settled - seen.anchored, seen.registered - seen.identity
    fits = seen.registered >= t.moved_registered and seen.settled >= t.moved_settled
    both = more >= t.moved_settled_some and gain >= t.moved_settled_gain
    return (fits and gain > 0 and (more >= t.moved_settled_more or both)) or _faintly_elsewhere(seen, t)


def _faintly_elsewhere(seen: Match, t: Thresholds) -> bool:
    """Tell whether what little is seen fits elsewhere, in parts too, and nothing where it was: zoomed to a bare floor a view has hardly an edge."""
    fits = seen.registered >= t.moved_faint_registered and seen.settled >= t.moved_faint_settled
    return fits and seen.identity <= t.moved_other_identity and seen.settled - seen.anchored >= t.moved_settled_some


def _agrees_elsewhere(seen: Match, t: Thresholds) -> bool:
    identity = seen.identity if seen.sound is None else max(seen.identity, seen.sound.identity)
    loose = seen.anchored <= t.moved_lost_anchored and identity <= t.moved_loose_identity
    gain = seen.registered - seen.identity
    better = gain >= t.moved_gain or (loose and gain >= t.moved_loose_gain)
    sure = seen.distinct >= t.moved_distinct and seen.registered >= (
        t.moved_loose_registered if loose else t.moved_registered
    )
    return sure and better and seen.registered * math.sqrt(seen.own_structure) >= t.moved_explained


def _lost(seen: Match, t: Thresholds) -> bool:
    """Tell whether nothing is where it was, though there is something to be seen.

    Where a look is known that surely showed the view, what has gone since must have gone as well: cots all over the floor and a
    person before the rest hide an approved view, but not what was there among the cots a moment ago. Gone from both, it
    may fit a little by chance.
    """
    sound = seen.sound
    gone = _gone(seen, t) and (sound is None or _gone(sound, t))
    anchored = seen.anchored if sound is None else max(seen.anchored, sound.anchored)
    most = t.moved_lost_anchored if sound is None else t.moved_lost_anchored_both
    return ((gone and anchored <= most) or _gone_altogether(seen, t)) and _shows_another(seen, t)


def _shows_another(seen: Match, t: Thresholds) -> bool:
    """Tell whether there is something to be seen, and not what was left of the approved view beside a region that lacks it."""
    elsewhere = _is_strange(seen, t, rest=seen.rest_identity <= t.moved_lost_rest_identity)
    patchy = seen.covered_ratio <= t.moved_lost_covered or elsewhere
    other = patchy or seen.own_structure - seen.in_place >= t.moved_lost_strange
    much = seen.own_structure >= t.moved_lost_structure
    little = seen.rest_share < t.covered_rest_share and _is_other(seen, t)
    return (much or little) and other


def _gone_altogether(seen: Match, t: Thresholds) -> bool:
    """Tell whether edges run nowhere as they did, in either: then more may fit by chance, as boards and walls do along themselves."""
    return seen.sound is not None and all(
        item.identity <= t.moved_gone_identity
        and item.in_place <= t.moved_gone_in_place
        and item.anchored <= t.moved_gone_anchored
        for item in (seen, seen.sound)
    )


def _gone(seen: Match | Kept, t: Thresholds) -> bool:
    return seen.identity <= t.moved_lost_identity and seen.in_place <= t.moved_lost_in_place
