"""What a recorder's answer to sent credentials says about them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from agents.recorders.settings import Attempt

_UNAUTHORIZED = 401
_FORBIDDEN = 403
_NOT_FOUND = 404
_STALE = re.compile(r'\bstale\s*=\s*"?true\b', re.IGNORECASE)
_KNOWN_USER = re.compile(rb"lowPrivilege|notSupport")
"""A 403 in these words is about rights and abilities: the login itself was taken."""

_LOCKED = re.compile(rb"<lockStatus>\s*lock|\bRmLock\b|userLocked|loginLocked", re.IGNORECASE)
"""The words of the makers whose replies are known."""


def tell(attempt: Attempt, status: int, body: bytes) -> None:
    """Tell the breaker what an answer says about the credentials that were sent for it."""
    if status == _UNAUTHORIZED or (status == _FORBIDDEN and is_locked_out(body)):
        attempt.refused()
    elif status == _FORBIDDEN and not _KNOWN_USER.search(body):
        attempt.forbidden()
    elif status < _UNAUTHORIZED or status in {_FORBIDDEN, _NOT_FOUND}:
        attempt.accepted()
    else:
        attempt.unclear()


def is_stale(challenges: Iterable[str]) -> bool:
    """Tell whether a 401 says that the nonce ran out, and nothing about the password."""
    return any(_STALE.search(challenge) for challenge in challenges)


def is_locked_out(body: bytes) -> bool:
    """Tell whether an answer says that the user is locked."""
    return _LOCKED.search(body) is not None
