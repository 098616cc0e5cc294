"""Captures what a recorder answers as a fixture: every question asked once, every answer scrubbed, one file each."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import yaml

from agents.recorders.base import Channel, Identity, Recorder, RecorderError
from agents.recorders.registry import DRIVERS
from agents.recorders.scrub import Scrubber
from agents.recorders.settings import RecorderSettings, Reply
from agents.site import Site
from monitor.model.clock import Clock
from monitor.model.span import DAY, HOUR, Millis, isoformat, to_millis

T = TypeVar("T")

FOOTAGE_DAYS = 2
MOST_CHANNELS = 2
PLAYED_AGO = HOUR
PLAYED_SECONDS = 4.0
"""Where a minute of an hour ago would be played is asked for; nothing is played."""

MOST_REPLIES = 300
MOST_BYTES = 256 * 1024
"""A longer answer is left out: a fixture is for reading."""

HEAD = """\
# What a recorder answered, captured by `cradlewatch agent record-device` and scrubbed of secrets, names, addresses and
# serial numbers. Read it through before you pass it on.
"""


class RecordError(Exception):
    """Nothing can be captured; the text is one sentence."""


@dataclass
class Captured:
    """The replies of one recorder, and what its driver made of the questions."""

    at: datetime
    """The minute in which it was asked: questions about footage end there."""
    replies: list[Reply] = field(default_factory=list)
    identity: Identity | None = None
    channels: tuple[Channel, ...] = ()
    refused: list[str] = field(default_factory=list)
    """Questions without an answer, with the reason."""


async def capture(settings: RecorderSettings, clock: Clock) -> Captured:
    """Ask everything that the port knows, gently and in turn. Raises RecordError when the recorder answers nothing at all."""
    found = Captured(clock.now().replace(second=0, microsecond=0))
    driver = DRIVERS[settings.driver](replace(settings, tap=found.replies.append))
    try:
        found.identity = await _asked(found, "identity", driver.identity())
        found.channels = await _asked(found, "channels", driver.channels()) or ()
        asked = [one.id for one in found.channels[:MOST_CHANNELS]]
        for name, question in _questions(driver, asked, to_millis(found.at)):
            await _asked(found, name, question)
    finally:
        await driver.close()
    if not found.replies:
        reason = found.refused[0] if found.refused else "its driver asks no device"
        raise RecordError(f"recorder {settings.id} gave no answer to capture: {reason}")
    return found


def _questions(driver: Recorder, channels: Sequence[str], now: Millis) -> Iterator[tuple[str, Awaitable[object]]]:
    """Yield each question when it is its turn."""
    yield "disks", driver.disks()
    yield "clock", driver.clock_offset()
    yield "time server", driver.time_sync()
    yield "recording modes", driver.recording_modes()
    yield "expiry", driver.expiry_days()
    yield "alarm inputs", driver.alarm_inputs()
    yield "fault notices", driver.fault_notices()
    yield "how disks are shared out", driver.storage_mode()
    for channel in channels:
        yield f"earliest of channel {channel}", driver.earliest(channel)
        yield f"footage of channel {channel}", driver.footage(channel, now - FOOTAGE_DAYS * DAY, now)
        yield f"playback of channel {channel}", driver.playback(channel, now - PLAYED_AGO, PLAYED_SECONDS)


async def _asked(found: Captured, name: str, question: Awaitable[T]) -> T | None:
    try:
        return await question
    except RecorderError as error:
        found.refused.append(f"{name}: {error.detail}")
        return None


def known_values(site: Site, settings: RecorderSettings, found: Captured) -> tuple[str, ...]:
    """Return what must not appear in a fixture, as far as the site and the driver know it."""
    texts = [
        settings.username,
        settings.password,
        settings.url,
        settings.url.partition("://")[2],
        site.institution.name,
    ]
    for items in (site.cameras, site.zones, site.recorders):
        texts += [item.name for item in items]
    texts += [found.identity.serial] if found.identity is not None else []
    for channel in found.channels:
        texts += [channel.name]
        if channel.behind is not None:
            texts += [channel.behind.serial, channel.behind.mac, channel.behind.address]
    return tuple(dict.fromkeys(text for text in texts if text))


def write(found: Captured, known: Iterable[str], settings: RecorderSettings, into: Path) -> Path:
    """Write the scrubbed replies into a new folder below `into`, named MAKE_MODEL_FIRMWARE. Raises RecordError."""
    scrubber = Scrubber(known)
    folder = into / scrubber.swept(fixture_name(settings.driver, found.identity))
    listed: dict[str, dict[str, object]] = {}
    try:
        folder.mkdir(parents=True)
        for number, reply in enumerate(_distinct(found.replies), start=1):
            body = scrubber.scrub(reply.body)
            name = f"{number:03}_{_short(reply.path)}.{_ending(body)}"
            (folder / name).write_bytes(body)
            entry: dict[str, object] = {"mark": "captured", "request": scrubber.swept(f"{reply.method} {reply.path}")}
            entry |= {"status": reply.status, "at": isoformat(to_millis(found.at))}
            if reply.content is not None:
                entry["content"] = scrubber.scrub(reply.content).decode()
            listed[name] = entry
        text = yaml.safe_dump(listed, allow_unicode=True, sort_keys=False, width=1000)
        (folder / "manifest.yaml").write_text(HEAD + text, encoding="utf-8")
    except FileExistsError:
        raise RecordError(f"{folder} is there already: give another --output, or take it away") from None
    except OSError as error:
        raise RecordError(f"{folder} can't be written: {error.strerror}") from None
    return folder


def fixture_name(driver: str, identity: Identity | None) -> str:
    """Return maker_model_firmware, in lower case and without signs that file systems dislike."""
    parts = (driver, identity.model, identity.firmware) if identity is not None else (driver, "unknown", "unknown")
    return "_".join(re.sub(r"[^a-z0-9.]+", "-", part.lower()).strip("-.")[:40] or "unknown" for part in parts)


def _distinct(replies: Iterable[Reply]) -> list[Reply]:
    """Return each answer once, in the order of the questions: the pages of a search are asked for in the same words."""
    return [one for one in dict.fromkeys(replies) if len(one.body) <= MOST_BYTES][:MOST_REPLIES]


def _short(path: str) -> str:
    """Return a word for the file's name: the last part of the path, and what it was asked to do."""
    place, _, query = path.partition("?")
    asked = re.search(r"(?:name|action)=([A-Za-z.]+)$", query) or re.search(r"action=([A-Za-z.]+)", query)
    words = [place.rstrip("/").rpartition("/")[2], asked[1] if asked else ""]
    return re.sub(r"[^A-Za-z0-9]+", "_", "_".join(filter(None, words))).strip("_")[:60] or "reply"


def _ending(body: bytes) -> str:
    return {b"<": "xml", b"{": "json", b"[": "json"}.get(body.lstrip()[:1], "txt")
