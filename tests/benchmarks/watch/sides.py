"""The two sides that watch the same cameras: the agent, and FFmpeg, one process a camera. Each must prove its work."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from benchmarks.agent_process import Agent, agent, approve_views, until, write_site
from benchmarks.watch.clips import Format

LOOK_SECONDS = 10.0
"""The agent's rhythm, as it is by default."""
START_SECONDS = 60.0
REPORT_SECONDS = 2.0
"""Between two progress reports of FFmpeg: its count is so old when it is read."""
COPY = ("-c", "copy")
"""FFmpeg as a mere watcher: it reads and throws away."""
FILTERS = ("-vf", "freezedetect,blackdetect")
"""FFmpeg's own detectors; with `KEYFRAMES` before the address."""
KEYFRAMES = ("-skip_frame", "nokey")


@dataclass(frozen=True)
class Work:
    """What a side has done so far, by camera."""

    frames: Mapping[str, float]
    looks: Mapping[str, float] = field(default_factory=dict)
    troubles: float = 0
    """Lost packets and reconnects."""


class Side(Protocol):
    """One who watches."""

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    @property
    def pids(self) -> list[int]:
        """Its processes; their descendants count too."""
        ...

    def work(self) -> Work:
        """Return what it has done so far."""
        ...

    def missing(self, before: Work, after: Work, form: Format, seconds: float) -> list[str]:
        """Return what it should have done in these seconds and has not."""
        ...


class AgentSide:
    """`cradlewatch agent run` over all cameras."""

    name = "cradlewatch"

    def __init__(self, running: Agent) -> None:
        """Take the service that runs."""
        self.agent = running

    @property
    def pids(self) -> list[int]:
        """The service; its decoder is its child."""
        return [self.agent.process.pid]

    def work(self) -> Work:
        """Ask its metrics."""
        found = self.agent.metrics()
        troubles = found["cradlewatch_stream_lost_packets_total"], found["cradlewatch_stream_reconnects_total"]
        return Work(
            found["cradlewatch_stream_frames_total"], found["cradlewatch_view_looks_total"],
            sum(sum(values.values()) for values in troubles),
        )  # fmt: skip

    @staticmethod
    def missing(before: Work, after: Work, form: Format, seconds: float) -> list[str]:
        """All frames, nothing lost, and a look at each camera every ten seconds, none late by more than a keyframe."""
        due = int((seconds - form.keyframe_seconds) / LOOK_SECONDS)
        idle = [name for name in after.looks if after.looks[name] - before.looks[name] < due]
        wrong = _frames_missing(before, after, form.rate * seconds)
        if idle:
            wrong.append(f"{len(idle)} cameras were looked at less than {due} times")
        if after.troubles > before.troubles:
            wrong.append(f"{after.troubles - before.troubles:.0f} packets lost or streams reconnected")
        return wrong


class FfmpegSide:
    """One `ffmpeg` a camera, whose progress report says how many frames it took."""

    def __init__(
        self, name: str, processes: Sequence[subprocess.Popen[bytes]], reports: Sequence[Path], *, nokey: bool
    ) -> None:
        """Take the processes that run. `nokey`: they take keyframes alone."""
        self.name = name
        self._processes = processes
        self._reports = reports
        self._nokey = nokey

    @property
    def pids(self) -> list[int]:
        """Every process."""
        return [process.pid for process in self._processes]

    def work(self) -> Work:
        """Read the last count in each progress report."""
        return Work({path.stem: _last_count(path) for path in self._reports})

    def missing(self, before: Work, after: Work, form: Format, seconds: float) -> list[str]:
        """All frames, or all keyframes, and every process alive."""
        ended = sum(process.poll() is not None for process in self._processes)
        wrong = [f"{ended} processes ended"] if ended else []
        rate = 1 / form.keyframe_seconds if self._nokey else form.rate
        return wrong + _frames_missing(before, after, rate * seconds, slack=1 + rate * REPORT_SECONDS)


def _last_count(report: Path) -> float:
    found = re.findall(r"^frame=\s*(\d+)", report.read_text("ascii"), re.MULTILINE) if report.exists() else []
    return float(found[-1]) if found else 0.0


def _frames_missing(before: Work, after: Work, expected: float, slack: float = 1.0) -> list[str]:
    short = [name for name in after.frames if after.frames[name] - before.frames.get(name, 0) < 0.9 * expected - slack]
    return (
        [f"{len(short)} cameras of {len(after.frames)} gave less than 0.9 of their {expected:.0f} frames"]
        if short
        else []
    )


@contextmanager
def watched_by_agent(streams: Mapping[str, str], folder: Path, *, approve: bool = True) -> Iterator[AgentSide]:
    """Let the agent watch the cameras, each with an approved view: a look without one is only half of the work."""
    gateway = next(iter(streams.values())).split("/")[2]
    config = write_site(folder, streams, gateway)
    if approve:
        approve_views(config)
    with agent(config) as running:
        until(lambda: len(running.cameras_up()) == len(streams), START_SECONDS, "all cameras are up")
        yield AgentSide(running)


@contextmanager
def watched_by_ffmpeg(
    streams: Mapping[str, str], folder: Path, action: Sequence[str] = COPY, before: Sequence[str] = ()
) -> Iterator[FfmpegSide]:
    """Let FFmpeg watch the cameras, one process each."""
    processes, reports = [], []
    with ExitStack() as stack:
        for name, url in streams.items():
            report = folder / f"{name}.progress"
            command = [
                "ffmpeg", "-v", "error", "-nostdin", "-stats_period", f"{REPORT_SECONDS:g}", "-progress", str(report), *before,
                "-rtsp_transport", "tcp", "-i", url, *action, "-f", "null", "-",
            ]  # fmt: skip
            process = stack.enter_context(
                subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            )
            stack.callback(process.kill)
            processes.append(process)
            reports.append(report)
        until(lambda: all(_last_count(report) > 0 for report in reports), START_SECONDS, "all ffmpeg take frames")
        yield FfmpegSide(f"ffmpeg {' '.join((*before, *action))}", processes, reports, nokey=bool(before))
