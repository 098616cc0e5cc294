"""Charts as SVG text: a camera's calendar of days, and its last hours as a bar. Pure functions.

A page that shows them carries `legend_defs` once; colours come from the style sheet, shapes from here, so that the
states can be told apart without colour.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from markupsafe import Markup, escape

from monitor.evaluation.retention import DayHeld
from monitor.model.ledger import StateSpan
from monitor.model.span import MINUTE, Millis, Spans
from monitor.model.view import DIRECTIONS

PITCH = 21
LEFT = 22
TOP = 18
DAY_STATES = ("held", "gap", "not_yet", "unknown", "closed")

BAR_WIDTH = 320
BAR_TOP = 10
BAR_HEIGHT = 20
LEAST_WIDTH = 2.0
"""A break of a second is still drawn this wide: it must be seen."""

MARK_WIDTH = 4.0
"""Breaks that begin within this width share a mark: a camera that comes and goes all day has one every 18 minutes."""

_SHAPES = {
    "held": '<rect class="c-held" width="18" height="18" rx="3"/>',
    "gap": '<rect class="c-gap" width="18" height="18" rx="3"/><path class="c-mark" d="M5 5l8 8M13 5l-8 8"/>',
    "not_yet": '<rect class="c-not-yet" x="1" y="1" width="16" height="16" rx="3"/>',
    "unknown": '<rect class="c-unknown" width="18" height="18" rx="3"/>'
    '<path class="c-hatch" d="M1 9l8-8M1 17L17 1M9 17l8-8"/>',
    "closed": '<rect class="c-closed" width="18" height="18" rx="3"/><circle class="c-dot" cx="9" cy="9" r="2.5"/>',
}


def defs() -> Markup:
    """Return the shapes that charts refer to: one invisible SVG a page."""
    groups = "".join(f'<g id="day-{state}">{shape}</g>' for state, shape in _SHAPES.items())
    hatch = (
        '<pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        '<rect class="c-unknown" width="6" height="6"/><path class="c-hatch" d="M0 0v6"/></pattern>'
    )
    return Markup(f'<svg class="defs" width="0" height="0" aria-hidden="true"><defs>{groups}{hatch}</defs></svg>')  # noqa: S704


def swatch(state: str) -> Markup:
    """Return one cell of the calendar, for the legend."""
    return Markup(f'<svg class="swatch" viewBox="0 0 18 18" aria-hidden="true"><use href="#day-{state}"/></svg>')  # noqa: S704


def bar_swatch(state: str) -> Markup:
    """Return a piece of the bar, for the legend."""
    shape = {
        "up": '<rect class="b-up" y="4" width="18" height="14"/>',
        "down": '<path class="b-down" d="M4 0h10l-5 4z"/><rect class="b-down" x="5" y="4" width="8" height="14"/>',
        "unknown": '<rect y="4" width="18" height="14" fill="url(#hatch)"/>',
    }[state]
    return Markup(f'<svg class="swatch" viewBox="0 0 18 18" aria-hidden="true">{shape}</svg>')  # noqa: S704


def unlit_swatch() -> Markup:
    """Return the piece of the picture's bar that the stream's bar doesn't have."""
    shape = '<rect class="b-unlit" y="11" width="18" height="7"/>'
    return Markup(f'<svg class="key" viewBox="0 0 18 18" aria-hidden="true">{shape}</svg>')  # noqa: S704


@dataclass(frozen=True)
class CalendarWords:
    """The texts of a calendar."""

    label: str
    """What the whole picture says: read out instead of the picture."""
    day: Callable[[DayHeld], str]
    """What one day says: its tooltip."""
    month: Callable[[date], str]
    weekday: Callable[[int], str]


def calendar(days: Sequence[DayHeld], words: CalendarWords) -> Markup:
    """Draw days, oldest first, as weeks: a column a week, Monday on top."""
    if not days:
        return Markup("")
    monday = days[0].day - timedelta(days=days[0].day.weekday())
    columns = (days[-1].day - monday).days // 7 + 1
    width, height = LEFT + columns * PITCH, TOP + 7 * PITCH
    parts = [
        f'<svg class="calendar" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(words.label)}">',
        *_weekdays(words),
        *_months(days, monday, words),
    ]
    for day in days:
        offset = (day.day - monday).days
        x, y = LEFT + offset // 7 * PITCH, TOP + offset % 7 * PITCH
        title = escape(words.day(day))
        parts.append(f'<use href="#day-{day.state}" x="{x}" y="{y}"><title>{title}</title></use>')
    parts.append("</svg>")
    return Markup("".join(parts))  # noqa: S704  (every text in it is escaped)


def _weekdays(words: CalendarWords) -> list[str]:
    return [f'<text x="0" y="{TOP + index * PITCH + 13}">{escape(words.weekday(index))}</text>' for index in (0, 2, 4)]


def _months(days: Sequence[DayHeld], monday: date, words: CalendarWords) -> list[str]:
    """Name each month over the column of its first day; the first column's month only where the next leaves room."""
    labels: list[tuple[int, date]] = [(0, days[0].day)]
    labels += [((day.day - monday).days // 7, day.day) for day in days[1:] if day.day.day == 1]
    if len(labels) > 1 and labels[1][0] - labels[0][0] < 2:
        del labels[0]
    return [f'<text x="{LEFT + column * PITCH}" y="12">{escape(words.month(day))}</text>' for column, day in labels]


SKETCH_CELL = 8
"""Pixels of a sketch's drawing for each of its cells."""

_TURN = math.pi / len(DIRECTIONS)


def sketch(rows: Sequence[str], label: str) -> Markup:
    """Draw a view's edges: a stroke in each cell that has one, heavier where it is clear."""
    if not rows:
        return Markup("")
    strokes: dict[str, list[str]] = {"s-faint": [], "s-clear": []}
    for y, row in enumerate(rows):
        for x, letter in enumerate(row):
            way = DIRECTIONS.find(letter.lower())
            if way >= 0:
                strokes["s-clear" if letter.isupper() else "s-faint"].append(_stroke(x, y, way))
    paths = "".join(f'<path class="{name}" d="{"".join(parts)}"/>' for name, parts in strokes.items() if parts)
    size = f"0 0 {len(rows[0]) * SKETCH_CELL} {len(rows) * SKETCH_CELL}"
    return Markup(  # noqa: S704  (letters of the sketch are compared, never copied; the label is escaped)
        f'<svg class="sketch" viewBox="{size}" role="img" aria-label="{escape(label)}">{paths}</svg>'
    )


def _stroke(x: int, y: int, way: int) -> str:
    half = SKETCH_CELL / 2
    dx, dy = half * math.cos(way * _TURN), half * math.sin(way * _TURN)
    return f"M{(x + 0.5) * SKETCH_CELL - dx:.0f} {(y + 0.5) * SKETCH_CELL - dy:.0f}l{2 * dx:.0f} {2 * dy:.0f}"


@dataclass(frozen=True)
class BarWords:
    """The texts of a bar."""

    label: str
    breaks: Callable[[Sequence[StateSpan]], str]
    """What a mark says: one break, or several so close together that they share a mark."""


def bar(
    spans: Sequence[StateSpan], start: Millis, end: Millis, ticks: Sequence[tuple[Millis, str]], words: BarWords
) -> Markup:
    """Draw the states in [start, end): up full, unknown hatched, unlit half high, down marked by a triangle above it."""
    if end <= start:
        return Markup("")

    def at(instant: Millis) -> float:
        return round((min(max(instant, start), end) - start) * BAR_WIDTH / (end - start), 1)

    def rect(a: Millis, b: Millis, paint: str, least: float = 0.0) -> str:
        width = max(at(b) - at(a), least)
        x = min(at(a), BAR_WIDTH - width)
        return f'<rect {paint} x="{x:g}" y="{BAR_TOP}" width="{round(width, 1):g}" height="{BAR_HEIGHT}"'

    up = Spans.of([(s.start, s.end) for s in spans if s.state == "up"]).close_gaps(MINUTE)
    parts = [
        f'<svg class="bar" viewBox="0 0 {BAR_WIDTH} 46" role="img" aria-label="{escape(words.label)}">',
        rect(start, end, 'fill="url(#hatch)"') + "/>",
        *(rect(a, b, 'class="b-up"') + "/>" for a, b in up.tuples()),
        *(_half(rect(s.start, s.end, 'class="b-unlit"')) for s in spans if s.state == "unlit"),
    ]
    groups: dict[int, list[StateSpan]] = {}
    for span in sorted((item for item in spans if item.state == "down"), key=lambda item: item.start):
        groups.setdefault(int(at(span.start) / MARK_WIDTH), []).append(span)
    for group in groups.values():
        first, last = group[0].start, max(item.end for item in group)
        width = max(at(last) - at(first), LEAST_WIDTH)
        middle = min(at(first), BAR_WIDTH - width) + width / 2
        title = f"<title>{escape(words.breaks(group))}</title>"
        parts.append(rect(first, last, 'class="b-down"', LEAST_WIDTH) + f">{title}</rect>")
        parts.append(f'<path class="b-down" d="M{middle - 4:g} 2h8l-4 6z">{title}</path>')
    parts += _axis(ticks, at)
    parts.append("</svg>")
    return Markup("".join(parts))  # noqa: S704  (every text in it is escaped)


def _half(rect: str) -> str:
    """Lower a piece of the bar to half its height, on plain ground: what is known and shows nothing."""
    ground = rect.replace("b-unlit", "b-ground")
    half = rect.replace(f'y="{BAR_TOP}"', f'y="{BAR_TOP + BAR_HEIGHT // 2}"')
    half = half.replace(f'height="{BAR_HEIGHT}"', f'height="{BAR_HEIGHT // 2}"')
    return f"{ground}/>{half}/>"


def _axis(ticks: Sequence[tuple[Millis, str]], at: Callable[[Millis], float]) -> list[str]:
    parts = []
    for instant, text in ticks:
        x = at(instant)
        parts.append(f'<path class="b-tick" d="M{x:g} {BAR_TOP + BAR_HEIGHT}v4"/>')
        anchor = "start" if x < 16 else "end" if x > BAR_WIDTH - 16 else "middle"
        parts.append(f'<text x="{x:g}" y="45" text-anchor="{anchor}">{escape(text)}</text>')
    return parts
