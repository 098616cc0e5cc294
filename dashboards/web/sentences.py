"""Reasons as sentences in the page's language, composed from (requirement, state, measured)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dashboards.web.figures import Words, causes, early, gigabytes, number, percent, plain, rooms, texts
from dashboards.web.i18n import mark as _n
from dashboards.web.times import read_date, read_instant
from monitor.model.observation import StreamCause
from monitor.model.span import Millis

_PICTURE = {
    "black": (_n("The picture was black from %(began)s to %(ended)s."), _n("The picture has been black since %(began)s."), _n("The picture is black.")),
    "dark": (_n("The picture was too dark from %(began)s to %(ended)s."), _n("The picture has been too dark since %(began)s."), _n("The picture is too dark.")),
    "bright": (_n("The picture was too bright from %(began)s to %(ended)s."), _n("The picture has been too bright since %(began)s."), _n("The picture is too bright.")),
    "frozen": (_n("The picture was frozen from %(began)s to %(ended)s."), _n("The picture has been frozen since %(began)s."), _n("The picture is frozen.")),
    "blurred": (_n("The picture was out of focus from %(began)s to %(ended)s."), _n("The picture has been out of focus since %(began)s."), _n("The picture is out of focus.")),
    "covered": (_n("The lens was covered from %(began)s to %(ended)s."), _n("The lens has been covered since %(began)s."), _n("The lens is covered.")),
    "moved": (_n("The camera was turned away from %(began)s to %(ended)s."), _n("The camera has been turned away since %(began)s."), _n("The camera is turned away.")),
    "noisy": (_n("The picture was full of noise from %(began)s to %(ended)s."), _n("The picture has been full of noise since %(began)s."), _n("The picture is full of noise.")),
    "striped": (_n("The picture had stripes from %(began)s to %(ended)s."), _n("The picture has had stripes since %(began)s."), _n("The picture has stripes.")),
    "colour_cast": (_n("The picture had a colour cast from %(began)s to %(ended)s."), _n("The picture has had a colour cast since %(began)s."), _n("The picture has a colour cast.")),
    "signal_lost": (_n("The recorder showed “no video” from %(began)s to %(ended)s."), _n("The recorder has shown “no video” since %(began)s."), _n("The recorder shows “no video”.")),
    "corrupt": (_n("The picture was corrupt from %(began)s to %(ended)s."), _n("The picture has been corrupt since %(began)s."), _n("The picture is corrupt.")),
    "looped": (_n("A recording was played as live from %(began)s to %(ended)s."), _n("A recording has been played as live since %(began)s."), _n("A recording is played as live.")),
}  # fmt: skip

SENTENCES: dict[tuple[str, str], tuple[str, ...]] = {
    ("uptime", "up"): (_n("It is running."),),
    ("uptime", "down"): (
        _n("The recorder had lost the camera from %(began_offline)s to %(ended)s; frames that came then were its placeholder."),
        _n("The recorder has been without the camera since %(began_offline)s; frames that still come are its placeholder."),
        _n("No video from %(began)s to %(ended)s (%(cause)s)."),
        _n("No video from %(began)s to %(ended)s."),
        _n("Up for only %(up_ratio_now_up)s of the time that counts; %(minimum_ratio)s are required."),
        _n("No video since %(began)s (%(cause)s)."),
        _n("No video since %(began)s."),
        _n("No video."),
    ),
    ("uptime", "unreachable"): (
        _n("The recorder did not answer from %(began)s to %(ended)s, although the site's line was up."),
        _n("The recorder has not answered since %(began)s, although the site's line is up."),
        _n("The recorder does not answer, although the site's line is up."),
    ),
    ("uptime", "site_power"): (
        _n("Power cut from %(began)s to %(ended)s: the agent was off and the recordings have the same hole."),
        _n("Power cut since %(began)s: the agent was off and the recordings have the same hole."),
        _n("Power cut: the agent was off and the recordings have the same hole."),
    ),
    ("uptime", "unknown"): (
        _n("Not running since %(not_owed_since)s, while nothing is owed: a closed day, a waiver, or out of hours."),
        _n("Whether it is running is not known."),
    ),
    ("uptime", "recorder_full"): (
        _n("Whether it is running is not known: the recorder serves no further session."),
    ),
    ("zone_coverage", "ok"): (_n("The zone is covered."),),
    ("zone_coverage", "no_camera"): (_n("No camera is declared for this zone, which must be covered."),),
    ("zone_coverage", "camera_down"): (_n("No camera of this zone shows a usable picture, and one at least is down."),),
    ("zone_coverage", "view_faulty"): (_n("No camera of this zone shows a usable picture."),),
    ("zone_coverage", "no_zone"): (
        _n("No zone is declared for: %(rooms)s. At least one is required."),
        _n("A zone that must exist is not declared."),
    ),
    ("zone_coverage", "camera_present_only"): (
        _n("A camera shows this zone; that it shows what it is meant to is yet to be approved: %(unapproved)s."),
        _n("A camera shows this zone; that all of it is covered is yet to be confirmed on the spot."),
    ),
    ("zone_coverage", "unknown"): (_n("What the cameras of this zone show is not known."),),
    ("view", "ok"): (_n("No usable night picture: the room is dark %(unlit)s."), _n("The picture is usable.")),
    **{("view", state): sentences for state, sentences in _PICTURE.items()},
    ("view", "no_baseline"): (_n("No view of this camera has been approved yet."),),
    ("view", "unknown"): (_n("What the camera shows is not known."),),
    ("forbidden_zone", "clear"): (_n("The camera shows no place where cameras are forbidden."),),
    ("forbidden_zone", "inside"): (
        _n("The camera shows a place where cameras are forbidden: %(zones)s."),
        _n("The camera shows a place where cameras are forbidden."),
    ),
    ("forbidden_zone", "unknown"): (_n("Which places the camera shows is not declared."),),
    ("undeclared_channel", "none"): (
        _n("Every channel of the recorder is declared."),
    ),
    ("undeclared_channel", "found"): (
        _n("The recorder records channels that are not declared: %(channels)s."),
        _n("%(early)s: another camera is declared than the one that was there."),
        _n("The recorder records channels that are not declared."),
    ),
    ("undeclared_channel", "unknown"): (_n("Which channels the recorder has is not known."),),
    ("retention", "ok"): (
        _n(
            "%(held_days)s days of recordings are held, %(required_days)s are required; by the forecast fewer from "
            "%(breaks_on)s on: %(breaks_because)s."
        ),
        _n("%(held_days)s days of recordings are held, %(required_days)s are required. To be watched: %(warnings)s."),
        _n(
            "%(held_days)s days of recordings are held, %(required_days)s are required, and more than "
            "%(over_retention_days)s are not declared: kept for too long."
        ),
        _n("%(held_days)s days of recordings are held; %(required_days)s are required."),
        _n("Recordings are held for as long as required."),
    ),
    ("retention", "maturing"): (
        _n("New camera: %(held_days)s of %(required_days)s days so far, all of them held; complete on %(compliant_from)s."),
        _n("New camera: all of its days so far are held."),
    ),
    ("retention", "short"): (
        _n(
            "Only %(held_days)s of %(required_days)s days of recordings are held; "
            "in order on %(compliant_from)s at the earliest. Cause: %(causes)s."
        ),
        _n(
            "Only %(held_days)s of %(required_days)s days of recordings are held; "
            "in order on %(compliant_from)s at the earliest."
        ),
        _n("Fewer days of recordings are held than required."),
    ),
    ("retention", "gap"): (
        _n(
            "Recordings are missing for: %(missing_days)s; in order on %(compliant_from)s at the earliest. "
            "Cause: %(causes)s."
        ),
        _n("Recordings are missing for: %(missing_days)s; in order on %(compliant_from)s at the earliest."),
        _n("Recordings of some days are missing."),
    ),
    ("retention", "unknown"): (_n("How long recordings are held is not known."),),
    ("recording_completeness", "complete"): (
        _n("%(recorded_ratio)s of the time due on %(day)s was recorded."),
        _n("Yesterday was recorded completely."),
    ),
    ("recording_completeness", "incomplete"): (
        _n("Only %(recorded_ratio)s of the time due on %(day)s was recorded; %(minimum_ratio)s are required."),
        _n("Yesterday was not recorded completely."),
    ),
    ("recording_completeness", "motion_only"): (
        _n("Recordings are made on motion only: %(recorded_ratio)s of the time due on %(day)s; %(minimum_ratio)s are required."),
        _n("Recordings are made on motion only."),
    ),
    ("recording_completeness", "unknown"): (_n("How much was recorded yesterday is not known."),),
    ("recorder_clock", "ok"): (_n("The recorder's clock is right."),),
    ("recorder_clock", "off"): (
        _n("The recorder's clock is fast by %(fast)s; up to %(tolerance)s is allowed."),
        _n("The recorder's clock is slow by %(slow)s; up to %(tolerance)s is allowed."),
        _n("The recorder's clock is wrong."),
    ),
    ("recorder_clock", "unknown"): (_n("Whether the recorder's clock is right is not known."),),
    ("storage_health", "ok"): (_n("The disks work (%(capacity)s)."), _n("The disks work.")),
    ("storage_health", "degraded"): (_n("The storage is degraded."),),
    ("storage_health", "failed"): (_n("A disk has failed."),),
    ("storage_health", "missing"): (_n("A disk is missing."),),
    ("storage_health", "read_only"): (_n("A disk can no longer be written."),),
    ("storage_health", "unknown"): (_n("The state of the disks is not known."),),
    ("picture_quality", "ok"): (
        _n("Recorded is %(recorded)s; %(asked)s are required."),
        _n("Resolution and frame rate are as required."),
    ),
    ("picture_quality", "below"): (
        _n("Recorded is only %(recorded)s; %(asked)s are required."),
        _n("Resolution or frame rate are below what is required."),
    ),
    ("picture_quality", "unknown"): (_n("Resolution and frame rate are not known."),),
    ("measurability", "ok"): (_n("What is required can be measured."),),
    ("measurability", "unmeasured"): (
        _n("Could not be measured from %(began)s to %(ended)s: %(cause)s."),
        _n("Can't be measured since %(began)s, longer than %(max_undetermined)s: %(cause)s."),
        _n("Can't be measured for longer than allowed."),
    ),
    ("alarm_system", "ok"): (
        _n("The alarm system was tested on %(tested_at)s; the test counts until %(valid_until)s."),
        _n("Alarm inputs are armed: %(armed)s; no test has been attested."),
        _n("The alarm system works."),
    ),
    ("alarm_system", "fault"): (
        _n("The alarm test of %(fault_found_at)s found a fault."),
        _n("Alarm inputs were armed and no longer are: %(disarmed)s."),
        _n("The alarm system has a fault."),
    ),
    ("alarm_system", "untested"): (
        _n("The alarm test of %(tested_at)s has expired: test it again and attest it."),
        _n("The alarm test has expired: test it again and attest it."),
    ),
    ("alarm_system", "not_offered"): (_n("No device reports the alarm system, and no alarm test has been attested."),),
    ("alarm_system", "unknown"): (_n("Whether the alarm system works is not known."),),
    ("agent_silence", "reporting"): (_n("The agent reports; last on %(last_report_at)s."), _n("The agent reports.")),
    ("agent_silence", "silent"): (
        _n("The agent sent no report from %(began)s to %(ended)s."),
        _n("The agent has sent no report since %(began)s: what happened at the site since then is not known."),
        _n("The agent sends no reports."),
    ),
}  # fmt: skip
"""Candidates in order: the first one whose figures are all there is used; the last needs none."""


_NO_TIME = _n("Later evidence left it no time of its own: it is part of another finding, or was over at once.")


def reason(
    requirement: str,
    state: str,
    measured: Mapping[str, Any],
    words: Words,
    *,
    began: Millis | None = None,
    ended: Millis | None = None,
    fallback: str = "",
) -> str:
    """Return the sentence for a verdict or a finding; `fallback` (the verdict's own reason) for a state unknown here."""
    if began is not None and ended == began:
        return words.translate(_NO_TIME)
    candidates = SENTENCES.get((requirement, state))
    if candidates is None:
        return fallback
    figures = _figures(measured, words, began, ended)
    for message in candidates:
        try:
            return words.translate(message) % figures
        except KeyError:
            continue
    return fallback


def _figures(measured: Mapping[str, Any], words: Words, began: Millis | None, ended: Millis | None) -> dict[str, str]:
    """Return the figures that a sentence may name, those that are known only: a sentence never says `unknown days`."""
    times = words.times
    found = {
        "began": None if began is None else times.instant(began),
        "ended": None if ended is None else times.instant(ended),
        "began_offline": times.instant(began) if began is not None and _is_offline(measured, began) else None,
        "cause": _cause(measured, words, began),
        "held_days": number(measured.get("held_days")),
        "required_days": number(measured.get("required_days")),
        "compliant_from": _day(measured.get("compliant_from")),
        "breaks_on": _day(measured.get("breaks_on")),
        "breaks_because": _code(measured.get("breaks_because"), words),
        "missing_days": _missing(measured, words),
        "minimum_ratio": percent(measured.get("minimum_ratio")),
        "up_ratio_now_up": None if ended is not None or _is_out(measured, began) else percent(measured.get("up_ratio")),
        "recorded_ratio": percent(measured.get("recorded_ratio")),
        "day": _day(measured.get("day")),
        "rooms": rooms(words, measured.get("rooms")),
        "zones": words.names("zone", measured.get("zones")),
        "unapproved": words.names("camera", measured.get("unapproved")),
        "channels": _channels(measured.get("channels"), words),
        "capacity": gigabytes(measured.get("capacity_bytes")),
        "max_undetermined": words.seconds(measured.get("max_undetermined_seconds")),
        "tolerance": words.seconds(measured.get("tolerance_seconds")),
        "warnings": _joined(causes(words, measured.get("warnings")), words),
        "causes": _joined(causes(words, measured.get("causes")), words),
        "over_retention_days": number(measured.get("over_retention_days")),
        "early": _joined(early(words, measured.get("commissioned_later")), words),
        "armed": _texts(measured.get("armed_inputs"), words),
        "disarmed": _texts(measured.get("disarmed_inputs"), words),
        "fault_found_at": _instant(measured.get("tested_at"), words) if _test_failed(measured) else None,
        "unlit": _unlit(measured, words),
        "recorded": _picture(measured, "", words),
        "asked": _picture(measured, "minimum_", words),
        **_offset(measured.get("offset_seconds"), words),
        **{
            key: _instant(measured.get(key), words)
            for key in ("tested_at", "valid_until", "last_report_at", "not_owed_since")
        },
    }
    return {key: value for key, value in found.items() if value is not None}


def _joined(lines: Sequence[str] | None, words: Words) -> str | None:
    return words.translate("; ").join(lines) if lines else None


def _texts(value: object, words: Words) -> str | None:
    return texts(words, value) if value else None


def _test_failed(measured: Mapping[str, Any]) -> bool:
    """Tell whether the test found the fault; of readings from before inputs were asked for it was always the test."""
    return bool(measured.get("test_result", "fault") == "fault")


def _code(value: object, words: Words) -> str | None:
    return words.cause(value) if isinstance(value, str) else None


def _outage(measured: Mapping[str, Any], began: Millis | None) -> Mapping[str, Any] | None:
    """Return the outage that is spoken of: the one that began then, else the newest while it lasts."""
    listed = measured.get("outages")
    items = [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []
    for item in items:
        if began is not None and read_instant(item.get("start_at")) == began:
            return item
    return items[-1] if items and items[-1].get("end_at") is None else None


def _cause(measured: Mapping[str, Any], words: Words, began: Millis | None) -> str | None:
    return _code(_cause_code(measured, began), words)


def _cause_code(measured: Mapping[str, Any], began: Millis | None) -> object:
    outage = _outage(measured, began)
    return outage.get("cause") if outage else measured.get("cause")


def _is_offline(measured: Mapping[str, Any], began: Millis) -> bool:
    """Tell whether the recorder lost the camera: it may go on sending frames, so that `no video` would be wrong."""
    return _cause_code(measured, began) == StreamCause.CHANNEL_OFFLINE


def _is_out(measured: Mapping[str, Any], began: Millis | None) -> bool:
    """Tell whether the outage spoken of still lasts: else what still holds is about a share of time."""
    outage = _outage(measured, began)
    return outage is None or outage.get("end_at") is None


def _offset(value: object, words: Words) -> dict[str, str | None]:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return {}
    return {"fast" if value > 0 else "slow": words.seconds(abs(value))}


def _unlit(measured: Mapping[str, Any], words: Words) -> str | None:
    dark = measured.get("usable_night_picture") is False
    return words.translate("outside opening hours or at nap time, when it may be") if dark else None


def _picture(measured: Mapping[str, Any], prefix: str, words: Words) -> str | None:
    """Return size and frame rate, what of them there is."""
    sides = [plain(measured.get(f"{prefix}{name}")) for name in ("width", "height")]
    rate = plain(measured.get(f"{prefix}frame_rate"))
    parts = [" × ".join(side for side in sides if side is not None)]
    parts += [words.translate("%(rate)s frames a second") % {"rate": rate}] if rate is not None else []
    return words.times.listed([part for part in parts if part]) or None


def _day(value: object) -> str | None:
    day = read_date(value)
    return None if day is None else day.isoformat()


def _instant(value: object, words: Words) -> str | None:
    millis = read_instant(value)
    return None if millis is None else words.times.instant(millis)


def _missing(measured: Mapping[str, Any], words: Words) -> str | None:
    listed = measured.get("missing_days")
    days = [day for day in map(read_date, listed) if day is not None] if isinstance(listed, list) else []
    return words.times.days(days) if days else None


def _channels(value: object, words: Words) -> str | None:
    items = [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
    texts = [f"{item.get('id')} {item.get('name') or ''}".strip() for item in items]
    return words.times.listed(texts) if texts else None
