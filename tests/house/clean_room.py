"""Try the README in a fresh Debian: git, make, python3-venv and a plain user, nothing else.

Usage (root): PYTHONPATH=tests python3 -m house.clean_room [--release bookworm] [--keep] [demo] [test]
Tries what is committed (HEAD).
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from house.room import Room, need_root

PROJECT = Path(__file__).parents[2]
USER = 1000
HOME = "/home/visitor"
CLONE = f"{HOME}/cradlewatch"
DEMO_SECONDS = 180


def prepare(release: str) -> Room:
    """Return a room with the prerequisites, a user, and a clone of HEAD."""
    room = Room.base(release).copy(f"clean-{release}")
    room.check(
        "apt-get -qq update && apt-get -qq install --yes --no-install-recommends git make python3-venv >/dev/null"
    )
    room.check(f"useradd --create-home --home-dir {HOME} --uid {USER} visitor")
    bundle = room.root / "project.bundle"
    subprocess.run(["git", "-C", PROJECT, "bundle", "create", "--quiet", bundle, "HEAD"], check=True)
    bundle.chmod(0o644)
    room.check(f"git -c advice.detachedHead=false clone --quiet /project.bundle {CLONE}", user=USER, home=HOME)
    return room


def visit(room: Room, command: str) -> float:
    """Run `command` in the clone as the user; return the seconds that it took."""
    begun = time.monotonic()
    room.check(command, user=USER, home=HOME, directory=CLONE)
    return time.monotonic() - begun


def look(address: str, token: str) -> list[dict[str, object]]:
    """Return the findings that the demo's API lists now; none while it can't be asked."""
    request = urllib.request.Request(f"{address}/api/v1/findings", headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return list(json.load(answer)["items"])
    except (OSError, urllib.error.URLError):
        return []


def reach_page(room: Room) -> float:
    """Start `make demo`; return the seconds after which its page answers and its findings are there."""
    begun = time.monotonic()
    with tempfile.TemporaryFile("w+") as said:
        demo = room.run("exec make --silent demo", user=USER, home=HOME, directory=CLONE, stdout=said.fileno())
        try:
            while time.monotonic() - begun < DEMO_SECONDS:
                time.sleep(1)
                said.seek(0)
                text = said.read()
                address = re.search(r"address\s+(http://\S+)", text)
                token = re.search(r"API token\s+(\S+)", text)
                if address and token and (findings := look(address[1], token[1])):
                    with urllib.request.urlopen(address[1], timeout=5) as page:
                        print(f"{address[1]}: {page.status}, {len(findings)} findings")
                    return time.monotonic() - begun
                if demo.poll() is not None:
                    break
            sys.exit(f"make demo reached no page with findings within {DEMO_SECONDS} s:\n{text}")
        finally:
            demo.kill()  # unshare ignores SIGTERM; its children go with it
            demo.wait()


def compare(room: Room) -> None:
    """Run the demo for a minute; leave with a sentence when it finds anything else than what was planted."""
    visit(room, "make --silent demo ARGS='--duration 60 --json' >findings.json")
    said = json.loads((room.root / CLONE.lstrip("/") / "findings.json").read_text(encoding="utf-8"))
    keys = [
        sorted(
            (
                str(item["institution"]),
                str(item["requirement"]),
                json.dumps(item["subject"], sort_keys=True),
                str(item["state"]),
            )
            for item in said[part]
        )
        for part in ("findings", "planted")
    ]
    if keys[0] != keys[1]:
        sys.exit(f"make demo found\n{keys[0]}\nand not what was planted\n{keys[1]}")
    print(f"make demo: {len(keys[0])} findings, as planted")


def main() -> None:
    """Run the steps that are asked for, all when none is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("steps", nargs="*", choices=["demo", "test", []], help="what to try; all when none is named")
    parser.add_argument("--release", default="bookworm", help="Debian release (bookworm has Python 3.11, trixie 3.13)")
    parser.add_argument("--keep", action="store_true", help="leave the file system for a look")
    options = parser.parse_args()
    steps = options.steps or ["demo", "test"]
    need_root()
    room = prepare(options.release)
    print(f"set-up with its downloads: {visit(room, 'make .venv/.demo'):.0f} s")
    if "demo" in steps:
        print(f"make demo: a page with findings after {reach_page(room):.0f} s")
        compare(room)
    if "test" in steps:
        print(f"make test: {visit(room, 'make test'):.0f} s")
    if not options.keep:
        room.remove()


if __name__ == "__main__":
    main()
