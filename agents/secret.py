"""Passwords: where they are kept, read when they are needed, and never shown."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

CREDENTIALS = "CREDENTIALS_DIRECTORY"
"""Where systemd puts the credentials of a unit (`LoadCredential=`, `LoadCredentialEncrypted=`), for it alone to read."""

MAX_BYTES = 4096
"""No password is longer; a larger file is another one."""


class SecretError(Exception):
    """A password can't be read; the text is one sentence that names device and key, and never the password."""


@dataclass(frozen=True)
class Secret:
    """A reference to a password. It doesn't hold the password, so no repr, log or error can show it."""

    owner: str
    """The device as people know it: recorder nvr, camera gate."""
    file: Path | None = None
    variable: str | None = None
    credential: str | None = None
    """The name of a credential that systemd hands to the service."""

    def read(self) -> str:
        """Return the password as it is now. Raises SecretError."""
        text = self._text()
        if not text:
            raise SecretError(f"{self.owner}: {self._place} is empty; write the password into it")
        if "\n" in text or "\x00" in text:
            raise SecretError(f"{self.owner}: {self._place} holds more than one line; write only the password into it")
        return text

    def warning(self) -> str | None:
        """Return one sentence when others on this machine may read the file; None else, or when there is no file."""
        try:
            mode = self.file.stat().st_mode if self.file is not None else 0
        except OSError:
            return None
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            return f"{self.owner}: {self._place} can be opened by other users of this machine; run chmod 600 on it"
        return None

    @property
    def _place(self) -> str:
        if self.credential is not None:
            return f"password_credential {self.credential}"
        return f"password_file {self.file}" if self.file is not None else f"password_env {self.variable}"

    def _text(self) -> str:
        if self.credential is not None:
            return self._from_credential(self.credential)
        return self._from_file(self.file) if self.file is not None else self._from_environment(self.variable or "")

    def _from_credential(self, name: str) -> str:
        folder = os.environ.get(CREDENTIALS)
        if not folder:
            raise SecretError(
                f"{self.owner}: {self._place} can't be read: systemd handed no credentials to this process; write"
                f" LoadCredential={name}:FILE into the agent's unit, and run other commands by systemd-run with the same"
            )
        return self._from_file(Path(folder) / name)

    def _from_file(self, path: Path) -> str:
        try:
            with path.open("rb") as stream:
                content = stream.read(MAX_BYTES + 1)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "no such file"
            raise SecretError(
                f"{self.owner}: {self._place} can't be read ({reason}); create it, or correct the path"
            ) from None
        if len(content) > MAX_BYTES:
            raise SecretError(f"{self.owner}: {self._place} is longer than {MAX_BYTES} bytes; it is no password file")
        try:
            return content.decode("utf-8-sig").rstrip("\r\n")
        except UnicodeDecodeError:
            raise SecretError(f"{self.owner}: {self._place} is no UTF-8 text; save it as UTF-8") from None

    def _from_environment(self, name: str) -> str:
        value = os.environ.get(name)
        if value is None:
            raise SecretError(f"{self.owner}: {self._place} is not set; export it before the agent starts")
        return value.rstrip("\r\n")


class Password:
    """A password in use: it may be corrected where it is kept while the agent runs."""

    def __init__(self, secret: Secret) -> None:
        """Read it. Raises SecretError."""
        self._secret = secret
        self._now = secret.read()

    def now(self) -> str:
        """Return it as it was last read."""
        return self._now

    def refresh(self) -> bool:
        """Read it anew, and tell whether it is another one; one that can't be read now stays as it was."""
        before = self._now
        with suppress(SecretError):
            self._now = self._secret.read()
        return self._now != before


@dataclass(frozen=True)
class Credentials:
    """A user name and where its password is kept."""

    username: str
    password: Secret
