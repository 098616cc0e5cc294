"""What a camera shows, decided from measures: the conditions of one look, and what is confirmed over looks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

from agents.vision import approved
from agents.vision.match import Match
from agents.vision.measure import Measures
from agents.vision.thresholds import Thresholds
from agents.vision.usual import Beside
from monitor.model.span import Millis

OK = "ok"

DECODER_GREY = 128
"""Luma of what was never decoded. A card that somebody painted grey is hardly ever that one: full range's middle is 126."""


@dataclass(frozen=True)
class Conditions:
    """What holds of one look, each in the order in which one of several is named."""

    entering: tuple[str, ...]
    """By the bounds at which a state begins."""
    staying: frozenset[str]
    """By the wider bounds at which a state that holds goes on holding."""

    @property
    def state(self) -> str:
        """The state of this look alone."""
        return self.entering[0] if self.entering else OK


@dataclass(frozen=True)
class Evidence:
    """All that is known of one look."""

    measures: Measures
    beside: Beside
    """Held against what is usual for the camera."""
    match: Match | None
    """Held against the approved views; None without one."""
    copied: bool = False
    """The stream runs as it ran before, byte for byte."""
    alike: float | None = None
    """Encoded anew it does, or earlier pictures are shown in turns: how far it is the same as then, 1 for all of it; None where neither is known."""
    by_itself: bool = False
    """Each block of each picture is coded by itself, as in MJPEG."""


_leaving = lru_cache(maxsize=256)(Thresholds.leaving)
"""Asked for at each look, of a few thresholds that stay."""


def conditions(seen: Evidence, thresholds: Thresholds) -> Conditions:
    """Return what holds of one look."""
    wider = _leaving(thresholds)
    entering = tuple(state for state, holds in _RULES.items() if holds(seen, thresholds))
    # What is told unless something else is so may be told by its own bounds alone, as the other's are wider, too.
    return Conditions(
        entering, frozenset(state for state, holds in _RULES.items() if state in entering or holds(seen, wider))
    )


def _signal_lost(e: Evidence, t: Thresholds) -> bool:
    """Tell whether a recorder shows its own card. Beside that nothing of the room is to be seen, as it is beside what is flat and lies on the lens."""
    return _card(e, t) and not _undecoded(e, t) and not (e.match is not None and approved.rest_stays(e.match, t))


def _card(e: Evidence, t: Thresholds) -> bool:
    """Tell whether the picture is flat or drawn, or a ramp with writing, as a recorder's or an encoder's card is."""
    drawn = e.measures.drawn
    few = drawn.drawn_ratio >= t.placeholder_drawn_ratio or _bars(e, t)
    flat = drawn.flat_ratio >= t.placeholder_flat_ratio or few
    noiseless = e.measures.grain.noise <= t.placeholder_noise
    dark = e.measures.levels.luma_p95 <= t.black_p95
    if flat and noiseless and (_written_on_black(e, t) if dark else not _white_room(e, t)):
        return True
    return not dark and _written_on_ramp(e, t)


def _bars(e: Evidence, t: Thresholds) -> bool:
    """Tell whether there are upright bars and little else: a test card has more colours below them than are counted as drawn."""
    seen = e.measures.drawn
    few = seen.drawn_ratio >= t.placeholder_bars_drawn_ratio and seen.edge_ratio <= t.placeholder_bars_edge_ratio
    return few and e.measures.smear.smeared_ratio >= t.placeholder_bars_smeared_ratio


def _undecoded(e: Evidence, t: Thresholds) -> bool:
    """Tell whether all is the grey that a decoder begins with, to a level, and nothing is written on it."""
    exact = abs(e.measures.levels.luma_median - DECODER_GREY) <= 1
    return (
        exact
        and e.measures.smear.void_ratio >= t.corrupt_void_whole
        and e.measures.drawn.text_ratio < t.placeholder_text_ratio
    )


def _written_on_black(e: Evidence, t: Thresholds) -> bool:
    drawn = e.measures.drawn
    return drawn.drawn_ratio >= t.placeholder_black_drawn_ratio and drawn.text_ratio >= t.placeholder_text_ratio


def _written_on_ramp(e: Evidence, t: Thresholds) -> bool:
    """Tell whether there is a gradient without noise, with sharp writing in its middle and nothing else on it."""
    drawn = e.measures.drawn
    written = drawn.sharp_ratio >= t.placeholder_sharp_ratio
    alone = drawn.edge_ratio <= t.placeholder_edge_share * drawn.sharp_ratio
    return written and alone and e.measures.grain.grain <= t.placeholder_ramp_grain and not _overexposed(e, t)


def _white_room(e: Evidence, t: Thresholds) -> bool:
    drawn = e.measures.drawn
    written = drawn.text_ratio >= t.placeholder_text_ratio and drawn.shade_ratio <= t.placeholder_shade_ratio
    return _overexposed(e, t) and drawn.drawn_ratio < t.placeholder_bright_drawn_ratio and not written


def _overexposed(e: Evidence, t: Thresholds) -> bool:
    return e.measures.levels.clipped_ratio >= t.bright_clipped_ratio


def _black(e: Evidence, t: Thresholds) -> bool:
    seen = e.measures.levels
    empty = seen.spread <= t.black_spread and e.measures.grain.grain <= t.black_grain
    return seen.luma_p95 <= t.black_p95 and empty


def _corrupt(e: Evidence, t: Thresholds) -> bool:
    seen, beside = e.measures.smear, e.beside
    if seen.void_ratio >= t.corrupt_void_ratio:
        return True
    times = (
        None if _found_elsewhere(e, t) else beside.seam_times
    )  # another view has other tiles on the grid than the usual ones
    # blocks that are coded by themselves have their seams, and a coarse encoder leaves them
    alone = seen.seam_share >= t.corrupt_seam_alone and not e.by_itself
    unusual = times >= t.corrupt_seam_times if times is not None else alone
    steps = unusual and seen.seam_share >= t.corrupt_seam_share and seen.seam_ratio >= t.corrupt_seam_ratio
    # in the dark an encoder leaves the noise of full gain block by block
    seams = steps and not _dark(e, t) and not _dusk(e, t) and not _lies_still(e, t, t.covered_still)
    smeared = (
        _unusual(beside.smeared_more, t.corrupt_smeared_more, e, t) and seen.smeared_ratio >= t.corrupt_smeared_ratio
    )
    new = (seams or smeared) and not _striped(e, t) and not _stands(e, t)
    # What is laid over a picture may look like these two, but hardly has rows that lie between their neighbours.
    return _between(e, t) or ((_concealed(e, t) or new) and not _lies_still(e, t, t.corrupt_lies_still))


def _rich(e: Evidence, t: Thresholds) -> bool:
    """Tell whether there is as much sharp structure as the approved view has, whatever it is: a loss takes some."""
    return e.match is not None and e.match.own_structure >= t.corrupt_rich_structure


def _stands(e: Evidence, t: Thresholds) -> bool:
    """Tell whether what is seen stands in the room, or the lens is out of focus: it is as it was in the look before but for the noise. A smear is another one in each look."""
    changed = e.measures.repeat.changed_ratio
    return (_rich(e, t) or _blurred(e, t)) and changed is not None and changed <= t.corrupt_stands_changed


def _gone(e: Evidence, t: Thresholds) -> bool:
    """Tell whether an approved view isn't there, whatever is in its place."""
    return e.match is not None and approved.away(e.match, t)


def _unusual(measured: float | None, least: float, e: Evidence, t: Thresholds) -> bool:
    """Tell whether there is more of something than usual; while nothing is known to be usual, what a view shows in its place is how the camera looks."""
    return _gone(e, t) if measured is None else measured >= least


def _lies_still(e: Evidence, t: Thresholds, least: float) -> bool:
    """Tell whether something covers a part of the view and stays as it is, by a correlation of `least`: what was lost on the way is another part in each look."""
    seen = e.match
    still = seen is not None and seen.covered_still is not None and seen.covered_still >= least
    return seen is not None and still and approved.covered(seen, t)


def _between(e: Evidence, t: Thresholds) -> bool:
    """Tell whether rows of the picture were filled from those around them, as a decoder does with what it has lost, but where each block is coded by itself."""
    if e.by_itself:
        return False
    left = e.beside.grain_left
    unusual = _unusual(e.beside.between_more, t.corrupt_between_more, e, t)
    noiseless = e.match is None or _gone(e, t) if left is None else left <= t.corrupt_between_grain_left
    drawn_on = e.measures.smear.between_ratio >= t.corrupt_between_ratio and not _striped(e, t)
    return unusual and noiseless and drawn_on


def _concealed(e: Evidence, t: Thresholds) -> bool:
    """Tell whether what stands in the view's place was made up by a decoder: it is softly drawn on from what was left, and has no noise.

    A lens that is covered, out of focus or turned away leaves the sensor its noise.
    """
    left = e.beside.grain_kept
    # stripes take a part of what is measured as noise
    most = t.corrupt_grain_left / 2 if _striped(e, t) else t.corrupt_grain_left
    noiseless = left is not None and left <= most
    lit = not _dark(e, t) and not _overexposed(e, t)
    if e.by_itself or e.match is None or not (noiseless and lit and _gone(e, t)) or _found_elsewhere(e, t):
        return False
    filled = e.beside.between_more is None or e.beside.between_more >= t.corrupt_between_some
    return filled or e.match.in_place <= t.corrupt_lost_in_place


def _found_elsewhere(e: Evidence, t: Thresholds) -> bool:
    """Tell whether the approved view is seen, and not where it was: then what is seen is a view."""
    return e.match is not None and approved.found_elsewhere(e.match, t)


def _frozen(e: Evidence, t: Thresholds) -> bool:
    """Tell whether it is the same picture again. What is burnt out is the same in every picture, and has no noise."""
    same, changed, times = e.measures.repeat.same_ratio, e.measures.repeat.changed_ratio, e.beside.same_times
    if changed is None or changed > t.frozen_changed_ratio or _overexposed(e, t):
        return False
    if _whole_again(e, t):
        return True
    if _noise_taken(e, t):
        return False
    if _same_noise(e, t):
        return True
    if same is None or _new_noise(e, t):
        return False
    if e.by_itself:
        return _whole(e, t)
    unusual = times >= t.frozen_same_times if times is not None else same >= t.frozen_same_alone
    return same >= t.frozen_same_ratio and unusual


def _whole_again(e: Evidence, t: Thresholds) -> bool:
    """Tell whether the approved view comes again with every block of it: however little noise an encoder leaves of it, no live picture of a room does."""
    there = e.match is not None and not _gone(e, t) and not _blurred(e, t)
    lit = not _dark(e, t) and not _dusk(e, t)
    return there and lit and _whole(e, t) and not _new_noise(e, t)


def _whole(e: Evidence, t: Thresholds) -> bool:
    """Tell whether every block comes again. Where each is coded by itself some do by chance in each look, and add up: there this look alone counts."""
    same, now = e.measures.repeat.same_ratio, e.measures.repeat.same_now
    if same is None or now is None:
        return False
    if e.by_itself:
        return now >= t.frozen_same_by_itself
    return same >= t.frozen_same_whole and now >= t.frozen_same_now


def _noise_taken(e: Evidence, t: Thresholds) -> bool:
    """Tell whether so little of the sensor's noise is left that nobody sees whether it is new."""
    again = e.beside.grain_again
    return again is not None and again < t.frozen_grain_again


def _new_noise(e: Evidence, t: Thresholds) -> bool:
    """Tell whether the sensor's noise is as new as ever since the look before.

    What is the same as in an older look has come again, then, as a recording does.
    """
    left = e.beside.renewed_left
    return left is not None and left > t.frozen_same_renewed_left


def may_be_frozen(seen: Evidence, thresholds: Thresholds) -> bool:
    """Tell whether a still picture has come again in part, by half of what it takes for it to be unusual.

    At a low bit rate a frozen picture may need several looks until there is enough; of live ones hardly any look has as much. Where each picture is coded by itself one look tells.
    """
    if seen.by_itself:
        return False
    changed, times = seen.measures.repeat.changed_ratio, seen.beside.same_times
    still = changed is not None and changed <= thresholds.frozen_changed_ratio
    return still and times is not None and times >= thresholds.frozen_same_times / 2


def hides_noise(seen: Evidence, thresholds: Thresholds) -> bool:
    """Tell whether the sensor's noise can't be told: what is much more than the usual, or stripes, is none of it, and does come again."""
    grain = seen.beside.grain_left
    return _striped(seen, thresholds) or (grain is not None and grain > thresholds.frozen_most_grain)


def _same_noise(e: Evidence, t: Thresholds) -> bool:
    """Tell whether the sensor's noise is the same again."""
    renewed, left = e.measures.repeat.renewed, e.beside.renewed_left
    if renewed is None or left is None or hides_noise(e, t):
        return False
    if renewed <= t.frozen_renewed and left <= t.frozen_renewed_left:
        return True
    level = None if e.beside.grain_again is None else left * e.beside.grain_again
    less = level is not None and level <= t.frozen_loose_level
    return less and renewed <= t.frozen_loose_renewed and left <= t.frozen_loose_renewed_left


def _looped(e: Evidence, t: Thresholds) -> bool:
    return e.copied or (e.alike is not None and e.alike >= t.looped_alike)


def _covered(e: Evidence, t: Thresholds) -> bool:
    """What hides a large part may have folds that are as regular as stripes, which leave no such part: they are sharp themselves."""
    if e.match is None or _noisy(e, t) or not approved.covered(e.match, t):
        return False
    return e.match.covered_ratio >= t.covered_striped_ratio or not _striped_all_over(e, t)


def _moved(e: Evidence, t: Thresholds) -> bool:
    """What exposure leaves of a view is found anywhere, and nowhere."""
    clear = not _overexposed(e, t) and not _striped_all_over(e, t) and not _noisy(e, t)
    return clear and e.match is not None and approved.moved(e.match, t)


def _blurred(e: Evidence, t: Thresholds) -> bool:
    return e.match is not None and approved.blurred(e.match, t)


def _dark(e: Evidence, t: Thresholds) -> bool:
    return e.measures.levels.block_p90 <= t.dark_p90


def _dusk(e: Evidence, t: Thresholds) -> bool:
    """Tell whether it is dim, and the sensor's gain is up: the noise says so."""
    left = e.beside.grain_left
    return left is not None and left >= t.dusk_grain and e.measures.levels.block_p90 <= t.dusk_p90


def _noisy(e: Evidence, t: Thresholds) -> bool:
    seen, ratio = e.measures.grain, e.beside.grain_ratio
    loud = seen.grain >= t.noisy_grain or seen.colour_grain >= t.noisy_colour_grain
    return loud and (ratio is None or ratio >= t.noisy_grain_ratio) and not _striped(e, t)


def _striped(e: Evidence, t: Thresholds) -> bool:
    seen = e.measures.stripes
    stands = seen.stripe_ratio >= t.striped_ratio and seen.stripe_even >= t.striped_even
    everywhere = seen.stripe_ratio >= t.striped_broad_ratio and seen.stripe_even >= t.striped_broad_even
    new = _unusual(e.beside.stripe_gain, t.striped_gain, e, t)
    if new and seen.stripe_level >= t.striped_level and (stands or everywhere):
        return True
    rolling = seen.roll_level is not None and seen.roll_level >= t.striped_roll_level
    return rolling and seen.roll_share is not None and seen.roll_share >= t.striped_roll_share


def _striped_all_over(e: Evidence, t: Thresholds) -> bool:
    """Tell whether stripes lie over all of the view: behind them no edge runs as it did."""
    seen = e.measures.stripes
    even = seen.stripe_ratio >= t.striped_ratio and seen.stripe_even >= t.striped_broad_even
    return even and _striped(e, t)


def _colour_cast(e: Evidence, t: Thresholds) -> bool:
    moved = e.beside.tint_shift
    return moved is not None and moved >= t.cast_shift


_RULES: dict[str, Callable[[Evidence, Thresholds], bool]] = {
    "signal_lost": _signal_lost,
    "black": _black,
    "corrupt": _corrupt,
    "frozen": _frozen,
    "looped": _looped,
    "covered": _covered,
    "moved": _moved,
    "blurred": _blurred,
    "dark": _dark,
    "bright": _overexposed,
    "noisy": _noisy,
    "striped": _striped,
    "colour_cast": _colour_cast,
}
"""In the order in which one of several that hold is named."""

STATES = tuple(_RULES)

_EXCLUDED = frozenset({("moved", "covered")})
"""What doesn't take over from a state that holds: nothing is covered in a view that is elsewhere, and that is so by its wider bounds, too."""

_SLOW = frozenset({"moved", "blurred"})


def confirm_looks(state: str, thresholds: Thresholds) -> int:
    """Return how many looks in a row confirm a state."""
    return thresholds.confirm_view_looks if state in _SLOW else thresholds.confirm_looks


@dataclass(frozen=True)
class Diagnosis:
    """What is confirmed of one camera's picture, and what is waiting to be.

    A state holds from the first of the looks that confirmed it. `state` is None before anything is confirmed.
    """

    state: str | None = None
    since: Millis = 0
    waiting: str | None = None
    waiting_since: Millis = 0
    waiting_looks: int = 0
    aside: str | None = None
    """What was waiting before one look showed another fault: if the next one shows it again, it goes on."""
    aside_since: Millis = 0
    aside_looks: int = 0

    def shifted(self, by: Millis) -> Diagnosis:
        """Return the same on a clock that was set by so much."""
        return replace(
            self, since=self.since + by, waiting_since=self.waiting_since + by, aside_since=self.aside_since + by
        )

    @property
    def confirming(self) -> bool:
        """Tell whether a change is waiting for its next look: then it is worth looking sooner."""
        return self.waiting is not None


def look(
    diagnosis: Diagnosis, seen: Conditions, at: Millis, thresholds: Thresholds, before: Millis | None = None
) -> Diagnosis:
    """Return the diagnosis after one more look. The first look of all needs no second to be ok.

    `before` is when the look before it was, where the camera was watched since then: a frozen picture is known by that
    one, which showed it already.

    A state that holds gives way to one that is named before it, and otherwise only when its wider bounds are left.
    """
    state = _named(diagnosis.state, seen)
    if state == diagnosis.state:
        return Diagnosis(state, diagnosis.since)
    if diagnosis.state is None and state == OK:
        return Diagnosis(OK, at)
    looks, since = _waited(diagnosis, state, before if state == "frozen" and before is not None else at)
    if looks >= confirm_looks(state, thresholds):
        return Diagnosis(state, since)
    waits = replace(diagnosis, waiting=state, waiting_since=since, waiting_looks=looks)
    if diagnosis.waiting in {None, state}:
        return replace(waits, aside=None, aside_since=0, aside_looks=0)
    return replace(
        waits,
        aside=diagnosis.waiting,
        aside_since=diagnosis.waiting_since,
        aside_looks=diagnosis.waiting_looks,
    )


def _waited(diagnosis: Diagnosis, state: str, first: Millis) -> tuple[int, Millis]:
    """Return how many looks speak for a state, this one included, and since when: since `first` if this is the first one."""
    if state == diagnosis.waiting:
        return diagnosis.waiting_looks + 1, diagnosis.waiting_since
    if state == diagnosis.aside:
        return diagnosis.aside_looks + 1, diagnosis.aside_since
    return 1, first


def _named(holding: str | None, seen: Conditions) -> str:
    """Return the state that this look speaks for, given the one that holds."""
    if holding not in seen.staying:
        return seen.state
    before = [
        state
        for state in seen.entering
        if STATES.index(state) < STATES.index(holding) and (holding, state) not in _EXCLUDED
    ]
    return before[0] if before else holding
