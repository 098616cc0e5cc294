"""Contradictions and proofs in the page's language, composed from what a verdict measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from dashboards.web.i18n import mark as _n
from dashboards.web.times import read_instant
from monitor.model.span import SECOND

if TYPE_CHECKING:
    from dashboards.web.figures import Words

SENTENCES: dict[str, tuple[str, ...]] = {
    "unplayable": (
        _n("The recorder lists recordings of %(minutes)s that do not play, tried on different days; newer ones, of %(plays_at)s, do."),
        _n("The recorder lists recordings that do not play."),
    ),
    "wrong_camera": (_n("The recordings of this camera show the view of another one: %(camera)s."),),
    "other_view": (_n("The recordings played on different days do not show the approved view."),),
    "recorded_without_picture": (
        _n("The recorder lists %(length)s of recordings while the picture was black or frozen, the last from %(start)s on."),
    ),
    "recorded_while_down": (
        _n("The recorder lists %(length)s of recordings while the video was down, the last from %(start)s on."),
    ),
    "stream_told_otherwise": (
        _n("Of %(length)s it was told that the video was down, and that it was not, the last from %(start)s on: the agent's clock was set, two agents disagree, or somebody took it back."),
    ),
    "view_told_otherwise": (
        _n("Of %(length)s it was told that the picture was at fault, and that it was not, the last from %(start)s on: the agent's clock was set, two agents disagree, or somebody took it back."),
    ),
    "recorder_exchanged": (_n("The recorder was exchanged for another one, first seen on %(exchanged)s."),),
    "camera_exchanged": (
        _n("The camera behind the channel was exchanged for another one, first seen on %(exchanged)s."),
        _n("The camera behind the channel is not the declared one, seen so since %(start)s."),
    ),
    "same_picture": (_n("This camera shows the same as another declared one (%(camera)s), since %(start)s."),),
    "closed_afterwards": (
        _n("Of days that were declared closed afterwards %(length)s are missing or were down, the last from %(start)s on; by that declaration nothing is owed of them."),
    ),
}  # fmt: skip
"""By kind; the first one whose figures are all there is used."""

_PROOF = {
    "played": _n("The recording of %(minute)s was played and decoded on %(proved)s."),
    "failed": _n("The recording of %(minute)s could not be played on %(proved)s: %(cause)s."),
    "not_proved": _n("The recording of %(minute)s was not proved on %(proved)s: %(cause)s."),
}
_SHOWS = {"matches": _n("It shows the approved view."), "other": _n("It does not show the approved view.")}


def sentence(item: Mapping[str, Any], words: Words) -> str:
    """Return a contradiction as a sentence; what has no words here as the verdict says it."""
    figures = _figures(item, words)
    for message in SENTENCES.get(str(item.get("kind")), ()):
        try:
            return words.translate(message) % figures
        except KeyError:
            continue
    return str(item.get("text") or item.get("kind") or "")


def sentences(value: object, words: Words) -> list[str]:
    """Return a list of contradictions as sentences."""
    items = value if isinstance(value, list) else []
    return [sentence(item, words) for item in items if isinstance(item, dict)]


def of_subject(measured: Iterable[Mapping[str, Any]], words: Words) -> list[str]:
    """Return the contradictions in what several verdicts on one subject measured, each once."""
    return list(dict.fromkeys(text for item in measured for text in sentences(item.get("contradictions"), words)))


def proof_text(value: object, words: Words) -> str | None:
    """Return the newest proof by decoding as a sentence or two; None where there is none."""
    if not isinstance(value, dict):
        return None
    minute, proved = read_instant(value.get("minute_at")), read_instant(value.get("proved_at"))
    message = _PROOF.get(str(value.get("result")))
    if message is None or minute is None or proved is None:
        return None
    cause = words.cause(str(value.get("cause") or "not_seen"))
    text = words.translate(message) % {
        "minute": words.times.instant(minute),
        "proved": words.times.instant(proved),
        "cause": cause,
    }
    seen = _SHOWS.get(str(value.get("view"))) if value.get("result") == "played" else None
    return text if seen is None else f"{text} {words.translate(seen)}".strip()


def _figures(item: Mapping[str, Any], words: Words) -> dict[str, str]:
    times = words.times
    start, plays = (read_instant(item.get(key)) for key in ("start_at", "plays_at"))
    listed, seconds, camera = item.get("minutes"), item.get("seconds"), item.get("camera")
    minutes = list(map(read_instant, listed)) if isinstance(listed, list) else []
    found = {
        "start": None if start is None else times.instant(start),
        "exchanged": None if start is None or item.get("declared") is True else times.instant(start),
        "plays_at": None if plays is None else times.instant(plays),
        "minutes": times.listed(list(dict.fromkeys(times.instant(at) for at in minutes if at is not None))) or None,
        "length": times.duration(seconds * SECOND) if type(seconds) is int else None,
        "camera": words.name("camera", camera) if isinstance(camera, str) else None,
    }
    return {key: value for key, value in found.items() if value is not None}
