"""Charts as text: every day and every break is there, can be told apart without colour, and nothing gets out of the SVG."""

from __future__ import annotations

import re
from datetime import date, timedelta
from itertools import pairwise
from typing import Literal
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from dashboards.web.charts import BAR_WIDTH, DAY_STATES, BarWords, CalendarWords, bar, calendar, defs, swatch
from monitor.evaluation.retention import DayHeld
from monitor.model.ledger import StateSpan
from monitor.model.span import DAY, HOUR, MINUTE, SECOND

SVG = "{http://www.w3.org/2000/svg}"
WORDS = CalendarWords(
    "ninety days", lambda day: f"{day.day} {day.state}", lambda day: f"m{day.month}", lambda i: "MTWTFSS"[i]
)
LINE = BarWords("last day", lambda breaks: f"{breaks[0].cause}")


def parsed(svg: str) -> ET.Element:
    """Parse a chart as a browser would: with the namespace that HTML gives it."""
    return ET.fromstring(str(svg).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1))


State = Literal["held", "gap", "not_yet", "unknown", "closed"]


def days(states: list[State], first: date = date(2026, 8, 25)) -> list[DayHeld]:
    return [DayHeld(first + timedelta(days=i), DAY, DAY, state) for i, state in enumerate(states)]


def test_a_calendar_shows_each_day_once_with_its_tooltip() -> None:
    states: list[State] = ["held"] * 40
    states += ["gap", "gap", "gap", "not_yet", "unknown", "closed"]
    root = parsed(calendar(days(states), WORDS))
    cells = root.findall(f"{SVG}use")
    assert len(cells) == 46
    assert [cell.get("href") for cell in cells[-4:]] == ["#day-gap", "#day-not_yet", "#day-unknown", "#day-closed"]
    assert cells[40].findtext(f"{SVG}title") == "2026-10-04 gap"
    assert (root.get("role"), root.get("aria-label")) == ("img", "ninety days")


def test_ninety_days_fit_a_phone() -> None:
    for shift in range(7):
        root = parsed(calendar(days(["held"] * 90, date(2026, 8, 24) + timedelta(days=shift)), WORDS))
        box = root.get("viewBox")
        assert box is not None
        assert float(box.split()[2]) <= 330


def test_weeks_are_columns_with_monday_on_top() -> None:
    root = parsed(calendar(days(["held"] * 14, date(2026, 11, 2)), WORDS))  # a Monday
    cells = root.findall(f"{SVG}use")
    assert [cell.get("x") for cell in cells] == ["22"] * 7 + ["43"] * 7
    assert cells[0].get("y") == cells[7].get("y") == "18"


def test_every_month_is_named_once_and_labels_do_not_overlap() -> None:
    root = parsed(calendar(days(["held"] * 90, date(2026, 8, 25)), WORDS))
    labels = [(int(text.get("x", "")), text.text) for text in root.findall(f"{SVG}text") if text.get("y") == "12"]
    assert [text for _, text in labels] == ["m9", "m10", "m11"]  # August has one column only: no room for its name
    assert all(b - a >= 42 for (a, _), (b, _) in pairwise(labels))


def test_states_are_told_apart_by_shape() -> None:
    shapes = dict(re.findall(r'<g id="day-(\w+)">(.*?)</g>', defs()))
    assert set(shapes) == set(DAY_STATES)
    outlines = {state: re.sub(r'class="[^"]*"', "", shape) for state, shape in shapes.items()}
    assert len(set(outlines.values())) == len(DAY_STATES)
    assert all(f"#day-{state}" in swatch(state) for state in DAY_STATES)


def test_no_days_no_picture() -> None:
    assert calendar([], WORDS) == ""
    assert bar([], 5, 5, [], LINE) == ""


def test_texts_cannot_leave_the_picture() -> None:
    evil = '"><script>alert(1)</script>'
    words = CalendarWords(evil, lambda _: evil, lambda _: evil, lambda _: evil)
    drawn = calendar(days(["held"] * 40), words) + bar(
        [StateSpan(0, DAY, "down", evil)], 0, DAY, [(HOUR, evil)], BarWords(evil, lambda _: evil)
    )
    assert "<script" not in drawn
    assert drawn.count("&lt;script&gt;") > 40


def test_a_break_of_a_second_is_seen() -> None:
    spans = [
        StateSpan(0, HOUR, "up"),
        StateSpan(HOUR, HOUR + SECOND, "down", "refused"),
        StateSpan(HOUR + SECOND, DAY, "up"),
    ]
    root = parsed(bar(spans, 0, DAY, [], LINE))
    (down,) = [item for item in root.findall(f"{SVG}rect") if item.get("class") == "b-down"]
    assert float(down.get("width", "")) >= 2
    assert down.findtext(f"{SVG}title") == "refused"
    assert len([item for item in root.findall(f"{SVG}path") if item.get("class") == "b-down"]) == 1  # its mark above


def test_what_is_not_known_is_hatched_and_never_up() -> None:
    root = parsed(bar([StateSpan(0, 12 * HOUR, "up"), StateSpan(12 * HOUR, DAY, "unknown")], 0, DAY, [], LINE))
    ground, up = root.findall(f"{SVG}rect")
    assert (ground.get("fill"), ground.get("width")) == ("url(#hatch)", f"{BAR_WIDTH}")
    assert (up.get("class"), up.get("x"), up.get("width")) == ("b-up", "0", "160")


@given(
    st.lists(
        st.tuples(st.integers(0, DAY), st.integers(0, 3 * HOUR), st.sampled_from(["up", "down", "unknown"])),
        max_size=60,
    )
)
def test_everything_drawn_lies_inside_the_bar(found: list[tuple[int, int, str]]) -> None:
    spans = [StateSpan(start, min(start + length, DAY), state) for start, length, state in found]
    root = parsed(bar(spans, 0, DAY, [(at * HOUR, "x") for at in (0, 6, 24)], LINE))
    for rect in root.findall(f"{SVG}rect"):
        x, width = float(rect.get("x", "")), float(rect.get("width", ""))
        assert x >= 0
        assert x + width <= BAR_WIDTH + 0.2


def test_a_camera_that_flaps_all_day_stays_a_small_picture() -> None:
    spans = [StateSpan(i * MINUTE, (i + 1) * MINUTE, "up" if i % 2 else "down", "closed") for i in range(24 * 60)]
    assert len(bar(spans, 0, DAY, [], LINE)) < 60_000
