"""What comes after a finding changes nothing of what it stood on: its bundle holds, and says what was so then."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from monitor.collector.evaluate import evaluate, verdicts_as_of
from monitor.collector.evidence import ExportError, export_evidence
from monitor.collector.packs import Packs
from monitor.collector.verify import verify_institution
from monitor.evidence.bundle import Bundle, write_bundle
from monitor.evidence.check import Result, check_bundle
from monitor.model.calendar import Waiver
from monitor.model.finding import finding_id
from monitor.model.regulation import Regulation
from monitor.model.span import DAY, HOUR, Millis, from_millis
from monitor.store import registry
from monitor.store.engine import reading, writing
from monitor.store.findings import FindingRow, Reading, change_finding, finding_rows
from support.centre import NOW, Centre, declared, index, make_centre, span, subject
from support.packs import pack
from support.signing import SigningAgent

PACK = pack(retention={"confirm_after": "0s"})


@pytest.fixture
def centre(engine: Engine) -> Centre:
    centre = make_centre(engine, PACK)
    centre.add()
    return centre


def short_of_days(centre: Centre) -> None:
    """Let a camera be found that holds 36 days."""
    centre.see(declared(NOW - 3_600_000))
    centre.clock.advance(60)
    centre.see(span("camera/gate", "up", NOW - 60_000, NOW), index("gate", NOW, 36))
    centre.clock.advance(60)
    evaluate(centre.context, "wj-0001")
    centre.clock.advance(60)


def found(centre: Centre, requirement: str) -> FindingRow:
    with reading(centre.context.engine) as session:
        (row,) = [item for item in finding_rows(session) if item.requirement == requirement]
    return row


def exported(centre: Centre, requirement: str, folder: Path) -> Result:
    """Export the one finding of a requirement, and check its bundle."""
    row = found(centre, requirement)
    path = folder / f"{len(list(folder.iterdir()))}.zip"
    export_evidence(centre.context, row.id, path)
    return check_bundle(Bundle(path))


def test_the_silence_of_an_agent_that_never_reported_stays_after_it_was_enrolled_again(
    centre: Centre, tmp_path: Path
) -> None:
    centre.clock.advance(7200)
    evaluate(centre.context, "wj-0001")
    silent = centre.context.now()
    centre.clock.advance(60)
    before = exported(centre, "agent_silence", tmp_path)
    SigningAgent.enrolled(centre.context, "wj-0001")
    after = exported(centre, "agent_silence", tmp_path)
    assert (after.fails, after.holds) == ([], before.holds)
    with reading(centre.context.engine) as session:
        (verdict,) = verdicts_as_of(session, "wj-0001", silent, centre.context.packs)
    assert (verdict.state, verdict.began) == ("silent", NOW)


def another(**changes: object) -> Regulation:
    """Return the pack with other contents: 60 days are enough."""
    value = PACK.model_dump(mode="json", by_alias=True) | changes
    value["requirements"]["retention"]["required_days"] = 60
    return Regulation.model_validate(value)


def update(centre: Centre, *packs: Regulation) -> None:
    """Let the program be updated: other packs are installed."""
    centre.context = replace(centre.context, packs=Packs.of(*packs))


@pytest.mark.parametrize("version", [1, 2])
def test_a_finding_stands_on_the_pack_by_which_it_was_made_whatever_is_installed_later(
    centre: Centre, tmp_path: Path, version: int
) -> None:
    """An update of the program brings newer packs; a district may edit its own without a number."""
    short_of_days(centre)
    update(centre, another(version=version))
    result = exported(centre, "retention", tmp_path)
    assert (result.fails, len(result.holds)) == ([], 4)
    update(centre)  # a pack that is installed no more
    assert exported(centre, "retention", tmp_path).fails == []
    assert verify_institution(centre.context, "wj-0001").problems == []


def test_what_another_pack_said_of_a_finding_later_is_noted_and_not_computed_again(
    centre: Centre, tmp_path: Path
) -> None:
    """Here that its beginning is another one: 60 days are asked for, and fewer are held."""
    short_of_days(centre)
    update(centre, another(version=2))
    centre.clock.advance(3600)
    now = centre.context.now()
    earlier = index("gate", now, 36, holes=[(now - 36 * DAY + HOUR, now - 20 * DAY)])
    centre.see(span("camera/gate", "up", NOW, now), earlier)
    centre.clock.advance(60)
    with writing(centre.context.engine) as session:
        changed = Reading(centre.context.now(), "short", NOW - DAY, None, "Short.", {}, [], "sha256:" + "0" * 64)
        change_finding(session, "wj-0001", found(centre, "retention").id, changed, retell=True)
    result = exported(centre, "retention", tmp_path)
    assert result.fails == []
    assert [item.partition(",")[0] for item in result.notes] == ["1 readings"]
    (problem,) = verify_institution(centre.context, "wj-0001").problems
    assert "by which it was judged is gone" in problem


def test_a_pack_of_before_packs_were_kept_is_told_apart(centre: Centre, tmp_path: Path) -> None:
    short_of_days(centre)
    with writing(centre.context.engine) as session:
        session.execute(text("UPDATE finding_change SET pack = NULL"))
    assert exported(centre, "retention", tmp_path).fails == []
    update(centre, another(version=2))
    (said,) = exported(centre, "retention", tmp_path).fails
    assert "opened by version 1 of its regulation, which the collector had not kept, and version 2 is here" in said


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        ("UPDATE pack SET body = replace(body, '90', '60')", "was edited"),
        ("UPDATE pack SET body = '{'", "it can't be read"),
        ("DELETE FROM pack", "is gone"),
        ("UPDATE finding SET regulation = 'other'", "it is said to stand on other version 1"),
        ("UPDATE finding SET regulation_version = 7", "it is said to stand on test-pack version 7"),
    ],
)
def test_a_pack_that_was_edited_or_dropped_is_named(centre: Centre, edit: str, said: str) -> None:
    short_of_days(centre)
    with writing(centre.context.engine) as session:
        session.execute(text(edit))
    problems = verify_institution(centre.context, "wj-0001").problems
    assert any(said in item for item in problems), problems
    if "DELETE" in edit:
        with pytest.raises(ExportError, match="the regulation by which"):
            export_evidence(centre.context, found(centre, "retention").id, Path("nowhere.zip"))


def test_a_waiver_that_is_granted_later_changes_nothing_of_what_was_found(centre: Centre, tmp_path: Path) -> None:
    short_of_days(centre)
    found_at = found(centre, "retention").opened
    long_ago = {"start_at": from_millis(NOW - 100 * DAY), "end_at": from_millis(NOW - 30 * DAY)}
    waiver = Waiver(subject=subject("camera/gate"), by="the district", reason="renovation", **long_ago)
    with writing(centre.context.engine) as session:
        registry.add_waiver(session, "wj-0001", waiver, centre.context.now())
    assert exported(centre, "retention", tmp_path).fails == []
    with reading(centre.context.engine) as session:
        packs = centre.context.packs
        then, now = (
            {
                str(item.subject): item.state
                for item in verdicts_as_of(session, "wj-0001", at, packs)
                if item.requirement.kind == "retention"
            }
            for at in (found_at, centre.context.now())
        )
    assert (then["camera/gate"], now["camera/gate"]) == ("short", "ok")


def watched(centre: Centre, *spans: tuple[str, Millis, Millis]) -> None:
    """Report how the gate's stream stood, and let it be judged."""
    centre.see(*(span("camera/gate", state, start, end) for state, start, end in spans))
    centre.clock.advance(1)
    evaluate(centre.context, "wj-0001")
    centre.clock.advance(1)


def test_an_outage_that_was_over_when_it_was_heard_of_is_computed_again(centre: Centre, tmp_path: Path) -> None:
    """As all are that fall into a time without a line: the verdict of that day is `up`, or unknown."""
    centre.see(declared(NOW - DAY))
    watched(
        centre, ("up", NOW - 3 * HOUR, NOW - 2 * HOUR), ("down", NOW - 2 * HOUR, NOW - HOUR), ("up", NOW - HOUR, NOW)
    )
    row = found(centre, "uptime")
    assert (row.began, row.ended) == (NOW - 2 * HOUR, NOW - HOUR)
    result = exported(centre, "uptime", tmp_path)
    assert (result.fails, result.notes) == ([], [])
    assert "uptime of camera/gate was down from 2026-11-23T02:00:00Z until 2026-11-23T03:00:00Z" in result.holds[-1]


def test_an_outage_of_which_nothing_more_is_known_is_computed_again(centre: Centre, tmp_path: Path) -> None:
    centre.see(declared(NOW - DAY))
    watched(centre, ("up", NOW - 3 * HOUR, NOW - 2 * HOUR), ("down", NOW - 2 * HOUR, NOW - HOUR))
    result = exported(centre, "uptime", tmp_path)
    assert (result.fails, result.notes) == ([], [])
    assert "uptime of camera/gate was down from 2026-11-23T02:00:00Z" in result.holds[-1]


def test_times_that_no_report_tells_are_named_though_all_that_is_said_of_them_agrees(
    centre: Centre, tmp_path: Path
) -> None:
    """Whoever makes the bundle may write another beginning into the finding and its readings, and name it anew."""
    centre.see(declared(NOW - DAY))
    watched(centre, ("up", NOW - 3 * HOUR, NOW - 2 * HOUR), ("down", NOW - 2 * HOUR, NOW))
    row = found(centre, "uptime")
    other = finding_id("wj-0001", "uptime", "camera/gate", "down", NOW - 3 * HOUR, row.opened)
    with writing(centre.context.engine) as session:
        session.execute(text("UPDATE finding_change SET began_at = :at"), {"at": NOW - 3 * HOUR})
        session.execute(text("UPDATE finding SET began_at = :at"), {"at": NOW - 3 * HOUR})
    path = tmp_path / "lie.zip"
    export_evidence(centre.context, row.id, path)
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name).replace(row.id.encode(), other.encode()) for name in archive.namelist()}
    files.pop("index.json")
    write_bundle(tmp_path / "again.zip", files, {"institution": "wj-0001", "finding": other})
    (said,) = check_bundle(Bundle(tmp_path / "again.zip")).fails
    assert said.endswith("on uptime of camera/gate: not down from 2026-11-23T01:00:00Z")


def test_reports_of_before_reports_were_signed_are_counted_where_the_bundle_lacks_them(
    centre: Centre, tmp_path: Path
) -> None:
    short_of_days(centre)
    with writing(centre.context.engine) as session:
        session.execute(text("UPDATE report SET key_id = NULL"))
    result = exported(centre, "retention", tmp_path)
    assert any("don't come to any verdict" in item for item in result.fails)
    assert any("not in the bundle: 2 reports from before reports were signed" in item for item in result.notes)
