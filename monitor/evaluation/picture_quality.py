"""Size and frame rate of what is recorded, as a short look at the main stream once a day tells."""

from __future__ import annotations

from pydantic import JsonValue

from monitor.evaluation.basis import Judgement, camera_subject
from monitor.model.inventory import Camera
from monitor.model.ledger import evidence_of
from monitor.model.observation import Kind, Observation, StreamCause
from monitor.model.regulation import PictureQuality
from monitor.model.verdict import Cause, Outcome, Verdict

MEASURED = ("width", "height", "frame_rate")


def judge_picture_quality(judgement: Judgement, requirement: PictureQuality) -> list[Verdict]:
    """Judge every camera by the newest look at its main stream."""
    return [_judge(judgement, requirement, item) for item in judgement.facts.inventory.cameras]


def _judge(judgement: Judgement, requirement: PictureQuality, camera: Camera) -> Verdict:
    facts, subject = judgement.facts, camera_subject(camera.id)
    instant = facts.instant(Kind.MAIN_STREAM, subject)
    seen = instant.observation if instant is not None and instant.readable else None
    values = {name: None if seen is None else _number(seen, name) for name in MEASURED}
    measured: dict[str, JsonValue] = {
        **values,
        "codec": None if seen is None else seen.facts.get("codec"),
        "bit_rate": None if seen is None else _number(seen, "bit_rate"),
        **{f"minimum_{name}": getattr(requirement, f"minimum_{name}") for name in MEASURED},
    }
    evidence = () if instant is None else (evidence_of(instant.observation),)
    passed = _passed(requirement, values)
    looked = facts.as_of if seen is None else seen.start
    if False in passed:
        outcome, state, reason = Outcome.BREACHED, "below", f"Recorded is {_text(values)}, less than is required."
    elif None not in passed:
        outcome, state, reason = Outcome.MET, "ok", f"Recorded is {_text(values)}."
    else:
        outcome, state, looked = Outcome.UNDETERMINED, "unknown", facts.as_of
        reason = "The size and frame rate of what is recorded are not known: no look at the main stream tells them."
    uptime = judgement.of("uptime", subject)
    hidden = outcome is Outcome.UNDETERMINED and uptime is not None and uptime.outcome is not Outcome.MET
    because = (uptime.because_of or Cause("uptime", subject)) if uptime is not None and hidden else None
    cause = instant.observation.cause if instant is not None and seen is None else None
    if not camera.has_stream:
        cause = StreamCause.NO_STREAM
    return Verdict(
        requirement, subject, outcome, state, reason, looked, measured, evidence, because_of=because, cause=cause
    )


def _number(seen: Observation, name: str) -> float | int | None:
    """Return a positive number; None for anything else: bad input is unknown, never zero."""
    value = seen.facts.get(name)
    return value if isinstance(value, int | float) and not isinstance(value, bool) and value > 0 else None


def _passed(requirement: PictureQuality, values: dict[str, float | int | None]) -> list[bool | None]:
    """Return, for each number that is asked for, whether it is reached; None where it is not known."""
    width, height, rate = (values[name] for name in MEASURED)
    sides = None if width is None or height is None else sorted((width, height))
    passed: list[bool | None] = []
    for index, minimum in ((1, requirement.minimum_width), (0, requirement.minimum_height)):
        if minimum is not None:
            passed.append(None if sides is None else sides[index] >= minimum)
    if requirement.minimum_frame_rate is not None:
        least = requirement.minimum_frame_rate * requirement.frame_rate_ratio
        passed.append(None if rate is None else rate >= least)
    return passed


def _text(values: dict[str, float | int | None]) -> str:
    width, height, rate = (values[name] for name in MEASURED)
    size = None if width is None or height is None else f"{width:g} x {height:g}"
    return ", ".join(item for item in (size, None if rate is None else f"{rate:.3g} fps") if item is not None)
