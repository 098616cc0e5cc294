"""An institution as its page shows it: headline, tiles, cameras with their charts, zones, recorders, the site."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from dashboards.web.cases import Case
from dashboards.web.charts import BarWords, CalendarWords, bar, calendar
from dashboards.web.checks import Check, check
from dashboards.web.contradictions import of_subject, proof_text
from dashboards.web.figures import Words
from dashboards.web.standing import headline, outlook
from dashboards.web.views import CameraViews, Pictures, light_name
from dashboards.web.words import DAYS, ROOMS
from monitor.evaluation.retention import DayHeld, day_ledger
from monitor.evaluation.uptime import effective_timeline
from monitor.evaluation.view import UNLIT, judged_spans, lit_since
from monitor.model.inventory import Camera, ChangedThreshold, Zone
from monitor.model.ledger import Facts, StateSpan, Timeline
from monitor.model.regulation import Regulation, Retention
from monitor.model.span import DAY, Millis
from monitor.store.registry import InstitutionSummary
from monitor.store.verdicts import CurrentVerdict

MOST_DAYS = 400
_CAMERA = ("uptime", "view", "retention")
_CAMERA_MORE = ("recording_completeness", "picture_quality", "forbidden_zone", "measurability")
_RECORDER = ("uptime", "recorder_clock", "storage_health", "undeclared_channel")
_MANY_OUTAGES = 3


@dataclass(frozen=True)
class Tile:
    """One figure at the head of the page."""

    label: str
    outcome: str
    value: str
    unit: str


@dataclass(frozen=True)
class CameraCard:
    """A camera with its checks and charts."""

    id: str
    name: str
    place: str
    checks: Sequence[Check]
    calendar: Markup | None
    calendar_title: str
    calendar_text: str
    bar: Markup
    bar_text: str
    view_bar: Markup | None
    """What it showed over the same hours; None for a camera without a stream."""
    view_text: str
    views: CameraViews
    proof: str = ""
    """What the newest proof by decoding came to."""
    contradictions: Sequence[str] = ()
    """Where what the recorder says and what was seen can't both be true."""


@dataclass(frozen=True)
class ZoneLine:
    """A zone with its cameras."""

    id: str
    name: str
    room: str
    demand: str
    cameras: Sequence[Camera]
    check: Check | None


@dataclass(frozen=True)
class RecorderCard:
    """A recorder with its checks."""

    id: str
    name: str
    driver: str
    checks: Sequence[Check]
    contradictions: Sequence[str] = ()


@dataclass(frozen=True)
class SiteView:
    """All that an institution's page shows."""

    id: str
    name: str
    outcome: str
    headline: str
    outlook: str
    """What will not be met before long, by the forecast; empty for nothing."""
    regulation: str
    regulation_title: str
    last_report: Markup | str
    evaluated: Markup | None
    enrol: bool
    findings: Sequence[Case]
    tiles: Sequence[Tile] = ()
    cameras: Sequence[CameraCard] = ()
    zones: Sequence[ZoneLine] = ()
    recorders: Sequence[RecorderCard] = ()
    site: Sequence[Check] = ()
    thresholds: Sequence[str] = ()
    """Numbers of the picture checks that the site has changed, a sentence each."""
    waiting: int = 0
    """Proposed views that wait for an officer."""
    unreadable: str = ""
    """How many verdicts can't be read as they are stored; empty for none."""


def site_view(
    summary: InstitutionSummary,
    facts: Facts | None,
    pack: Regulation,
    verdicts: Sequence[CurrentVerdict],
    findings: Sequence[Case],
    words: Words,
    *,
    stale: bool,
    pictures: Pictures | None = None,
) -> SiteView:
    """Put an institution's page together. `facts` is None while nothing has been declared.

    `stale`: it has not been judged for so long that what is shown may no longer be true.
    """
    lines = [check(item, words) for item in verdicts]
    by = {(line.subject_kind, line.subject_id, line.requirement): line for line in lines}
    outcome, text = headline(summary, findings, words, stale=stale)
    times, pictures = words.times, pictures or Pictures()
    parts = _Parts(facts, pack, by, words, pictures.views) if facts is not None else None
    cameras = parts.cameras() if parts else []
    return SiteView(
        id=summary.id,
        name=summary.name or summary.id,
        outcome=outcome,
        headline=text,
        outlook=outlook(lines, words),
        regulation=summary.regulation,
        regulation_title=getattr(pack.title, times.language.value),
        last_report=words.translate("none yet")
        if summary.last_report_at is None
        else times.element(summary.last_report_at),
        evaluated=None if summary.evaluated_at is None else times.element(summary.evaluated_at),
        enrol=summary.last_report_at is None,
        findings=findings,
        tiles=parts.tiles() if parts else (),
        cameras=cameras,
        zones=parts.zones() if parts else (),
        recorders=parts.recorders() if parts else (),
        site=[line for line in lines if line.subject_kind in {"institution", "agent"}],
        thresholds=[_changed(item, words) for item in pictures.thresholds],
        waiting=sum(len(item.views.proposals) for item in cameras),
        unreadable=_unreadable(lines, words),
    )


def _unreadable(lines: Sequence[Check], words: Words) -> str:
    count = sum(not line.readable for line in lines)
    text = words.plural(
        "%(count)s verdict can't be read as it is stored, and counts as not known: somebody edited it, or another version wrote it. The next evaluation judges anew; “cradlewatch collector verify” names what was edited.",
        "%(count)s verdicts can't be read as they are stored, and count as not known: somebody edited them, or another version wrote them. The next evaluation judges anew; “cradlewatch collector verify” names what was edited.",
        count,
    )
    return text % {"count": count} if count else ""


def _changed(item: ChangedThreshold, words: Words) -> str:
    """Say which threshold is another one, for what, and what the default is."""
    say = words.translate
    where = [say("all cameras") if item.camera is None else words.name("camera", item.camera)]
    where += [] if item.light is None else [light_name(item.light, words)]
    text = say("%(where)s: %(name)s is %(value)s (default %(default)s)")
    figures = {"name": item.name, "value": f"{item.value:g}", "default": f"{item.default:g}"}
    return text % {"where": words.times.listed(where), **figures}


@dataclass(frozen=True)
class _Parts:
    """The parts of a page that stand on facts."""

    facts: Facts
    pack: Regulation
    by: dict[tuple[str, str, str], Check]
    words: Words
    views: Mapping[str, CameraViews]

    def of(self, kind: str, subject_id: str, requirements: Sequence[str]) -> list[Check]:
        """Return a subject's checks in the order asked for, those that there are."""
        found = (self.by.get((kind, subject_id, requirement)) for requirement in requirements)
        return [item for item in found if item is not None]

    # --- tiles

    def tiles(self) -> list[Tile]:
        """Return the figures at the head of the page."""
        say = self.words.translate
        cameras = [line for line in self.by.values() if line.subject_kind == "camera"]
        tiles = []
        running = [line for line in cameras if line.requirement == "uptime"]
        if running:
            tiles.append(self._share(say("Cameras running"), running))
        kept = [line for line in cameras if line.requirement == "retention"]
        if kept and self.pack.requirements.retention:
            tiles.append(self._days(kept, self.pack.requirements.retention))
        zones = [line for line in self.by.values() if line.requirement == "zone_coverage"]
        if zones:
            tiles.append(self._share(say("Zones covered"), zones))
        unknown = sum(line.outcome == "undetermined" for line in self.by.values())
        unit = self.words.plural("of %(count)s check", "of %(count)s checks", len(self.by)) % {"count": len(self.by)}
        tiles.append(Tile(say("Not known"), "undetermined" if unknown else "met", str(unknown), unit))
        return tiles

    def _share(self, label: str, lines: Sequence[Check]) -> Tile:
        met = sum(line.outcome == "met" for line in lines)
        return Tile(label, _worst(lines), str(met), self.words.translate("of %(count)s") % {"count": len(lines)})

    def _days(self, lines: Sequence[Check], requirement: Retention) -> Tile:
        label = self.words.translate("Fewest days of recordings")
        days = [value for line in lines if isinstance(value := line.measured.get("held_days"), int)]
        unit = self.words.translate("of %(count)s required") % {"count": requirement.required_days}
        if len(days) < len(lines):
            count = len(lines) - len(days)
            text = self.words.plural("; %(count)s camera unknown", "; %(count)s cameras unknown", count)
            unit += text % {"count": count}
        return Tile(label, _worst(lines), str(min(days)) if days else "?", unit)

    # --- cameras

    def cameras(self) -> list[CameraCard]:
        """Return the cameras in the order in which the institution declares them."""
        return [self._camera(item) for item in self.facts.inventory.cameras]

    def _camera(self, camera: Camera) -> CameraCard:
        more = [item for item in self.of("camera", camera.id, _CAMERA_MORE) if item.outcome != "met"]
        end, line = (
            self.facts.as_of,
            effective_timeline(self.facts, camera.id, self.facts.as_of - DAY, self.facts.as_of),
        )
        text = self._bar_text(line)
        retention = self.pack.requirements.retention
        chart, title, days_text = self._calendar(camera, retention) if retention else (None, "", "")
        words = BarWords(self.words.translate("Last 24 hours: %(text)s") % {"text": text}, self._breaks_title)
        return CameraCard(
            id=camera.id,
            name=camera.name or camera.id,
            place=self._place(camera),
            checks=[*self.of("camera", camera.id, _CAMERA), *more],
            calendar=chart,
            calendar_title=title,
            calendar_text=days_text,
            bar=bar(line, end - DAY, end, self.words.times.ticks(end - DAY, end, 6), words),
            bar_text=text,
            **self._view_bar(camera, end),
            views=self.views.get(camera.id, CameraViews()),
            proof=self._proof(camera.id),
            contradictions=self._contradictions("camera", camera.id),
        )

    def _proof(self, camera_id: str) -> str:
        found = self.by.get(("camera", camera_id, "retention"))
        return (proof_text(found.measured.get("proof"), self.words) if found else None) or ""

    def _contradictions(self, kind: str, subject_id: str) -> list[str]:
        lines = [line for line in self.by.values() if (line.subject_kind, line.subject_id) == (kind, subject_id)]
        return of_subject([line.measured for line in lines], self.words)

    def _view_bar(self, camera: Camera, end: Millis) -> dict[str, Any]:
        """Return what the camera showed over the last day, as a bar and in words."""
        if not camera.has_stream:
            return {"view_bar": None, "view_text": ""}
        line = _seen(self.facts, camera.id, end - DAY, end)
        shown = [span._replace(state=_SHAPES.get(span.state, "down"), cause=span.state) for span in line]
        text = self._view_text(line, DAY)
        words = BarWords(self.words.translate("Picture, last 24 hours: %(text)s") % {"text": text}, self._faults_title)
        ticks = self.words.times.ticks(end - DAY, end, 6)
        return {"view_bar": bar(shown, end - DAY, end, ticks, words), "view_text": text}

    def _view_text(self, line: Sequence[StateSpan], whole: Millis) -> str:
        say, times = self.words.translate, self.words.times
        totals = Counter[str]()
        for span in line:
            totals[span.state] += span.end - span.start
        totals["unknown"] = whole - sum(total for state, total in totals.items() if state != "unknown")
        names = {"ok": say("usable"), UNLIT: say("dark when it may be")}
        return " · ".join(
            f"{names.get(state) or self.words.state(state)} {times.hours(total)}"
            for state, total in sorted(
                totals.items(), key=lambda item: (item[0] != "ok", item[0] == "unknown", item[0])
            )
            if total > 0 or state == "ok"
        )

    def _faults_title(self, faults: Sequence[StateSpan]) -> str:
        """Name the faults under one mark of the bar."""
        times = self.words.times
        parts = [
            f"{self.words.state(str(span.cause))} {times.clock(span.start)}–{times.clock(span.end)}"
            for span in faults[-_MANY_OUTAGES:]
        ]
        return " · ".join(parts)

    def _place(self, camera: Camera) -> str:
        zones = [zone for zone in self.facts.inventory.zones if zone.id in camera.zones]
        named = [self._zone_text(zone) for zone in zones] or [self.words.translate("no zone")]
        text = self.words.times.listed(named)
        if camera.recorder is None:
            return text + " · " + self.words.translate("no recorder")
        recorder = self.words.name("recorder", camera.recorder)
        if camera.channel is None:
            return f"{text} · {recorder}"
        return (
            text
            + " · "
            + self.words.translate("%(recorder)s, channel %(channel)s")
            % {
                "recorder": recorder,
                "channel": camera.channel,
            }
        )

    def _zone_text(self, zone: Zone) -> str:
        room = self.words.translate(ROOMS[zone.room])
        return self.words.translate("%(name)s (%(room)s)") % {"name": zone.name, "room": room} if zone.name else room

    def _calendar(self, camera: Camera, requirement: Retention) -> tuple[Markup, str, str]:
        days = day_ledger(self.facts, requirement, camera.id, min(requirement.required_days, MOST_DAYS))
        counts = Counter[str](day.state for day in days)
        say, times = self.words.translate, self.words.times
        title = self._held_text(camera, requirement)
        parts = [
            say("%(state)s %(count)s") % {"state": say(DAYS[state]), "count": counts[state]}
            for state in DAYS
            if counts[state]
        ]
        text = " · ".join(parts)
        missing = [day.day for day in days if day.state == "gap"]
        if missing:
            text += " · " + say("missing: %(days)s") % {"days": times.days(missing)}
        label = f"{title}: {text}"
        return calendar(days, CalendarWords(label, self._day_title, times.month, times.weekday)), title, text

    def _held_text(self, camera: Camera, requirement: Retention) -> str:
        found = self.by.get(("camera", camera.id, "retention"))
        held = found.measured.get("held_days") if found else None
        if not isinstance(held, int):
            return self.words.translate("Days of recordings: not known")
        text = self.words.translate("%(held)s days of recordings held, %(required)s required")
        return text % {"held": held, "required": requirement.required_days}

    def _day_title(self, day: DayHeld) -> str:
        state = self.words.translate(DAYS[day.state])
        if day.state not in {"held", "gap"} or not day.due:
            return f"{day.day} {state}"
        held, due = self.words.times.duration(day.held), self.words.times.duration(day.due)
        return f"{day.day} {state} " + self.words.translate("(%(held)s of %(due)s)") % {"held": held, "due": due}

    def _bar_text(self, line: Sequence[StateSpan]) -> str:
        times = self.words.times
        totals: dict[str, Millis] = {"up": 0, "down": 0, "unknown": 0}
        for span in line:
            totals[span.state if span.state in totals else "unknown"] += span.end - span.start
        parts = [
            f"{self.words.state(state)} {times.hours(total)}"
            for state, total in totals.items()
            if total or state == "up"
        ]
        breaks = [span for span in line if span.state == "down"]
        return " · ".join([*parts, self._breaks_title(breaks)]) if breaks else " · ".join(parts)

    def _breaks_title(self, breaks: Sequence[StateSpan]) -> str:
        listed = [self._span_title(span) for span in breaks[-_MANY_OUTAGES:]]
        if len(breaks) > _MANY_OUTAGES:
            listed.insert(0, self.words.translate("%(count)s breaks; the last ones") % {"count": len(breaks)})
        return " · ".join(listed)

    def _span_title(self, span: StateSpan) -> str:
        times = self.words.times
        length = times.duration(span.end - span.start)
        text = f"{times.clock(span.start)}–{times.clock(span.end)} ({length})"
        return f"{text} {self.words.cause(span.cause)}" if span.cause else text

    # --- zones, recorders

    def zones(self) -> list[ZoneLine]:
        """Return the zones in the order in which the institution declares them."""
        rooms, say = self.pack.rooms, self.words.translate
        lines = []
        for zone in self.facts.inventory.zones:
            demand = ""
            if zone.room in rooms.required:
                demand = say("must be covered")
            elif zone.room in rooms.forbidden:
                demand = say("no camera allowed")
            elif zone.room in rooms.district_decides:
                demand = say("the district decides")
            cameras = [
                item.model_copy(update={"name": item.name or item.id})
                for item in self.facts.inventory.cameras_of(zone.id)
            ]
            found = self.by.get(("zone", zone.id, "zone_coverage"))
            lines.append(ZoneLine(zone.id, zone.name or zone.id, say(ROOMS[zone.room]), demand, cameras, found))
        return lines

    def recorders(self) -> list[RecorderCard]:
        """Return the recorders with what is known of clock, disks and reach."""
        cards = []
        for item in self.facts.inventory.recorders:
            more = [line for line in self.of("recorder", item.id, ("measurability",)) if line.outcome != "met"]
            checks = [*self.of("recorder", item.id, _RECORDER), *more]
            contradicted = self._contradictions("recorder", item.id)
            cards.append(RecorderCard(item.id, item.name or item.id, item.driver, checks, contradicted))
        return cards


_SHAPES = {"ok": "up", UNLIT: "unlit", "unknown": "unknown"}
"""How what a camera shows is drawn; every fault is drawn as an outage is."""


def _seen(facts: Facts, camera_id: str, start: Millis, end: Millis) -> list[StateSpan]:
    """Return what a camera showed in [start, end); the last look is presumed to hold while it has not expired."""
    timeline = facts.views.get(camera_id, Timeline())
    line = judged_spans(timeline, lit_since(facts, [timeline]), facts.as_of)
    present = timeline.at(facts.as_of)
    if line and present is not None and line[-1].end < end:
        line[-1] = line[-1]._replace(end=end)
    cut = (span._replace(start=max(span.start, start), end=min(span.end, end)) for span in line)
    return [span for span in cut if span.end > span.start]


def _worst(lines: Sequence[Check]) -> str:
    outcomes = {line.outcome for line in lines}
    return next(item for item in ("breached", "undetermined", "met") if item in outcomes)
