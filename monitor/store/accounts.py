"""Who may look: users with passwords, their sessions, and tokens for scripts."""

from __future__ import annotations

import re
from functools import cache

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from monitor.model.span import HOUR, Millis
from monitor.store.tables import ApiTokenRow, UserRow, UserSessionRow
from monitor.store.tokens import hash_secret, new_secret

SESSION_LIFETIME: Millis = 12 * HOUR
MIN_PASSWORD = 8
MAX_PASSWORD = 200
"""A longer one is refused unread: hashing takes its time, and a stranger must not choose how much."""

_NAME = re.compile(r"[^\x00-\x20\x7f](?:[^\x00-\x1f\x7f]{0,62}[^\x00-\x20\x7f])?")


class AccountError(ValueError):
    """An account that can't be made as asked for; the sentence says why."""


@cache
def _hasher() -> PasswordHash:
    return PasswordHash((Argon2Hasher(),))


@cache
def _nobody() -> str:
    """Return the hash that an unknown name is checked against, so that it takes as long as a known one."""
    return _hasher().hash(new_secret())


def create_user(session: Session, name: str, password: str, now: Millis) -> None:
    """Add somebody who may sign in. Raises AccountError for a bad or taken name, or a bad password."""
    _check(name, password)
    hashed = _hasher().hash(password)
    if session.get(UserRow, name) is not None:
        raise AccountError(f"there is a user {name} already")
    session.add(UserRow(name=name, password_hash=hashed, created_at=now))
    session.flush()


def set_password(session: Session, name: str, password: str) -> None:
    """Change a password and end the user's sessions. Raises AccountError for an unknown name or a bad password."""
    _check(name, password)
    changed = update(UserRow).where(UserRow.name == name).values(password_hash=_hasher().hash(password))
    if session.execute(changed.returning(UserRow.name)).first() is None:
        raise AccountError(f"there is no user {name}")
    session.execute(delete(UserSessionRow).where(UserSessionRow.user_name == name))


def _check(name: str, password: str) -> None:
    if not _NAME.fullmatch(name):
        raise AccountError("a user's name has 1 to 64 characters, no control characters, no space at either end")
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise AccountError(f"a password has {MIN_PASSWORD} to {MAX_PASSWORD} characters")


def user_names(session: Session) -> list[str]:
    """Return the names of all users."""
    return list(session.scalars(select(UserRow.name).order_by(UserRow.name)))


def verify_user(session: Session, name: str, password: str) -> bool:
    """Tell whether this is the user's password. It takes as long for an unknown name."""
    if len(password) > MAX_PASSWORD:
        return False
    row = session.get(UserRow, name) if _NAME.fullmatch(name) else None
    right = _hasher().verify(password, row.password_hash if row else _nobody())
    return right and row is not None


def create_session(session: Session, name: str, now: Millis, lifetime: Millis = SESSION_LIFETIME) -> str:
    """Sign a user in: return the session's secret id. Sessions that have expired are forgotten by the way."""
    session.execute(delete(UserSessionRow).where(UserSessionRow.expires_at <= now))
    secret = new_secret()
    row = UserSessionRow(token_hash=hash_secret(secret), user_name=name, created_at=now, expires_at=now + lifetime)
    session.add(row)
    session.flush()
    return secret


def session_user(session: Session, secret: str, now: Millis) -> str | None:
    """Return who is signed in by this id, None when nobody is (any more)."""
    here = (UserSessionRow.token_hash == hash_secret(secret), UserSessionRow.expires_at > now)
    return session.scalars(select(UserSessionRow.user_name).where(*here)).one_or_none()


def delete_session(session: Session, secret: str) -> None:
    """Sign out."""
    session.execute(delete(UserSessionRow).where(UserSessionRow.token_hash == hash_secret(secret)))


def create_api_token(session: Session, name: str, label: str, now: Millis, lifetime: Millis | None = None) -> str:
    """Return a new token with which a script reads in the name of a user. Raises AccountError for an unknown one."""
    if not _NAME.fullmatch(name) or session.get(UserRow, name) is None:
        raise AccountError("there is no such user")
    secret = new_secret()
    expires = None if lifetime is None else now + lifetime
    hashed = hash_secret(secret)
    session.add(ApiTokenRow(token_hash=hashed, user_name=name, label=label[:200], created_at=now, expires_at=expires))
    session.flush()
    return secret


def token_user(session: Session, secret: str, now: Millis) -> str | None:
    """Return in whose name a token reads, None when it is unknown or has expired."""
    row = session.get(ApiTokenRow, hash_secret(secret))
    if row is None or (row.expires_at is not None and row.expires_at <= now):
        return None
    return row.user_name
