"""The benchmark of `collector verify` in short: both sides say the same."""

from __future__ import annotations

import sys

import pytest

from benchmarks.verify.__main__ import main


def test_both_sides_say_the_same(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["verify", "--institutions", "2", "--reports", "3", "--runs", "1"])
    assert main() == 0
    assert "--jobs 2: median" in capsys.readouterr().out
