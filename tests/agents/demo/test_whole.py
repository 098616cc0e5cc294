"""The whole demo as a person runs it: what is found equals what was planted, and nothing stays behind."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from agents.demo.compare import STREAM_REQUIREMENTS, differences, key_of
from agents.demo.district import DISTRICT
from agents.demo.processes import command
from support.thread import until

pytestmark = pytest.mark.long


def demo(tmp_path: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start the demo with a directory for temporary files of its own."""
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [command(), "demo", *arguments],
        stdout=pipe,
        stderr=pipe,
        text=True,
        encoding="utf-8",
        env=environment,
        cwd=tmp_path,
    )


def children_of(directory: Path) -> list[str]:
    """Return the command lines of all processes that work in a demo's directory."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if str((entry / "cwd").readlink()).startswith(str(directory)):
                found.append((entry / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return [line for line in found if line]


def left_in(directory: Path) -> list[Path]:
    """Return what still lies in a directory."""
    return list(directory.iterdir())


@pytest.mark.alone
@pytest.mark.timeout(420)
def test_findings_equal_what_was_planted(tmp_path: Path) -> None:
    running = demo(tmp_path, "--duration", "60", "--json")
    out, err = running.communicate(timeout=400)
    assert running.returncode == 0, err
    told = json.loads(out)
    assert (told["schema"], set(told)) == ("cradlewatch.findings/1", {"schema", "as_of", "findings", "planted"})
    assert differences(told["findings"], told["planted"]) == [], err
    assert sorted(map(key_of, told["findings"])) == sorted(
        (item.id, plant.requirement, plant.kind, plant.id, plant.state) for item in DISTRICT for plant in item.plants
    )
    assert {item["institution"] for item in told["findings"] if item["ended_at"]} == {"wj-0005", "wj-0012"}
    assert all(
        item["stage"] == "lead" and item["citation"] and item["evidence"] is not None for item in told["findings"]
    )
    assert {item["requirement"] for item in told["findings"]} > STREAM_REQUIREMENTS
    assert list(tmp_path.iterdir()) == []


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("how", "when"),
    [
        (signal.SIGINT, "recorders are up"),
        (signal.SIGTERM, "the collector is up"),
        (signal.SIGKILL, "has been looked at once"),
    ],
)
async def test_no_orphan_stays(tmp_path: Path, how: signal.Signals, when: str) -> None:
    running = demo(tmp_path)
    assert running.stdout is not None
    for line in running.stdout:
        if when in line:
            break
    else:
        pytest.fail(f"the demo ended by itself, {running.wait()}: {running.communicate()[1]}")
    assert len(children_of(tmp_path)) >= 3
    running.send_signal(how)
    running.communicate(timeout=60)
    assert running.returncode == (-how if how is signal.SIGKILL else 0)
    await until(
        lambda: not children_of(tmp_path), "the kernel kills them, and the decoders find their input closed", 20
    )
    if how is not signal.SIGKILL:
        assert left_in(tmp_path) == []


def test_a_taken_port_is_one_sentence(tmp_path: Path) -> None:
    import socket

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        running = demo(tmp_path, "--port", str(port))
        out, err = running.communicate(timeout=60)
    assert running.returncode == 2
    assert err.splitlines()[-1] == (
        f"cradlewatch demo: --port {port}: 127.0.0.1:{port} is in use or not allowed; give another one, or none"
    )
    assert "Traceback" not in out + err
