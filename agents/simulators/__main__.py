"""`python -m agents.simulators --script FILE`: runs a script's devices; JSON lines out, JSON commands in."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import threading
from pathlib import Path

from agents.simulators.script import Json, ScriptError, load
from agents.simulators.site import Site


def tell(event: Json) -> None:
    """Print one event as a line of JSON."""
    sys.stdout.write(json.dumps(event, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def main() -> int:
    """Run until `quit`, the end of standard input, or a signal. Exit 2 for a script that can't be played."""
    parser = argparse.ArgumentParser(prog="python -m agents.simulators", description=__doc__)
    parser.add_argument("--script", type=Path, required=True, help="the devices and what happens to them, as JSON")
    parser.add_argument("--go", action="store_true", help="start the timeline at once instead of at the command go")
    parser.add_argument("--keep-running", action="store_true", help="go on when standard input ends")
    arguments = parser.parse_args()
    try:
        site = Site(load(arguments.script), tell=tell)
        asyncio.run(_run(site, go=arguments.go, keep_running=arguments.keep_running))
    except (ScriptError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


async def _run(site: Site, *, go: bool, keep_running: bool) -> None:
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[str | None] = asyncio.Queue()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lines.put_nowait, None)
    async with site:
        tell(site.ready())
        # A thread reads, since standard input may be a pipe, a terminal or a file, and no event loop takes them all.
        threading.Thread(target=_read, args=(loop, lines, keep_running), daemon=True).start()
        desk = _Desk(site)
        if go:
            desk.go()
        while (line := await lines.get()) is not None and await desk.obey(line):
            pass
        await desk.close()


def _read(loop: asyncio.AbstractEventLoop, lines: asyncio.Queue[str | None], keep_running: bool) -> None:
    for line in sys.stdin:
        loop.call_soon_threadsafe(lines.put_nowait, line)
    if not keep_running:
        loop.call_soon_threadsafe(lines.put_nowait, None)


class _Desk:
    """Takes commands, one JSON object a line."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._play: asyncio.Task[None] | None = None

    def go(self) -> None:
        if self._play is None:
            self._play = asyncio.create_task(self._site.play(), name="timeline")

    async def obey(self, line: str) -> bool:
        """Do what a line says; return False for `quit`."""
        try:
            command = json.loads(line)
        except ValueError:
            command = {"do": line.strip()}  # a bare word will do: go, stats, quit
        if not isinstance(command, dict):
            tell({"event": "error", "error": "a command is a JSON object with do"})
            return True
        match command.get("do"):
            case "" | None:
                pass
            case "go":
                self.go()
            case "stats":
                tell(self._site.stats())
            case "quit":
                return False
            case _:
                await self._site.try_do(command)
        return True

    async def close(self) -> None:
        if self._play is not None:
            self._play.cancel()
            await asyncio.gather(self._play, return_exceptions=True)


if __name__ == "__main__":
    sys.exit(main())
