"""The command `agent check` as a process: every way a stream fails, beside healthy ones; its JSON, its status, its logins."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from agents.check import check
from agents.cli import app
from agents.simulators.account import Account
from agents.simulators.camera import Camera, Fault, Format
from agents.simulators.recorder import Quirks
from agents.simulators.rtsp import RtspServer
from agents.simulators.seats import WhenFull
from agents.site import load_site
from agents.state import State
from monitor.model.clock import SystemClock
from monitor.model.observation import Kind, Observation, Source, Subject
from monitor.model.span import MINUTE, SECOND, Basis, Millis, isoformat, to_millis
from monitor.regulations.loader import load
from support.commands import run_commands
from support.ports import closed_port, full_backlog, one_byte_a_second, say_nothing, speak_http, talking
from support.rtsp_device import SDP, Device, serve
from support.site import PASSWORD, Done, agent, behind, nvr, recorder, write_site

pytestmark = pytest.mark.timeout(180)  # processes of their own, on a machine that may be busy

CAUSES = {
    "closed": ("refused", "refuses connections"),
    "login": ("unauthorized", "login"),
    "quiet": ("timeout", "no answer to OPTIONS"),
    "slow": ("too slow", "too slowly"),
    "audio": ("no video", "video"),
    "web": ("not rtsp", "other than RTSP"),
    "full": ("no connection", "did not complete a connection"),
}
"""Camera to the words of its verdict, and of its evidence."""


@asynccontextmanager
async def faulty() -> AsyncIterator[list[dict[str, Any]]]:
    """Give cameras of site.yaml, each of which fails in its own way."""
    async with AsyncExitStack() as stack:
        locked = RtspServer(Account("viewer", "another-" + PASSWORD))
        locked.publish("s", Camera("login").add_stream(Format()))
        await stack.enter_async_context(locked)
        audio = await stack.enter_async_context(serve(Device(sdp=SDP.partition("m=video")[0])))
        ports = {
            "closed": closed_port(),
            "quiet": await stack.enter_async_context(talking(say_nothing)),
            "slow": await stack.enter_async_context(talking(one_byte_a_second)),
            "web": await stack.enter_async_context(talking(speak_http)),
            "full": stack.enter_context(full_backlog()),
        }
        urls = {name: f"rtsp://127.0.0.1:{port}/s" for name, port in ports.items()}
        urls |= {"login": locked.url("s"), "audio": audio.url()}
        yield [
            {"id": name, "zones": ["gate"], "stream": url}
            | ({"username": "viewer", "password_file": "password"} if name == "login" else {})
            for name, url in urls.items()
        ]


async def test_each_stream_fails_in_time_by_its_own_cause_and_delays_no_other(tmp_path: Path) -> None:
    async with recorder(4) as simulator, faulty() as cameras:
        config = write_site(tmp_path, [*behind(simulator), *cameras], [nvr(simulator)])
        done = await agent("check", "--config", config, "--json", "--explain")
        stats = simulator.stats()
    assert done.status == 1, done.err
    uptime = done.verdicts("uptime")
    assert {name: uptime[name]["state"] for name in uptime if name not in CAUSES} == dict.fromkeys(
        ["nvr", "c1", "c2", "c3", "c4"], "up"
    )
    for name, (words, evidence) in CAUSES.items():
        found = uptime[name]
        assert words in found["reason"], found["reason"]
        assert any(evidence in item["text"] for item in found["evidence"]), found["evidence"]
        known = name != "login"  # a refused login says nothing of the camera
        assert (found["outcome"], found["state"]) == (("breached", "down") if known else ("undetermined", "unknown"))
    assert stats["peak_sessions"] == 4, "healthy cameras are looked at all at once"
    assert PASSWORD not in done.out + done.err
    pictures = [line for line in done.err.splitlines() if line.startswith("  picture 352 x 288: ok")]
    assert len(pictures) == 4
    for part in ("luma_mean", "same_ratio", "frozen_same_ratio", "DESCRIBE: 401", "POST /ISAPI/ContentMgmt/search"):
        assert part in done.err
    # How long each stream took, by the command's own account: the start of a process on a busy machine aside.
    ended = {name: took(done.err, name) for name in [*CAUSES, "c1", "c2", "c3", "c4"]}
    assert all(len(times) == 1 and times[0] <= 10.0 for times in ended.values()), ended
    assert ended["closed"][0] < 2.0


def took(explained: str, camera: str) -> list[float]:
    """Return how many seconds each look at a camera's stream took."""
    part = explained.partition(f"\ncamera/{camera}\n")[2].partition("\n\n")[0]
    return [float(seconds) for seconds in re.findall(r"^  ended after ([\d.]+) s", part, re.MULTILINE)]


async def test_a_recording_that_the_service_knows_of_is_no_live_picture_to_a_look(tmp_path: Path) -> None:
    """Each of its pictures is a good one; what was over before, or is too long ago, says nothing."""
    async with recorder(3) as simulator:
        config = write_site(tmp_path, behind(simulator), [nvr(simulator)])
        site, now = load_site(config), to_millis(SystemClock().now())
        state = State(site.state_dir, site.institution.id)
        journal = state.journal()
        journal.append(
            [
                viewed("c1", "ok", now - 9 * MINUTE, now - 6 * MINUTE),
                viewed("c1", "looped", now - 7 * MINUTE, now - MINUTE),
                viewed("c2", "looped", now - 9 * MINUTE, now - 3 * MINUTE),
                viewed("c2", "ok", now - 3 * MINUTE, now - MINUTE),
                viewed("c3", "looped", now - 9 * MINUTE, now - 5 * MINUTE),
            ]
        )
        journal.close()
        state.close()
        done = await agent("check", "--config", config, "--json", "--explain")
    found = done.verdicts("view")
    assert {camera: found[camera]["state"] for camera in found} == {"c1": "looped", "c2": "ok", "c3": "ok"}
    assert isoformat((now - 7 * MINUTE) // SECOND * SECOND)[:-1] in found["c1"]["reason"]
    assert any("no single look can tell it" in item["text"] for item in found["c1"]["evidence"])
    assert done.err.count("no single look can tell it") == 1


def viewed(camera: str, state: str, start: Millis, end: Millis) -> Observation:
    """Return what the service tells of a picture."""
    return Observation(
        subject=Subject(kind="camera", id=camera), kind=Kind.VIEW, start=start, end=end, state=state,
        basis=Basis.WATCHED, source=Source.PROBE, expires=end + 3 * MINUTE,
    )  # fmt: skip


VERDICT_KEYS = {
    "requirement", "subject", "outcome", "state", "because_of", "reason", "citation", "measured", "evidence", "began_at",
}  # fmt: skip
STATES = {
    "uptime": {"up", "down", "unreachable", "site_power", "unknown", "recorder_full"},
    "zone_coverage": {"ok", "no_camera", "camera_down", "view_faulty", "no_zone", "camera_present_only", "unknown"},
    "view": {"ok", "black", "frozen", "signal_lost", "no_baseline", "unknown"},
    "forbidden_zone": {"clear", "inside", "unknown"},
    "undeclared_channel": {"none", "found", "unknown"},
    "retention": {"ok", "maturing", "short", "gap", "unknown"},
    "recording_completeness": {"complete", "incomplete", "motion_only", "unknown"},
    "recorder_clock": {"ok", "off", "unknown"},
    "storage_health": {"ok", "degraded", "failed", "missing", "read_only", "unknown"},
    "picture_quality": {"ok", "below", "unknown"},
    "measurability": {"ok", "unmeasured"},
    "alarm_system": {"ok", "fault", "untested", "not_offered", "unknown"},
}


def keeps_the_contract(done: Done) -> None:
    """The form that others script against, every key."""
    content = done.json()
    assert set(content) == {"schema", "institution", "as_of", "regulation", "summary", "verdicts"}
    assert content["schema"] == "cradlewatch.check/1"
    assert (content["institution"], content["regulation"]) == ("wj-0001", "demo-nursery")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", content["as_of"])
    outcomes = [item["outcome"] for item in content["verdicts"]]
    assert content["summary"] == {name: outcomes.count(name) for name in ("met", "breached", "undetermined")}
    assert sum(content["summary"].values()) == len(outcomes)
    for verdict in content["verdicts"]:
        assert set(verdict) >= VERDICT_KEYS
        assert set(verdict["subject"]) == {"kind", "id"}
        assert verdict["state"] in STATES[verdict["requirement"]], verdict
        assert set(verdict["citation"]) == {"title", "clause", "strength", "status"}
        assert verdict["reason"].endswith(".")
        for item in verdict["evidence"]:
            assert {"kind", "source", "at", "digest", "text"} <= set(item)
            assert re.fullmatch(r"sha256:[0-9a-f]{64}", item["digest"])
        if verdict["requirement"] == "retention" and verdict["state"] != "unknown":
            assert {
                "required_days", "held_days", "contiguous_days", "far_edge_at", "missing_days", "gaps", "compliant_from",
                "breaks_on",
            } <= set(verdict["measured"])  # fmt: skip
        if verdict["requirement"] == "storage_health":
            assert "capacity_bytes" in verdict["measured"]


ATTESTED = [("alarm_test", "institution/wj-0001"), ("coverage_walk", "zone/gate"), ("coverage_walk", "zone/room")]


def attest(config: Path) -> None:
    """Let the director say what no program sees."""
    for what, subject in ATTESTED:
        said = CliRunner().invoke(
            app, ["attest", what, "--config", str(config), "--subject", subject, "--by", "director"]
        )
        assert said.exit_code == 0, said.stderr


async def test_a_sound_site_meets_everything(tmp_path: Path) -> None:
    async with recorder(1, days=92, quirks=Quirks(search_seconds=0.0)) as simulator:
        cameras = behind(simulator)
        cameras[0]["zones"] = ["gate", "room"]
        config = write_site(tmp_path, cameras, [nvr(simulator)])
        attest(config)
        done = await agent("check", "--config", config, "--json")
    keeps_the_contract(done)
    assert (done.status, [item for item in done.json()["verdicts"] if item["outcome"] != "met"]) == (0, [])
    assert done.verdicts("retention")["c1"]["measured"]["held_days"] in {91, 92}
    assert "reading the recorders' index: 100 % (1 of 1 camera)" in done.err


async def test_a_table_for_people_and_one_camera_alone(tmp_path: Path) -> None:
    async with recorder(2) as simulator:
        simulator.set_fault(1, Fault.BLACK)
        config = write_site(tmp_path, behind(simulator), [nvr(simulator)])
        black, other, people = await asyncio.gather(
            agent("check", "--config", config, "--json", "--camera", "c1"),
            agent("check", "--config", config, "--json", "--camera", "c2"),
            agent("check", "--config", config),
        )
    keeps_the_contract(black)
    keeps_the_contract(other)
    assert {name: item["state"] for name, item in black.verdicts("view").items()} == {"c1": "black"}
    assert {name: item["state"] for name, item in other.verdicts("view").items()} == {"c2": "ok"}
    assert set(other.verdicts("uptime")) == {"c2", "nvr"}
    assert set(other.verdicts("retention")) == {"c2"}
    assert people.status == 1
    rows = [line for line in people.out.splitlines() if line.strip().startswith("BREACHED")]
    assert any("view" in row and "camera/c1" in row and "black" in row for row in rows), people.out
    assert "示范托育园" in people.out


async def test_nothing_breached_and_something_undetermined_is_3(tmp_path: Path) -> None:
    server = RtspServer()
    server.publish("s", Camera("yard").add_stream(Format()))
    async with server:
        cameras = [{"id": "yard", "zones": ["gate", "room"], "stream": server.url("s")}]
        done = await agent("check", "--config", write_site(tmp_path, cameras), "--json")
    keeps_the_contract(done)
    assert (done.status, done.json()["summary"]["breached"]) == (3, 0), done.out
    assert {name: item["state"] for name, item in done.verdicts("retention").items()} == {"yard": "unknown"}


MISTAKES: list[tuple[dict[str, Any], tuple[str, ...], str]] = [
    ({"colour": "red"}, (), "colour"),
    ({"regulation": "no-such-pack"}, (), "no-such-pack"),
    ({"networks": ["127.0.0.300/8"]}, (), "networks"),
    ({}, ("--camera", "nobody"), "nobody"),
    ({"recorders": [{"id": "nvr", "driver": "files"}]}, (), "path"),
    ({"recorders": [{"id": "nvr", "driver": "hikvision", "url": "http://127.0.0.1:1", "username": "u", "password_file": "gone"}]}, (), "gone"),
]  # fmt: skip


def test_a_mistake_in_the_configuration_is_one_sentence_and_2(tmp_path: Path) -> None:
    cameras = [{"id": "c1", "zones": ["room"], "recorder": "nvr", "channel": 1}]
    sound = [{"id": "nvr", "driver": "files", "path": "recordings/{camera}/%Y%m%d/%H%M%S.mp4"}]
    commands: list[list[str | Path]] = []
    for number, (change, arguments, _) in enumerate(MISTAKES):
        folder = tmp_path / str(number)
        folder.mkdir()
        config = write_site(folder, cameras, **{"recorders": sound, **change})
        commands.append(["agent", "check", "--config", config, "--json", *arguments])
    for (_, _, words), done in zip(MISTAKES, run_commands(commands), strict=True):
        assert (done.status, done.out) == (2, ""), words
        assert words in done.err
        assert "Traceback" not in done.err
        lines = [line for line in done.err.splitlines() if "warning" not in line]
        assert len(lines) == 1, done.err


def test_wrong_usage_is_2(tmp_path: Path) -> None:
    nothing, missing = run_commands([["agent", "check"], ["agent", "check", "--config", tmp_path / "nowhere.yaml"]])
    assert nothing.status == 2
    assert missing.status == 2
    assert "nowhere.yaml" in missing.err


def closed_to_us(verdicts: dict[str, dict[str, Any]]) -> None:
    """What a refused login looks like: unknown, by its cause, never down."""
    cameras = {name: item for name, item in verdicts.items() if name != "nvr"}
    assert len(cameras) == 16
    assert {item["state"] for item in cameras.values()} == {"unknown"}
    assert all("credentials held" in item["reason"] or "unauthorized" in item["reason"] for item in cameras.values())
    assert verdicts["nvr"]["state"] == "up"


async def started_anew(config: Path) -> dict[str, dict[str, Any]]:
    """Make a check as a fresh process would, from the files alone; return the verdicts on uptime by subject id."""
    site = load_site(config)
    state = State(site.state_dir, site.institution.id)
    checked = await check(site, load(site.regulation), SystemClock(), state=state)
    state.close()
    return {item.subject.id: item.to_json() for item in checked.verdicts if item.requirement.kind == "uptime"}


@pytest.mark.parametrize("when_full", [WhenFull.NOT_ENOUGH_BANDWIDTH, WhenFull.SILENCE])
async def test_a_recorder_that_serves_eight_has_sixteen_cameras_looked_at_in_turns(
    tmp_path: Path, when_full: WhenFull
) -> None:
    async with recorder(16, max_sessions=8, when_full=when_full) as simulator:
        seats = simulator.rtsp.seats
        assert seats.people_come(2) == 2
        found = await started_anew(write_site(tmp_path, behind(simulator), [nvr(simulator)]))
    assert {item["state"] for item in found.values()} == {"up"}, found
    assert (seats.people, seats.people_kicked, seats.people_refused) == (2, 0, 0)
    assert seats.peak_sessions <= 8


@pytest.mark.parametrize(("runs", "ours"), [(False, 2), (True, 1)])
async def test_what_the_service_learnt_is_heeded_and_beside_it_one_session_at_a_time_is_taken(
    tmp_path: Path, *, runs: bool, ours: int
) -> None:
    async with recorder(4, max_sessions=6) as simulator:
        config = write_site(tmp_path, behind(simulator), [nvr(simulator)])
        site = load_site(config)
        service = State(site.state_dir, site.institution.id)
        service.learn_budgets({"nvr": 4})
        with service.lock() if runs else nullcontext():
            os.utime(config, (time.time() + 1, time.time() + 1))  # somebody has just corrected it
            done = await agent("check", "--config", config, "--json")
        service.close()
        stats = simulator.stats()
    keeps_the_contract(done)
    found = done.verdicts("uptime")
    assert {item["state"] for item in found.values()} == {"up"}, found
    assert ("was changed after the service" in done.err) == runs, done.err
    assert (stats["peak_sessions"], stats["refused_sessions"]) == (ours, 0)


async def test_sixteen_channels_a_wrong_password_and_ten_restarts_are_one_failed_login(tmp_path: Path) -> None:
    async with recorder(16) as simulator:
        config = write_site(tmp_path, behind(simulator), [nvr(simulator)], password="s3cret-0")
        processes = await asyncio.gather(*(agent("check", "--config", config, "--json", "--explain") for _ in range(2)))
        for done in processes:
            keeps_the_contract(done)
            closed_to_us(done.verdicts("uptime"))
            assert {item["state"] for item in done.verdicts("retention").values()} == {"unknown"}
            assert "s3cret-0" not in done.out + done.err
        for _ in range(8):
            closed_to_us(await started_anew(config))
        assert simulator.stats()["failed_logins"] == 1
        # A person may have it tried again: once more, and no more.
        again = await agent("check", "--config", config, "--json", "--retry-credentials")
        closed_to_us(again.verdicts("uptime"))
        assert simulator.stats()["failed_logins"] == 2
        (tmp_path / "password").write_text(PASSWORD)
        right = await started_anew(config)
        assert simulator.stats()["failed_logins"] == 2
    assert {item["state"] for item in right.values()} == {"up"}


async def test_what_is_recorded_is_looked_at_where_the_pack_asks_for_its_size_and_rate(tmp_path: Path) -> None:
    async with recorder(1) as simulator:
        config = write_site(tmp_path, behind(simulator), [nvr(simulator)], regulation="kr-daycare-60")
        done = await agent("check", "--config", config, "--json", "--explain")
        assert done.seconds < 40
    quality = done.verdicts("picture_quality")["c1"]
    assert (quality["outcome"], quality["state"]) == ("breached", "below"), quality
    assert (quality["measured"]["width"], quality["measured"]["height"]) == (640, 360)
    assert quality["measured"]["frame_rate"] == pytest.approx(5.0, rel=0.25)
    assert "main stream" in done.err


async def test_of_one_camera_it_is_said_what_was_asked_and_nothing_of_those_that_were_not(tmp_path: Path) -> None:
    """Two cameras show the gate; asked is the one that is shut: of the other one nothing is known, for nobody asked it."""
    url = f"rtsp://127.0.0.1:{closed_port()}/s"
    cameras = [{"id": name, "zones": ["gate"], "stream": url} for name in ("shut", "other")]
    config = write_site(tmp_path, cameras, [])
    done = await agent("check", "--config", config, "--json", "--camera", "shut")
    keeps_the_contract(done)
    assert {item["subject"]["id"] for item in done.json()["verdicts"]} == {"shut", "gate"}
    gate = done.verdicts("zone_coverage")["gate"]
    assert (gate["outcome"], gate["state"]) == ("undetermined", "unknown")
    assert gate["reason"] == "Only camera shut was asked (uptime down); other, which may show this zone, was not asked."
    assert gate["because_of"] == {"requirement": "uptime", "subject": {"kind": "camera", "id": "shut"}}
    whole = await agent("check", "--config", config, "--json")
    assert whole.verdicts("zone_coverage")["gate"]["state"] == "camera_down"
