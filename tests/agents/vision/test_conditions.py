"""The decision layer: which conditions hold of one look, which is named, and how a state is left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.vision.diagnose import (
    STATES,
    Conditions,
    Diagnosis,
    Evidence,
    conditions,
    confirm_looks,
    look,
    may_be_frozen,
)
from agents.vision.drawn import Drawn
from agents.vision.grain import Grain
from agents.vision.levels import Levels
from agents.vision.match import Kept, Match
from agents.vision.measure import Measures
from agents.vision.repeat import Repeat
from agents.vision.smear import Smear
from agents.vision.stripes import Stripes
from agents.vision.thresholds import Thresholds
from agents.vision.tint import Tint
from agents.vision.usual import Beside

LIMITS = Thresholds()
SOUND = Measures(
    levels=Levels(
        luma_mean=120, luma_p95=190, luma_median=118, block_p10=70, block_p90=170, spread=100, clipped_ratio=0.01
    ),
    drawn=Drawn(
        flat_ratio=0.1, drawn_ratio=0.05, colours=6, text_ratio=0, shade_ratio=0, sharp_ratio=0.03, edge_ratio=0.05
    ),
    grain=Grain(noise=1.5, grain=0.8, colour_grain=0.2),
    tint=Tint(-4, 0, 4, -4, 0, 4),
    stripes=Stripes(stripe_level=1, stripe_ratio=4, stripe_even=0.1, roll_level=0.5, roll_share=0.1),
    smear=Smear(seam_ratio=1, seam_share=0.001, smeared_ratio=0, void_ratio=0, between_ratio=0),
    repeat=Repeat(same_ratio=0.0, changed_ratio=0.01, renewed=2.9),
)
USUAL = Beside(
    tint_shift=1, grain_ratio=1, grain_left=1, grain_again=1, grain_kept=1, stripe_gain=1, same_times=0, renewed_left=1, smeared_more=0, between_more=0, seam_times=1
)  # fmt: skip


def evidence(
    beside: Mapping[str, float | None] | None = None,
    *,
    copied: bool = False,
    alike: float | None = None,
    by_itself: bool = False,
    **parts: dict[str, Any],
) -> Evidence:
    """Return a sound look but for what is given: part=dict(measure=value)."""
    changed = {name: replace(getattr(SOUND, name), **values) for name, values in parts.items()}
    measures, usual = replace(SOUND, **changed), replace(USUAL, **(beside or {}))
    return Evidence(measures, usual, None, copied=copied, alike=alike, by_itself=by_itself)


NO_NOISE: dict[str, float | None] = {"grain_again": 0.06, "grain_left": 0.04, "renewed_left": None, "same_times": 50}
"""Of an encoder at the lowest bit rates, or behind something flat."""
WHOLE = {"same_ratio": 1.0, "same_now": 1.0, "renewed": None}
"""Each block comes again."""
FILLED = {"grain_kept": 0.1, "between_more": 0.1}
"""Next to no noise, and some rows that lie between their neighbours."""
GREY = {"flat_ratio": 1.0, "drawn_ratio": 1.0}
CASES: list[tuple[str, Evidence]] = [
    ("ok", evidence()),
    ("signal_lost", evidence(drawn={"flat_ratio": 0.95}, grain={"noise": 0.0})),
    ("signal_lost", evidence(drawn={"drawn_ratio": 0.8}, grain={"noise": 0.0})),
    ("signal_lost", evidence(drawn={"drawn_ratio": 0.58, "edge_ratio": 0.06}, grain={"noise": 0.0}, smear={"smeared_ratio": 0.77})),
    ("ok", evidence(drawn={"drawn_ratio": 0.58, "edge_ratio": 0.06}, grain={"noise": 0.1}, smear={"smeared_ratio": 0.77})),
    ("ok", evidence(drawn={"drawn_ratio": 0.58, "edge_ratio": 0.2}, grain={"noise": 0.0}, smear={"smeared_ratio": 0.77})),
    ("ok", evidence(drawn={"drawn_ratio": 0.3, "edge_ratio": 0.06}, grain={"noise": 0.0}, smear={"smeared_ratio": 0.77})),
    ("signal_lost", evidence(drawn={"sharp_ratio": 0.03, "edge_ratio": 0.002}, grain={"noise": 0.2, "grain": 0.1})),
    ("ok", evidence(drawn={"sharp_ratio": 0.03, "edge_ratio": 0.002})),
    ("ok", evidence(drawn={"sharp_ratio": 0.03, "edge_ratio": 0.01}, grain={"noise": 0.0, "grain": 0.0})),
    ("ok", evidence(drawn={"flat_ratio": 0.95})),
    ("signal_lost", evidence(levels={"clipped_ratio": 0.9}, drawn={"flat_ratio": 0.9, "drawn_ratio": 0.85, "text_ratio": 0.08, "shade_ratio": 0.01}, grain={"noise": 0.0})),
    ("signal_lost", evidence(levels={"luma_p95": 16, "block_p90": 16, "spread": 0}, drawn={"flat_ratio": 0.97, "drawn_ratio": 0.96, "text_ratio": 0.01}, grain={"noise": 0.0, "grain": 0.0})),
    ("black", evidence(levels={"luma_p95": 16, "block_p90": 16, "spread": 0}, drawn={"flat_ratio": 0.97, "drawn_ratio": 0.96}, grain={"noise": 0.0, "grain": 0.0})),
    ("black", evidence(levels={"luma_p95": 17, "block_p90": 17, "spread": 1}, grain={"grain": 0.3})),
    ("dark", evidence(levels={"luma_p95": 26, "block_p90": 24, "spread": 9})),
    ("dark", evidence(levels={"luma_p95": 26, "block_p90": 22, "spread": 1}, grain={"grain": 3.5})),
    ("dark", evidence(levels={"luma_p95": 60, "block_p90": 40, "spread": 15})),
    ("bright", evidence(levels={"clipped_ratio": 0.7})),
    ("bright", evidence(levels={"clipped_ratio": 0.9}, drawn={"flat_ratio": 0.9, "drawn_ratio": 0.2}, grain={"noise": 0.0})),
    ("signal_lost", evidence(levels={"clipped_ratio": 0.97}, drawn={"flat_ratio": 0.97, "drawn_ratio": 0.97}, grain={"noise": 0.0})),
    ("corrupt", evidence({"smeared_more": 0.3}, smear={"smeared_ratio": 0.4})),
    ("ok", evidence({"smeared_more": 0.01}, smear={"smeared_ratio": 0.4})),
    ("corrupt", evidence({"between_more": 0.3, "grain_left": 0.2}, smear={"between_ratio": 0.3})),
    ("corrupt", evidence({"between_more": 0.3, "grain_left": None}, smear={"between_ratio": 0.3})),
    ("ok", evidence({"between_more": None, "grain_left": None}, smear={"between_ratio": 0.8})),
    ("ok", evidence({"smeared_more": None}, smear={"smeared_ratio": 0.4})),
    ("ok", evidence({"stripe_gain": None}, stripes={"stripe_level": 12, "stripe_ratio": 30, "stripe_even": 0.9})),
    ("ok", evidence({"between_more": 0.3}, smear={"between_ratio": 0.3})),
    ("ok", evidence({"between_more": 0.05, "grain_left": 0.2}, smear={"between_ratio": 0.3})),
    ("ok", evidence({"between_more": 0.1, "grain_left": 0.2}, smear={"between_ratio": 0.1})),
    ("corrupt", evidence(smear={"void_ratio": 0.3})),
    ("corrupt", evidence(levels={"luma_median": 128}, drawn=GREY, grain={"noise": 0.0}, smear={"void_ratio": 1})),
    ("signal_lost", evidence(levels={"luma_median": 126}, drawn=GREY, grain={"noise": 0.0}, smear={"void_ratio": 1})),
    ("signal_lost", evidence(levels={"luma_median": 128}, drawn={**GREY, "text_ratio": 0.02}, grain={"noise": 0.0}, smear={"void_ratio": 0.95})),
    ("signal_lost", evidence(levels={"luma_median": 128}, drawn=GREY, grain={"noise": 0.0}, smear={"void_ratio": 0.85})),
    ("corrupt", evidence({"seam_times": 10}, smear={"seam_share": 0.1, "seam_ratio": 5})),
    ("ok", evidence(smear={"seam_share": 0.1, "seam_ratio": 5})),
    ("dark", evidence({"seam_times": 10}, levels={"block_p90": 38}, smear={"seam_share": 0.1, "seam_ratio": 5})),
    ("ok", evidence({"seam_times": 10, "grain_left": 1.7}, levels={"block_p90": 51}, smear={"seam_share": 0.1, "seam_ratio": 5})),
    ("corrupt", evidence({"seam_times": 10, "grain_left": 1.1}, levels={"block_p90": 51}, smear={"seam_share": 0.1, "seam_ratio": 5})),
    ("corrupt", evidence({"seam_times": 10, "grain_left": 1.7}, levels={"block_p90": 90}, smear={"seam_share": 0.1, "seam_ratio": 5})),
    ("ok", evidence({"seam_times": 10}, smear={"seam_share": 0.1, "seam_ratio": 1.4})),
    ("frozen", evidence({"same_times": 60, "renewed_left": None}, repeat={"same_ratio": 0.3})),
    ("ok", evidence({"same_times": 1.2}, repeat={"same_ratio": 0.3})),
    ("ok", evidence({"same_times": 60}, repeat={"same_ratio": 0.3, "changed_ratio": 0.2})),
    ("frozen", evidence({"renewed_left": 0.2}, repeat={"renewed": 0.6})),
    ("frozen", evidence({"renewed_left": 0.2}, repeat={"renewed": 0.6, "same_ratio": None})),
    ("ok", evidence({"renewed_left": 0.2}, repeat={"renewed": 0.6, "changed_ratio": 0.1})),
    ("ok", evidence({"renewed_left": 0.8}, repeat={"renewed": 0.6})),
    ("bright", evidence({"renewed_left": 0.2}, repeat={"renewed": 0.6}, levels={"clipped_ratio": 0.7})),
    ("ok", evidence({"grain_again": 0.06, "renewed_left": None}, repeat={"same_ratio": 1.0, "renewed": None})),
    ("frozen", evidence({"renewed_left": 0.58}, repeat={"renewed": 1.55})),
    ("ok", evidence({"renewed_left": 0.58, "grain_again": 1.4}, repeat={"renewed": 1.55})),
    ("ok", evidence({"renewed_left": 0.58, "grain_again": None}, repeat={"renewed": 1.55})),
    ("ok", evidence({"renewed_left": 0.58}, repeat={"renewed": 1.8})),
    ("ok", evidence({"renewed_left": 0.7}, repeat={"renewed": 1.55})),
    ("frozen", evidence({"renewed_left": 0.2, "grain_left": 2.0}, repeat={"renewed": 0.6})),
    ("ok", evidence({"renewed_left": 0.08, "grain_left": 9.0}, repeat={"renewed": 0.25})),
    ("striped", evidence({"renewed_left": 0.08, "stripe_gain": 10}, repeat={"renewed": 0.25}, stripes={"stripe_level": 12, "stripe_ratio": 30, "stripe_even": 0.9})),
    ("ok", evidence(repeat={"renewed": None})),
    ("frozen", evidence({"same_times": 60, "renewed_left": None, "grain_again": 0.45}, repeat={"same_ratio": 0.9})),
    ("ok", evidence({"same_times": 60, "renewed_left": None, "grain_again": 0.3}, repeat={"same_ratio": 0.9})),
    ("ok", evidence({"renewed_left": 0.2, "grain_again": 0.3}, repeat={"renewed": 0.6})),
    ("frozen", evidence({"same_times": 90, "renewed_left": 0.43}, repeat={"same_ratio": 0.9})),
    ("ok", evidence({"same_times": 90, "renewed_left": 0.5}, repeat={"same_ratio": 0.9})),
    ("bright", evidence({"same_times": 90, "renewed_left": None}, repeat={"same_ratio": 0.9}, levels={"clipped_ratio": 0.82})),
    ("ok", evidence({"same_times": 30, "renewed_left": None}, by_itself=True, repeat={"same_ratio": 0.37, "renewed": None, "same_now": 0.15})),
    ("ok", evidence({"same_times": 30, "renewed_left": None}, by_itself=True, repeat={"same_ratio": 1.0, "renewed": None, "same_now": 0.89})),
    ("frozen", evidence({"same_times": 30, "renewed_left": None}, by_itself=True, repeat={"same_ratio": 1.0, "renewed": None, "same_now": 0.99})),
    ("corrupt", evidence({"seam_times": None}, smear={"seam_share": 0.13, "seam_ratio": 2.7})),
    ("ok", evidence({"seam_times": None}, by_itself=True, smear={"seam_share": 0.13, "seam_ratio": 2.7})),
    ("corrupt", evidence({"seam_times": 5}, by_itself=True, smear={"seam_share": 0.13, "seam_ratio": 2.7})),
    ("corrupt", evidence({"between_more": 0.3, "grain_left": 0.2}, smear={"between_ratio": 0.3})),
    ("ok", evidence({"between_more": 0.3, "grain_left": 0.2}, by_itself=True, smear={"between_ratio": 0.3})),
    ("looped", evidence(copied=True)),
    ("looped", evidence(alike=0.31)),
    ("ok", evidence(alike=0.2)),
    ("noisy", evidence({"grain_ratio": 9}, grain={"grain": 9})),
    ("noisy", evidence({"grain_ratio": 9}, grain={"colour_grain": 5})),
    ("ok", evidence({"grain_ratio": 1.5}, grain={"grain": 9})),
    ("striped", evidence({"stripe_gain": 10}, stripes={"stripe_level": 12, "stripe_ratio": 30, "stripe_even": 0.9})),
    ("striped", evidence({"stripe_gain": 10, "grain_ratio": 9}, stripes={"stripe_level": 12, "stripe_ratio": 30, "stripe_even": 0.9}, grain={"grain": 9})),
    ("striped", evidence({"stripe_gain": 10}, stripes={"stripe_level": 24, "stripe_ratio": 6.4, "stripe_even": 0.9})),
    ("ok", evidence({"stripe_gain": 10}, stripes={"stripe_level": 24, "stripe_ratio": 6.4, "stripe_even": 0.5})),
    ("striped", evidence(stripes={"roll_level": 15, "roll_share": 0.9})),
    ("ok", evidence({"stripe_gain": 1.1}, stripes={"stripe_level": 12, "stripe_ratio": 30, "stripe_even": 0.9})),
    ("colour_cast", evidence({"tint_shift": 25}, tint={"u_median": 20})),
    ("ok", evidence({"tint_shift": 9})),
    ("striped", evidence({"stripe_gain": 10, "seam_times": 10}, stripes={"stripe_level": 12, "stripe_ratio": 30, "stripe_even": 0.9}, smear={"seam_share": 0.1, "seam_ratio": 4})),
]  # fmt: skip


def told(**numbers: object) -> Match:
    """Return what rules read of a match: these numbers, as if they had been worked out of two views."""
    return cast("Match", SimpleNamespace(**numbers))


def told_otherwise(match: Match, **numbers: object) -> Match:
    """Return such a match with some other numbers."""
    return told(**{**vars(match), **numbers})


IN_PLACE = told(
    sound=None, light="day", beside="day", same_light=True, in_place=0.95, visible=1, own_structure=1, coarse_in_place=0.95, sharpness=1,
    covered_ratio=0, covered_structure=0, covered_still=1, covered_grown=0, rest_identity=1, rest_share=1, covered_sharp=0, identity=1, registered=1, anchored=1, settled=0, distinct=0,
    shift_x=0, shift_y=0, rotation=0, zoom=1, zoomed=0,
)  # fmt: skip
GONE_IN_PARTS = told_otherwise(IN_PLACE, in_place=0.7, covered_ratio=0.18, covered_structure=0.47)
HIDDEN = told_otherwise(IN_PLACE, in_place=0.1, covered_ratio=0.85, covered_structure=0.9, own_structure=0.05)
MADE_UP = told_otherwise(HIDDEN, covered_still=0.93)
"""A decoder fills each time anew what it lost."""
LOST = told_otherwise(
    IN_PLACE, in_place=0.23, identity=0.03, registered=0.26, anchored=0, distinct=4, own_structure=0.47
)
ZOOMED = told_otherwise(
    IN_PLACE, in_place=0.5, identity=0.24, registered=0.38, anchored=0.02, distinct=3.6, own_structure=0.7
)
SOMEBODY_AMONG_COTS = told_otherwise(LOST, in_place=0.4, sound=Kept(in_place=0.62, identity=0.43, anchored=0.4))
LOST_FROM_COTS = told_otherwise(LOST, sound=Kept(in_place=0.45, identity=0.1, anchored=0.0))
LOST_BUT_FOR_CHANCE = told_otherwise(LOST, anchored=0.07, sound=Kept(in_place=0.24, identity=-0.02, anchored=0.07))
LOST_AMONG_WALLS = told_otherwise(
    LOST, in_place=0.29, identity=0.09, anchored=0.114, sound=Kept(in_place=0.35, identity=0.097, anchored=0.099)
)
LOST_OVER_BOARDS = told_otherwise(
    LOST, in_place=0.54, identity=0.02, own_structure=0.48, sound=Kept(in_place=0.57, identity=0.1, anchored=0.0)
)
CROWDED = Kept(in_place=0.47, identity=0.19, anchored=0.04)
ELSEWHERE_AND_SOFT_THERE = told_otherwise(
    LOST, own_structure=0.93, covered_ratio=0.45, covered_structure=0.5, rest_identity=0.4
)
ZOOMED_OVER_BOARDS = told_otherwise(
    IN_PLACE, in_place=0.81, identity=0.45, registered=0.48, anchored=0, settled=0.56, distinct=5, own_structure=0.57,
    covered_ratio=0.28, covered_structure=0.3, rest_identity=0.5,
)  # fmt: skip
FOUND_ELSEWHERE = told_otherwise(LOST, identity=0.2, registered=0.75, settled=0.7, distinct=9)
AMONG_COTS = told_otherwise(ZOOMED, in_place=0.6, registered=0.336)
MADE_BEDS = told_otherwise(
    IN_PLACE, in_place=0.71, identity=0.28, registered=0.47, anchored=0, distinct=4.1, own_structure=0.8
)
ZOOMED_ON_A_FLOOR = told_otherwise(
    IN_PLACE, in_place=0.28, identity=0.02, registered=0.52, anchored=0, distinct=5.4, own_structure=0.35, covered_ratio=0.51, covered_structure=0.43,
    rest_identity=0.05,
)  # fmt: skip
ELSEWHERE_AND_HALF_BARE = told_otherwise(
    LOST,
    in_place=0.25,
    identity=0.08,
    own_structure=0.38,
    covered_ratio=0.46,
    covered_structure=0.52,
    rest_identity=0.1,
    covered_still=0.98,
)
HALF_HIDDEN = told_otherwise(
    IN_PLACE,
    in_place=0.5,
    identity=0.45,
    registered=0.45,
    own_structure=0.45,
    covered_ratio=0.45,
    covered_structure=0.5,
    rest_identity=0.9,
    covered_still=0.97,
)
ANOTHER_BARE_ROOM = told_otherwise(
    LOST, in_place=0.14, identity=-0.06, own_structure=0.27, covered_ratio=0.75, covered_structure=0.76, rest_share=0.06, rest_identity=0.4,
    covered_sharp=0.1,
)  # fmt: skip
ZOOMED_TO_A_BARE_FLOOR = told_otherwise(
    LOST, in_place=0.32, identity=-0.05, registered=0.49, settled=0.22, own_structure=0.11, covered_ratio=0.67, covered_structure=0.55,
    rest_share=0.12, rest_identity=0.3,
)  # fmt: skip
HIDDEN_AND_FOUND_ELSEWHERE = told_otherwise(
    HIDDEN, in_place=0.42, identity=0.21, registered=0.5, anchored=0.02, settled=0.1, distinct=5, own_structure=0.46, covered_ratio=0.52,
    covered_structure=0.56, rest_identity=0.83, rest_share=0.14,
)  # fmt: skip
ZOOMED_BY_HALF = told_otherwise(
    IN_PLACE, in_place=0.41, identity=0.25, registered=0.56, zoomed=0.56, zoom=1.63, anchored=0, settled=0.03, distinct=4.1, own_structure=0.18,
    covered_ratio=0.38, covered_structure=0.4, rest_identity=0.41, rest_share=0.41,
)  # fmt: skip
ZOOMED_AND_FOUND_NOWHERE = told_otherwise(
    ZOOMED_BY_HALF, in_place=0.14, identity=-0.05, registered=0.52, zoomed=0.44, zoom=1.77, shift_x=0.4, shift_y=-0.5, rotation=-16,
)  # fmt: skip
OUT_OF_FOCUS = told_otherwise(
    IN_PLACE, in_place=0.5, sharpness=0.3, own_structure=0.1, coarse_in_place=0.8, identity=0.6, registered=0.6
)
FOLDED = told_otherwise(
    HALF_HIDDEN, in_place=0.3, coarse_in_place=0.25, own_structure=0.1, identity=0.2, registered=0.2
)
SEAMS = {"seam_share": 0.035, "seam_ratio": 2.6}
STRIPES = {"stripe_level": 35, "stripe_ratio": 120, "stripe_even": 0.91}


@pytest.mark.parametrize(
    ("state", "seen", "match"),
    [
        ("covered", evidence(), GONE_IN_PARTS),
        ("ok", evidence(), told_otherwise(GONE_IN_PARTS, covered_structure=0.41)),
        ("striped", evidence({"stripe_gain": 35}, stripes=STRIPES), GONE_IN_PARTS),
        ("covered", evidence({"stripe_gain": 35}, stripes=STRIPES), HIDDEN),
        ("moved", evidence(), LOST),
        ("bright", evidence(levels={"clipped_ratio": 0.82}), LOST),
        ("striped", evidence({"stripe_gain": 35}, stripes=STRIPES), LOST),
        ("moved", evidence(), ZOOMED),
        ("ok", evidence(), AMONG_COTS),
        ("moved", evidence(), ZOOMED_OVER_BOARDS),
        ("covered", evidence(), told_otherwise(ZOOMED_OVER_BOARDS, settled=0.2)),
        ("covered", evidence(), told_otherwise(ZOOMED_OVER_BOARDS, anchored=0.4)),
        ("moved", evidence(), told_otherwise(ZOOMED_OVER_BOARDS, anchored=0.4, registered=0.62)),
        ("covered", evidence(), told_otherwise(ZOOMED_OVER_BOARDS, anchored=0.5, registered=0.62)),
        ("covered", evidence(), told_otherwise(ZOOMED_OVER_BOARDS, registered=0.45)),
        ("ok", evidence(), SOMEBODY_AMONG_COTS),
        ("moved", evidence(), LOST_FROM_COTS),
        ("ok", evidence(), told_otherwise(LOST_BUT_FOR_CHANCE, sound=None)),
        ("moved", evidence(), LOST_BUT_FOR_CHANCE),
        ("moved", evidence(), LOST_AMONG_WALLS),
        ("moved", evidence(), LOST_OVER_BOARDS),
        ("ok", evidence(), told_otherwise(LOST_AMONG_WALLS, sound=CROWDED)),
        ("ok", evidence(), told_otherwise(LOST_OVER_BOARDS, sound=None)),
        ("moved", evidence(), ELSEWHERE_AND_SOFT_THERE),
        ("covered", evidence(), told_otherwise(ELSEWHERE_AND_SOFT_THERE, own_structure=0.5)),
        ("moved", evidence(), told_otherwise(ELSEWHERE_AND_SOFT_THERE, own_structure=0.5, rest_identity=0.1)),
        ("moved", evidence(), ELSEWHERE_AND_HALF_BARE),
        ("covered", evidence(), told_otherwise(ELSEWHERE_AND_HALF_BARE, rest_identity=0.7)),
        ("moved", evidence(), ZOOMED_ON_A_FLOOR),
        ("ok", evidence(), told_otherwise(ZOOMED_ON_A_FLOOR, own_structure=0.15)),
        ("moved", evidence(), ANOTHER_BARE_ROOM),
        ("covered", evidence(), told_otherwise(ANOTHER_BARE_ROOM, covered_sharp=0.01)),
        ("moved", evidence(), told_otherwise(ANOTHER_BARE_ROOM, own_structure=0.13)),
        ("moved", evidence(), told_otherwise(ANOTHER_BARE_ROOM, own_structure=0.5, identity=0.09)),
        ("covered", evidence(), told_otherwise(ANOTHER_BARE_ROOM, own_structure=0.13, identity=0.02)),
        ("covered", evidence(), told_otherwise(ANOTHER_BARE_ROOM, own_structure=0.08)),
        ("covered", evidence(), told_otherwise(ANOTHER_BARE_ROOM, identity=0.1)),
        ("moved", evidence(), ZOOMED_TO_A_BARE_FLOOR),
        ("covered", evidence(), told_otherwise(ZOOMED_TO_A_BARE_FLOOR, settled=0.1)),
        ("covered", evidence(), told_otherwise(ZOOMED_TO_A_BARE_FLOOR, registered=0.4)),
        ("covered", evidence(), HIDDEN_AND_FOUND_ELSEWHERE),
        ("moved", evidence(), told_otherwise(HIDDEN_AND_FOUND_ELSEWHERE, rest_identity=0.5)),
        ("moved", evidence(), told_otherwise(HIDDEN_AND_FOUND_ELSEWHERE, rest_share=0.06)),
        ("moved", evidence(), told_otherwise(HIDDEN_AND_FOUND_ELSEWHERE, covered_ratio=0.2)),
        ("moved", evidence(), ZOOMED_BY_HALF),
        ("covered", evidence(), told_otherwise(ZOOMED_BY_HALF, zoomed=0.38)),
        ("covered", evidence(), told_otherwise(ZOOMED_BY_HALF, zoom=1.13, anchored=0.1)),
        ("covered", evidence(), told_otherwise(ZOOMED_BY_HALF, registered=0.35, zoomed=0.35)),
        ("moved", evidence(), ZOOMED_AND_FOUND_NOWHERE),
        ("covered", evidence(), told_otherwise(ZOOMED_AND_FOUND_NOWHERE, zoomed=0.38)),
        ("covered", evidence(), told_otherwise(ZOOMED_AND_FOUND_NOWHERE, anchored=0.1)),
        ("noisy", evidence({"grain_ratio": 40}, grain={"grain": 40}), LOST),
        ("noisy", evidence({"grain_ratio": 40}, grain={"grain": 40}), HALF_HIDDEN),
        ("moved", evidence(), told_otherwise(LOST, visible=0.22, own_structure=0.85)),
        ("ok", evidence(), told_otherwise(LOST, visible=0.22)),
        ("ok", evidence(), told_otherwise(LOST, visible=0.22, own_structure=0.85, light="nap")),
        ("ok", evidence(), told_otherwise(MADE_BEDS, sound=Kept(in_place=0.9, identity=0.8, anchored=0.7))),
        ("moved", evidence(), MADE_BEDS),
        ("ok", evidence(), told_otherwise(MADE_BEDS, identity=0.35)),
        ("covered", evidence(), HALF_HIDDEN),
        ("covered", evidence(drawn={"flat_ratio": 0.85}, grain={"noise": 0.0}), HALF_HIDDEN),
        (
            "signal_lost",
            evidence(drawn={"flat_ratio": 0.85}, grain={"noise": 0.0}),
            told_otherwise(HALF_HIDDEN, rest_identity=0.5),
        ),
        (
            "signal_lost",
            evidence(drawn={"flat_ratio": 0.85}, grain={"noise": 0.0}),
            told_otherwise(HALF_HIDDEN, rest_share=0.05),
        ),
        ("covered", evidence({"seam_times": 3.3}, smear=SEAMS), HALF_HIDDEN),
        ("corrupt", evidence({"seam_times": 3.3}, smear=SEAMS), told_otherwise(HALF_HIDDEN, covered_still=0.5)),
        ("blurred", evidence(), OUT_OF_FOCUS),
        ("ok", evidence(), told_otherwise(OUT_OF_FOCUS, coarse_in_place=0.55)),
        ("covered", evidence({"stripe_gain": 35}, stripes=STRIPES), FOLDED),
        ("striped", evidence({"stripe_gain": 35}, stripes=STRIPES), told_otherwise(FOLDED, covered_ratio=0.3)),
        (
            "striped",
            evidence({"stripe_gain": 35, **FILLED, "grain_kept": 0.25}, stripes=STRIPES),
            told_otherwise(LOST, in_place=0.2),
        ),
        ("corrupt", evidence({"stripe_gain": 35, **FILLED}, stripes=STRIPES), told_otherwise(LOST, in_place=0.2)),
        ("corrupt", evidence({"between_more": None, "grain_left": None}, smear={"between_ratio": 0.3}), LOST),
        ("ok", evidence({"between_more": 0.3, "grain_left": None}, smear={"between_ratio": 0.3}), IN_PLACE),
        ("corrupt", evidence({"between_more": 0.3, "grain_left": 0.2}, smear={"between_ratio": 0.3}), IN_PLACE),
        (
            "corrupt",
            evidence({"between_more": 0.3, "grain_left": 0.2}, smear={"between_ratio": 0.3}),
            told_otherwise(IN_PLACE, in_place=0.6, own_structure=0.7),
        ),
        ("ok", evidence(NO_NOISE, repeat={"same_ratio": 0.98, "renewed": None, "same_now": 0.9}), IN_PLACE),
        ("frozen", evidence(NO_NOISE, repeat=WHOLE), IN_PLACE),
        ("frozen", evidence(NO_NOISE, repeat={**WHOLE, "same_now": 0.52}), IN_PLACE),
        ("ok", evidence(NO_NOISE, repeat={**WHOLE, "same_now": 0.41}), IN_PLACE),
        ("ok", evidence(NO_NOISE, by_itself=True, repeat={**WHOLE, "same_now": 0.89}), IN_PLACE),
        ("ok", evidence({**NO_NOISE, "renewed_left": 0.9}, repeat={**WHOLE, "renewed": 1.7}), IN_PLACE),
        ("dark", evidence(NO_NOISE, levels={"block_p90": 38}, repeat=WHOLE), IN_PLACE),
        ("blurred", evidence(NO_NOISE, repeat=WHOLE), OUT_OF_FOCUS),
        ("covered", evidence(NO_NOISE, repeat=WHOLE), HIDDEN),
        ("ok", evidence({"smeared_more": 0.3}, smear={"smeared_ratio": 0.4}, repeat={"changed_ratio": 0.01}), IN_PLACE),
        (
            "corrupt",
            evidence({"smeared_more": 0.3}, smear={"smeared_ratio": 0.4}, repeat={"changed_ratio": 0.04}),
            IN_PLACE,
        ),
        (
            "corrupt",
            evidence({"smeared_more": 0.3}, smear={"smeared_ratio": 0.4}, repeat={"changed_ratio": 0.01}),
            told_otherwise(IN_PLACE, own_structure=0.7),
        ),
        ("ok", evidence({"between_more": None, "grain_left": 0.2}, smear={"between_ratio": 0.3}), IN_PLACE),
        ("corrupt", evidence({"smeared_more": None}, smear={"smeared_ratio": 0.4}), LOST),
        ("ok", evidence({"smeared_more": None}, smear={"smeared_ratio": 0.4}), IN_PLACE),
        ("blurred", evidence({"smeared_more": 0.25}, smear={"smeared_ratio": 0.25}), OUT_OF_FOCUS),
        (
            "corrupt",
            evidence({"smeared_more": 0.25}, smear={"smeared_ratio": 0.25}, repeat={"changed_ratio": 0.04}),
            OUT_OF_FOCUS,
        ),
        ("covered", evidence({"smeared_more": 0.3}, smear={"smeared_ratio": 0.4}), HALF_HIDDEN),
        ("corrupt", evidence({"between_more": 0.3, "grain_left": 0.2}, smear={"between_ratio": 0.3}), HALF_HIDDEN),
        ("covered", evidence({"grain_kept": 0.1, "between_more": 0.1}), HALF_HIDDEN),
        (
            "corrupt",
            evidence({"grain_kept": 0.1, "between_more": 0.1}),
            told_otherwise(HALF_HIDDEN, covered_still=0.94),
        ),
        ("striped", evidence({"stripe_gain": None}, stripes=STRIPES), LOST),
        ("ok", evidence({"stripe_gain": None}, stripes=STRIPES), IN_PLACE),
        ("corrupt", evidence({"grain_kept": 0.1}), MADE_UP),
        ("covered", evidence({"grain_kept": 0.1}), HIDDEN),
        ("covered", evidence({"grain_kept": 0.1}), told_otherwise(MADE_UP, in_place=0.13)),
        ("corrupt", evidence(FILLED), told_otherwise(MADE_UP, in_place=0.13)),
        ("covered", evidence(FILLED), told_otherwise(HIDDEN, in_place=0.13)),
        ("corrupt", evidence({**FILLED, "between_more": None}), told_otherwise(MADE_UP, in_place=0.13)),
        ("covered", evidence({**FILLED, "grain_kept": None}), told_otherwise(HIDDEN, in_place=0.13)),
        ("corrupt", evidence(FILLED), LOST),
        ("moved", evidence({**FILLED, "grain_kept": 0.24}), FOUND_ELSEWHERE),
        ("moved", evidence({"seam_times": 3.3}, smear={"seam_share": 0.035, "seam_ratio": 2.6}), FOUND_ELSEWHERE),
        ("corrupt", evidence({"seam_times": 3.3}, smear=SEAMS, repeat={"changed_ratio": 0.1}), IN_PLACE),
        ("ok", evidence({"seam_times": 3.3}, smear=SEAMS, repeat={"changed_ratio": 0.01}), IN_PLACE),
        ("corrupt", evidence({"seam_times": 9}, smear={"seam_share": 0.14, "seam_ratio": 2.6}), FOUND_ELSEWHERE),
        ("covered", evidence({"grain_left": 0.1, "grain_kept": 0.4}), HIDDEN),
        ("covered", evidence(FILLED, levels={"block_p90": 40, "luma_p95": 50}), HIDDEN),
        ("ok", evidence(FILLED), IN_PLACE),
    ],
)
def test_what_a_look_beside_the_approved_view_shows(state: str, seen: Evidence, match: Match) -> None:
    assert conditions(replace(seen, match=match), LIMITS).state == state


@pytest.mark.parametrize(("state", "seen"), CASES)
def test_what_one_look_shows(state: str, seen: Evidence) -> None:
    assert conditions(seen, LIMITS).state == state


@pytest.mark.parametrize(
    ("beside", "repeat", "expected"),
    [
        ({"same_times": 2.5}, {"same_ratio": 0.0125}, True),
        ({"same_times": 60}, {"same_ratio": 0.3}, True),
        ({"same_times": 1.5}, {"same_ratio": 0.0075}, False),
        ({"same_times": 1.2}, {"same_ratio": 0.3}, False),
        ({"same_times": 2.5}, {"same_ratio": 0.0125, "changed_ratio": 0.2}, False),
        ({"same_times": None}, {"same_ratio": 0.02}, False),
        ({}, {"same_ratio": None, "changed_ratio": None}, False),
    ],
)
def test_a_still_picture_that_comes_again_in_part_calls_for_a_look_soon(
    beside: dict[str, float], repeat: dict[str, Any], expected: bool
) -> None:
    assert may_be_frozen(evidence(beside, repeat=repeat), LIMITS) == expected


@pytest.mark.parametrize(
    ("beside", "levels"),
    [
        ({"renewed_left": 0.2}, {"clipped_ratio": 0.45}),  # nearly burnt out, and by the wider bound quite
        ({"same_times": 90, "renewed_left": None, "grain_again": 0.43}, {}),
        (NO_NOISE, {"block_p90": 47}),
    ],
)
def test_what_a_look_says_by_the_state_s_own_bounds_it_says_by_the_wider_ones(
    beside: dict[str, float | None], levels: dict[str, float]
) -> None:
    """They are wider for what speaks against it, too: a picture that is nearly too bright to tell would be frozen, and not stay so."""
    seen = evidence(beside, levels=levels, repeat={**WHOLE, "renewed": 0.6 if levels.get("clipped_ratio") else None})
    found = conditions(replace(seen, match=IN_PLACE), LIMITS)
    assert "frozen" in found.entering
    assert found.staying >= set(found.entering)


def test_of_what_is_nearly_all_little_is_missing_by_the_wider_bounds_too() -> None:
    wider = LIMITS.leaving()
    assert (wider.frozen_same_by_itself, wider.frozen_same_whole) == pytest.approx((0.977, 0.9885))
    assert replace(LIMITS, frozen_same_whole=1.2).leaving().frozen_same_whole == pytest.approx(1.2)


def test_of_several_the_first_is_named() -> None:
    several = evidence(
        {"same_times": 90, "tint_shift": 30, "renewed_left": 0.2},
        repeat={"same_ratio": 0.9},
        levels={"block_p90": 40},
        tint={"v_median": 30},
    )
    assert conditions(several, LIMITS).entering == ("frozen", "dark", "colour_cast")


def test_the_order_is_the_contract_s() -> None:
    assert STATES == (
        "signal_lost", "black", "corrupt", "frozen", "looped", "covered", "moved", "blurred", "dark", "bright", "noisy",
        "striped", "colour_cast",
    )  # fmt: skip


def test_what_is_not_known_yet_is_no_fault() -> None:
    unknown = Evidence(
        replace(
            SOUND,
            repeat=Repeat(None, None),
            stripes=replace(SOUND.stripes, roll_level=None, roll_share=None),
        ),
        Beside(None, None, None, None, None, None, None, None, None, None, None),
        None,
    )
    assert conditions(unknown, LIMITS) == Conditions((), frozenset())


def test_a_state_that_holds_is_left_later_than_it_is_entered() -> None:
    between = conditions(evidence(levels={"block_p90": LIMITS.dark_p90 * 1.1}), LIMITS)
    assert between == Conditions((), frozenset({"dark"}))
    assert look(Diagnosis("dark", 5), between, 20, LIMITS) == Diagnosis("dark", 5)
    assert look(Diagnosis("ok", 5), between, 20, LIMITS) == Diagnosis("ok", 5)


def test_what_is_named_before_the_state_that_holds_takes_its_place() -> None:
    seen = Conditions(("black", "dark"), frozenset({"black", "dark"}))
    waiting = look(Diagnosis("dark", 5), seen, 20, LIMITS)
    assert waiting.waiting == "black"
    assert look(waiting, seen, 30, LIMITS) == Diagnosis("black", 20)
    assert look(Diagnosis("black", 5), seen, 20, LIMITS) == Diagnosis("black", 5)


def test_no_state_needs_more_than_three_looks() -> None:
    assert {confirm_looks(state, LIMITS) for state in STATES} <= {2, 3}


@given(st.lists(st.sets(st.sampled_from(STATES)), max_size=30))
def test_one_state_holds_at_a_time_and_began_at_a_look(looks: list[set[str]]) -> None:
    diagnosis = Diagnosis()
    for number, states in enumerate(looks):
        ordered = tuple(state for state in STATES if state in states)
        diagnosis = look(diagnosis, Conditions(ordered, frozenset(states)), number * 10, LIMITS)
        assert diagnosis.state in {None, "ok", *STATES}
        assert 0 <= diagnosis.since <= number * 10
        if diagnosis.state not in {None, "ok"}:
            assert diagnosis.state in looks[diagnosis.since // 10], "it begins with a look that shows it"
