"""Plays a soak: simulated cameras, the real agent, readings of what it holds; then judges both."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.agent_process import Agent, agent, until, write_site
from benchmarks.processes import MIB, Footprint, footprint
from benchmarks.soak.auditor import Bounds, Done, audit, spans_of, told
from benchmarks.soak.plan import Tempo, episodes, script

GROWTH_RATIO_PER_HOUR = 0.05
"""Memory may rise by so much of itself in an hour, by regression over the second half: what is remembered of each camera
is bounded, and takes half an hour to fill."""
SPARE_THREADS = 3
"""Pools begin a thread when it is first needed, at most so many after the first faults: a leak would be one for each fault."""
SPARE_HANDLES = 2
"""A database may be open, or a line being tried, when a reading is taken."""


@dataclass(frozen=True)
class Soak:
    """What is to be played."""

    cameras: int
    seconds: float
    tempo: Tempo
    seed: int

    @property
    def bounds(self) -> Bounds:
        """Return how far the journal may lie from the script."""
        tempo = self.tempo
        back_off = 1.3 * tempo.reconnect_most + 10
        return Bounds(10.0, back_off, tempo.picture_start, 3 * (tempo.look_every + tempo.keyframe_seconds))


@dataclass(frozen=True)
class Reading:
    """What the agent and its decoder held at one moment, in seconds after the start."""

    at: float
    held: Footprint


@dataclass(frozen=True)
class Played:
    """What came of it."""

    done: list[Done]
    readings: list[Reading]
    journal: Path
    looks: float


@dataclass(frozen=True)
class Judged:
    """Figures for people, and every sentence of what is wrong."""

    lines: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


class Simulators:
    """The devices' process: its events, as they come."""

    def __init__(self, description: dict[str, Any], folder: Path) -> None:
        """Start it and wait until all listen."""
        path = folder / "script.json"
        path.write_text(json.dumps(description), encoding="utf-8")
        command = [sys.executable, "-m", "agents.simulators", "--script", str(path)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        with suppress(PermissionError):  # a camera that waits for the machine is no steady camera
            os.setpriority(os.PRIO_PROCESS, self.process.pid, -10)
        self.events: list[dict[str, Any]] = []
        self.finished = threading.Event()
        assert self.process.stdout is not None
        self.ready: dict[str, Any] = json.loads(self.process.stdout.readline())
        self._gathering = threading.Thread(target=self._gather, daemon=True)
        self._gathering.start()

    def _gather(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            event = json.loads(line)
            self.events.append(event)
            if event["event"] == "timeline_done":
                self.finished.set()

    def go(self) -> None:
        """Let the timeline begin."""
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def end(self) -> None:
        """Stop everything."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(20)
        self._gathering.join(20)
        self.process.stdout.close()


def play(soak: Soak, folder: Path) -> Played:
    """Play the script against the agent, and read what the agent holds meanwhile."""
    names = [f"c{number:02d}" for number in range(1, soak.cameras + 1)]
    tempo = soak.tempo
    planned = episodes(names, soak.seconds, tempo, soak.seed)
    devices = Simulators(script(names, planned, tempo), folder)
    try:
        streams = {name: devices.ready["cameras"][name]["url"] for name in names}
        rhythm = {name: f"{getattr(tempo, name):g}s" for name in ("look_every", "report_every", "reconnect_most")}
        config = write_site(folder, streams, devices.ready["gateways"]["router"], rhythm)
        with agent(config) as watcher:
            until(lambda: len(watcher.cameras_up()) == soak.cameras, 60, "all cameras are up")
            devices.go()
            readings = _read(watcher, soak)
            assert devices.finished.wait(30), "the simulators did not play the whole script"
            looks = sum(watcher.metrics()["cradlewatch_view_looks_total"].values())
            watcher.stop()
    finally:
        devices.end()
    (folder / "readings.json").write_text(json.dumps([asdict(item) for item in readings]), encoding="utf-8")
    (folder / "events.json").write_text(json.dumps(devices.events), encoding="utf-8")
    return Played(told(devices.events), readings, watcher.journal, looks)


def _read(watcher: Agent, soak: Soak) -> list[Reading]:
    """Take readings until the soak's time is over. Raises RuntimeError when the agent ends by itself."""
    start, readings = time.monotonic(), list[Reading]()
    while (at := time.monotonic() - start) < soak.seconds:
        if watcher.process.poll() is not None:
            raise RuntimeError(f"the agent ended by itself; its log is {watcher.config.parent / 'agent.log'}")
        readings.append(Reading(at, footprint([watcher.process.pid])))
        time.sleep(soak.tempo.sample_every)
    return readings


def judge(soak: Soak, played: Played) -> Judged:
    """Hold the journal against the script, and the last readings against the first ones after the warm-up."""
    judged = Judged()
    found = audit(played.done, spans_of(played.journal), soak.bounds)
    judged.wrong.extend(found.wrong)
    judged.lines.append(
        f"{len(played.done)} faults, {found.matched} in the journal as they were; {played.looks:.0f} looks"
    )
    for fault, late in sorted(found.lateness.items()):
        judged.lines.append(
            f"  {fault}: {len(late)} times, the journal's start is late by {statistics.median(late):.2f} s in the middle,"
            f" {min(late):.2f} to {max(late):.2f}"
        )
    if not played.done:
        judged.wrong.append("nothing happened: the soak is too short for its tempo")
    settled = [item for item in played.readings if item.at >= soak.tempo.warm_up]
    quiet = [item for item in settled if item.at >= soak.seconds - soak.tempo.quiet / 2]
    _judge_counts(settled[:1], quiet, judged)
    _judge_memory([item for item in settled if item.at >= soak.seconds / 2], soak, judged)
    return judged


def _judge_counts(first: Sequence[Reading], quiet: Sequence[Reading], judged: Judged) -> None:
    """When all is well again the agent holds as many threads and file handles as before anything happened."""
    for name, spare in (("threads", SPARE_THREADS), ("handles", SPARE_HANDLES)):
        before = min(getattr(item.held, name) for item in first)
        after = min(getattr(item.held, name) for item in quiet)
        judged.lines.append(f"{name}: {before} before, {after} after")
        if after > before + spare:
            judged.wrong.append(f"{name} grew from {before} to {after}")


def _judge_memory(settled: Sequence[Reading], soak: Soak, judged: Judged) -> None:
    at, held = [item.at for item in settled], [item.held.own_bytes for item in settled]
    slope = statistics.linear_regression(at, held).slope
    mean = statistics.fmean(held)
    growth = slope * soak.seconds / 2
    may = max(soak.tempo.noise_mib * MIB, GROWTH_RATIO_PER_HOUR * mean * soak.seconds / 7200)
    judged.lines.append(
        f"memory: {mean / MIB:.1f} MiB, {slope * 3600 / MIB:+.2f} MiB an hour by regression over {len(settled)} readings"
        f" ({held[0] / MIB:.1f} to {held[-1] / MIB:.1f}); the bound is {may / MIB:.1f} MiB over the second half"
    )
    if growth > may:
        judged.wrong.append(f"memory grew by {growth / MIB:.1f} MiB over the second half")
