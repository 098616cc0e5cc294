"""The path template: what it accepts, what it refuses and in which words, and when a path may lie."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.recorders.path_template import TemplateError, epoch, parse_template, wall_range

BASE = Path("/etc/50% {camera}")


def test_the_root_is_what_neither_camera_nor_time_changes() -> None:
    template = parse_template("/recordings/site/{camera}/%Y-%m-%d/%H%M%S.mp4", BASE)
    assert template.root == Path("/recordings/site")
    assert template.camera_depth == 0
    assert template.camera_is_folder


def test_a_relative_path_starts_at_its_file_whatever_that_folder_is_called() -> None:
    assert parse_template("../rec/%F/{camera}_%H.mkv", BASE).root == BASE / "../rec"


@pytest.mark.parametrize(
    ("text", "name", "parts"),
    [
        ("%Y-%m-%d_%H-%M-%S.mp4", "2026-11-23_04-05-06.mp4", {"Y": 2026, "m": 11, "d": 23, "H": 4, "M": 5, "S": 6}),
        ("%F %R.ts", "2026-11-23 04:05.ts", {"Y": 2026, "m": 11, "d": 23, "H": 4, "M": 5}),
        ("%FT%T.mkv", "2026-11-23T04:05:06.mkv", {"Y": 2026, "m": 11, "d": 23, "H": 4, "M": 5, "S": 6}),
        ("%Y%j.mp4", "2026327.mp4", {"Y": 2026, "j": 327}),
        ("{camera}_%s_*.mp4", "gate_1795406400_0007.mp4", {"s": 1795406400}),
        ("100%%_%y%m%d.mp4", "100%_261123.mp4", {"y": 26, "m": 11, "d": 23}),
        ("%Y.%Y%m%d.mp4", "2026.20261123.mp4", {"Y": 2026, "m": 11, "d": 23}),
    ],
)
def test_names_give_their_time(text: str, name: str, parts: dict[str, int]) -> None:
    (component,) = parse_template(f"/r/{text}", BASE).components
    found = component.regex("gate").fullmatch(name)
    assert found is not None
    assert {letter: int(digits) for letter, digits in found.groupdict().items()} == parts


@pytest.mark.parametrize(
    "name", ["2026-11-23.mp4", "x2026-11-23_04.mp4", "2026-11-23_04.mp4.tmp", "２０２６-11-23_04.mp4"]
)
def test_other_names_do_not_fit(name: str) -> None:
    (component,) = parse_template("/r/%Y-%m-%d_%H.mp4", BASE).components
    assert component.regex("gate").fullmatch(name) is None


def test_a_camera_in_a_pattern_is_taken_by_its_letters() -> None:
    (component,) = parse_template("/r/{camera}-%F.mp4", BASE).components
    assert component.regex("a.*").fullmatch("a.*-2026-11-23.mp4")
    assert component.regex("a.*").fullmatch("abc-2026-11-23.mp4") is None
    found = component.regex(None).fullmatch("room-1-2026-11-23.mp4")
    assert found is not None
    assert found["camera"] == "room-1"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("/recordings/all.mp4", "names one file only"),
        ("/r/%H%M.mp4", "does not tell the day"),
        ("/r/{camera}/%m-%d.mp4", "does not tell the day"),
        ("/r/%Q.mp4", "'%Q', which is not understood"),
        ("/r/%F_%I.mp4", "'%I', which is not understood"),
        ("/r/{camera}/../%F.mp4", "climbs"),
        ("/r/%F%", "'%', which is not understood"),
    ],
)
def test_a_template_that_cannot_work_is_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(TemplateError, match=words):
        parse_template(text, BASE)


@given(st.text(alphabet="%YmdHMSsjF/{camera}*. x", max_size=40))
def test_any_text_is_a_template_or_refused(text: str) -> None:
    try:
        template = parse_template(text, BASE)
    except TemplateError:
        return
    for component in template.components:
        component.regex("gate")
        component.regex(None)


@given(st.dictionaries(st.sampled_from("YymdjHMS"), st.integers(0, 9999)))
def test_any_parts_have_a_range_or_none(parts: dict[str, int]) -> None:
    spread = wall_range(parts)
    assert spread is None or spread[0] < spread[1]


def test_ranges_narrow_with_what_is_known() -> None:
    assert wall_range({"Y": 2026}) == (datetime(2026, 1, 1), datetime(2027, 1, 1))
    assert wall_range({"Y": 2026, "m": 12}) == (datetime(2026, 12, 1), datetime(2027, 1, 1))
    assert wall_range({"Y": 2026, "j": 366}) is None
    assert wall_range({"Y": 2026, "m": 2, "d": 30}) is None
    assert wall_range({"Y": 2026, "m": 11, "d": 23, "H": 4}) == (datetime(2026, 11, 23, 4), datetime(2026, 11, 23, 5))
    assert epoch({"s": 1795406400}) == datetime(2026, 11, 23, 4, tzinfo=UTC)
