"""Measured figures in words: every key of a verdict's `measured` with its label and its value."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dashboards.web.contradictions import proof_text
from dashboards.web.contradictions import sentences as contradicted
from dashboards.web.i18n import mark as _n
from dashboards.web.i18n import translations
from dashboards.web.times import Times, read_date, read_instant
from dashboards.web.words import CAUSES, MODES, REQUIREMENTS, ROOMS, STATES
from monitor.model.inventory import Inventory
from monitor.model.span import SECOND

_FEW = 6
"""So many numbers without words are shown one by one."""

_MANY = 30
"""Lists longer than this are cut, and say so."""

_NEVER = _n("never")


@dataclass(frozen=True)
class Words:
    """How things are written on one page: its language, its time zone, and the names that an institution gave."""

    times: Times
    inventory: Inventory | None = None

    def translate(self, message: str) -> str:
        """Return a message in the page's language."""
        return translations(self.times.language).gettext(message)

    def plural(self, one: str, many: str, count: int) -> str:
        """Return the form of a message for a count."""
        return translations(self.times.language).ngettext(one, many, count)

    def cause(self, code: str) -> str:
        """Return a cause in words; a code that is new here as it is."""
        return self.translate(CAUSES[code]) if code in CAUSES else self.state(code)

    def state(self, code: str) -> str:
        """Return a state in words; a code that is new here as it is."""
        return self.translate(STATES[code]) if code in STATES else code.replace("_", " ")

    def requirement(self, kind: str) -> str:
        """Return a requirement's short name."""
        return self.translate(REQUIREMENTS[kind]) if kind in REQUIREMENTS else kind.replace("_", " ")

    def seconds(self, value: object) -> str | None:
        """Return a number of seconds as a length of time; None when it is none."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        return self.times.duration(round(value * SECOND))

    def name(self, kind: str, subject_id: str) -> str:
        """Return the name that the institution gave a subject, else its id."""
        return names_of(self.inventory).get((kind, subject_id)) or subject_id

    def names(self, kind: str, ids: object) -> str | None:
        """Return the names of a list of subjects; None when there is none."""
        listed = [self.name(kind, item) for item in ids if isinstance(item, str)] if isinstance(ids, list) else []
        return self.times.listed(listed) if listed else None


@dataclass(frozen=True)
class Figure:
    """One measured figure, ready to be shown."""

    label: str
    values: Sequence[str]


def number(value: object) -> str | None:
    """Return a count as text; None for anything else."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def plain(value: object) -> str | None:
    """Return any number as short text; None for anything else."""
    return f"{value:.4g}" if isinstance(value, int | float) and not isinstance(value, bool) else None


def percent(value: object) -> str | None:
    """Return a ratio as a percentage, cut and never rounded up: 99.999 % is not 100 %."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    cut = int(value * 10_000 + 1e-6) / 100
    return f"{cut:g}%"


def gigabytes(value: object) -> str | None:
    """Return bytes as people name disks: decimal terabytes or gigabytes."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return f"{value / 1e12:.1f} TB" if value >= 1e12 else f"{value / 1e9:.1f} GB"


def names_of(inventory: Inventory | None) -> dict[tuple[str, str], str]:
    """Return the names that an institution gave, by (kind, id) of the subject."""
    if inventory is None:
        return {}
    institution = inventory.institution
    return {
        ("institution", institution.id): institution.name,
        **{("zone", item.id): item.name for item in inventory.zones},
        **{("camera", item.id): item.name for item in inventory.cameras},
        **{("recorder", item.id): item.name for item in inventory.recorders},
    }


Write = Callable[[Words, Any], Sequence[str] | None]


def _one(write: Callable[[Words, Any], str | None]) -> Write:
    def written(words: Words, value: Any) -> Sequence[str] | None:
        text = write(words, value)
        return None if text is None else (text,)

    return written


def _instant(words: Words, value: object) -> str | None:
    millis = read_instant(value)
    return None if millis is None else words.times.instant(millis, seconds=True)


def _day(_: Words, value: object) -> str | None:
    day = read_date(value)
    return None if day is None else day.isoformat()


def _days(words: Words, value: object) -> Sequence[str] | None:
    if not isinstance(value, list):
        return None
    days = [day for day in map(read_date, value) if day is not None]
    return (words.times.days(days),) if days else (words.translate("none"),)


def _spans(words: Words, value: object) -> Sequence[str] | None:
    """Holes of footage, or outages: from, to, how long, and what belongs to it."""
    if not isinstance(value, list):
        return None
    items = [item for item in value if isinstance(item, dict)]
    lines = [_span(words, item) for item in items[-_MANY:]]
    if len(items) > _MANY:
        lines.append(words.translate("… and %(count)s more") % {"count": len(items) - _MANY})
    return lines or (words.translate("none"),)


def _span(words: Words, item: Mapping[str, Any]) -> str:
    start, end = read_instant(item.get("start_at")), read_instant(item.get("end_at"))
    parts = [words.times.instant(start, seconds=True) if start is not None else "?"]
    parts.append("–")
    parts.append(words.times.instant(end, seconds=True) if end is not None else words.translate("now"))
    if start is not None and end is not None:
        parts.append(f"({words.times.duration(end - start)})")
    if isinstance(item.get("cause"), str):
        parts.append("· " + words.cause(item["cause"]))
    out = read_date(item.get("ages_out_on"))
    if out is not None:
        parts.append("· " + words.translate("leaves the window on %(day)s") % {"day": out})
    return " ".join(parts)


def _disks(words: Words, value: object) -> Sequence[str] | None:
    if not isinstance(value, list):
        return None
    items = [item for item in value if isinstance(item, dict)]
    return [f"{item.get('id')}: {words.state(str(item.get('state')))}" for item in items] or (words.translate("none"),)


def causes(words: Words, value: Any) -> Sequence[str] | None:
    """Return what explains a verdict: each cause with what is known of it; None for anything else."""
    items = [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
    return [_cause(words, item) for item in items if isinstance(item.get("cause"), str)] or None


def _cause(words: Words, item: Mapping[str, Any]) -> str:
    text, at = words.cause(item["cause"]), read_instant(item.get("at"))
    disks = [str(name) for name in item["disks"]] if isinstance(item.get("disks"), list) else []
    days = number(item.get("days")) or number(item.get("expiry_days")) or number(item.get("others_days"))
    say = words.translate
    parts = [words.times.listed(disks)] if disks else []
    if at is not None and days is not None:
        text_of = words.plural(
            "%(days)s day of recordings, seen on %(day)s", "%(days)s days of recordings, seen on %(day)s", int(days)
        )
        parts.append(text_of % {"days": days, "day": words.times.day(at)})
    elif item["cause"] == "expiry_set" and days is not None:
        parts.append(words.plural("after %(days)s day", "after %(days)s days", int(days)) % {"days": days})
    elif item["cause"] == "quota" and days is not None:
        text_of = words.plural("others are kept for %(days)s day", "others are kept for %(days)s days", int(days))
        parts.append(text_of % {"days": days})
    rates = [_bit_rate(words, item.get(name)) for name in ("recorded_bit_rate", "bit_rate")]
    if rates[0] and rates[1]:
        parts.append(say("%(recorded)s of %(main)s") % {"recorded": rates[0], "main": rates[1]})
    return text + words.translate(" (%(more)s)") % {"more": words.times.listed(parts)} if parts else text


def early(words: Words, value: Any) -> Sequence[str] | None:
    """Return the cameras that worked before they are said to have been commissioned; None for anything else."""
    items = [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
    lines = []
    for item in items:
        worked = read_instant(item.get("worked_at"))
        figures = {
            "name": words.name("camera", str(item.get("id"))),
            "worked": "?" if worked is None else words.times.day(worked),
            "day": str(item.get("commissioned")),
        }
        text = words.translate("%(name)s worked on %(worked)s and is declared as commissioned on %(day)s")
        lines.append(text % figures)
    return lines or None


def _or_none(write: Write) -> Write:
    """Say `none` where a list is empty."""
    return lambda words, value: write(words, value) or ((words.translate("none"),) if value == [] else None)


def texts(words: Words, value: Any) -> str | None:
    """Return a list of texts as they are; None for anything else."""
    items = [item for item in value if isinstance(item, str)] if isinstance(value, list) else None
    return None if items is None else words.times.listed(items) or words.translate("none")


def _channels(words: Words, value: object) -> Sequence[str] | None:
    if not isinstance(value, list):
        return None
    items = [item for item in value if isinstance(item, dict)]
    return [f"{item.get('id')} {item.get('name') or ''}".strip() for item in items] or (words.translate("none"),)


def rooms(words: Words, value: object) -> str | None:
    """Return a room or a list of rooms in words; None when there is none."""
    items = value if isinstance(value, list) else [value]
    return words.times.listed([words.translate(name) for room, name in ROOMS.items() if room.value in items]) or None


def _kinds(words: Words, value: object) -> str | None:
    if not isinstance(value, list):
        return None
    return words.times.listed([words.requirement(str(item)) for item in value]) or words.translate("none")


def _listed(kind: str) -> Callable[[Words, Any], str | None]:
    return lambda words, value: (
        (words.names(kind, value) or words.translate("none")) if isinstance(value, list) else None
    )


def _yes_or_no(words: Words, value: object) -> str | None:
    return (words.translate("yes") if value else words.translate("no")) if isinstance(value, bool) else None


def _signed_percent(value: object) -> str | None:
    return f"{value:+.1%}" if isinstance(value, int | float) and not isinstance(value, bool) else None


def _bit_rate(_: Words, value: object) -> str | None:
    return f"{value / 1000:.4g} kb/s" if isinstance(value, int | float) and not isinstance(value, bool) else None


_PLAIN = _one(lambda _, value: plain(value))
_PERCENT = _one(lambda _, value: percent(value))
_NUMBER = _one(lambda _, value: number(value))
_SECONDS = _one(lambda words, value: words.seconds(value))


def _signed_seconds(words: Words, value: object) -> str | None:
    text = words.seconds(abs(value)) if isinstance(value, int | float) else None
    return None if text is None else ("+" if float(str(value)) >= 0 else "−") + text


def _between(words: Words, value: object) -> str | None:
    """Return the first and the last day on which something may happen; without a last one it may not happen at all."""
    if not isinstance(value, list) or len(value) != 2:
        return None
    first, last = (_day(words, item) for item in value)
    return None if first is None else f"{first} – {last or words.translate(_NEVER)}"


FIGURES: dict[str, tuple[str, Write]] = {
    "required_days": (_n("Days required"), _NUMBER),
    "held_days": (_n("Days held"), _NUMBER),
    "contiguous_days": (_n("Days held without a break, up to yesterday"), _NUMBER),
    "far_edge_at": (_n("Recordings reach back to"), _one(_instant)),
    "clock_unverified_before": (_n("Recorder's clock not verified before"), _one(_instant)),
    "missing_days": (_n("Days missing"), _days),
    "gaps": (_n("Holes in the recordings"), _spans),
    "compliant_from": (_n("In order at the earliest on"), _one(_day)),
    "causes": (_n("Causes"), causes),
    "warnings": (_n("To be watched"), causes),
    "over_retention": (_n("Kept longer than declared"), _one(_yes_or_no)),
    "over_retention_days": (_n("Declared to be kept for at most (days)"), _NUMBER),
    "recording_mode": (
        _n("Set to record"),
        _one(lambda words, value: words.translate(MODES[value]) if isinstance(value, str) and value in MODES else None),
    ),
    "time_server": (_n("Set by a time server"), _one(_yes_or_no)),
    "faults_told": (_n("Faults that the recorder tells of"), _one(texts)),
    "tells_by_mail": (_n("It tells of them by mail"), _one(_yes_or_no)),
    "commissioned_later": (_n("Seen before they were commissioned"), _or_none(early)),
    "armed_inputs": (_n("Alarm inputs that are armed"), _one(texts)),
    "disarmed_inputs": (_n("Alarm inputs that were armed and no longer are"), _one(texts)),
    "test_result": (
        _n("Result of the test"),
        _one(lambda words, value: words.state(value) if isinstance(value, str) else None),
    ),
    "breaks_on": (_n("Will fall short on"), _one(_day)),
    "breaks_because": (
        _n("Because"),
        _one(lambda words, value: words.cause(value) if isinstance(value, str) else None),
    ),
    "breaks_between": (_n("Earliest and latest day"), _one(_between)),
    "window_seconds": (_n("Window looked at"), _SECONDS),
    "up_seconds": (_n("Running"), _SECONDS),
    "down_seconds": (_n("Down"), _SECONDS),
    "up_ratio": (_n("Share of the known time that it ran"), _PERCENT),
    "minimum_ratio": (_n("Share required"), _PERCENT),
    "outages": (_n("Outages"), _spans),
    "offset_seconds": (_n("Clock differs by"), _one(_signed_seconds)),
    "tolerance_seconds": (_n("Difference allowed"), _SECONDS),
    "capacity_bytes": (_n("Capacity of the disks present"), _one(lambda _, value: gigabytes(value))),
    "disks": (_n("Disks"), _disks),
    "channels": (_n("Undeclared channels"), _channels),
    "declared": (_n("Channels declared"), _NUMBER),
    "found": (_n("Channels found"), _NUMBER),
    "undetermined": (_n("Not known"), _one(_kinds)),
    "max_undetermined_seconds": (_n("May be unknown for at most"), _SECONDS),
    "cause": (_n("Cause"), _one(lambda words, value: words.cause(value) if isinstance(value, str) else None)),
    "last_report_at": (_n("Last report"), _one(_instant)),
    "silent_after_seconds": (_n("Silent after"), _SECONDS),
    "day": (_n("Day"), _one(_day)),
    "due_seconds": (_n("Time due"), _SECONDS),
    "recorded_seconds": (_n("Time recorded"), _SECONDS),
    "recorded_ratio": (_n("Share recorded"), _PERCENT),
    "cameras": (_n("Cameras"), _one(_listed("camera"))),
    "zones": (_n("Zones"), _one(_listed("zone"))),
    "unapproved": (_n("Cameras without an approved view"), _one(_listed("camera"))),
    "room": (_n("Room"), _one(rooms)),
    "rooms": (_n("Rooms"), _one(rooms)),
    "tested_at": (_n("Tested on"), _one(_instant)),
    "valid_until": (_n("The test counts until"), _one(_instant)),
    "width": (_n("Width (pixels)"), _PLAIN),
    "height": (_n("Height (pixels)"), _PLAIN),
    "frame_rate": (_n("Frames a second"), _PLAIN),
    "bit_rate": (_n("Bit rate"), _one(_bit_rate)),
    "codec": (_n("Codec"), _one(lambda _, value: value if isinstance(value, str) else None)),
    "minimum_width": (_n("Width at least"), _PLAIN),
    "minimum_height": (_n("Height at least"), _PLAIN),
    "minimum_frame_rate": (_n("Frame rate at least"), _PLAIN),
    "in_place": (_n("Of the approved view, in its place"), _PERCENT),
    "covered_ratio": (_n("Of the view, covered"), _PERCENT),
    "sharpness": (_n("Sharpness beside the approved view"), _PERCENT),
    "shift_x": (_n("Moved sideways, of the width"), _one(lambda _, value: _signed_percent(value))),
    "shift_y": (_n("Moved up or down, of the height"), _one(lambda _, value: _signed_percent(value))),
    "rotation": (_n("Turned by (degrees)"), _PLAIN),
    "zoom": (_n("Enlarged by the factor"), _PLAIN),
    "luma_mean": (_n("Brightness (16 black, 235 white)"), _PLAIN),
    "clipped_ratio": (_n("Of the picture, overexposed"), _PERCENT),
    "grain": (_n("Grain (steps of brightness)"), _PLAIN),
    "same_ratio": (_n("Of the picture, the same as the look before"), _PERCENT),
    "thresholds": (
        _n("Thresholds in force (digest)"),
        _one(lambda _, value: value if isinstance(value, str) else None),
    ),
    "usable_night_picture": (_n("A usable picture at night"), _one(_yes_or_no)),
    "proof": (_n("Proof by decoding"), _one(lambda words, value: proof_text(value, words))),
    "contradictions": (_n("Contradictions"), lambda words, value: contradicted(value, words) or None),
}

_ABSENT_PICTURE = frozenset(
    {
        "grain_ratio",
        "stripe_gain",
        "tint_shift",
        "same_times",
        "same_ratio",
        "same_now",
        "covered_still",
        "covered_grown",
    }
)
"""Measures of a picture beside earlier ones: null where there is none."""

ABSENT_WHEN_NULL = frozenset(
    {
        "compliant_from", "breaks_on", "cause", "proof", "minimum_width", "minimum_height", "minimum_frame_rate", "tested_at",
        "valid_until", "test_result",
    }
)  # fmt: skip
"""Here null says that there is none; elsewhere it says that the figure is not known."""


def figures(measured: Mapping[str, Any], words: Words) -> list[Figure]:
    """Return what was measured in words. What is not known says so; what has no words here is shown as it is.

    Many numbers without words, such as the measures of a picture, are one figure, after the others.
    """
    wordless = [key for key, value in measured.items() if key not in FIGURES and _is_number(value)]
    together = wordless if len(wordless) > _FEW else []
    # Among so many a measure without words and without a number says nothing to anybody.
    silent = {key for key, value in measured.items() if value is None and key not in FIGURES} if together else set()
    found = [_figure(key, value, words) for key, value in measured.items() if key not in {*together, *silent}]
    shown = [item for item in found if item is not None]
    if together:
        text = " · ".join(f"{key} {measured[key]:g}" for key in together)
        shown.append(Figure(words.translate("Further measures"), (text,)))
    return shown


def _figure(key: str, value: Any, words: Words) -> Figure | None:
    if value == [] and key in {"causes", "warnings"}:
        return None
    if value is None and (key in ABSENT_WHEN_NULL or key in _ABSENT_PICTURE):
        return None
    label, write = FIGURES.get(key, (None, None))
    if label is None or write is None:
        text = json.dumps(value, ensure_ascii=False) if value is not None else words.translate("unknown")
        return Figure(key, (text,))
    values = write(words, value) if value is not None else None
    return Figure(words.translate(label), values or (words.translate("unknown"),))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
