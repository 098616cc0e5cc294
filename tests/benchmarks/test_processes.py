"""What processes cost: the accounting agrees with what a process says of itself."""

from __future__ import annotations

import os
import subprocess
import sys

from benchmarks.processes import MIB, cpu_seconds, footprint, tree, waits

BUSY = """
import os, subprocess, sys, time
end = time.process_time() + 0.3
while time.process_time() < end:
    pass
if len(sys.argv) > 1:
    subprocess.run([sys.executable, "-c", sys.argv[1]], check=True)
print("done", flush=True)
sys.stdin.read()
"""


def test_a_child_that_has_ended_is_still_counted() -> None:
    once = BUSY.replace("sys.stdin.read()", "")
    with subprocess.Popen(
        [sys.executable, "-c", BUSY, once], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        while process.stdout.readline() != "done\n":
            pass
        process.stdout.readline()
        assert 0.6 <= cpu_seconds([process.pid]) < 2.0
        assert tree(process.pid) == [process.pid]
        process.communicate("")
    assert cpu_seconds([process.pid]) == 0.0


def test_memory_and_handles_are_those_of_the_whole_tree() -> None:
    holding = (
        "import sys; kept = bytearray(40 << 20); file = open('/dev/null'); print('held', flush=True); sys.stdin.read()"
    )
    before = footprint([os.getpid()])
    with subprocess.Popen(
        [sys.executable, "-c", holding], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        mine, its = footprint([os.getpid()]), footprint([process.pid])
        assert process.pid in tree(os.getpid())
        process.communicate("")
    assert its.pss_bytes > 40 * MIB
    assert its.own_bytes > 40 * MIB
    assert (its.threads, its.handles) == (1, 4)
    assert mine.pss_bytes > before.pss_bytes + 30 * MIB


def test_each_wait_is_a_wake_up() -> None:
    dozing = "import sys, time; [time.sleep(0.001) for _ in range(50)]; print('done', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", dozing], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        woken = waits([process.pid])
        process.communicate("")
    assert 50 <= woken < 100
