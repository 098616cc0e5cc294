"""Runs many `cradlewatch` commands in one interpreter: JSON lines in, JSON lines out.

`python -m agents.demo.commands` takes {"arguments": [...], "input": "..."} and answers {"status", "out", "err"}. Each is
the installed command itself, found as the shell's is; only the interpreter's start (a second each) is saved.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Callable
from importlib.metadata import entry_points


def run(command: Callable[[], object], arguments: list[str], given: str) -> dict[str, object]:
    """Run one command line; return its exit status and what it printed."""
    out, err = io.StringIO(), io.StringIO()
    before = sys.argv, sys.stdin
    sys.argv, sys.stdin = ["cradlewatch", *arguments], io.StringIO(given)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            command()
        status: object = 0
    except SystemExit as ended:
        status = ended.code or 0
    finally:
        sys.argv, sys.stdin = before
    return {"status": status, "out": out.getvalue(), "err": err.getvalue()}


def main() -> None:
    """Answer until standard input closes."""
    (found,) = entry_points(group="console_scripts", name="cradlewatch")
    command = found.load()
    for line in sys.stdin:
        asked = json.loads(line)
        answer = run(command, asked["arguments"], asked.get("input", ""))
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
