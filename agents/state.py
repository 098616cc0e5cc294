"""The state directory: what the agent must know again after a restart, and who may use it now."""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import socket
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from pydantic import JsonValue, ValidationError

from agents.behind import Behind
from agents.database import Database, DatabaseError
from agents.enduring import Enduring
from agents.identity import Identity, IdentityError, keep, key_path, read_key
from agents.journal import Journal
from agents.outbox import Outbox
from monitor.model.envelope import KeyId, Nonce
from monitor.model.inventory import Identifier, Strict

_SCHEMA = "CREATE TABLE IF NOT EXISTS kept (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID"
_CLOCK_WAS_SET = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
"""A box without a battery wakes up in 1970: what its files are dated before its clock is set tells nothing."""
_ASKED_MOST = 10_000
"""So often is looked again while commands only ask whether a service runs: each does so for microseconds."""
_NOT_IN_AN_ID = re.compile(r"[^A-Za-z0-9._-]+")


class StateError(Exception):
    """The state directory can't be used; the text is one sentence that names it and says what to do."""


class Enrolment(Strict):
    """What `agent enroll` got: where the collector is, who the agent is to it, and what is pinned."""

    institution: Identifier
    agent: Identifier
    collector: str
    key: KeyId
    """The thumbprint of the agent's key; the key itself lies in a file of its own."""
    next_key: KeyId | None = None
    """A key that is being registered in its place."""
    collector_key: dict[str, str]
    """The collector's public key (JWK): it signs what the agent is told."""
    ca: str | None = None
    """The one certificate (PEM) that the collector's must come from; None: the system's trust store decides."""
    client: tuple[str, str] | None = None
    """Files of the certificate and the key (PEM) that the agent shows; the key stays where it is."""
    nonce: Nonce


class State:
    """The state directory of one site, mode 0700. May be opened by several processes; `lock` is for the service."""

    def __init__(self, directory: Path, institution: str, *, enduring: bool = False) -> None:
        """Open or make the directory. Raises StateError: it can't be made, or it is another institution's.

        With `enduring` (the service) a disk that refuses its files is no reason not to watch: what can be read of them
        counts, and what is to be kept is in memory or waits. Nor does `get` or `put` wait for a disk that is slow, then:
        what was put is written beside, and what others put is seen after the next `settle`. Without, a person is told at once.
        """
        self.directory = directory
        self._held: TextIO | None = None
        """The lock file while `lock` holds it."""
        self.boot = secrets.token_hex(16)
        """This start of the agent: reports are numbered within it."""
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._enduring = enduring
            self._kept: Database = (Enduring if enduring else Database)(directory / "state.sqlite", _SCHEMA)
            self._behind = Behind("state", self._kept, "SELECT key, value FROM kept", _write) if enduring else None
        except OSError as error:
            raise StateError(
                f"the state directory {directory} can't be made ({error.strerror}): correct state_dir or its owner"
            ) from None
        except DatabaseError as error:
            raise StateError(f"the state directory {directory} can't be used: {error}") from None
        owner = self.get("institution")
        if owner is None:
            self.put("institution", institution)
        elif owner != institution:
            self.close()
            raise StateError(
                f"the state directory {directory} is that of institution {owner}, and not of {institution}:"
                " give this site a state_dir of its own"
            )

    def try_again(self) -> None:
        """Put what is in memory alone into the file, where the disk takes it again."""
        if isinstance(self._kept, Enduring):
            self._kept.try_again()

    def settle(self) -> None:
        """Wait until what was put is written, and see what others put. For a thread of the service. Raises DatabaseError."""
        if self._behind is not None:
            self._behind.settle()

    def close(self) -> None:
        """Close the files."""
        (self._behind or self._kept).close()

    def outbox(self) -> Outbox:
        """Open the queue of reports."""
        return Outbox(self.directory / "outbox.sqlite", patient=self._enduring)

    def journal(self) -> Journal:
        """Open the agent's own ledger."""
        return Journal(self.directory / "journal.sqlite", patient=self._enduring)

    @property
    def problem(self) -> str | None:
        """Why what is learnt can't be kept durably, one sentence; None when it can."""
        return self._kept.problem

    @property
    def agent(self) -> str:
        """The agent's id: the collector's word once enrolled, before that the machine's name, chosen once."""
        try:
            enrolment = self.enrolment()
        except StateError:
            if not self._enduring:
                raise
            known = self.get("enrolled_as")
            return known if isinstance(known, str) else self.own_name
        return enrolment.agent if enrolment is not None else self.own_name

    @property
    def own_name(self) -> str:
        """The name that the agent asks for: the machine's, chosen once."""
        name = self.get("agent")
        if not isinstance(name, str):
            name = _machine_name()
            self.put("agent", name)
        return name

    def get(self, key: str) -> JsonValue:
        """Return what was kept under `key`; None when nothing was, or when it can't be read any more."""
        text = self._behind.get(key) if self._behind is not None else self._read(key)
        try:
            value: JsonValue = json.loads(text) if text is not None else None
        except ValueError:
            return None
        return value

    def put(self, key: str, value: JsonValue) -> None:
        """Keep a value under `key`, durably (for the service: once it has settled); None forgets it."""
        text = None if value is None else json.dumps(value)
        if self._behind is not None:
            self._behind.put(key, text)
        else:
            self._kept.run(lambda connection: _write(connection, key, text))

    def learnt_budgets(self) -> dict[str, int]:
        """Return the session budgets learnt so far, by recorder."""
        value = self.get("budgets")
        return {key: item for key, item in value.items() if type(item) is int} if isinstance(value, dict) else {}

    def learn_budgets(self, learnt: Mapping[str, int | None]) -> None:
        """Keep the session budgets learnt by recorder; None forgets what was learnt earlier."""
        before = self.learnt_budgets()
        after = {name: most for name, most in {**before, **learnt}.items() if most is not None}
        if after != before:
            self.put("budgets", {**after})

    def is_enrolled(self) -> bool:
        """Tell whether there is an enrolment that can be read."""
        try:
            return self.enrolment() is not None
        except StateError:
            return False

    def has_enrolment(self) -> bool:
        """Tell whether the agent was enrolled. Raises StateError when it can't be read; the service goes by what it was told last."""
        return self._enrolment_path.exists() if self._enduring else self.enrolment() is not None

    def enrolment(self) -> Enrolment | None:
        """Return the enrolment as it is now, None without one. Raises StateError when it can't be read."""
        path = self._enrolment_path
        try:
            text = path.read_text("utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError):
            raise StateError(f"{path} can't be read: enrol the agent again, or correct the file's owner") from None
        try:
            return Enrolment.model_validate_json(text)
        except ValidationError:
            if '"token"' in text:
                raise StateError(f"{path} is of a version that used tokens: enrol the agent again") from None
            raise StateError(f"{path} is damaged: enrol the agent again") from None

    def identity(self) -> Identity | None:
        """Return who the agent is to its collector, None when not enrolled. Raises StateError: the key can't be used."""
        enrolment = self.enrolment()
        if enrolment is None:
            return None
        try:
            key = read_key(self.directory, enrolment.key)
        except IdentityError as error:
            raise StateError(str(error)) from None
        return Identity(enrolment.institution, enrolment.agent, key, enrolment.nonce)

    def save_enrolment(self, enrolment: Enrolment) -> None:
        """Keep the enrolment, durably, readable by the owner alone; keys that it doesn't name are removed.

        Raises StateError when the directory is another one than that which is held.
        """
        if (why := self.taken_away()) is not None:
            raise StateError(why)
        keep(self._enrolment_path, (enrolment.model_dump_json() + "\n").encode())
        self.put("enrolled_as", enrolment.agent)
        named = {key_path(self.directory, key) for key in (enrolment.key, enrolment.next_key) if key is not None}
        for path in set(self.directory.glob(key_path(self.directory, "*").name)) - named:
            path.unlink(missing_ok=True)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the directory for the one service on it. Raises StateError when another one runs; a kill frees it."""
        path = self.directory / "run.lock"
        try:
            stream = path.open("a+", encoding="ascii", errors="replace")
        except OSError as error:
            if not self._enduring:
                raise StateError(
                    f"{path} can't be made ({error.strerror}): correct its owner, or free the disk"
                ) from None
            try:
                stream = path.open("r", encoding="ascii", errors="replace")
            except OSError:
                yield  # a disk that refuses even this holds no second service's files either
                return
        with stream:
            _take_lock(stream, path)
            with suppress(OSError):  # the number is for people alone
                os.truncate(path, 0)
                os.write(stream.fileno(), f"{os.getpid()}\n".encode())
            self._held = stream
            try:
                yield
            finally:
                self._held = None

    def taken_away(self) -> str | None:
        """Return why the directory is another one than that which `lock` holds, one sentence; None while it is the same.

        Also None when nobody can tell: a disk that fails is no directory that was moved.
        """
        if self._held is None:
            return None
        path = Path(self._held.name)
        try:
            if os.path.samestat(os.fstat(self._held.fileno()), path.stat()):
                return None
        except (FileNotFoundError, NotADirectoryError):
            pass
        except OSError:
            return None
        return (
            f"the state directory {self.directory} was moved away, emptied or replaced while this `agent run` used it:"
            " nothing more is written there; put it back if that was a mistake, and start the agent again"
        )

    def is_running(self) -> bool:
        """Tell whether a service uses the directory now."""
        try:
            with (self.directory / "run.lock").open("r", encoding="ascii") as stream:
                fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except OSError:
            return True
        return False

    def serves_older(self, file: Path) -> bool:
        """Tell whether a service runs here that began before the file was last changed: it goes by what stood there then."""
        if not self.is_running():
            return False
        try:
            began, changed = ((self.directory / "run.lock").stat().st_mtime, file.stat().st_mtime)
        except OSError:
            return False
        return _CLOCK_WAS_SET < began < changed

    def _read(self, key: str) -> str | None:
        row = self._kept.run(
            lambda connection: connection.execute("SELECT value FROM kept WHERE key = ?", (key,)).fetchone()
        )
        return str(row[0]) if row else None

    @property
    def _enrolment_path(self) -> Path:
        return self.directory / "agent.json"


def _write(connection: sqlite3.Connection, key: str, text: str | None) -> None:
    if text is None:
        connection.execute("DELETE FROM kept WHERE key = ?", (key,))
    else:
        connection.execute("INSERT OR REPLACE INTO kept VALUES (?, ?)", (key, text))


def _take_lock(stream: TextIO, path: Path) -> None:
    """Lock the file for this process alone, which a kill undoes. Raises StateError when a service holds it."""
    for _ in range(_ASKED_MOST):
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not _is_only_asked_for(stream):
                break
            os.sched_yield()
        except OSError as error:
            raise StateError(
                f"{path} can't be locked ({error.strerror}): put state_dir on a disk of this machine"
            ) from None
        else:
            return
    stream.seek(0)
    holder = stream.read(20).strip()
    holder = holder if holder.isdecimal() else "unknown"  # the file may hold anything
    raise StateError(f"another `agent run` (process {holder}) already uses {path.parent}: stop it first")


def _is_only_asked_for(stream: TextIO) -> bool:
    """Tell whether those who hold the lock share it: `is_running` of a command does, for a moment."""
    try:
        fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    fcntl.flock(stream, fcntl.LOCK_UN)
    return True


def _machine_name() -> str:
    """Return the machine's name as an id."""
    name = _NOT_IN_AN_ID.sub("-", socket.gethostname().split(".")[0]).strip("-._")[:64]
    return name or "agent"
