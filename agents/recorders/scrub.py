"""Taking secrets, names, addresses and serial numbers out of a device's answers, so that their shape alone is left.

What may stay is listed; all else goes: a text that nobody thought of is more likely a name than a word of the interface.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape, quoteattr, unescape

from agents.recorders.answers import storable


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


KEPT_TEXTS = _names("""
    model devicemodel devicetype updateserial processor hardwareversion firmwareversion firmwarereleaseddate version
    manufacturer vendor protocoltype proxyprotocol
    status state property hddtype type iserror online connectionstate chandetectresult lockstatus iostate ioporttype
    triggering workmode
    localtime timezone timezonedesc timemode starttime endtime begin end result dayofweek timeofday timesection duration
    utcdatetime earliestrecording latestrecording datafrom datauntil datato time devicetime tz
    actionrecordingmode defaultrecordingmode recordtype contenttype codectype videostream flags mode tracktype
    recordingstatus streamtype
    statusstring substatuscode responsestatusstrg responsestring statusvalue code searchstate addressingformattype
    customextensionname scheduleblocktype metadatadescriptor recordstatus datetimetype maximumretentiontime
""")
"""Elements and keys whose texts are words of the interface: what it is, how it is, when, what is recorded, what went wrong.

Compared without their case, prefix and number.
"""

KEPT_NUMBERS = _names(
    "capacity freespace totalbytes usedbytes totalcapacity remaincapacity size length begin end cutlength result"
)
"""Names whose numbers may be long; others may be telephone or serial numbers."""

KEPT_ATTRIBUTES = frozenset({"version", "size", "opt", "min", "max", "encoding", "standalone"})

SENSITIVE = re.compile(
    r"pass|pwd|secret|token|key|user|login|account|serial|mac|addr|ip|host|server|gateway|dns|domain|name|title|alias|mail|phone|"
    r"tel|contact|location|place|gps|latitude|longitude|uuid|guid|deviceid|ssid|uri|url|path|nonce|digest|realm|cookie|session|"
    r"sourceid|label|note|desc|comment|remark|includedrecordings",
    re.IGNORECASE,
)
"""Parts of names under which even a number or a truth is taken out."""

SOAP_WORDS: dict[str, re.Pattern[str]] = {
    "namespace": re.compile(r"http://www\.onvif\.org/ver\d{2}/[A-Za-z0-9/]{1,40}"),
    "topic": re.compile(r"tns1:[A-Z][A-Za-z]{1,30}(?:/[A-Z][A-Za-z]{1,30}){0,4}"),
    **dict.fromkeys(
        ("value", "faultcode"),
        re.compile(
            r"(?:[A-Za-z][\w-]{0,15}:)?(?:Sender|Receiver|Action|NotAuthorized|FailedAuthentication|OperationProhibited|"
            r"ActionNotSupported|NotImplemented|OptionalActionNotImplemented|ResourceProblem|InvalidArgVal|InvalidToken)"
        ),
    ),
    "name": re.compile(r"IsDataPresent|IsRecording|RecordingToken|Track"),
}
"""Words of ONVIF by where they stand."""

_URL = re.compile(r"(https?|rtsps?)://([^/\s?#]+)(/[^\s]*)?")
_SERVICE = re.compile(r"/onvif/[A-Za-z_]{1,40}")
_NOWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104  (what an empty slot shows, not a place to listen)
_WORDS = frozenset({"", "ok", "error", "error: no events", "bad request!", "authority:check failure.", "not found!"})
_KEY = re.compile(r"[A-Za-z0-9_.:\[\]-]{1,300}")
_LINE = re.compile(r"RmLock:\d{1,7}")
_NUMBER = re.compile(r"-?\d{1,9}(?:\.\d{1,9})?")
_LONG_NUMBER = re.compile(r"-?\d{1,18}(?:\.\d{1,9})?")
_TRUTH = frozenset({"true", "false", "yes", "no", "on", "off", "null"})
_MOMENT = re.compile(
    r"\d{4}-\d{1,2}-\d{1,2}(?:[T ]\d{1,2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}:?\d{2})?)?|\d{1,2}:\d{2}(?::\d{2})?"
)
_DISK = re.compile(r"/dev/[a-z]{1,6}\d{0,3}")
_SAFE = re.compile(r"[A-Za-z0-9 .,:;/()+_<>-]{1,100}")
_ADDRESS4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w]|\.\w)")
_ADDRESS6 = re.compile(r"(?<![\w:.-])(?=[0-9A-Fa-f]*:[0-9A-Fa-f]*:)[0-9A-Fa-f:.]{3,45}(?![\w:])")
"""What may be one: clock times look alike, so each is tried."""

_MAC = re.compile(r"(?<![\w:-])[0-9A-Fa-f]{2}([:-])(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}(?![\w:-])")
_MAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_TOKEN = re.compile(r"<!--.*?-->|<!\[CDATA\[.*?\]\]>|<\?.*?\?>|<![^>]*>|<[^>]+>|[^<]+|<", re.DOTALL)
_ATTRIBUTE = re.compile(r"([\w:.-]+)\s*=\s*(\"[^\"]*\"|'[^']*')")
_INDEX = re.compile(r"(\[\d+\])+$")
_SHORTEST_KNOWN = 3


class Scrubber:
    """Scrubs the answers of one device: the same value gets the same placeholder everywhere, so that relations stay."""

    def __init__(self, known: Iterable[str]) -> None:
        """`known` are values that must not appear anywhere: password, user, hosts, and names as the site has them."""
        self._placeholders: dict[str, str] = {}
        self._known = sorted({one for one in known if len(one) >= _SHORTEST_KNOWN}, key=len, reverse=True)

    def scrub(self, body: bytes) -> bytes:
        """Return the answer without what may identify anybody; nothing of one that is no text."""
        try:
            text = body.decode("utf-8-sig")
        except UnicodeDecodeError:
            return b""
        start = text.lstrip("\x00 \t\r\n")[:1]
        scrubbed = self._xml(text) if start == "<" else self._json(text) if start in {"{", "["} else self._lines(text)
        return storable(self.swept(scrubbed)).encode()

    def swept(self, text: str) -> str:
        """Return text without addresses and known values wherever they stand, in any of the usual spellings."""
        for pattern in (_MAIL, _MAC, _ADDRESS4):
            text = pattern.sub(lambda found: self._placeholder(found[0]), text)
        text = _ADDRESS6.sub(lambda found: self._placeholder(found[0]) if _is_address6(found[0]) else found[0], text)
        for value in self._known:
            for spelling in dict.fromkeys(_spellings(value)):
                if spelling.casefold() in text.casefold():
                    text = re.sub(re.escape(spelling), self._placeholder(value), text, flags=re.IGNORECASE)
        return text

    def _value(self, name: str, text: str) -> str:
        """Return what may stand under `name` in place of `text`."""
        plain = text.strip()
        if _may_stay(_local(name), plain):
            return text
        url = _URL.fullmatch(plain)
        return text.replace(plain, self._place(url) if url else self._placeholder(plain))

    def _place(self, url: re.Match[str]) -> str:
        """Return an address that is still one, so that a driver reads it: another host, and a path that says nothing."""
        scheme, host, path = url[1], url[2].rpartition("@")[2].partition(":")[0], url[3] or ""
        plain = _SERVICE.fullmatch(path) or path in {"", "/"}
        return f"{scheme}://{self._placeholder(host)}{path if plain else f'/{self._placeholder(path)}'}"

    def _placeholder(self, value: str) -> str:
        if value in _NOWHERE or value in self._placeholders.values():
            return value
        number = len(self._placeholders) + 1
        if _ADDRESS4.fullmatch(value) or _is_address6(value):
            fresh = f"192.0.2.{number}" if number < 255 else f"198.51.{100 + number // 255}.{number % 255}"
        elif _MAC.fullmatch(value):
            fresh = "02:00:00:" + ":".join(f"{number >> shift & 255:02x}" for shift in (16, 8, 0))
        else:
            fresh = f"scrubbed-{number}"
        return self._placeholders.setdefault(value, fresh)

    def _lines(self, text: str) -> str:
        return "".join(self._line(line) for line in text.splitlines(keepends=True))

    def _line(self, line: str) -> str:
        key, sign, value = line.partition("=")
        if sign and _KEY.fullmatch(key.strip()):
            return f"{key}={self._value(key, value)}"
        plain = line.strip("\x00 \t\r\n")
        stays = plain.casefold() in _WORDS or _LINE.fullmatch(plain) or _MOMENT.fullmatch(plain)
        return line if stays else line.replace(plain, self._placeholder(plain))

    def _json(self, text: str) -> str:
        try:
            value = json.loads(text.strip("\x00 \t\r\n"))
            return json.dumps(self._plain("", value), ensure_ascii=False, indent=1)
        except (ValueError, RecursionError):
            return ""

    def _plain(self, name: str, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._plain(key, item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._plain(name, item) for item in value]
        if isinstance(value, str):
            return self._value(name, value)
        if value is None or _may_stay(_local(name), json.dumps(value)):
            return value
        return False if isinstance(value, bool) else 0

    def _xml(self, text: str) -> str:
        parts: list[str] = []
        name = ""
        for token in _TOKEN.findall(text):
            if token.startswith("<?xml "):
                parts.append(token)
            elif token.startswith(("<!", "<?")):
                parts.append("")  # comments, sections and instructions say nothing that a driver reads
            elif token.startswith("</"):
                parts.append(token)
            elif token.startswith("<"):
                found = re.match(r"<([\w:.-]+)", token)
                name = found[1] if found else ""
                parts.append(_ATTRIBUTE.sub(self._attribute, token) if found else "")
            else:
                parts.append(escape(self._value(name, unescape(token, {"&quot;": '"', "&apos;": "'"}))))
        return "".join(parts)

    def _attribute(self, found: re.Match[str]) -> str:
        name, value = found[1], found[2][1:-1]
        if name.startswith("xmlns") or (_local(name) in KEPT_ATTRIBUTES and _SAFE.fullmatch(value)):
            return found[0]
        return f"{name}={quoteattr(self._value(name, unescape(value)))}"


def _local(name: str) -> str:
    """Return a name without its prefix and number: table.Record[0].TimeSection[1][2] is timesection."""
    return _INDEX.sub("", name.strip().rpartition(":")[2].rpartition(".")[2]).lower()


def _may_stay(name: str, text: str) -> bool:
    """Tell whether a value is of a kind that identifies nobody."""
    if not text or (name in KEPT_TEXTS and _is_safe(text)) or _DISK.fullmatch(text):
        return True
    if name in KEPT_NUMBERS and _LONG_NUMBER.fullmatch(text):
        return True
    if name in SOAP_WORDS and SOAP_WORDS[name].fullmatch(text):
        return True
    if SENSITIVE.search(name):
        return False
    return text.casefold() in _TRUTH or bool(_NUMBER.fullmatch(text) or _MOMENT.fullmatch(text))


def _is_address6(text: str) -> bool:
    try:
        return ":" in text and bool(ipaddress.IPv6Address(text))
    except ValueError:
        return False


def _is_safe(text: str) -> bool:
    return (
        bool(_SAFE.fullmatch(text))
        and not any(one.search(text) for one in (_ADDRESS4, _MAC, _MAIL))
        and "://" not in text
    )


def _spellings(value: str) -> list[str]:
    """Return the ways in which a value may be written down."""
    inside_json = json.dumps(value)[1:-1]
    return [
        value,
        escape(value),
        escape(value, {'"': "&quot;", "'": "&apos;"}),
        quote(value),
        quote(value, safe=""),
        inside_json,
    ]
