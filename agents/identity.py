"""Who the agent is to its collector: its private key, which never leaves the state directory, and how it signs."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from monitor.model.suite import BadKey, PrivateKey


class IdentityError(Exception):
    """The key can't be used; the text is one sentence that names the file and says what to do."""


@dataclass(frozen=True, repr=False)
class Identity:
    """The agent as its collector knows it. Its representation shows nothing of the key."""

    institution: str
    agent: str
    key: PrivateKey
    nonce: str
    """The one that came with the enrolment: for what is written before there is a newer one."""


def key_path(directory: Path, key_id: str) -> Path:
    """Return the file of a key in the state directory."""
    return directory / f"agent-{key_id}.key"


def read_key(directory: Path, key_id: str) -> PrivateKey:
    """Read the private key. Raises IdentityError: not there, not one, another one, or open to others."""
    path = key_path(directory, key_id)
    _private(directory, 0o700)
    _private(path, 0o600)
    try:
        key = PrivateKey.of_pem(path.read_bytes())
    except OSError as error:
        raise IdentityError(
            f"{path} can't be read ({error.strerror}): correct its owner, or enrol the agent again"
        ) from None
    except BadKey as error:
        raise IdentityError(f"{path}: {error}: enrol the agent again") from None
    if key.public.id != key_id:
        raise IdentityError(f"{path} holds another key than its name says: enrol the agent again")
    return key


def make_key(directory: Path) -> PrivateKey:
    """Make a key and keep it durably, readable by the owner alone. Raises IdentityError."""
    _private(directory, 0o700)
    key = PrivateKey.make()
    keep(key_path(directory, key.public.id), key.pem())
    return key


def keep(path: Path, data: bytes) -> None:
    """Write a file durably, mode 0600, all of it or nothing."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    fresh.replace(path)
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Make a rename in the directory durable."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _private(path: Path, wanted: int) -> None:
    """Raises IdentityError when others than the owner may read or change a file or directory."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        raise IdentityError(f"{path} can't be read ({error.strerror}): enrol the agent again") from None
    if mode & 0o077:
        raise IdentityError(
            f"{path} may be used by others than its owner (mode {mode:04o}): run chmod {wanted:o} {path}"
        )
