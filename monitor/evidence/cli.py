"""The command `cradlewatch verify`: an evidence bundle, offline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def verify(bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="A file of `collector export`.")]) -> None:
    """Check an evidence bundle on any machine: signatures, links, and the verdict computed again from the reports.

    Exit status: 0 everything holds, 1 something doesn't, 2 the file is no bundle.
    """
    from monitor.evidence.bundle import Bundle, BundleError
    from monitor.evidence.check import check_bundle

    try:
        result = check_bundle(Bundle(bundle))
    except BundleError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    for title, lines in (("holds", result.holds), ("FAILS", result.fails), ("note", result.notes)):
        for line in lines:
            typer.echo(f"{title:6} {line}")
    typer.echo("not checked here: whether the keys are those of the agents; compare their ids with the collector's")
    raise typer.Exit(1 if result.fails else 0)
