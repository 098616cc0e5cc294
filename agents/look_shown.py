"""A look's measures beside the bounds that its state is decided by, as lines for people."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from typing import Final

from agents.vision.thresholds import Thresholds
from monitor.regulations.columns import table

COLUMNS: Final = 76
"""A terminal's 80, less the indents beneath a subject and its picture."""

FAMILIES: Final[Mapping[str, tuple[str, ...]]] = {
    "signal_lost": ("placeholder",),
    "colour_cast": ("cast",),
    "corrupt": ("corrupt", "dusk"),
    "covered": ("covered", "approved", "view"),
    "moved": ("moved", "approved", "view"),
    "blurred": ("blurred", "approved"),
}
"""By what the names of a state's bounds begin, where not by the state's own."""

LEADING: Final = (
    "placeholder_drawn_ratio", "black_p95", "corrupt_void_ratio", "corrupt_seam_share", "corrupt_smeared_ratio",
    "corrupt_between_ratio", "frozen_same_ratio", "frozen_renewed_left", "covered_ratio", "moved_gain",
    "moved_lost_identity", "blurred_sharpness", "dark_p90", "bright_clipped_ratio", "noisy_grain", "striped_level",
    "striped_ratio", "cast_shift", "approved_visible",
)  # fmt: skip
"""Where nothing is wrong: the bounds of each state that a sound picture stays away from first, and the last one, which it has to reach for its view to be told."""

_NAMED: Final = {
    "black_p95": "luma_p95", "dark_p90": "block_p90", "dusk_p90": "block_p90", "dusk_grain": "grain_left",
    "frozen_same_alone": "same_ratio", "frozen_same_whole": "same_ratio", "frozen_same_by_itself": "same_now", "frozen_most_grain": "grain_left", "frozen_loose_renewed": "renewed",
    "striped_level": "stripe_level", "striped_ratio": "stripe_ratio", "striped_even": "stripe_even",
    "striped_broad_ratio": "stripe_ratio", "striped_broad_even": "stripe_even", "striped_gain": "stripe_gain",
    "cast_shift": "tint_shift", "corrupt_seam_alone": "seam_share", "corrupt_between_some": "between_more",
    "corrupt_rich_structure": "own_structure", "corrupt_stands_changed": "changed_ratio",
    "corrupt_grain_left": "grain_kept", "corrupt_lies_still": "covered_still", "corrupt_void_whole": "void_ratio",
    "covered_poor_ratio": "covered_ratio", "covered_wide_ratio": "covered_ratio",
    "covered_striped_ratio": "covered_ratio", "covered_whole_structure": "own_structure",
    "moved_zoomed_lost": "zoomed", "moved_lost_anchored_both": "anchored", "moved_lost_structure": "own_structure",
    "moved_lost_covered": "covered_ratio", "moved_other_structure": "own_structure",
    "moved_other_sharp": "covered_sharp", "blurred_structure": "own_structure", "view_away": "in_place",
}  # fmt: skip
"""The measure of a bound, where the bound's name doesn't end in it."""

_Derived = tuple[str, Callable[[Mapping[str, float], Thresholds], float]]
_GAIN: Final[_Derived] = ("registered - identity", lambda n, _: n["registered"] - n["identity"])
_ZOOMED: Final[_Derived] = ("zoomed - identity", lambda n, _: n["zoomed"] - n["identity"])
_SETTLED: Final[_Derived] = ("settled - anchored", lambda n, _: n["settled"] - n["anchored"])
_DERIVED: Final[Mapping[str, _Derived]] = {
    "frozen_loose_level": ("renewed_left x grain_again", lambda n, _: n["renewed_left"] * n["grain_again"]),
    "moved_gain": _GAIN,
    "moved_loose_gain": _GAIN,
    "moved_settled_gain": _GAIN,
    "moved_zoomed_gain": _ZOOMED,
    "moved_zoomed_lost_gain": _ZOOMED,
    "moved_settled_more": _SETTLED,
    "moved_settled_some": _SETTLED,
    "moved_zoomed_times": ("zoom, or 1 / zoom", lambda n, _: max(n["zoom"], 1 / n["zoom"])),
    "moved_explained": (
        "registered x own_structure^0.5",
        lambda n, _: n["registered"] * math.sqrt(max(n["own_structure"], 0.0)),
    ),
    "moved_lost_strange": ("own_structure - in_place", lambda n, _: n["own_structure"] - n["in_place"]),
    "moved_other_chance": (
        "identity / (own - other structure)",
        lambda n, t: n["identity"] / (n["own_structure"] - t.moved_other_structure),
    ),
    "placeholder_edge_share": ("edge_ratio / sharp_ratio", lambda n, _: n["edge_ratio"] / n["sharp_ratio"]),
}
"""What is computed of measures for a bound."""

_SIGNS: Final = {"least": ">=", "most": "<="}
BOUNDS: Final = {item.name: item.metadata["bound"] for item in fields(Thresholds) if "bound" in item.metadata}
"""All bounds, each `least` or `most`."""


def look_lines(state: str, scores: Mapping[str, float | None], thresholds: Thresholds) -> Iterator[str]:
    """Yield a table of what decides a state (of what would, first of all, where nothing is wrong), at most COLUMNS wide.

    A bound stands under the name that site.yaml knows it by.
    """
    rows: dict[tuple[str, str], list[str]] = {}
    for name in bounds_of(state):
        measure, value = measured(name, scores, thresholds)
        held = f"{_SIGNS[BOUNDS[name]]} {getattr(thresholds, name):.4g} {name}"
        rows.setdefault((measure, value), []).append(held)
    lines = [
        (*(told if number == 0 else ("", "")), bound)
        for told, held in rows.items()
        for number, bound in enumerate(held)
    ]
    yield from table(lines, COLUMNS)


def bounds_of(state: str) -> tuple[str, ...]:
    """Return the names of the bounds that a state is decided by; the leading ones of each for a sound picture."""
    families = FAMILIES.get(state, (state,))
    own = tuple(name for name in BOUNDS if name.partition("_")[0] in families)
    return own or LEADING


def measured(bound: str, scores: Mapping[str, float | None], thresholds: Thresholds) -> tuple[str, str]:
    """Return which measure a bound is held against, and its value: `-` where there is none."""
    if bound in _DERIVED:
        label, derive = _DERIVED[bound]
        try:
            known = {name: value for name, value in scores.items() if value is not None}
            return label, f"{derive(known, thresholds):.4g}"
        except (KeyError, ZeroDivisionError):
            return label, "-"
    value = scores.get(name := measure_of(bound))
    return name, "-" if value is None else f"{value:.4g}"


def measure_of(bound: str) -> str:
    """Return the name of a bound's measure: the bound's own, less words before it."""
    if bound in _NAMED:
        return _NAMED[bound]
    if bound in _WHOLE:
        return bound
    rest = bound.partition("_")[2]
    return next((name for name in _LESS_WORDS if rest == name or rest.endswith(f"_{name}")), rest)


_WHOLE: Final = frozenset({"covered_ratio", "covered_structure", "covered_still", "covered_grown"})
_LESS_WORDS: Final = (
    "drawn_ratio", "smeared_ratio", "edge_ratio", "rest_share", "rest_identity", "coarse_in_place", "in_place", "own_structure", "renewed_left",
    "grain_left", "colour_grain", "registered", "identity", "anchored", "settled", "grain",
)  # fmt: skip
"""Measures before whose names a bound may have words that tell several bounds of one apart."""
