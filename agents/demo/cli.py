"""The command `cradlewatch demo`."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import Annotated

import typer

from agents.demo.compare import differences
from agents.demo.processes import DemoError
from agents.demo.show import Options, play
from agents.demo.telling import Telling
from monitor.model.clock import SystemClock

EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def demo(
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Where the pages are; default 8420, or any.")
    ] = None,
    duration: Annotated[
        float | None, typer.Option(min=1, help="Seconds after which it ends and prints what it found.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the findings as JSON; all else on standard error.")
    ] = False,
) -> None:
    """Play a whole district on this machine: simulated cameras and recorders, real agents, a real collector."""
    telling = Telling(partial(typer.echo, err=as_json))
    try:
        outcome = asyncio.run(play(Options(port, duration), SystemClock(), telling))
    except DemoError as error:
        typer.echo(f"cradlewatch demo: {error}", err=True)
        raise typer.Exit(EXIT_USAGE) from None
    if outcome is None:
        telling.line("演示结束 ended")
        raise typer.Exit(EXIT_INTERRUPTED if duration is not None else 0)
    said = differences(outcome.findings, outcome.planted)
    telling.outcome(outcome.as_of, outcome.findings, outcome.planted, said)
    if as_json:
        typer.echo(json.dumps(outcome.to_json(), ensure_ascii=False, indent=2))
