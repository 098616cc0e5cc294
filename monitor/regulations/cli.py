"""The command `cradlewatch regulation`: lists, shows and validates packs."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from monitor.model.regulation import Regulation
from monitor.regulations.document import shown
from monitor.regulations.loader import load, load_all, load_file, pack_files, packs_directory
from monitor.regulations.problem import PackError, Problem
from monitor.regulations.show import Language, list_page, pack_page

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="The rules, as data: list, show and validate regulation packs.",
)

Directories = Annotated[
    list[Path] | None, typer.Option("--directory", "-d", help="A further directory of packs; may be given again.")
]
Lang = Annotated[
    Language | None, typer.Option("--lang", help="Language of the texts; by default that of the terminal.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_packs(directory: Directories = None, lang: Lang = None, as_json: AsJson = False) -> None:
    """List the packs. Exit 0, or 2 when one of them can't be used."""
    try:
        packs = load_all(directory or ())
    except PackError as error:
        _fail(error)
    if as_json:
        typer.echo(json.dumps([_summary(pack) for pack in packs], ensure_ascii=False, indent=2))
    else:
        _print(list_page(packs, lang or _language(), _columns()))


@app.command()
def show(
    pack_id: Annotated[str, typer.Argument(metavar="ID", help="The pack's id, as `list` has it.")],
    directory: Directories = None,
    lang: Lang = None,
    as_json: AsJson = False,
) -> None:
    """Show one pack: rooms, requirements with their citations and numbers, the texts behind it."""
    try:
        pack = load(pack_id, directory or ())
    except PackError as error:
        _fail(error)
    if as_json:
        typer.echo(json.dumps(pack.model_dump(mode="json", by_alias=True), ensure_ascii=False, indent=2))
    else:
        _print(pack_page(pack, lang or _language(), _columns()))


@app.command()
def validate(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[PATH]...", help="Pack files or directories; by default the installed packs."),
    ] = None,
) -> None:
    """Check packs; every problem is named by file, line and key. Exit 0 when all are right, else 2."""
    problems: list[Problem] = []
    if not paths:
        paths = [packs_directory()]
    for path in paths:
        try:
            files = _files(path)
        except PackError as error:
            problems += error.problems
            continue
        for file in files:
            try:
                pack = load_file(file)
            except PackError as error:
                problems += error.problems
            else:
                count = len(pack.requirements.all())
                typer.echo(f"{shown(file)}: ok ({pack.id}, version {pack.version}, {count} requirements)")
    if problems:
        _fail(PackError(problems))


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = pack_files(path)
    if not files:
        raise PackError([Problem(shown(path), 0, "", "there is no pack (*.yaml) in this directory")])
    return files


def _fail(error: PackError) -> NoReturn:
    for problem in error.problems:
        typer.echo(str(problem), err=True)
    raise typer.Exit(2)


def _print(lines: Iterator[str]) -> None:
    for line in lines:
        typer.echo(line)


def _summary(pack: Regulation) -> dict[str, object]:
    """Return what `list --json` says of a pack."""
    fields = {"id", "version", "title", "jurisdiction", "effective_from", "effective_to"}
    kinds = [requirement.kind for requirement in pack.requirements.all()]
    return {**pack.model_dump(mode="json", include=fields), "requirements": kinds}


def _columns() -> int:
    """Return the width to print in: the terminal's, within what reads well."""
    return min(max(shutil.get_terminal_size((100, 24)).columns, 40), 120)


def _language() -> Language:
    """Return the terminal's language: Chinese if it says so, else English."""
    said = next((os.environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if os.environ.get(name)), "")
    return Language.ZH if said.lower().startswith("zh") else Language.EN
