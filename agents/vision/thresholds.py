"""Where each state begins: one flat value of numbers, which a site may set for a camera and a light."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, fields, replace
from typing import Any


def _least(default: float) -> Any:
    """Return a bound that a measure must reach; leaving the state needs less by the slack."""
    return field(default=default, metadata={"bound": "least"})


def _nearly_all(default: float) -> Any:
    """Return a bound that a share of 1 must reach; leaving the state needs the slack more to be missing: of what is nearly all a slack of the whole would leave little."""
    return field(default=default, metadata={"bound": "least", "missing": True})


def _most(default: float) -> Any:
    """Return a bound that a measure must not exceed; leaving the state needs more by the slack."""
    return field(default=default, metadata={"bound": "most"})


@dataclass(frozen=True)
class Thresholds:
    """Bounds of the states, in the units of the measures they are named after. Luma is on the video scale, 16..235."""

    black_p95: float = _most(27.0)
    """A covered sensor lies at 16 to 20; a dark room's brightest parts and its noise reach further."""
    black_spread: float = _most(2.0)
    """Between dark and bright blocks: as dark a picture with more to be told apart is a dark room, which leaves 3."""
    black_grain: float = _most(2.5)
    """A sensor that strains to see a dark room is noisier than one behind a cap."""
    dark_p90: float = _most(44.0)
    """Nine in ten blocks no brighter: an eighth of full light, in which a child can't be told from a cushion."""
    bright_clipped_ratio: float = _least(0.5)
    """Of a sunlit window or a white wall there is less."""
    placeholder_flat_ratio: float = _least(0.8)
    placeholder_drawn_ratio: float = _least(0.7)
    """Eight flat colours cover this share of a test card; of a live picture at the lowest bit rate half as much."""
    placeholder_bars_smeared_ratio: float = _least(0.7)
    placeholder_bars_drawn_ratio: float = _least(0.5)
    placeholder_bars_edge_ratio: float = _most(0.08)
    """A card of bars is mostly one row drawn out, half of it in eight colours, with few edges but the bars' own. No other of 179,000 looks is drawn out so far and has a third
    of such colours."""
    placeholder_bright_drawn_ratio: float = _least(0.93)
    """What is overexposed is flat and white, too, but for the rest of the room."""
    placeholder_shade_ratio: float = _most(0.02)
    """So little of it is neither white nor far from it where something is written on white."""
    placeholder_black_drawn_ratio: float = _least(0.85)
    """Black to a level, but for what is written on it."""
    placeholder_text_ratio: float = _least(0.003)
    """Of the middle of the picture: a clock or a camera's name is written at its edges."""
    placeholder_noise: float = _most(0.05)
    placeholder_sharp_ratio: float = _least(0.005)
    """Of a gradient's middle is written on at least."""
    placeholder_edge_share: float = _most(0.25)
    """Of what is written: nothing but its own softer cells is on the gradient. A room has as many edges as sharp ones, and more."""
    placeholder_ramp_grain: float = _most(0.2)
    """A gradient is rounded to whole levels, which leaves 0.14; a covered lens is as noisy as any, but at the lowest bit rates."""
    frozen_same_ratio: float = _least(0.05)
    """Live pictures of a still room have none but at the lowest bit rates, where they have the same few always."""
    frozen_same_times: float = _least(4.0)
    """Of what is usual for the camera."""
    frozen_same_alone: float = _least(0.2)
    """Enough while nothing is known to be usual."""
    frozen_same_by_itself: float = _nearly_all(0.98)
    """Of pictures that are coded each by itself (MJPEG) a frozen one comes again whole in each look, but for its clock. Live ones have 0.33 in fair quality, and 0.89 at the coarsest,
    which leaves hardly any noise."""
    frozen_same_whole: float = _nearly_all(0.99)
    """With what is added of the looks before: the same keyframe again, by its bytes or nearly. Of 1,930 live looks at rooms none has as much; behind what lies flat on the lens some have."""
    frozen_same_now: float = _least(0.5)
    """And so much of it in this look alone: what an encoder leaves alone always adds up to all, too. Live pictures have 0.16 at the most; frozen ones at a fixed quantizer 0.52 at least."""
    frozen_changed_ratio: float = _most(0.03)
    """Of a picture in which more moves than a clock, what is the same is a still background."""
    frozen_renewed: float = _most(1.2)
    """The same noise coded anew reaches 0.83."""
    frozen_renewed_left: float = _most(0.5)
    """Of what is usual for the camera: white noise coded anew 0.3, and 0.7 at the lowest bit rates."""
    frozen_loose_renewed: float = _most(1.6)
    frozen_loose_renewed_left: float = _most(0.6)
    """The same where an encoder comes back to a frozen picture's noise step by step: of 827 frozen looks none has more than 0.585."""
    frozen_loose_level: float = _most(0.7)
    """And so much in levels, of the usual: noise that is added makes what is new look less beside it. Of 895 still live looks all but one have 0.73 at least."""
    frozen_same_renewed_left: float = _most(0.45)
    """Blocks that are the same tell nothing where the noise is as new as ever: of 1,655 frozen looks that are known by such blocks, down to
    96 kb/s, one has more than 0.45 of the usual."""
    frozen_grain_again: float = _least(0.4)
    """Of the usual noise: a picture that stands still has kept its own, by 0.55 and more where there is some to be seen, and by 0.42 where there is none. What lies on it, or the dark, may have taken that away, and what was new with it."""
    frozen_most_grain: float = _most(3.0)
    """Of the usual noise: diagonal stripes and snow are measured as noise, too."""
    looped_alike: float = _least(0.3)
    """Correlation with an earlier time of what the stream is taken to be, encoded anew: of its rhythm, or of its pictures' noise where that is more; half of
    such loops reach 0.7 when they are found. Of earlier pictures that are shown in turns it is by how much less they differ than live ones. A site may ask for more of a camera that moves by itself, by the same way again and again: at 1 copied streams
    alone are looped there."""
    noisy_grain: float = _least(4.0)
    """Standard deviation in levels after the encoder, which takes most of a sound sensor's noise away."""
    noisy_colour_grain: float = _least(2.0)
    noisy_grain_ratio: float = _least(3.0)
    """Of what is usual for the camera."""
    striped_level: float = _least(3.0)
    """Amplitude in levels; fainter than that nobody sees it in a moving picture."""
    striped_ratio: float = _least(8.0)
    """Over the frequencies around it."""
    striped_even: float = _least(0.7)
    """People, furniture and blinds reach 0.35, curtains that are drawn over two thirds of a wall 0.67; interference that lies over the whole view leaves
    as much in ninety-nine of a hundred looks."""
    striped_broad_ratio: float = _least(5.0)
    """Wide stripes lie among the room's own frequencies and stand out by less."""
    striped_broad_even: float = _least(0.75)
    striped_gain: float = _least(1.5)
    """Of what is usual for the camera: some rooms are regular."""
    striped_roll_level: float = _least(8.0)
    striped_roll_share: float = _least(0.88)
    """Headlights that sweep over a wall reach 0.8."""
    cast_shift: float = _least(11.0)
    """Levels of chroma: another lamp shifts by less."""
    corrupt_seam_share: float = _least(0.02)
    corrupt_seam_ratio: float = _least(2.4)
    """Blocking at a low bit rate leaves it under 2."""
    corrupt_seam_times: float = _least(1.8)
    """Of what is usual for the camera: tiles and shelves may lie on the grid by chance."""
    corrupt_seam_alone: float = _least(0.12)
    """Enough while nothing is known to be usual."""
    dusk_p90: float = _most(72.0)
    dusk_grain: float = _least(1.3)
    """Of the usual noise: in a dim picture so much of it is that of full gain, which encoders leave block by block."""
    corrupt_smeared_ratio: float = _least(0.25)
    corrupt_smeared_more: float = _least(0.18)
    """Than is usual for the camera: some are built of nothing but upright lines."""
    corrupt_void_ratio: float = _least(0.12)
    corrupt_void_whole: float = _least(0.9)
    """Nothing but that is what a decoder leaves of a keyframe that it lost, and no card that says so."""
    corrupt_between_ratio: float = _least(0.15)
    corrupt_between_more: float = _least(0.12)
    """Of 2,181 clean looks two are corrupt, just beside losses; what lies before a lens has as much where it is a cloth in folds, or a flat patch beside upright lines."""
    corrupt_between_grain_left: float = _most(0.35)
    """Of the usual noise: a cloth leaves most of it."""
    corrupt_between_some: float = _least(0.05)
    corrupt_rich_structure: float = _least(0.85)
    """As much sharp structure as the approved view has: cots with bars over the floor. Of 2,188 looks at lost slices five have as much."""
    corrupt_stands_changed: float = _most(0.02)
    """Share of the picture that has changed since the look before: of 450 looks at smears from the third on one in fifty has as little."""
    corrupt_grain_left: float = _most(0.25)
    """Of the noise that was there lately, where the view is not in its place and some rows lie between their neighbours, or:"""
    corrupt_lies_still: float = _least(0.95)
    """What covers the view and shows so nearly what it did in the look before is no loss, however flat it is, but for rows between their neighbours: lost slices in a still room reach 0.99."""
    corrupt_lost_in_place: float = _most(0.1)
    """Hardly anything is in place. Where more is, a cover whose noise an encoder saved looks the same."""
    approved_visible: float = _least(0.35)
    """Where less of the approved structure could be seen in the look's light and noise, nothing is said about it."""
    approved_own_structure: float = _least(0.6)
    """Unless so much is seen in its stead by day: that is another view, which hides a faint one by its contrast."""
    covered_ratio: float = _least(0.25)
    """A hand or a cloth over a third of the view leaves its borders uncertain."""
    covered_poor_ratio: float = _least(0.15)
    covered_structure: float = _least(0.45)
    """Of a view with bare walls a smaller region is found, though much of its structure is gone."""
    covered_rest_identity: float = _least(0.3)
    """Correlation where they were of the edges that are not in that region: of a view that is covered in part the rest is as it was."""
    covered_rest_share: float = _least(0.15)
    """Share of all edges that must lie outside the region for them to say anything."""
    covered_still: float = _least(0.75)
    """People move: close to the lens they reach 0.73 between two looks, a trembling hand 0.77."""
    covered_grown: float = _least(0.77)
    """What was covered a look ago and is still: of people who stand close and turn it has 0.4 to 0.7."""
    covered_wide_ratio: float = _least(0.6)
    """So much of the view no passer-by hides: it needs no second look to be still."""
    covered_striped_ratio: float = _least(0.36)
    """Where regular stripes lie all over: interference leaves 0.3 at the most, cloths with folds at least 0.39."""
    covered_whole_in_place: float = _most(0.25)
    covered_whole_structure: float = _most(0.2)
    """Hardly anything in place, and hardly anything sharp instead: covered as a whole, whatever its pattern."""
    moved_rest_share: float = _most(0.1)
    moved_rest_identity: float = _most(0.6)
    """Where a region lacks its structure: share of the edges that lie outside it, and their correlation where they were, with which the camera looks
    where it did. Of 7,200 looks of cameras that had moved two have more of both."""
    moved_registered: float = _least(0.4)
    """Correlation of the edges with the approved ones where they are now."""
    moved_gain: float = _least(0.25)
    """By how much that is better than where they were."""
    moved_loose_registered: float = _least(0.36)
    moved_loose_gain: float = _least(0.11)
    """The same where nothing larger fits where it was; in a room full of cots the best fit elsewhere reaches 0.34 and 0.1."""
    moved_loose_identity: float = _most(0.3)
    """Correlation where they were: among cots all over the floor a view that has not moved keeps 0.35."""
    moved_distinct: float = _least(3.2)
    moved_settled: float = _least(0.35)
    moved_settled_more: float = _least(0.25)
    """Share of the view whose larger parts fit at the place where it is found, and by how much that is more than where it was."""
    moved_settled_some: float = _least(0.1)
    moved_settled_gain: float = _least(0.15)
    """The same where edges agree better there as a whole, too: the walls of a corridor run where they ran, however it is zoomed."""
    moved_faint_registered: float = _least(0.45)
    moved_faint_settled: float = _least(0.15)
    """The same where nothing fits where it was: of 3,600 looks at covers none reaches these, of 27,000 others one."""
    moved_zoomed_times: float = _least(1.19)
    """A view is hardly cut by less, and its middle fits where it was."""
    moved_zoomed: float = _least(0.3)
    moved_zoomed_gain: float = _least(0.15)
    """Correlation about the view's middle, nearer or farther, where that is the best place; and by how much it is better than where they were."""
    moved_zoomed_lost: float = _least(0.4)
    moved_zoomed_lost_gain: float = _least(0.2)
    """The same where nothing larger fits where it was, though another place agrees better by chance."""
    moved_explained: float = _least(0.3)
    """That correlation times the root of the sharp structure that is seen at all: little of it is soon found somewhere, and chance falls with the
    root of how much agrees. Covers and lost slices reach 0.29."""
    moved_lost_identity: float = _most(0.22)
    moved_lost_anchored: float = _most(0.06)
    """Larger parts of the view that still fit where they were: through cots, curtains and people a tenth and more."""
    moved_lost_anchored_both: float = _most(0.1)
    """The same of the approved view and of the last look that surely showed it, together."""
    moved_lost_in_place: float = _most(0.5)
    """As much of the approved structure is found by chance, wherever the camera looks: rooms are built at right angles."""
    moved_gone_identity: float = _most(0.14)
    moved_gone_in_place: float = _most(0.6)
    moved_gone_anchored: float = _most(0.15)
    """The same three where edges as a whole agree so little with both: of looks that show the view, or some of it among cots and people, they agree by 0.18 at least."""
    moved_lost_structure: float = _least(0.2)
    """A picture with sharp structure of its own, none of which is the approved one: it looks elsewhere."""
    moved_lost_covered: float = _most(0.4)
    """What is missing from a view that is lost is missing in patches; of a covered one, what is not covered fits."""
    moved_lost_rest_identity: float = _most(0.2)
    """Or what isn't missing doesn't fit either: correlation of the edges outside the largest region without structure."""
    moved_other_identity: float = _most(0.05)
    """All edges agree no more where they were, of a faint view that is found elsewhere."""
    moved_other_structure: float = _least(0.1)
    moved_other_chance: float = _most(0.4)
    """Where too little lies outside the region: all edges agree by this share of the sharp structure above that, at the most. Of 2,518 looks at covers of most
    of the view 1 in 250 is such."""
    moved_other_sharp: float = _least(0.02)
    """And so much of it is sharp well inside the region, relative to the approved."""
    moved_lost_strange: float = _least(0.5)
    """Sharp structure that is not the approved one, as a share of that: a cover leaves 0.32 at the most, another view 0.63."""
    blurred_sharpness: float = _most(0.75)
    """The lowest bit rates leave 0.88 of a sharp picture; a deviation of two pixels of 704 leaves 0.75."""
    blurred_structure: float = _most(0.3)
    blurred_coarse_in_place: float = _least(0.58)
    """Out of focus by 2.2 % of the width a view keeps 0.65 of it, nineteen in twenty 0.8; what is under a cover reaches 0.55 by chance."""
    view_away: float = _most(0.6)
    """Where no more of the approved structure is in its place, the view isn't there, whatever stands in its stead."""
    confirm_looks: int = 2
    confirm_view_looks: int = 3
    """For what people close to the lens could be taken for: moved, blurred."""
    leaving_slack: float = 0.15
    """Share by which the bounds of the state that holds are widened, so that it doesn't come and go."""

    def leaving(self) -> Thresholds:
        """Return the bounds by which a state that holds goes on holding."""
        less, more = 1 - self.leaving_slack, 1 + self.leaving_slack
        found = {}
        for item in (item for item in fields(self) if "bound" in item.metadata):
            value = getattr(self, item.name)
            if "missing" in item.metadata:
                found[item.name] = min(value, 1 - (1 - value) * more)
            else:
                found[item.name] = value * (less if item.metadata["bound"] == "least" else more)
        return replace(self, **found)

    def changed(self) -> dict[str, float]:
        """Return the numbers that are not the defaults, by name."""
        default = Thresholds()
        return {name: value for name, value in vars(self).items() if value != getattr(default, name)}

    def digest(self) -> str:
        """Return a short digest that is the same for the same numbers: `sha256:` and 16 hexadecimal digits."""
        text = json.dumps(vars(self), sort_keys=True)
        return "sha256:" + hashlib.sha256(text.encode()).hexdigest()[:16]
