"""What a process and all that it started cost, from the kernel's own accounting."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
MIB = 1 << 20


@dataclass(frozen=True)
class Footprint:
    """A tree of processes at one moment."""

    pss_bytes: int
    """Proportional set size: shared pages are shared out."""
    threads: int
    handles: int
    """Open files, sockets and pipes."""
    own_bytes: int
    """What belongs to these processes alone and was written to: unlike the set size it doesn't change when others end."""


def tree(root: int) -> list[int]:
    """Return a process and its living descendants."""
    found = [root]
    with suppress(OSError):
        for task in Path(f"/proc/{root}/task").iterdir():
            for child in (task / "children").read_text("ascii").split():
                found.extend(tree(int(child)))
    return found


def cpu_seconds(roots: Iterable[int]) -> float:
    """Return the CPU time that these processes and their descendants, living and dead, have used so far."""
    return sum(_ticks(pid) for root in roots for pid in tree(root)) / TICKS


def _ticks(pid: int) -> int:
    """Return user and system time of a process and of the children that it has waited for."""
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
        return sum(int(field) for field in fields[11:15])
    return 0


def delay_seconds(pid: int) -> float:
    """Return for how long a process's main thread could have run and had no processor."""
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text("ascii").split()[1]) / 1e9
    return 0.0


def pressed_seconds() -> float:
    """Return for how long somebody on this machine has waited for a processor; 0 where the kernel doesn't tell."""
    with suppress(OSError):
        return int(Path("/proc/pressure/cpu").read_text("ascii").split("\n")[0].rpartition("total=")[2]) / 1e6
    return 0.0


def waits(roots: Iterable[int]) -> int:
    """Return how often the main threads of these processes went to sleep of their own will: each is one wake-up."""
    return sum(_status(pid, "voluntary_ctxt_switches") for root in roots for pid in tree(root))


def footprint(roots: Iterable[int]) -> Footprint:
    """Return what these processes and their descendants hold now."""
    pids = [pid for root in roots for pid in tree(root)]
    return Footprint(
        sum(pss_bytes(pid) for pid in pids),
        sum(_status(pid, "Threads") for pid in pids),
        sum(_handles(pid) for pid in pids),
        sum(_rolled_up(pid, "Private_Dirty") for pid in pids),
    )


def pss_bytes(pid: int) -> int:
    """Return one process's proportional set size; 0 when it is gone."""
    return _rolled_up(pid, "Pss")


def _rolled_up(pid: int, name: str) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1]) * 1024
    return 0


def _status(pid: int, name: str) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text("utf-8", "replace").splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1])
    return 0


def _handles(pid: int) -> int:
    with suppress(OSError):
        return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    return 0
