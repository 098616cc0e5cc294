"""What to open, with which login, and how long each step may take."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

from agents.confidential import NAMES

DEFAULT_PORTS = {"rtsp": 554, "rtsps": 322}
MAX_URL_LENGTH = 2048
URL_SAFE = "!#$%&'()*+,/:;=?@[]~"
"""What stands for itself in a URL; all else but letters, digits, - . and _ is percent-encoded."""


@dataclass(frozen=True)
class Login:
    """A user name and a password; the password never shows in a repr."""

    username: str
    password: str = field(repr=False)


_SECRET = re.compile(rf"(?i)((?:{NAMES}|passwort|auth[a-z]*)(?:=|%3d|:)).*?(?=[_&](?:channel|stream|user)|[&/?;#]|$)")
"""A name that says secret, and what follows it: up to the next part, also in the addresses of XM's recorders (`/user=a_password=b_channel=1`)."""


def shown(url: str) -> str:
    """Return an address as it may be shown to people and written to logs: recorders tell some with a password in them."""
    return _SECRET.sub(r"\1***", url)


@dataclass(frozen=True)
class Playback:
    """Recorded footage instead of the live picture."""

    range: str = ""
    """PLAY's Range header; empty where the URL says from when."""
    headers: tuple[tuple[str, str], ...] = ()
    """Of every request."""
    play_headers: tuple[tuple[str, str], ...] = ()
    """Of PLAY alone."""


@dataclass(frozen=True)
class StreamRequest:
    """A stream's address and login.

    Raises ValueError when the URL is not rtsp(s)://HOST[:PORT]/..., or carries a user name or password. The text of
    the error doesn't repeat the URL, which may hold a secret.
    """

    url: str = field(repr=False)
    """It may hold a secret, where a recorder tells it: see `shown`."""
    login: Login | None = None
    tls_fingerprint: str | None = None
    """SHA-256 of the certificate in hexadecimal (colons allowed); with None any certificate is taken."""

    old_tls: bool = False
    """The device may speak TLS 1.0 and 1.1."""
    aside: bool = False
    """A stream beside the one that matters: with a login that works there, a refusal here means a missing right."""
    playback: Playback | None = None
    """None: the live picture."""

    host: str = field(init=False, repr=False)
    port: int = field(init=False, repr=False)
    secure: bool = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Check the URL and take it apart."""
        url = _checked(self.url)
        parts = urlsplit(url)
        if parts.scheme not in DEFAULT_PORTS:
            raise ValueError("a stream's URL begins with rtsp:// or rtsps://")
        if "@" in parts.netloc:
            raise ValueError(
                "a stream's URL must not hold a user name or password: give them as username and password_file"
            )
        if not parts.hostname:
            raise ValueError("a stream's URL needs a host: rtsp://HOST[:PORT]/PATH")
        try:
            port = parts.port
        except ValueError:
            raise ValueError("a stream's URL has a port that is no number from 1 to 65535") from None
        if port == 0:
            raise ValueError("a stream's URL has a port that is no number from 1 to 65535")
        object.__setattr__(self, "url", url)
        object.__setattr__(self, "host", parts.hostname)
        object.__setattr__(self, "port", port or DEFAULT_PORTS[parts.scheme])
        object.__setattr__(self, "secure", parts.scheme == "rtsps")
        if self.tls_fingerprint is not None:
            object.__setattr__(self, "tls_fingerprint", _fingerprint(self.tls_fingerprint))


def _checked(url: str) -> str:
    """Return the URL with other than ASCII percent-encoded. Raises ValueError for what can't stand in a request line."""
    if len(url) > MAX_URL_LENGTH:
        raise ValueError(f"a stream's URL is longer than {MAX_URL_LENGTH} characters")
    if any(ord(char) <= 0x20 or ord(char) == 0x7F for char in url):
        raise ValueError("a stream's URL must not hold spaces or control characters")
    try:
        return quote(url, safe=URL_SAFE)
    except UnicodeEncodeError:
        raise ValueError("a stream's URL holds characters that cannot be encoded") from None


def _fingerprint(text: str) -> str:
    digits = text.replace(":", "").lower()
    if len(digits) != 64 or any(char not in "0123456789abcdef" for char in digits):
        raise ValueError("tls_fingerprint is not a SHA-256 digest: 64 hexadecimal digits")
    return digits


@dataclass(frozen=True)
class Deadlines:
    """How long each step may take, in seconds."""

    connect: float = 5.0
    """The name's resolution, and the TCP handshake."""
    answer: float = 5.0
    """Each request, until its whole answer is there: a trickle doesn't prolong it."""
    total: float = 10.0
    """Everything up to the answer to PLAY, the wait for the turn to log in included."""
    first_frame: float = 5.0
    """From the answer to PLAY to the first access unit."""
    stall: float = 6.0
    """Without an access unit whose timestamp moved on."""
    teardown: float = 1.0
    """For the answer to TEARDOWN; the socket is closed in any case."""
