"""What workers count together: the room for it is theirs before they write, and without room they go on alone."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dashboards.workers import metrics_directory

COUNTING = """
import json, os, resource, sys
from pathlib import Path
from prometheus_client import CollectorRegistry, generate_latest
from dashboards.workers import count_together
from monitor.api.metrics import Counters, counted
if sys.argv[1] != "-":
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
count_together()
registry = CollectorRegistry()
counters = Counters(registry)
counters.refuse("form")
shown = generate_latest(counted(registry)).decode()
files = {path.name.replace(str(os.getpid()), "PID"): path.stat() for path in Path(sys.argv[2]).iterdir()}
print(json.dumps({
    "files": {name: [stat.st_size, stat.st_blocks * 512] for name, stat in files.items()},
    "shown": 'cradlewatch_refused_total{reason="form"} 1.0' in shown,
}))
"""


def counting(directory: Path, most_bytes: str) -> dict[str, Any]:
    """Count in a process of its own, as a worker does, where no file may be longer than `most_bytes`."""
    done = subprocess.run(
        [sys.executable, "-c", COUNTING, most_bytes, str(directory)],
        env={"PROMETHEUS_MULTIPROC_DIR": str(directory)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_a_worker_has_the_room_for_what_it_counts_before_it_writes(tmp_path: Path) -> None:
    found = counting(tmp_path, "-")
    assert found["shown"]
    assert set(found["files"]) == {"counter_PID.db", "gauge_livesum_PID.db"}, "of others no room is reserved"
    assert all(length == 65_536 <= held for length, held in found["files"].values()), "no holes"


@pytest.mark.parametrize("most", ["0", "4096"])
def test_a_worker_without_room_counts_alone(tmp_path: Path, most: str) -> None:
    assert counting(tmp_path, most) == {"files": {}, "shown": True}, "nothing that others would stumble over"


def test_the_directory_of_counts_is_locked_while_it_is_needed_and_nobody_elses() -> None:
    with metrics_directory() as directory:
        assert directory.stat().st_mode & 0o777 == 0o700
        number = os.open(directory, os.O_RDONLY)
        try:
            with pytest.raises(BlockingIOError):
                fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        finally:
            os.close(number)
    assert not directory.exists()
