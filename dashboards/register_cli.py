"""The commands `cradlewatch collector institution` and `jurisdiction`: who is supervised, and by whom."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from dashboards.command import QUIET, Config, UsageError, open_context, sentences
from monitor.model.counted import counted
from monitor.model.inventory import Institution, Jurisdiction, Level
from monitor.store import registry
from monitor.store.engine import reading, writing

institution_app = typer.Typer(**QUIET, help="The register of institutions.")
jurisdiction_app = typer.Typer(**QUIET, help="The tree of supervising areas.")

Id = Annotated[str, typer.Argument(metavar="ID", help="The institution's id, such as wj-0001.")]


@institution_app.command("add")
def institution_add(
    institution_id: Id,
    name: Annotated[str, typer.Option(help="Its name, as pages show it.")],
    regulation: Annotated[str, typer.Option(help="The id of the pack of rules that it is judged by.")],
    jurisdiction: Annotated[str | None, typer.Option(help="The code of the area that supervises it.")] = None,
    timezone: Annotated[str, typer.Option(help="Its time zone.")] = "Asia/Shanghai",
    config: Config = None,
) -> None:
    """Enter an institution into the register."""
    with sentences():
        institution = Institution(id=institution_id, name=name, timezone=timezone)
        context = open_context(config)
        context.packs.get(regulation)
        with writing(context.engine) as session:
            registry.add_institution(session, institution, regulation, context.now(), jurisdiction)
        typer.echo(f"{institution_id} is in the register.")


@institution_app.command("set")
def institution_set(
    institution_id: Id,
    name: Annotated[str | None, typer.Option(help="Its name, as pages show it.")] = None,
    regulation: Annotated[str | None, typer.Option(help="The id of the pack of rules that it is judged by.")] = None,
    jurisdiction: Annotated[str | None, typer.Option(help="The code of the area that supervises it.")] = None,
    timezone: Annotated[str | None, typer.Option(help="Its time zone.")] = None,
    config: Config = None,
) -> None:
    """Change an institution's entry in the register: what isn't given stays."""
    with sentences():
        if name is None and regulation is None and jurisdiction is None and timezone is None:
            raise UsageError("nothing to change: give --name, --regulation, --jurisdiction or --timezone")
        context = open_context(config, existing=True)
        if regulation is not None:
            context.packs.get(regulation)
        with writing(context.engine) as session:
            old = registry.known_institution(session, institution_id)
            changed = Institution(
                id=old.id,
                name=old.name if name is None else name,
                timezone=old.timezone if timezone is None else timezone,
            )
            registry.change_institution(
                session, changed, regulation or old.regulation, context.now(), jurisdiction or old.jurisdiction
            )
        typer.echo(f"{institution_id} is changed in the register.")


@institution_app.command("list")
def institution_list(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False, config: Config = None
) -> None:
    """List the institutions, the worst first."""
    with sentences():
        context = open_context(config)
        rows: list[registry.InstitutionSummary] = []
        with reading(context.engine) as session:
            while page := registry.institution_rows(
                session, after=registry.cursor_of(rows[-1]) if rows else None, limit=500
            ):
                rows += page
    if as_json:
        typer.echo(json.dumps([row.to_json() for row in rows], ensure_ascii=False, indent=2))
        return
    for row in rows:
        counts = f"{counted(row.open_findings, 'finding')}, {row.breached} breached, {row.undetermined} unknown, {row.met} met"
        typer.echo(f"{row.id}\t{row.name}\t{row.regulation}\t{counts}")


@jurisdiction_app.command("add")
def jurisdiction_add(
    code: Annotated[str, typer.Argument(help="Its division code, such as 320509.")],
    name: Annotated[str, typer.Option(help="Its name.")],
    level: Annotated[Level, typer.Option(help="Its level in the tree.")],
    parent: Annotated[str | None, typer.Option(help="The code of the area above it.")] = None,
    config: Config = None,
) -> None:
    """Enter a supervising area, or change the one of the same code."""
    with sentences():
        jurisdiction = Jurisdiction(code=code, name=name, level=level, parent=parent)
        context = open_context(config)
        with writing(context.engine) as session:
            registry.add_jurisdiction(session, jurisdiction)
        typer.echo(f"{code} is in the register.")


@jurisdiction_app.command("list")
def jurisdiction_list(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False, config: Config = None
) -> None:
    """List the supervising areas by code, each with its level and the code of the area above it."""
    with sentences():
        context = open_context(config, existing=True)
        with reading(context.engine) as session:
            found = registry.jurisdictions(session)
    if as_json:
        typer.echo(json.dumps([item.model_dump(mode="json") for item in found], ensure_ascii=False, indent=2))
        return
    for item in found:
        typer.echo(f"{item.code}\t{item.name}\t{item.level}\t{item.parent or '-'}")
