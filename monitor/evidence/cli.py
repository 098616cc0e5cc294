"""The command `cradlewatch verify`: an evidence bundle, offline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from monitor.model.plain import plain

if TYPE_CHECKING:
    from monitor.evidence.bundle import Bundle
    from monitor.model.regulation import Regulation

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def verify(bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="A file of `collector export`.")]) -> None:
    """Check an evidence bundle on any machine: signatures, links, and the verdict computed again from the reports.

    Exit status: 0 everything holds, 1 something doesn't, 2 the file is no bundle.
    """
    from monitor.evidence.bundle import Bundle, BundleError
    from monitor.evidence.check import about_bundle, check_bundle, compare_pack

    try:
        opened = Bundle(bundle)
        result = check_bundle(opened)
        compare_pack(opened, _installed(opened), result)
        about = about_bundle(opened)
    except BundleError as error:
        typer.echo(plain(str(error)), err=True)
        raise typer.Exit(2) from None
    for title, lines in (
        ("about", about),
        ("holds", result.holds),
        ("FAILS", result.fails),
        ("note", result.notes),
        ("key", result.keys),
    ):
        for line in lines:
            typer.echo(f"{title:6} {plain(line)}")
    typer.echo(
        "not checked here: whether the keys are those of the agents; compare their ids with what"
        f" `cradlewatch collector agent keys --institution {plain(str(opened.index.get('institution')))}` lists at the collector"
    )
    failed, held = len(result.fails), len(result.holds)
    typer.echo(
        f"result: {failed} of {failed + held} checks fail: this bundle does not prove its finding"
        if failed
        else f"result: all {held} checks hold"
    )
    raise typer.Exit(1 if failed else 0)


def _installed(bundle: Bundle) -> Regulation | None:
    """Return this installation's pack of the name that the bundle says."""
    from monitor.regulations.loader import load
    from monitor.regulations.problem import PackError

    said = bundle.json("regulation.json")
    try:
        return load(str(said.get("id")) if isinstance(said, dict) else "")
    except PackError:
        return None
