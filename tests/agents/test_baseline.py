"""`agent baseline`: views are taken over real sockets, compared, approved on site or proposed; no picture is kept unasked."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from agents.baseline import BaselineError, approve
from agents.baseline_cli import print_table
from agents.check import check
from agents.cli import app
from agents.simulators.camera import Fault
from agents.simulators.seats import WhenFull
from agents.site import Site
from agents.state import State
from agents.taking import Compared, Taken, Taking, take_views
from agents.views import ViewBook
from agents.vision.fingerprint import Fingerprint, fingerprint
from monitor.model.clock import SystemClock
from monitor.model.observation import Kind, Source
from monitor.model.report import Report
from monitor.model.span import to_millis
from monitor.model.view import Proposal, view_id
from monitor.regulations.loader import load
from support.enrolled import enrol
from support.ports import closed_port
from support.refreshing import refreshing
from support.rtsp_device import serve
from support.site import agent, behind, nvr, recorder, site_of, write_site
from support.views import drawn_room, looked_at

pytestmark = pytest.mark.timeout(120)

QUICK = Taking(looks=3, apart_seconds=0.2, most_seconds=15.0).once
CLOCK = SystemClock()


def book_of(site: Site, state: State) -> ViewBook:
    return ViewBook(state, [item.id for item in site.cameras])


async def views(site: Site, state: State, taking: Taking = QUICK) -> dict[str, Taken]:
    taken = await take_views(site, CLOCK, book_of(site, state), site.cameras, taking)
    return {item.camera: item for item in taken}


async def test_views_are_taken_approved_and_held_against_the_next_ones(tmp_path: Path) -> None:
    async with recorder(3) as simulator:
        cameras = [
            *behind(simulator),
            {"id": "gone", "zones": ["room"], "stream": f"rtsp://127.0.0.1:{closed_port()}/s"},
        ]
        site = site_of(write_site(tmp_path, cameras, [nvr(simulator)]))
        state = State(site.state_dir, "wj-0001")
        simulator.set_fault(3, Fault.BLACK)
        first = await views(site, state)
        assert [(item.outcome, item.compared) for item in first.values()] == [("shown", ())] * 4
        assert first["c1"].looks == 3
        assert "nothing to approve" in first["c3"].problem
        assert "connect" in first["gone"].problem
        assert book_of(site, state).of("c1") == ()
        done = approve(site, state, CLOCK, book_of(site, state), list(first.values()), "李园长")
        assert [item.outcome for item in done] == ["approved", "approved", "refused", "refused"]
        again = await views(site, state)
        simulator.set_fault(2, Fault.MOVED)
        checked = await check(site, load("demo-nursery"), CLOCK, state=state, views=book_of(site, state))
    seen = {item.subject.id: item.state for item in checked.verdicts if item.requirement.kind == "view"}
    assert (seen["c1"], seen["c2"], seen["c3"]) == ("ok", "moved", "black")
    assert "covered_ratio" in "".join(checked.explained.lines["camera/c1"])
    held = again["c1"].in_force
    assert held is not None
    assert held.overlap > 0.6
    assert (held.view.by, held.view.confirmed) == ("李园长", False)
    assert again["c1"].state == "ok"
    approvals = book_of(site, state).approvals()
    assert set(approvals) == {"c1", "c2"}
    assert approvals["c1"][0].view == held.view.view
    journal = state.journal()
    said = [item for item in journal.all(to_millis(CLOCK.now())) if item.kind is Kind.BASELINE]
    journal.close()
    assert {(item.subject.id, item.state, item.source) for item in said} == {
        (name, "approved", Source.PERSON) for name in ("c1", "c2")
    }
    outbox = state.outbox()
    assert outbox.status().waiting == 0, "an agent that is not enrolled reports nothing"
    outbox.close()
    assert not (state.directory / "views").exists(), "no picture is kept unless the site asks for it"
    state.close()


@pytest.fixture(scope="session")
def view() -> Fingerprint:
    """A drawn room, as a camera would see it by day."""
    return fingerprint(looked_at(drawn_room(7)))


def taken_of(view: Fingerprint, camera: str = "c1") -> Taken:
    return Taken(camera, state="ok", looks=3, fingerprint=view, codec="h264", keyframe=b"\x00\x00\x01picture")


@pytest.fixture
def quiet_site(tmp_path: Path) -> Callable[..., tuple[Site, State]]:
    def build(**more: Any) -> tuple[Site, State]:
        cameras = [{"id": "c1", "zones": ["room"], "stream": f"rtsp://127.0.0.1:{closed_port()}/s"}]
        site = site_of(write_site(tmp_path, cameras, **more))
        return site, State(site.state_dir, "wj-0001")

    return build


def test_once_enrolled_a_view_is_proposed_with_its_sketch_and_without_a_picture(
    quiet_site: Callable[..., tuple[Site, State]], view: Fingerprint
) -> None:
    site, state = quiet_site()
    enrol(state)
    book = book_of(site, state)
    (done,) = approve(site, state, CLOCK, book, [taken_of(view)], " 李园长 ")
    assert done.outcome == "proposed"
    assert book_of(site, state).of("c1") == (), "an officer has not confirmed it"
    outbox = state.outbox()
    (pending,) = outbox.take(10, 1 << 20)
    outbox.close()
    (said,) = Report.from_bytes(pending.payload.partition(b"\n")[2]).observations
    proposal = Proposal.of(said)
    assert proposal is not None
    assert (said.kind, said.state, proposal.by, proposal.light) == (Kind.BASELINE, "proposed", "李园长", view.light)
    assert Fingerprint.from_json(proposal.fingerprint).to_json() == view.to_json()
    assert len(proposal.sketch.rows) <= 64 >= len(proposal.sketch.rows[0])
    assert any(letter != "." for letter in "".join(proposal.sketch.rows))
    assert len(pending.payload) < 20_000
    assert b"picture" not in pending.payload.replace(b"pictures", b"")
    state.close()


def test_an_image_is_kept_only_where_the_site_wants_one_and_for_its_owner_alone(
    quiet_site: Callable[..., tuple[Site, State]], view: Fingerprint
) -> None:
    site, state = quiet_site(keep_images=True)
    approve(site, state, CLOCK, book_of(site, state), [taken_of(view)], "李园长")
    (kept,) = (state.directory / "views").iterdir()
    assert (kept.name, kept.read_bytes()) == (f"c1-{view.light}.h264", b"\x00\x00\x01picture")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    state.close()


def test_a_newer_view_takes_the_place_of_the_one_of_its_light_and_old_approvals_are_remembered(
    quiet_site: Callable[..., tuple[Site, State]], view: Fingerprint
) -> None:
    site, state = quiet_site()
    book = book_of(site, state)
    grey = replace(view, chroma=0.0)
    for at, item in enumerate([view, grey, *(replace(view, luma=100.0 + n) for n in range(30))], 1):
        book.approve("c1", item, at, "李园长")
    lights = {item.light: item for item in book_of(site, state).of("c1")}
    assert set(lights) == {view.light, "infrared"}
    assert lights[view.light].fingerprint.luma == 129.0
    remembered = book_of(site, state).approvals()["c1"]
    assert 2 < len(remembered) <= 23
    assert [item.at for item in remembered] == sorted(item.at for item in remembered)
    state.close()


def test_what_was_kept_and_can_not_be_read_is_no_approved_view(
    quiet_site: Callable[..., tuple[Site, State]], view: Fingerprint
) -> None:
    site, state = quiet_site()
    book = book_of(site, state)
    book.approve("c1", view, 1, "李园长")
    kept: Any = state.get("views/c1")
    other = replace(view, luma=1.0).to_json()
    unreadable: list[Any] = [
        "?",
        [7],
        [{**kept[0], "fingerprint": {"version": 99}}],
        [{**kept[0], "fingerprint": other}],
    ]
    for broken in unreadable:
        state.put("views/c1", broken)
        assert book_of(site, state).of("c1") == ()
    state.close()


def test_nobody_approves_a_view_without_a_name(
    quiet_site: Callable[..., tuple[Site, State]], view: Fingerprint
) -> None:
    site, state = quiet_site()
    with pytest.raises(BaselineError, match="--by is empty"):
        approve(site, state, CLOCK, book_of(site, state), [taken_of(view)], "  ")
    assert view_id(view.to_json()) == view_id(json.loads(json.dumps(view.to_json())))
    state.close()


async def test_the_command_prints_json_alone_and_approves(tmp_path: Path) -> None:
    async with recorder(1) as simulator:
        config = write_site(tmp_path, behind(simulator), [nvr(simulator)])
        done = await agent("baseline", "--config", config, "--once", "--json", "--approve", "--by", "李园长")
    assert done.status == 0, done.err
    content = done.json()
    assert (content["schema"], content["institution"]) == ("cradlewatch.baseline/1", "wj-0001")
    (camera,) = content["cameras"]
    assert (camera["outcome"], camera["problem"], camera["overlaps"]) == ("approved", None, [])
    state = State(tmp_path / "site.state", "wj-0001")
    assert [item.view for item in ViewBook(state, ["c1"]).of("c1")] == [camera["view"]]
    state.close()


def test_a_table_for_people_says_what_is_the_same_and_what_is_missing(
    quiet_site: Callable[..., tuple[Site, State]], view: Fingerprint, capsys: pytest.CaptureFixture[str]
) -> None:
    site, state = quiet_site()
    book = book_of(site, state)
    book.approve("c1", view, 1, "李园长")
    (held,) = book.of("c1")
    same = replace(taken_of(view), compared=(Compared(held, 1.0),))
    noted = replace(taken_of(view, "c2"), outcome="approved", note="noted")
    print_table([same, Taken("gone", "connect: refused"), noted])
    out = capsys.readouterr().out
    for part in (
        "the same: overlap 100%, approved by 李园长 on site",
        "connect: refused",
        "--approve --by NAME",
        "approved; noted",
    ):
        assert part in out
    (gone,) = [line for line in out.splitlines() if line.startswith("gone")]
    assert "none" not in gone, "nothing was held against the views in force, of which there may be some"
    state.close()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--approve",), "--approve and --by"),
        (("--by", "x"), "--approve and --by"),
        (("--camera", "c9"), "no such camera; there are c1"),
        (("--approve", "--by", " "), "--by is empty"),
    ],
)
def test_wrong_usage_is_one_sentence(
    quiet_site: Callable[..., tuple[Site, State]], arguments: tuple[str, ...], words: str
) -> None:
    site, state = quiet_site()
    state.close()
    done = CliRunner().invoke(app, ["baseline", "--config", str(site.path), *arguments])
    assert (done.exit_code, done.stdout) == (2, "")
    assert words in done.stderr


def test_the_lock_of_a_running_service_is_seen(quiet_site: Callable[..., tuple[Site, State]]) -> None:
    _, state = quiet_site()
    assert not state.is_running()
    with state.lock():
        assert state.is_running()
    assert not state.is_running()
    state.close()


async def test_beside_a_running_service_a_recorder_is_asked_for_one_stream_at_a_time(tmp_path: Path) -> None:
    async with recorder(2, max_sessions=1) as simulator:
        site = site_of(write_site(tmp_path, behind(simulator), [nvr(simulator)]))
        state = State(site.state_dir, "wj-0001")
        book = book_of(site, state)
        taken = await take_views(
            site, CLOCK, book, site.cameras, replace(QUICK, looks=2, apart_seconds=0.0), one_at_a_time=True
        )
        stats = simulator.stats()
    state.close()
    assert [item.problem for item in taken] == ["", ""]
    assert stats["peak_sessions"] == 1


@pytest.mark.parametrize("when_full", [WhenFull.NOT_ENOUGH_BANDWIDTH, WhenFull.SILENCE])
async def test_where_a_recorder_serves_few_streams_all_cameras_have_their_turn(
    tmp_path: Path, when_full: WhenFull
) -> None:
    async with recorder(6, max_sessions=5, when_full=when_full) as simulator:
        seats = simulator.rtsp.seats
        assert seats.people_come(2) == 2
        site = site_of(write_site(tmp_path, behind(simulator), [nvr(simulator)]))
        state = State(site.state_dir, "wj-0001")
        taken = await views(site, state, replace(QUICK, looks=2, apart_seconds=0.0))
    state.close()
    assert {name: item.problem for name, item in taken.items()} == dict.fromkeys(taken, "")
    assert (len(taken), seats.people, seats.people_kicked, seats.people_refused) == (6, 2, 0, 0)


async def test_what_the_service_learnt_of_a_recorder_s_sessions_is_heeded(tmp_path: Path) -> None:
    async with recorder(6, max_sessions=5) as simulator:
        seats = simulator.rtsp.seats
        assert seats.people_come(2) == 2
        site = site_of(write_site(tmp_path, behind(simulator), [nvr(simulator)]))
        state = State(site.state_dir, "wj-0001")
        state.learn_budgets({"nvr": 4})
        quick = replace(QUICK, looks=2, apart_seconds=0.0)
        learnt = state.learnt_budgets()
        taken = await take_views(site, CLOCK, book_of(site, state), site.cameras[:3], quick, learnt=learnt)
    state.close()
    assert [item.problem for item in taken] == ["", "", ""]
    assert (simulator.stats()["peak_sessions"], seats.refused_sessions) == (2 + 2, 0)


async def test_the_view_of_a_camera_without_keyframes_is_taken_and_checked_all_the_same(tmp_path: Path) -> None:
    async with serve(refreshing()) as device:
        site = site_of(write_site(tmp_path, [{"id": "c1", "zones": ["room"], "stream": device.url()}]))
        state = State(site.state_dir, "wj-0001")
        taken = await views(site, state, replace(QUICK, looks=2, keyframe_seconds=1.0))
        checked = await check(site, load("demo-nursery"), CLOCK, state=state, views=book_of(site, state))
    assert taken["c1"].looks == 2
    told = "".join(checked.explained.lines["camera/c1"])
    assert "picture 352 x 288" in told
