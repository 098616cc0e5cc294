"""collector.yaml: what the centre is told; the environment wins where a secret may stand."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, ValidationError, field_validator, model_validator

from monitor.collector.cores import usable_cores
from monitor.collector.packs import unreadable_directory
from monitor.model.authority import Authority, read_authority
from monitor.model.inventory import Strict
from monitor.model.regulation import Duration
from monitor.model.span import HOUR, MINUTE
from monitor.regulations.document import Document, read_document
from monitor.regulations.messages import problems_of
from monitor.regulations.problem import PackError, Problem
from monitor.store.engine import DEFAULT_URL, DatabaseUrlError, parse_url

DATABASE_URL = "CRADLEWATCH_DATABASE_URL"
CREDENTIALS = "CREDENTIALS_DIRECTORY"
"""Where systemd puts a unit's credentials (`LoadCredential=`), for it alone to read."""

LONGEST_SECRET = 64 * 1024


class SettingsError(Exception):
    """collector.yaml or its environment can't be used; one sentence a line, none with a secret in it."""


def _credential(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,199}", text):
        raise ValueError("is no name of a credential; write NAME as in systemd's LoadCredential=NAME:FILE")
    return text


Credential = Annotated[str, AfterValidator(_credential)]


def _variable(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,199}", text):
        raise ValueError("is no name of a variable; write the addresses into a variable, and its name here")
    return text


Variable = Annotated[str, AfterValidator(_variable)]


class NoticeSettings(Strict):
    """Where notices go: apprise URLs, one a line, from a file, the environment or a credential, since they hold secrets."""

    urls_file: Path | None = None
    urls_env: Variable | None = None
    urls_credential: Credential | None = None
    language: Literal["zh", "en"] = "zh"

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if sum(place is not None for place in (self.urls_file, self.urls_env, self.urls_credential)) > 1:
            raise ValueError("write one of urls_file, urls_env and urls_credential")
        return self

    @property
    def configured(self) -> bool:
        """Tell whether there is any address to send to."""
        return self.urls_file is not None or self.urls_env is not None or self.urls_credential is not None


_URL = re.compile(r"https?://\S+")


def host_and_port(text: str) -> tuple[str, int]:
    """Split an address to listen at. Raises ValueError that says what it should be like."""
    host, _, port = text.rpartition(":")
    host = host.strip("[]")
    if not host or not port.isdecimal() or not port.isascii() or int(port) > 65_535:
        raise ValueError("is no address to listen at; write HOST:PORT, such as 127.0.0.1:8420")
    return host, int(port)


def _address(text: str) -> str:
    host_and_port(text)
    return text


def _web_address(text: str) -> str:
    if not _URL.fullmatch(text):
        raise ValueError("is no web address; write it like https://watch.example")
    return text


class TlsSettings(Strict):
    """What the collector shows over TLS: without it, it speaks plain HTTP, to a proxy on the same machine."""

    certificate: Path
    """Its certificate with those between it and the authority (PEM)."""
    key: Path
    client_ca: Path | None = None
    """Only who shows a certificate from here (PEM) may connect at all: for a listener that is for agents alone."""


class Settings(Strict):
    """All that the centre is told. Durations read `60s`, `12h`."""

    database_url: str = Field(DEFAULT_URL, repr=False)
    database_url_file: Path | None = None
    """The file that holds it, as it may hold a password."""
    database_url_credential: Credential | None = None
    listen: Annotated[str, AfterValidator(_address)] = "127.0.0.1:8420"
    evaluate_every: Annotated[Duration, Field(ge=100, le=24 * HOUR)] = MINUTE
    """Each institution is evaluated this often, and after a report not more often than this."""
    notices: NoticeSettings = NoticeSettings()
    pack_dirs: tuple[Path, ...] = ()
    session_lifetime: Annotated[Duration, Field(ge=MINUTE)] = 12 * HOUR
    metrics: Literal["open", "token"] = "open"
    """Whether /metrics asks for an API token."""
    public_url: Annotated[str, AfterValidator(_web_address)] | None = None
    """The dashboard's address as people reach it: links in notices begin with it."""
    ca_file: Path | None = None
    """The certificate (PEM) that the address's own comes from: its fingerprint is given with each code."""
    tls: TlsSettings | None = None
    workers: Annotated[int, Field(ge=1, le=64)] | None = None
    """So many processes answer; None: see `processes`."""

    def processes(self) -> int:
        """Return how many processes answer: on SQLite, which has one writer, one; else one for each usable core, four at most."""
        if self.workers is not None:
            return self.workers
        return 1 if parse_url(self.database_url).get_backend_name() == "sqlite" else min(4, usable_cores())

    @model_validator(mode="after")
    def _one_database(self) -> Self:
        places = {"database_url", "database_url_file", "database_url_credential"}
        if len(places & self.model_fields_set) > 1:
            raise ValueError("write one of database_url, database_url_file and database_url_credential")
        return self

    @field_validator("database_url")
    @classmethod
    def _usable(cls, value: str) -> str:
        parse_url(value)
        return value

    def certificate_authority(self) -> Authority | None:
        """Return what agents pin, None where ca_file isn't set. Raises SettingsError when it can't be read."""
        if self.ca_file is None:
            return None
        try:
            return read_authority(self.ca_file.read_bytes())
        except OSError as error:
            raise SettingsError(f"{self.ca_file}: ca_file can't be read: {error.strerror}") from None
        except ValueError as error:
            raise SettingsError(f"{self.ca_file}: ca_file {error}") from None

    def notice_urls(self, environ: Mapping[str, str] = os.environ) -> tuple[str, ...]:
        """Return the apprise URLs, none where none are configured. Raises SettingsError when they can't be read."""
        settings = self.notices
        if settings.urls_file is not None:
            text = _text_of(settings.urls_file, "notices.urls_file")
        elif settings.urls_env is not None:
            if settings.urls_env not in environ:
                raise SettingsError(f"{settings.urls_env}: notices.urls_env names this variable, and it is not set")
            text = environ[settings.urls_env]
        elif settings.urls_credential is not None:
            text = _text_of(
                _credential_file(settings.urls_credential, "notices.urls_credential", environ),
                "notices.urls_credential",
            )
        else:
            return ()
        lines = (line.strip() for line in text.splitlines())
        return tuple(line for line in lines if line and not line.startswith("#"))


def _text_of(file: Path, key: str) -> str:
    """Read a file that holds a secret. Raises SettingsError."""
    try:
        with file.open("rb") as stream:
            return stream.read(LONGEST_SECRET).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SettingsError(f"{file}: {key} can't be read: {why}") from None


def _credential_file(name: str, key: str, environ: Mapping[str, str]) -> Path:
    folder = environ.get(CREDENTIALS)
    if not folder:
        raise SettingsError(
            f"{key} {name}: systemd handed no credentials to this process; write LoadCredential={name}:FILE into the"
            " collector's unit, and run other commands by systemd-run with the same"
        )
    return Path(folder) / name


def _database_url_of(values: Mapping[str, Any], environ: Mapping[str, str]) -> str | None:
    """Return the database's address from where collector.yaml says that it is; None where it is in there, or the default."""
    file, credential = values.get("database_url_file"), values.get("database_url_credential")
    if credential is not None:
        key = "database_url_credential"
        file = _credential_file(credential, key, environ)
    elif file is not None:
        key = "database_url_file"
    else:
        return None
    text = _text_of(file, key).strip()
    try:
        parse_url(text)
    except DatabaseUrlError as error:
        raise SettingsError(f"{file}: {key}: {error}") from None
    return text


def open_secrets(path: Path | None, environ: Mapping[str, str] = os.environ) -> Iterator[str]:
    """Say which secrets of collector.yaml others on this machine may read, one sentence each, with what to do."""
    if path is None:
        return
    try:
        settings = Settings.model_validate(_read(path))
        held = [(path, "database_url")] if parse_url(settings.database_url).password is not None else []
        folder = path.absolute().parent
        given = {"database_url_file": settings.database_url_file, "notices.urls_file": settings.notices.urls_file}
        held += [(folder / file, key) for key, file in given.items() if file is not None]
        if environ.get(DATABASE_URL):
            held = [item for item in held if not item[1].startswith("database_url_")]
        modes = [(file, key, file.stat().st_mode) for file, key in held]
    except (OSError, SettingsError):
        return  # said where they are read
    for file, key, mode in modes:
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            what = "holds a password" if key == "database_url" else "holds secrets"
            instead = ", or write database_url_file or database_url_credential" if key == "database_url" else ""
            yield f"{file}: {key} {what}, and other users of this machine can open the file; run chmod 600 on it{instead}"


def load_settings(path: Path | None = None, environ: Mapping[str, str] = os.environ) -> Settings:
    """Read collector.yaml (None: the defaults); CRADLEWATCH_DATABASE_URL wins. Raises SettingsError.

    Paths in the file are relative to it.
    """
    values = {} if path is None else _read(path)
    if environ.get(DATABASE_URL):
        values["database_url"] = environ[DATABASE_URL]
        try:
            parse_url(environ[DATABASE_URL])
        except DatabaseUrlError as error:
            raise SettingsError(f"{DATABASE_URL}: {error}") from None
        values.pop("database_url_file", None)
        values.pop("database_url_credential", None)
    elif (url := _database_url_of(values, environ)) is not None:
        values = {name: value for name, value in values.items() if not name.startswith("database_url")}
        values["database_url"] = url
    return Settings.model_validate(values)


def _read(path: Path) -> dict[str, Any]:
    """Read the file's values, with its paths made absolute."""
    try:
        document = read_document(path)
    except PackError as error:
        raise SettingsError("\n".join(_reworded(problem) for problem in error.problems)) from None
    problems = list(document.problems)
    try:
        # By way of JSON, because pydantic's strict mode then takes lists and paths as they are written, nothing else.
        settings = Settings.model_validate_json(json.dumps(document.data), strict=True)
    except ValidationError as error:
        found = problems_of(error, Settings, document)
        problems += [Problem(p.file, p.line, p.key, _no_value(p)) for p in found]
    else:
        problems += _lost_directories(settings, document, path.absolute().parent)
    if problems:
        raise SettingsError("\n".join(str(problem) for problem in problems))
    return _absolute(settings, path.absolute().parent)


def _lost_directories(settings: Settings, document: Document, folder: Path) -> Iterator[Problem]:
    """Without one of its directories the centre would run, and leave institutions unjudged without a word."""
    for index, item in enumerate(settings.pack_dirs):
        why = unreadable_directory(folder / item)
        if why is not None:
            yield document.problem(("pack_dirs", index), f"{folder / item}: {why}")


def _no_value(problem: Problem) -> str:
    """A sentence about the database never repeats what was written: it may hold a password."""
    if problem.key == "database_url" and "database" not in problem.message:
        return "is no database URL; write sqlite:///FILE or postgresql://USER@HOST/DATABASE"
    return problem.message


def _reworded(problem: Problem) -> str:
    """The reader of YAML speaks of packs."""
    if problem.message.startswith("is empty"):
        return str(Problem(problem.file, 0, "", "is empty; leave the file away to run with the defaults"))
    return str(
        Problem(problem.file, problem.line, problem.key, problem.message.replace("; a pack is a short text", ""))
    )


def _absolute(settings: Settings, folder: Path) -> dict[str, Any]:
    values = {name: getattr(settings, name) for name in settings.model_fields_set}
    values.update({name: f"{values[name]}ms" for name in ("evaluate_every", "session_lifetime") if name in values})
    if "pack_dirs" in values:
        values["pack_dirs"] = tuple(folder / item for item in settings.pack_dirs)
    for name in ("ca_file", "database_url_file"):
        if (given := getattr(settings, name)) is not None:
            values[name] = folder / given
    if settings.tls is not None:
        named = {name: folder / path for name in TlsSettings.model_fields if (path := getattr(settings.tls, name))}
        values["tls"] = TlsSettings(**named)
    file = settings.notices.urls_file
    if file is not None:
        values["notices"] = settings.notices.model_copy(update={"urls_file": folder / file})
    if "database_url" in values:
        url = parse_url(settings.database_url)
        if url.get_backend_name() == "sqlite" and url.database is not None:
            url = url.set(database=str(folder / url.database))
        values["database_url"] = url.render_as_string(hide_password=False)
    return values
