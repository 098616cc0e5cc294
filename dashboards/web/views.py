"""Approved and proposed views as values: who, when, how far they overlap, and a sketch of edges; never a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from dashboards.web.charts import sketch
from dashboards.web.figures import Words, percent
from dashboards.web.i18n import mark as _n
from monitor.evaluation.view import AGAINST_APPROVED
from monitor.model.inventory import ChangedThreshold
from monitor.model.span import Millis
from monitor.model.view import COMPARED, FAILED, NOT_TAKEN, OTHER_LIGHT, Proposal, Sketch
from monitor.store.findings import FindingRow
from monitor.store.views import Decision, ProposedView, Standing

LIGHTS: dict[str, str] = {"day": _n("by day"), "infrared": _n("infrared"), "nap": _n("dimmed light")}

SECOND_LOOKS: dict[str, str] = {
    COMPARED: _n("A second look a minute later showed the same."),
    NOT_TAKEN: _n("There was no second look, as it was asked for."),
    FAILED: _n("There was no second look: no pictures came."),
    OTHER_LIGHT: _n("At the second look the light was another."),
}

WORTH_SAYING = 0.1
"""Less of a view than this leaves in everyday life."""


@dataclass(frozen=True)
class ViewLine:
    """A view in force."""

    text: str
    settles: str
    """The id to post where it may settle an open finding; empty where it may not."""


@dataclass(frozen=True)
class ProposalCard:
    """A proposed view that waits for an officer."""

    id: str
    heading: str
    proposed: str
    beside: str
    again: str
    """What the second look told, or why it told nothing; empty where an older agent doesn't say."""
    warns: bool
    """Whoever stood there may be part of the view."""
    drawing: Markup
    before: Markup | None
    """The view in force in the same light."""
    may_settle: bool
    """There is an open finding that the new view may settle."""


@dataclass(frozen=True)
class CameraViews:
    """What is known of one camera's views."""

    in_force: Sequence[ViewLine] = ()
    proposals: Sequence[ProposalCard] = ()


@dataclass(frozen=True)
class Pictures:
    """By what an institution's pictures are judged, beside its pack."""

    views: Mapping[str, CameraViews] = field(default_factory=dict)
    """By camera."""
    thresholds: Sequence[ChangedThreshold] = ()
    """What the site has changed."""


def camera_views(standing: Standing, findings: Sequence[FindingRow], words: Words) -> Mapping[str, CameraViews]:
    """Return, by camera, the views in force and those proposed; `findings` are the open ones."""
    faulty = {
        row.subject.id: row.began for row in findings if row.requirement == "view" and row.state in AGAINST_APPROVED
    }
    decided = standing.in_force
    cameras = [*(item.camera for item in decided.values()), *(item.camera for item in standing.waiting)]
    return {
        camera: CameraViews(
            [_line(key, item, words, faulty.get(camera)) for key, item in decided.items() if item.camera == camera],
            [
                _card(item, standing.compared.get((camera, item.proposal.light)), words, faulty=camera in faulty)
                for item in standing.waiting
                if item.camera == camera
            ],
        )
        for camera in dict.fromkeys(cameras)
    }


def light_name(light: str, words: Words) -> str:
    """Return a light in words; one that is new here as it is."""
    return words.translate(LIGHTS[light]) if light in LIGHTS else light


def _line(proposal: str, decision: Decision, words: Words, fault_began: Millis | None) -> ViewLine:
    text = words.translate("%(light)s: confirmed by %(by)s on %(at)s") % {
        "light": light_name(decision.light, words),
        "by": decision.by,
        "at": words.times.instant(decision.at),
    }
    since = fault_began is not None and decision.at > fault_began
    return ViewLine(text, proposal if since and decision.settled_at is None else "")


def _card(item: ProposedView, current: ProposedView | None, words: Words, *, faulty: bool) -> ProposalCard:
    say, proposal = words.translate, item.proposal
    text = words.plural(
        "Proposed by %(by)s on %(at)s, from %(count)s picture.",
        "Proposed by %(by)s on %(at)s, from %(count)s pictures.",
        proposal.looks,
    )
    proposed = text % {
        "by": proposal.by,
        "at": words.times.instant(item.at),
        "count": proposal.looks,
    }
    if proposal.overlap is None:
        beside = say("No view of this light was in force.")
    else:
        beside = say("It overlaps the view in force by %(share)s.") % {"share": percent(proposal.overlap)}
    if proposal.state != "ok":
        beside += " " + say("Held against that view, the picture was: %(state)s.") % {
            "state": words.state(proposal.state)
        }
    return ProposalCard(
        id=item.id,
        heading=say("Proposed view, %(light)s") % {"light": light_name(proposal.light, words)},
        proposed=proposed,
        beside=beside,
        again=_again(proposal, words),
        warns=proposal.second_look not in {None, COMPARED},
        drawing=_drawing(proposal.sketch, say("Edges of the proposed view")),
        before=None if current is None else _drawing(current.proposal.sketch, say("Edges of the view in force")),
        may_settle=faulty,
    )


def _again(proposal: Proposal, words: Words) -> str:
    """Say what came of the second look, a minute after the first: it tells who stood there from what stays."""
    say, code = words.translate, proposal.second_look
    if code is None:
        return ""
    if code == COMPARED:
        left = proposal.left_ratio or 0.0
        gone = say("A second look a minute later left %(share)s of it out: gone or hidden by then.")
        return gone % {"share": percent(round(left, 2))} if left >= WORTH_SAYING else say(SECOND_LOOKS[COMPARED])
    if code in SECOND_LOOKS:
        why = say(SECOND_LOOKS[code])
    else:
        why = say("At the second look the picture was: %(state)s.") % {"state": words.state(code)}
    who = say("Whoever stood before the camera may be part of this view: see on the spot before you confirm it.")
    return f"{why} {who}"


def _drawing(edges: Sketch, label: str) -> Markup:
    return sketch(edges.rows, label)
