"""What the collector's commands share: their option for collector.yaml, the context, and mistakes as one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError

from dashboards.prepare import prepare
from dashboards.serve_error import ServeError
from monitor.collector.context import Context
from monitor.collector.evidence import ExportError
from monitor.collector.mend_chain import MendError
from monitor.collector.own_keys import OwnKeyError, RotationError
from monitor.collector.settings import SettingsError, load_settings, open_secrets
from monitor.collector.verify_all import CheckError
from monitor.evidence.bundle import BundleError
from monitor.regulations.messages import said
from monitor.regulations.problem import PackError
from monitor.store import accounts, registry
from monitor.store.backup import BackupError
from monitor.store.engine import DatabaseUrlError, parse_url
from monitor.store.schema import SchemaError

QUIET: dict[str, Any] = {
    "no_args_is_help": True,
    "add_completion": False,
    "rich_markup_mode": None,
    "pretty_exceptions_enable": False,
}

Config = Annotated[Path | None, typer.Option("--config", help="collector.yaml; without it the defaults hold.")]


class UsageError(Exception):
    """Something that was asked for wrongly; the sentence says what."""


@contextmanager
def sentences() -> Iterator[None]:
    """Turn what a person can mend into one sentence on standard error and exit 2."""
    try:
        yield
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        fail(f"{'.'.join(str(part) for part in first['loc'])}: {said(first)}")
    except (
        SettingsError, DatabaseUrlError, ServeError, PackError, registry.RegisterError, accounts.AccountError, UsageError, ExportError, MendError, CheckError, RotationError, OwnKeyError,
        BundleError, SchemaError, BackupError,
    ) as error:  # fmt: skip
        fail(str(error))
    except SQLAlchemyError as error:
        cause = str(getattr(error, "orig", None) or type(error).__name__).strip().splitlines()[0]
        fail(f"the database can't be used: {cause}; check database_url or CRADLEWATCH_DATABASE_URL")


def fail(sentence: str) -> None:
    """Say what is wrong and exit with 2."""
    typer.echo(sentence, err=True)
    raise typer.Exit(2)


def open_context(config: Path | None, *, prepared: bool = True, existing: bool = False) -> Context:
    """Put the context together; with `prepared` the database has this version's schema afterwards.

    With `existing` a SQLite file that isn't there is not made: who only reads stands in the wrong directory. Raises UsageError.
    """
    settings = load_settings(config)
    for warning in open_secrets(config):
        typer.echo(f"warning: {warning}", err=True)
    url = parse_url(settings.database_url)
    if existing and url.get_backend_name() == "sqlite" and url.database and not Path(url.database).exists():
        raise UsageError(
            f"{url.database}: there is no database here; stand in its directory, or name it in collector.yaml (--config) or "
            "by CRADLEWATCH_DATABASE_URL"
        )
    if url.get_backend_name() == "sqlite" and url.database and not Path(url.database).absolute().parent.is_dir():
        folder = Path(url.database).absolute().parent
        raise UsageError(
            f"{folder}: there is no such directory for the database; make it, or mend database_url or CRADLEWATCH_DATABASE_URL"
        )
    context = Context.open(settings)
    if prepared:
        prepare(context.engine, may_migrate=False)
    return context
