"""What the demo says fits a terminal of 80 columns, names every institution, and tells since and until when."""

from __future__ import annotations

import unicodedata

from agents.demo.centre import Access
from agents.demo.district import DISTRICT
from agents.demo.telling import HAPPENED, HEALED, TOUR, Telling

ACCESS = Access("http://127.0.0.1:8420", "inspector", "jvv2-k3kd-9qqx", "Zk3vR2l9Qw0fX7yT5uN8mB1cD4eG6hJ0aSs2PpLl9_o")


def columns(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def finding(state: str, began_at: str, ended_at: str | None) -> dict[str, object]:
    subject = {"kind": "recorder", "id": "nvr"}
    key = {"id": state, "institution": "wj-0009", "requirement": "measurability", "subject": subject, "state": state}
    return {**key, "began_at": began_at, "ended_at": ended_at}


def told() -> list[str]:
    lines: list[str] = []
    telling = Telling(lines.append)
    telling.invite(ACCESS, DISTRICT)
    telling.go(60)
    for item in DISTRICT:
        for event in item.events:
            telling.happened(59.9, f"{item.id} room1" if "channel" in event else item.id, event["do"])
    return lines


def test_every_line_but_the_command_to_copy_fits_eighty_columns() -> None:
    assert [line for line in told() if columns(line) > 80 and "curl" not in line] == []


def test_everything_that_happens_has_words_and_every_page_of_the_tour_an_institution() -> None:
    done = {plant.do for item in DISTRICT for plant in item.plants if plant.do}
    assert done | {"kill"} == set(HAPPENED)
    assert {plant.do for item in DISTRICT for plant in item.plants if plant.healed_by} == set(HEALED)
    pages = {f"/institutions/{item.id}" for item in DISTRICT} | {"/", "/findings?all=1"}
    assert {path for path, *_ in TOUR} <= pages


def test_the_outcome_tells_since_and_until_when() -> None:
    lines: list[str] = []
    found = [
        finding("gap", "2026-10-08T16:00:00Z", None),
        finding("unmeasured", "2026-11-28T11:59:00Z", "2026-11-28T11:59:30Z"),
    ]
    Telling(lines.append).outcome("2026-11-28T12:00:00Z", found, found, [])
    gap, unmeasured = lines[2], lines[3]
    assert "2026-10-0" in gap
    assert unmeasured.count(":59:") == 2
    assert max(map(columns, lines)) <= 80
