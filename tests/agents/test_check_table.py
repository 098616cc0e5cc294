"""The table of a check: worst first, one sentence once, the site's own clock, no line wider than the terminal."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from agents.check import Checked, Explained
from agents.check_cli import _explain, _print
from agents.check_table import check_table, local
from monitor.model.observation import Evidence, Subject
from monitor.model.verdict import Cause, Outcome, Verdict
from monitor.regulations.columns import width
from support.packs import pack
from support.site import site_of, write_site

SHANGHAI = ZoneInfo("Asia/Shanghai")
REQUIREMENTS = pack().requirements


def camera(name: str) -> Subject:
    return Subject(kind="camera", id=name)


def verdict(kind: str, name: str, outcome: Outcome, state: str, reason: str, because: Cause | None = None) -> Verdict:
    requirement = getattr(REQUIREMENTS, kind)
    return Verdict(requirement, camera(name), outcome, state, reason, looked=0, because_of=because)


def seen() -> list[Verdict]:
    down = [
        verdict("uptime", name, Outcome.BREACHED, "down", f"No frames since 2026-11-28T15:59:59.406Z: {cause}.")
        for name, cause in (("a", "refused"), ("b", "refused"), ("c", "no video"))
    ]
    dark = [
        verdict("view", item.subject.id, Outcome.UNDETERMINED, "unknown", "No picture.", Cause("uptime", item.subject))
        for item in down
    ]
    other = verdict("view", "d", Outcome.UNDETERMINED, "unknown", "No picture.", Cause("uptime", camera("a")))
    return [verdict("retention", "a", Outcome.MET, "ok", "92 of 90 days."), *dark, other, *down]


def test_what_several_subjects_have_in_common_is_said_once_and_the_worst_first() -> None:
    assert list(check_table(seen(), SHANGHAI, 100)) == [
        "BREACHED  uptime down   camera/a, camera/b",
        "          No frames since 2026-11-28 23:59:59: refused.",
        "BREACHED  uptime down   camera/c",
        "          No frames since 2026-11-28 23:59:59: no video.",
        "unknown   view unknown  camera/a, camera/b, camera/c",
        "          No picture. (because of uptime)",
        "unknown   view unknown  camera/d",
        "          No picture. (because of uptime of camera/a)",
        "met       retention ok  camera/a",
        "          92 of 90 days.",
    ]


@pytest.mark.parametrize("columns", [60, 80, 140])
def test_no_line_is_wider_than_the_terminal(columns: int) -> None:
    many = [
        verdict("retention", f"camera-{number}", Outcome.BREACHED, "short", "录像只存了三十五天，要求九十天。" * 6)
        for number in range(40)
    ]
    lines = list(check_table([*many, *seen()], SHANGHAI, columns))
    assert max(map(width, lines)) <= columns
    assert sum("录像只存了三十五天" in line for line in lines) < 12
    for number in range(40):
        assert any(f"camera/camera-{number}" in line for line in lines)


def test_cameras_stand_in_the_order_of_their_numbers() -> None:
    many = [verdict("retention", f"c{number}", Outcome.MET, "ok", "Held.") for number in (10, 2, 1)]
    assert next(check_table(many, SHANGHAI, 80)) == "met       retention ok  camera/c1, camera/c2, camera/c10"


def test_nothing_judged_is_no_line() -> None:
    assert list(check_table([], SHANGHAI, 80)) == []


def test_instants_are_the_sites_and_dates_stay() -> None:
    text = "Since 2026-01-01T00:00:00Z, not before 2027-02-01."
    assert local(text, ZoneInfo("America/New_York")) == "Since 2025-12-31 19:00:00, not before 2027-02-01."


def test_what_contradicts_what_stands_beneath_its_verdict() -> None:
    text = "The camera shows the same picture as b, since 2026-11-28T15:59:59Z."
    found = replace(
        verdict("view", "a", Outcome.MET, "ok", "The picture is usable."), measured={"contradictions": [{"text": text}]}
    )
    assert list(check_table([found], SHANGHAI, 120)) == [
        "met       view ok  camera/a",
        "          The picture is usable. The camera shows the same picture as b, since 2026-11-28 23:59:59.",
    ]


def test_what_a_device_answered_and_what_is_to_be_done_stands_beneath_what_is_not_met() -> None:
    text = "the device asks for a login and none is configured: give username"
    asks = Evidence("stream", "probe", 0, "sha256:0", text)
    found = replace(
        verdict("uptime", "a", Outcome.UNDETERMINED, "unknown", "Whether the camera runs is not known: unauthorized."),
        evidence=(asks,),
    )
    good = replace(verdict("uptime", "b", Outcome.MET, "up", "Frames arrive."), evidence=(asks,))
    assert list(check_table([found, good], SHANGHAI, 200)) == [
        "unknown   uptime unknown  camera/a",
        (
            "          Whether the camera runs is not known: unauthorized."
            " The device asks for a login and none is configured: give username."
        ),
        "met       uptime up       camera/b",
        "          Frames arrive.",
    ]


def test_what_a_device_answered_does_not_steer_the_terminal(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    steers = "HTTP 200, 30 bytes: \x1b]0;owned\x07\x9b2J"
    told = Explained()
    told.tell("recorder/nvr", f"GET / -> {steers}")
    down = verdict("uptime", "c1", Outcome.BREACHED, "down", f"The recorder said {steers}.")
    checked = Checked(0, pack(), (down,), (), told)
    _print(site_of(write_site(tmp_path, [])), checked)
    _explain(checked, err=False)
    shown = capsys.readouterr().out
    assert shown.count("\ufffd]0;owned\ufffd\ufffd2J") == 2
    assert not {"\x1b", "\x07", "\x9b"} & set(shown)
