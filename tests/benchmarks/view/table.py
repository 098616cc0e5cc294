"""The figures of a run as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from benchmarks.view.peers import ALIASES
from benchmarks.view.score import MISSED, Score, StateScore

BARS: Final = {
    "black": (0.99, 0.995),
    "frozen": (0.99, 0.995),
    "signal_lost": (0.99, 0.995),
    "covered": (0.97, 0.985),
    "blurred": (0.95, 0.975),
    "moved": (0.95, 0.975),
}
"""What F1 must be, and what is aimed at."""
FALSE_MUST: Final = 0.2
FALSE_AIM: Final = 0.02
ENOUGH_EVENTS: Final = 300
ENOUGH_DAYS: Final = 30


def _figure(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def rows_of(score: Score, states: Sequence[str]) -> list[str]:
    """Return one line for each state of one detector."""
    titles = ("state", "events", "hits", "false", "prec.", "recall", "F1", "p50", "p95")
    lines = ["{:<12} {:>6} {:>5} {:>5} {:>6} {:>6} {:>6} {:>5} {:>5}".format(*titles)]
    for state in states:
        tally = score.states.get(state, StateScore())
        lines.append(
            f"{state:<12} {tally.events:>6} {tally.hits:>5} {tally.false:>5} {_figure(tally.precision):>6} "
            f"{_figure(tally.recall):>6} {_figure(tally.f1):>6} "
            f"{_figure(tally.delay(50), 1):>5} {_figure(tally.delay(95), 1):>5}"
        )
    return lines


def clean_line(score: Score) -> str:
    """Return what was said on clean days."""
    said = ", ".join(f"{name} {count}" for name, count in score.clean_alarms.most_common()) or "none"
    return (
        f"clean days {score.clean_days:.2f} (their nuisances in {score.clean_hours:.0f} hours, {score.clean_looks} looks), "
        f"false alarms {sum(score.clean_alarms.values())} ({said}): "
        f"{_figure(score.false_per_day, 2)} a day, 95 % bound {_figure(score.false_per_day_bound, 2)}"
    )


def confusion_lines(score: Score, states: Sequence[str]) -> list[str]:
    """Return which events were missed, and what was said instead."""
    lines = []
    for state in states:
        wrong = [
            f"{'missed' if said == MISSED else said} {count}"
            for (true, said), count in score.confusion.most_common()
            if true == state and said != state
        ]
        if wrong:
            lines.append(f"{state:<12} {', '.join(wrong)}")
    return lines


def note_lines(score: Score) -> list[str]:
    """Return one line for each thing that went wrong: where to look."""
    return [
        f"{note.clip:<20} {note.at:>8.0f} s  {note.true:<28} said {note.said}"
        for note in sorted(score.notes, key=lambda note: (note.clip, note.at))
    ]


def bars(score: Score) -> tuple[list[str], bool]:
    """Return how the figures stand to what must be and is aimed at, and whether all are reached of which there is enough to tell."""
    lines, reached = [], True
    figures: list[tuple[str, float | None, float, float, bool]] = [
        (f"F1 of {state}", score.state(state).f1, must, aim, score.state(state).events >= ENOUGH_EVENTS)
        for state, (must, aim) in BARS.items()
    ]
    bound = score.false_per_day_bound
    # Of false alarms fewer are better.
    less = None if bound is None else -bound
    figures.append(
        ("false alarms a clean day, 95 % bound", less, -FALSE_MUST, -FALSE_AIM, score.clean_days >= ENOUGH_DAYS)
    )
    for title, value, must, aim, enough in figures:
        if value is None:
            continue
        word = "aim reached" if value >= aim else "reached" if value >= must else "NOT REACHED"
        reached &= value >= must or not enough
        few = "" if enough else ", of too few to tell"
        lines.append(f"{title} {_figure(abs(value))}: {word} (must {abs(must):g}, aim {abs(aim):g}){few}")
    return lines, reached


def report(scores: Mapping[str, Score], claimed: Mapping[str, Sequence[str]]) -> str:
    """Return the whole report: ours and the peers', each over the states that it claims."""
    parts: list[str] = []
    for name, score in scores.items():
        states = claimed[name]
        parts += [f"== {name}", *rows_of(score, states), clean_line(score)]
        between = ", ".join(f"{word} {count}" for word, count in score.between.most_common()) or "none"
        parts += [f"false alarms between events: {between}; repeated alarms within events: {score.repeats}"]
        if score.ended or score.lingered:
            parts += [f"alarms that ended soon after their event: {score.ended}; that were still on: {score.lingered}"]
        named = [name for state in states for name in sorted(ALIASES.get(state, (state,)))]
        if confusion := confusion_lines(score, named):
            parts += ["events not named right:", *confusion]
        parts.append("")
    return "\n".join(parts)
