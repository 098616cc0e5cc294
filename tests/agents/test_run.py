"""The service as a process: what its journal holds, kills in mid-run, its last words, its metrics."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from agents.journal import Journal
from agents.simulators.camera import Fault
from agents.simulators.footage import Footage, Segment
from agents.simulators.hikvision import HikvisionSimulator
from agents.site import load_site
from monitor.evaluation.outage import effective_timeline
from monitor.model.clock import SystemClock
from monitor.model.ledger import Facts, StateSpan, fold
from monitor.model.observation import Kind, Observation
from monitor.model.span import MINUTE, SECOND, Basis, Millis, to_millis
from support.commands import run_commands
from support.ports import closed_port
from support.site import agent, behind, nvr, recorder, service, until, write_site

pytestmark = pytest.mark.timeout(180)

RHYTHM = dict.fromkeys(
    ("look_every", "reach_every", "recorder_every", "index_every", "report_every", "reconnect_most"), "1s"
)


def now() -> Millis:
    return to_millis(SystemClock().now())


def prepare(folder: Path, simulator: HikvisionSimulator, **more: Any) -> Path:
    """Write a site.yaml whose service hurries."""
    return write_site(folder, behind(simulator), [nvr(simulator)], **{"rhythm": RHYTHM, **more})


def live(cameras: int = 1, days: float = 1.0) -> HikvisionSimulator:
    """Return a recorder whose newest footage can be searched at once."""
    simulator = recorder(cameras, days=days)
    for channel in simulator.state.channels:
        channel.footage.lag_seconds = 0.0
    return simulator


def journal_of(config: Path) -> list[Observation]:
    """Return what a service has written down so far."""
    path = load_site(config).state_dir / "journal.sqlite"
    if not path.exists():
        return []
    journal = Journal(path)
    try:
        return journal.all(now())
    finally:
        journal.close()


def facts_of(seen: Sequence[Observation], as_of: Millis) -> Facts:
    facts = fold(seen, as_of)
    assert facts is not None
    return facts


def said(config: Path, kind: Kind, state: str, since: Millis = 0, cause: str | None = None) -> Callable[[], bool]:
    """Return a condition: the journal holds an observation of this kind and state that ended after `since`."""
    return lambda: any(
        item.kind is kind and item.state == state and item.end > since and cause in {None, item.cause}
        for item in journal_of(config)
    )


def indexed(config: Path) -> Millis:
    """Return how far the newest footage reaches that the index is known to list; 0 without any."""
    read = [item for item in journal_of(config) if item.kind is Kind.RECORDINGS and item.state == "read"]
    ends = [pair[1] for item in read for pair in item.facts["spans"]]  # type: ignore[union-attr, index]
    return max((end for end in ends if isinstance(end, int)), default=0)


def read_metrics(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return str(answer.read().decode())


async def test_a_password_that_is_corrected_while_the_service_runs_is_taken(tmp_path: Path) -> None:
    """A wrong one goes out once; nobody has to start the service anew, over RTSP and over the recorder's own protocol."""
    async with live() as simulator:
        config = prepare(tmp_path, simulator)
        password = tmp_path / "password"
        right = password.read_text()
        password.write_text("mistyped\n")
        async with service(config) as running:
            await until(said(config, Kind.STREAM, "unknown"), running)
            await until(said(config, Kind.RECORDINGS, "unknown"), running)
            password.write_text("")  # as an editor leaves it for a moment
            await until(said(config, Kind.STREAM, "unknown", since=now() + 2 * SECOND), running)
            assert simulator.stats()["failed_logins"] == 1
            password.write_text(right)
            await until(said(config, Kind.STREAM, "up"), running)
            await until(said(config, Kind.RECORDINGS, "read"), running)
            assert simulator.stats()["failed_logins"] == 1
            assert await running.stop() == 0


async def test_a_life_of_the_service(tmp_path: Path) -> None:
    port = closed_port()
    async with live(2, days=0.5) as simulator:  # a day is held from 90 % of it on: at no hour half a day is one
        config = prepare(tmp_path, simulator, rhythm={**RHYTHM, "main_stream_every": "8s"})
        async with service(config, "--metrics", f"127.0.0.1:{port}") as running:
            await until(said(config, Kind.VIEW, "ok"), running)
            await until(said(config, Kind.RECORDINGS, "read"), running)
            await until(said(config, Kind.MAIN_STREAM, "read"), running)
            await until(lambda: "stream_keyframe_interval_seconds{camera" in read_metrics(port), running)
            simulator.set_fault(2, Fault.DEAD)
            # The recorder's list of channels may be some seconds old at first: its word is taken at the next attempt.
            await until(said(config, Kind.STREAM, "down", cause="channel_offline"), running)

            second = await agent("run", "--config", config)
            assert second.status == 2
            assert f"process {running.process.pid}" in second.err
            assert len(second.err.splitlines()) == 1

            await until(lambda: 'held_days{camera="c1"' in read_metrics(port), running)
            text = await asyncio.to_thread(read_metrics, port)
            stopped = now()
            assert await running.stop() == 0
        seen = journal_of(config)
        state_dir = load_site(config).state_dir
    shown = {
        (sample.name, sample.labels.get("camera"), sample.labels.get("state")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert shown["cradlewatch_stream_up", "c1", None] == 1.0
    assert shown["cradlewatch_stream_up", "c2", None] == 0.0
    assert shown["cradlewatch_stream_state", "c2", "down"] == 1.0
    pictures = {
        (camera, state): value for (name, camera, state), value in shown.items() if name == "cradlewatch_view_state"
    }
    assert pictures == {("c1", "ok"): 1.0, ("c2", "unknown"): 1.0}
    assert shown["cradlewatch_stream_frames_total", "c1", None] > 0
    assert shown["cradlewatch_stream_width_pixels", "c1", None] == 352
    assert shown["cradlewatch_stream_height_pixels", "c1", None] == 288
    assert shown["cradlewatch_retention_held_days", "c1", None] == 0
    assert shown["cradlewatch_retention_required_days", None, None] == 90
    lint(text)

    facts = facts_of(seen, now())
    assert [span.state for span in facts.streams["c1"].spans] == ["up"]
    assert facts.streams["c1"].spans[-1].end > stopped - 2 * SECOND, "its last words"
    last = facts.streams["c2"].spans[-1]
    assert (last.state, last.cause) == ("down", "channel_offline")
    assert [span.state for span in facts.agents[next(iter(facts.agents))].spans] == ["up"]
    assert facts.reach["nvr"].spans[-1].state == "up"
    (recorded,) = {(item.facts["width"], item.facts["height"]) for item in seen if item.kind is Kind.MAIN_STREAM}
    assert recorded == (640, 360)
    assert {kind for kind, _ in facts.latest} >= {Kind.CHANNELS, Kind.DISKS, Kind.CLOCK, Kind.IDENTITY}
    assert not (state_dir / "agent.json").exists()
    assert b"Cradle-2026" not in b"".join(path.read_bytes() for path in state_dir.rglob("*") if path.is_file())
    assert "Cradle-2026" not in "".join(running.log)


def lint(text: str) -> None:
    """Have Prometheus' own tool read the metrics, where it is installed."""
    promtool = shutil.which("promtool")
    if promtool is not None:
        done = subprocess.run([promtool, "check", "metrics"], input=text, text=True, capture_output=True, check=False)
        said = (done.stdout + done.stderr).splitlines()
        # Days are the rule's own unit, and the name that operators were promised.
        assert [line for line in said if "cradlewatch" in line and 'instead of "days"' not in line] == []


def around(facts: Facts, start: Millis, end: Millis) -> list[StateSpan]:
    """Return what is known of c1 in [start, end), with what its index tells."""
    return list(effective_timeline(facts, "c1", start, end))


async def test_after_a_kill_the_time_between_is_unknown_until_the_index_shows_footage(tmp_path: Path) -> None:
    async with live() as simulator:
        config = prepare(tmp_path, simulator)
        async with service(config) as running:
            await until(said(config, Kind.STREAM, "up"), running)
            await until(said(config, Kind.RECORDINGS, "read"), running)
            running.kill()
            await running.process.wait()
        killed = now()
        before = facts_of(journal_of(config), killed)
        async with service(config) as again:
            await until(said(config, Kind.STREAM, "up", killed), again)
            back = now()
            without = [item for item in journal_of(config) if item.kind is not Kind.RECORDINGS]
            await until(lambda: indexed(config) > back, again)
            assert await again.stop() == 0
        seen = journal_of(config)
    known = before.streams["c1"].spans[-1].end
    assert known > killed - 5 * SECOND, "written down until shortly before the kill"
    # With what was watched alone there is a hole, of the camera's and of the agent's time.
    blank = facts_of(without, back)
    states = around(blank, known, blank.streams["c1"].spans[-1].end)
    assert [span.state for span in states] == ["unknown", "up"]
    agents = next(iter(blank.agents.values()))
    assert any(b.start - a.end > 0 for a, b in zip(agents.spans, agents.spans[1:], strict=False))
    # The index fills it.
    filled = around(facts_of(seen, now()), known, back)
    assert {span.state for span in filled} == {"up"}
    assert filled[0].basis is Basis.INDEX


EARLIER = 10 * MINUTE


def move(item: Observation) -> Observation:
    """Return an observation as if it had been made ten minutes earlier."""
    facts = dict(item.facts)
    if item.kind is Kind.RECORDINGS and item.state == "read":
        facts["window"] = [at - EARLIER for at in facts["window"]]  # type: ignore[union-attr, operator]
        for name in ("spans", "locked"):
            facts[name] = [[at - EARLIER for at in pair] for pair in facts[name]]  # type: ignore[union-attr, operator]
    moved = {name: getattr(item, name) - EARLIER for name in ("start", "end", "expires")}
    return item.model_copy(update={**moved, "facts": facts})


def let_ten_minutes_pass(config: Path, simulator: HikvisionSimulator) -> None:
    """Let all that the agent has written down and the recorder recorded have happened ten minutes earlier."""
    seen = [move(item) for item in journal_of(config)]
    for path in load_site(config).state_dir.glob("journal.sqlite*"):
        path.unlink()
    journal = Journal(load_site(config).state_dir / "journal.sqlite")
    journal.append(seen)
    journal.close()
    for channel in simulator.state.channels:
        old = channel.footage.segments(simulator.state.now())
        seconds = EARLIER / 1000
        channel.footage = Footage([Segment(s.start - seconds, s.end - seconds) for s in old], lag_seconds=0.0)


@pytest.mark.parametrize(
    ("recorder_off", "cause"), [(True, "site_power"), (False, "no_footage")], ids=["with the site", "of its own"]
)
async def test_after_a_kill_a_hole_in_the_footage_of_the_same_time_is_the_site_s_power(
    tmp_path: Path, recorder_off: bool, cause: str
) -> None:
    async with live() as simulator:
        config = prepare(tmp_path, simulator)
        async with service(config) as running:
            await until(said(config, Kind.STREAM, "up"), running)
            running.kill()
            await running.process.wait()
        await simulator.die()
        known = facts_of(journal_of(config), now()).streams["c1"].spans[-1].end - EARLIER
        let_ten_minutes_pass(config, simulator)
        if not recorder_off:  # it was back after four of the ten minutes: a hole, and of another length
            began = simulator.state.now() - 6 * 60
            simulator.state.channels[0].footage.add(Segment(began, simulator.state.now()))
        await simulator.revive()
        async with service(config) as again:
            await until(said(config, Kind.STREAM, "up", now() - SECOND), again)
            back = now()
            await until(said(config, Kind.RECORDINGS, "read", back), again)
            assert await again.stop() == 0
        facts = facts_of(journal_of(config), now())
    found = around(facts, known, back)
    first = next(span for span in found if span.state != "up")
    assert (first.state, first.cause, first.basis) == ("down", cause, Basis.INDEX)
    assert abs(first.start - known) < 5 * SECOND
    if recorder_off:
        # The newest three minutes of the index are not judged: nobody calls them a hole, and nobody calls them up.
        assert first.end >= back - 4 * MINUTE
        assert {span.state for span in found if span.start >= first.end and span.end < back - 5 * SECOND} <= {"unknown"}
    else:
        assert any(span.state == "up" and span.basis is Basis.INDEX for span in found if span.start >= first.end)


def described(simulator: HikvisionSimulator, times: int) -> bool:
    return described_so_far(simulator) >= times


def described_so_far(simulator: HikvisionSimulator) -> int:
    """Requests for a stream's description until now: none yet where the service was killed after its first login."""
    return simulator.stats().get("requests_describe", 0)


async def test_a_wrong_password_and_kills_at_the_worst_moment_are_one_failed_login(tmp_path: Path) -> None:
    async with live(16) as simulator:
        config = prepare(tmp_path, simulator, password="s3cret-0")
        async with service(config) as running:
            await until(lambda: simulator.stats()["failed_logins"] > 0, running)
            running.kill()  # refused, and perhaps not yet written down
            await running.process.wait()
        for _ in range(4):
            asked = described_so_far(simulator) + 16
            async with service(config) as running:
                await until(partial(described, simulator, asked), running)
                running.kill()
                await running.process.wait()
            assert simulator.stats()["failed_logins"] == 1
        async with service(config) as running:
            await until(said(config, Kind.STREAM, "unknown", now()), running)
            assert await running.stop() == 0
        assert simulator.stats()["failed_logins"] == 1
        states = {(item.state, item.cause) for item in journal_of(config) if item.kind is Kind.STREAM}
    assert states <= {("unknown", "credentials_held"), ("unknown", "unauthorized")}
    assert "s3cret-0" not in "".join(running.log)


@pytest.fixture
def told_of_its_terminal() -> Iterator[None]:
    """Let what is started be told of a closed terminal, also where the tests were started by nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("told_of_its_terminal")
async def test_a_terminal_that_is_closed_ends_the_service_with_its_last_words(tmp_path: Path) -> None:
    async with live() as simulator:
        config = prepare(tmp_path, simulator, rhythm={**RHYTHM, "report_every": "1h"})
        async with service(config) as running:
            # Seen and not yet written down: the next report would be an hour away.
            await until(lambda: simulator.stats().get("requests_play", 0) > 0, running)
            await until(lambda: any("watching" in line for line in running.log), running)
            running.process.send_signal(signal.SIGHUP)
            assert await asyncio.wait_for(running.process.wait(), 30) == 0
    assert said(config, Kind.AGENT, "up")()


async def test_a_service_whose_state_was_replaced_ends_and_leaves_the_new_one_to_the_next(tmp_path: Path) -> None:
    async with live() as simulator:
        config = prepare(tmp_path, simulator)
        state_dir = load_site(config).state_dir
        async with service(config) as running:
            await until(said(config, Kind.STREAM, "up"), running)
            moved = now()
            state_dir.rename(tmp_path / "away")
            async with service(config) as another:
                assert await asyncio.wait_for(running.process.wait(), 30) == 2
                await until(said(config, Kind.STREAM, "up"), another)
                assert await another.stop() == 0
        assert "was moved away, emptied or replaced while this `agent run` used it" in running.log[-1]
        assert "Traceback" not in "".join(running.log)
        assert min(item.start for item in journal_of(config) if item.kind is Kind.STREAM) >= moved
    assert (tmp_path / "away" / "journal.sqlite").exists()


def test_a_wrong_address_for_metrics_is_one_sentence_and_2(tmp_path: Path) -> None:
    cameras = [{"id": "yard", "zones": ["gate"], "stream": f"rtsp://127.0.0.1:{closed_port()}/s"}]
    run: list[str | Path] = ["agent", "run", "--config", write_site(tmp_path, cameras), "--metrics"]
    wrong = ["nonsense", "127.0.0.1:0", "127.0.0.1:99999", "192.0.2.99:9108"]
    for metrics, done in zip(wrong, run_commands([[*run, metrics] for metrics in wrong]), strict=True):
        assert done.status == 2, metrics
        assert "--metrics" in done.err
        assert len(done.err.splitlines()) == 1
