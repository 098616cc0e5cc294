"""The short form of each torture, and that the auditor sees what it is there for."""

from __future__ import annotations

import pytest

from benchmarks.torture.__main__ import TESTS, quiet
from benchmarks.torture.auditor import chain_problems, number_problems
from support.parts import require

SHORT = {"F1": 1, "F2": 2, "F4": 10, "F5": 2, "F6": 40, "F7": 40, "F8": 2, "F9": 4}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", TESTS)
def test_the_short_form_finds_nothing_lost_or_false(name: str) -> None:
    if name == "F4":
        require("strace")
    quiet()
    assert TESTS[name].torture(SHORT[name], 7) == []


def link(number: int, after: int | None, digest: str = "") -> tuple[dict[str, object], str]:
    place = None if after is None else {"boot": "a", "sequence": after, "digest": digest or f"d{after}"}
    return {"boot": "a", "sequence": number, "after": place}, f"d{number}"


def test_the_auditor_sees_what_is_lost_double_exchanged_and_forked() -> None:
    whole = [link(1, None), link(2, 1), link(3, 2)]
    assert chain_problems(whole) == []
    assert chain_problems([whole[0], whole[2]]) == ["('a', 2) is not what 3 of a follows"]
    assert chain_problems([*whole, link(4, 2)]) == ["two reports follow ('a', 2)"]
    assert chain_problems([*whole[:2], link(3, 2, "other")]) == ["('a', 2) is not what 3 of a follows"]
    assert "a number was used for two reports" in chain_problems([*whole, link(3, 2)])
    assert chain_problems([*whole, link(4, None)]) == ["the chain begins 2 times"]
    assert number_problems({"a": 3, "b": 1}, {("a", 1), ("a", 3), ("b", 1)}) == ["report 2 of boot a is lost"]
