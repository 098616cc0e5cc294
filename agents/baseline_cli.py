"""The command `agent baseline`: the cameras' views beside the approved ones, as a table or as JSON."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys

import typer

from agents.baseline import BaselineError, approve, as_json
from agents.site import Site
from agents.sketch import sketch
from agents.state import State
from agents.taking import Taken, Taking, take_views
from agents.view_shown import view_lines
from agents.views import ViewBook
from monitor.model.clock import SystemClock
from monitor.model.counted import counted
from monitor.model.span import to_millis
from monitor.regulations.columns import table

_SAME = 0.6
"""From this overlap on a view is called the same: people have moved chairs, nobody has moved the camera."""

_CLOSING = {
    "shown": "Nothing was approved: add --approve --by NAME to approve these views.",
    "approved": "Approved on this site. Once the agent is enrolled, an officer confirms views at the centre.",
    "proposed": "Proposed: an officer confirms them at the centre. Open findings stay open until it is settled there.",
}


def print_baseline(
    site: Site, state: State, taking: Taking, *, camera: str | None, by: str | None, as_json_only: bool
) -> int:
    """Take views, print them, and approve them in the name of `by` unless that is None. Returns the exit status.

    0: a view of every camera that was asked for; 1: not of every one. Raises BaselineError, SecretError, OptionsError,
    StateError or DatabaseError when it can't be done at all.
    """
    cameras = [item for item in site.cameras if camera in (None, item.id)]
    if not cameras:
        known = ", ".join(item.id for item in site.cameras) or "none"
        raise BaselineError(f"--camera {camera}: {site.path} has no such camera; there are {known}")
    if by is not None and not by.strip():
        raise BaselineError("--by is empty: write the name of the person who vouches for these views")
    clock = SystemClock()
    running = state.is_running()
    turns = ", one at a time beside the running service" if running else ""
    again = f", and once more {taking.again_seconds:.0f} s later" if taking.again_looks else ""
    looked, each = counted(len(cameras), "camera"), "" if len(cameras) == 1 else " each"
    typer.echo(f"looking at {looked} for up to {taking.most_seconds:.0f} s{each}{again}{turns}", err=True)
    book = ViewBook(state, [item.id for item in site.cameras])
    learnt = state.learnt_budgets()
    taken = asyncio.run(
        take_views(site, clock, book, cameras, taking, one_at_a_time=running, learnt=learnt, told=_tell)
    )
    if by is not None:
        taken = approve(site, state, clock, book, taken, by)
    if as_json_only:
        typer.echo(json.dumps(as_json(site, to_millis(clock.now()), taken), ensure_ascii=False, indent=1))
    else:
        print_table(taken)
        if camera is not None:
            print_views(taken)
    return 1 if any(item.problem for item in taken) else 0


def _tell(cameras: int, seconds: float) -> None:
    """Say on standard error what is waited for."""
    typer.echo(
        f"a second look at {counted(cameras, 'camera')} in {seconds:.0f} s, so that whoever stands there may leave",
        err=True,
    )


def print_table(taken: list[Taken]) -> None:
    """Print the views for people, and what may be done next."""
    columns = max(60, min(shutil.get_terminal_size().columns, 140))
    rows = [("camera", "light", "pictures", "view in force", "state", "outcome")]
    for item in taken:
        light = "-" if item.fingerprint is None else item.fingerprint.light
        rows.append((item.camera, light, str(item.looks), _beside(item), item.state or "-", _outcome(item)))
    for line in table(rows, columns):
        typer.echo(line)
    outcomes = {item.outcome for item in taken}
    for outcome, text in _CLOSING.items():
        if outcome in outcomes:
            typer.echo(f"\n{text}")


def print_views(taken: list[Taken]) -> None:
    """Draw each new view, and the approved one of its light beneath it where there is one: edges, as the centre draws them."""
    columns = min(shutil.get_terminal_size().columns, 140)
    for item in taken:
        held = item.in_force
        views = (("the new view", item.fingerprint), ("the view in force", held.view.fingerprint if held else None))
        for name, view in views:
            if view is not None:
                typer.echo(f"\n{item.camera}, {name} ({view.light}): where edges run")
                for line in view_lines(sketch(view), columns, sys.stdout.encoding):
                    typer.echo(line)


def _beside(item: Taken) -> str:
    """Say how the view lies to the approved one of its light, else to the nearest of another light."""
    held = item.in_force
    if item.problem and not item.compared:
        return "-"  # nothing was held against the views in force, if there are any
    if held is None:
        others = ", ".join(f"{other.view.light} {other.overlap:.0%}" for other in item.compared)
        return f"none of this light ({others})" if others else "none"
    word = "the same" if held.overlap >= _SAME else "another"
    sure = f"approved by {held.view.by}" if held.view.by else "approved"
    return f"{word}: overlap {held.overlap:.0%}, {sure}{'' if held.view.confirmed else ' on site'}"


def _outcome(item: Taken) -> str:
    outcome = {"shown": ""}.get(item.outcome, item.outcome)
    return item.problem or "; ".join(part for part in (outcome, item.note) if part)
