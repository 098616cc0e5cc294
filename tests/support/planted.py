"""Secrets that the suite plants, and where they must not turn up: in what is printed or logged, and in files that tests leave."""

from __future__ import annotations

import base64
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from support.site import PASSWORD
from support.thread import PASSWORD as USER_PASSWORD

SECRETS = (PASSWORD, USER_PASSWORD)
"""The simulated devices' password, and a user's at the centre: words that nothing else is called by."""
HOLDERS = frozenset({"password", "user", "collector-password", "motion.conf", "urls"})
"""Files that a person writes secrets into, for others to refer to."""
OWN_KEYS = re.compile(r"agent(-[\w-]+)?\.key")
"""The agent's own private key, and one that it has offered with a code."""
LARGEST_BYTES = 64 * 1024 * 1024
SMALL_BYTES = 64 * 1024
"""Up to here a file is read, however few blocks the file system says that it takes."""


def _forms(secret: str) -> Iterator[bytes]:
    yield secret.encode()
    # As Basic authentication sends it: the letters depend on where in three bytes it begins.
    for before in range(3):
        packed = base64.b64encode(b":" * before + secret.encode())
        yield packed[4 if before else 0 : len(packed) // 4 * 4 - 4]


FORMS = tuple(form for secret in SECRETS for form in _forms(secret))
_own: list[bytes] = []
"""Of the secrets that the running test has."""


def plant(secret: str) -> str:
    """Let a secret of the running test (a code, a token, a key, an address with one in it) be looked for; return it."""
    _own.append(secret.encode())
    return secret


def plant_key(pem: bytes) -> None:
    """Let a private key be looked for, as a JWK has it and, of Ed25519, as PEM does."""
    key = load_pem_private_key(pem, None)
    if isinstance(key, Ed25519PrivateKey):
        secret = key.private_bytes_raw()
        # What is before that is the same in every key; of other kinds what comes after it is no secret.
        _own.append(b"".join(line for line in pem.splitlines() if not line.startswith(b"-"))[-43:])
    else:
        assert isinstance(key, EllipticCurvePrivateKey)
        secret = key.private_numbers().private_value.to_bytes((key.key_size + 7) // 8, "big")
    _own.append(base64.urlsafe_b64encode(secret).rstrip(b"="))


def forget_planted() -> None:
    """Look no more for what a test that has ended planted."""
    _own.clear()


def leaks(content: bytes) -> bool:
    """Tell whether a secret stands in this, plainly or as Basic authentication has it."""
    return any(form in content for form in (*FORMS, *_own))


def _holds(name: str) -> bool:
    """Tell whether a file is made to hold a secret, or is a compiled source."""
    return name in HOLDERS or OWN_KEYS.fullmatch(name) is not None or name.endswith(".pyc")


def leaky_files(folder: Path) -> list[Path]:
    """Return the files below a folder in which a secret stands, but those made to hold one.

    Installed packages, compiled sources (the simulators' own hold the simulated password) and sparse files that stand
    for recordings, gigabytes of them, are not of the product's writing.
    """
    found = []
    for directory, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != "site-packages"]
        for path in (Path(directory, name) for name in names if not _holds(name)):
            told = path.lstat()
            whole = told.st_size <= SMALL_BYTES or 2 * 512 * told.st_blocks >= told.st_size
            if stat.S_ISREG(told.st_mode) and whole and told.st_size <= LARGEST_BYTES and leaks(path.read_bytes()):
                found.append(path)
    return sorted(found)
