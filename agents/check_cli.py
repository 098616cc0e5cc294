"""The command `agent check`: one look, a table or JSON, and what was asked and answered."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from dataclasses import replace

import typer

from agents.check import Checked, as_json, check
from agents.check_table import check_table, local
from agents.regulation import site_regulation
from agents.scan.memory import ForNow, Keep
from agents.site import Site
from agents.state import State
from agents.views import ViewBook
from monitor.model.clock import SystemClock
from monitor.model.counted import counted
from monitor.model.observation import Observation
from monitor.model.plain import plain
from monitor.model.span import isoformat, to_millis
from monitor.model.verdict import Outcome
from monitor.regulations.columns import indented

_LABELS = {Outcome.BREACHED: "breached", Outcome.UNDETERMINED: "undetermined", Outcome.MET: "met"}


class UsageError(Exception):
    """The check can't be made as asked; the text is one sentence."""


def print_check(site: Site, *, as_json_only: bool, camera: str | None, explain: bool, retry_credentials: bool) -> int:
    """Make a check, print it, and return its exit status.

    Raises UsageError, SecretError, OptionsError, StateError or PackError when it can't be made.
    """
    if camera is not None and site.camera(camera) is None:
        known = ", ".join(item.id for item in site.cameras)
        raise UsageError(f"--camera {camera}: {site.path} has no such camera; there are {known}")
    checked = _check(site, camera=camera, retry_credentials=retry_credentials)
    if as_json_only:
        typer.echo(json.dumps(as_json(site, checked), ensure_ascii=False, indent=1))
    else:
        _print(site, checked)
    for note in checked.notes:
        typer.echo(f"note: {note}", err=True)
    if explain:
        _explain(checked, err=as_json_only)
    return checked.exit_code


def _check(site: Site, *, camera: str | None, retry_credentials: bool) -> Checked:
    clock = SystemClock()
    state = State(site.state_dir, site.institution.id)
    try:
        judged_by = site_regulation(site, state)
        journal = state.journal()
        try:
            history: list[Observation] = journal.all(to_millis(clock.now()), spans=False)
            seen_first = journal.first_seen()
        finally:
            journal.close()
        meter = _Progress(sum(item.recorder is not None and camera in (None, item.id) for item in site.cameras))
        checked = asyncio.run(
            check(
                site,
                judged_by.regulation,
                clock,
                history=history,
                seen_first=seen_first,
                waivers=judged_by.waivers,
                inventory=judged_by.inventory,
                views=ViewBook(state, [item.id for item in site.cameras]),
                camera=camera,
                retry_credentials=retry_credentials,
                memory=memory_of(state),
                progress=meter.told,
                state=state,
            )
        )
        meter.done()
        if state.serves_older(site.path):
            note = f"{site.path} was changed after the service (`agent run`) had begun, which goes by what stood there then: start it anew"
            checked = replace(checked, notes=(*checked.notes, note))
    finally:
        state.close()
    return checked


def memory_of(state: State) -> Keep:
    """Return what a check remembers by: the agent's own memory, which it only reads where a service keeps it.

    A service that stands still while somebody looks would else never tell the collector what the look found lost.
    """
    return ForNow(state) if state.is_running() or state.is_enrolled() else state


class _Progress:
    """How far the index scans are, on standard error: one line that renews itself on a terminal, few lines elsewhere."""

    def __init__(self, cameras: int) -> None:
        self._cameras = cameras
        self._shares: dict[str, float] = {}
        self._shown = -1
        self._terminal = sys.stderr.isatty()

    def told(self, camera: str, share: float) -> None:
        """Take note of one camera's share, 0..1."""
        self._shares[camera] = share
        percent = int(100 * sum(self._shares.values()) / max(self._cameras, len(self._shares)))
        step = 1 if self._terminal else 25
        if percent // step == self._shown // step:
            return
        self._shown = percent
        read = sum(value >= 1.0 for value in self._shares.values())
        line = f"reading the recorders' index: {percent} % ({read} of {counted(self._cameras, 'camera')})"
        typer.echo(f"\r{line}" if self._terminal else line, err=True, nl=not self._terminal)

    def done(self) -> None:
        """Leave the terminal with a fresh line."""
        if self._terminal and self._shown >= 0:
            typer.echo("\r\033[K", err=True, nl=False)


def _print(site: Site, checked: Checked) -> None:
    columns = max(60, min(shutil.get_terminal_size().columns, 140))
    name, zone = site.institution.name, site.timezone
    looked = local(isoformat(checked.as_of), zone)
    typer.echo(f"{site.institution.id}{f' {name}' if name else ''}, judged by {checked.regulation.id}")
    typer.echo(f"{looked} ({zone.key})\n")
    for line in check_table(checked.verdicts, zone, columns):
        typer.echo(plain(line))
    counts = {outcome: sum(v.outcome is outcome for v in checked.verdicts) for outcome in _LABELS}
    typer.echo("\n" + ", ".join(f"{count} {_LABELS[outcome]}" for outcome, count in counts.items()) + ".")
    cited = {v.requirement.kind: v.requirement for v in checked.verdicts if v.outcome is Outcome.BREACHED}
    for requirement in cited.values():
        citation = requirement.citation
        text = f"{requirement.kind}: {citation.title.zh} {citation.clause.zh} ({citation.strength}, {citation.status})"
        for line in indented(text, 2, columns):
            typer.echo(line)


def _explain(checked: Checked, *, err: bool) -> None:
    explained = checked.explained.lines if err else checked.explained.shown
    for subject, lines in sorted(explained.items()):
        typer.echo(f"\n{subject}", err=err)
        for line in lines:
            typer.echo(f"  {plain(line)}", err=err)
