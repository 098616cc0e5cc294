"""Where the demo gives its orders: a child that runs commands, and the simulators' lines."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agents.demo.institution import Json
from agents.demo.processes import Child, Children, DemoError, python


class Desk:
    """Runs `cradlewatch` commands, one after the other, in one child."""

    def __init__(self, child: Child) -> None:
        """Take a child that runs agents.demo.commands."""
        self._child = child
        self._turn = asyncio.Lock()

    @classmethod
    async def open(cls, children: Children, name: str) -> Desk:
        """Start the child."""
        return cls(await children.start(name, [*python(), "-m", "agents.demo.commands"], talks=True))

    async def run(self, *arguments: str, given: str = "") -> str:
        """Run a command and return what it printed. Raises DemoError with its own words when it fails."""
        async with self._turn:
            answer = await _ask(self._child, {"arguments": arguments, "input": given})
        if answer["status"] != 0:
            said = str(answer["err"]).strip() or str(answer["out"]).strip()
            raise DemoError(f"cradlewatch {' '.join(arguments[:3])} failed (exit {answer['status']}): {said}")
        return str(answer["out"])

    async def close(self) -> None:
        """Let the child end."""
        self._child.expected_to_end = True
        if self._child.process.stdin is not None:
            self._child.process.stdin.close()
        await self._child.process.wait()


async def _ask(child: Child, question: Json) -> Json:
    stdin, stdout = child.process.stdin, child.process.stdout
    if stdin is None or stdout is None:
        raise DemoError(f"{child.name} can't be talked to")
    try:
        stdin.write(json.dumps(question).encode() + b"\n")
        await stdin.drain()
        line = await stdout.readline()
    except OSError:
        line = b""
    if not line:
        await child.process.wait()
        raise child.failure()
    answer: Json = json.loads(line)
    return answer


class Simulators:
    """The process that stands in for every device of the district."""

    def __init__(self, child: Child) -> None:
        """Take a child that runs agents.simulators."""
        self._child = child

    @classmethod
    async def open(cls, children: Children, script: Path) -> Simulators:
        """Start them."""
        arguments = [*python(), "-m", "agents.simulators", "--script", str(script)]
        return cls(await children.start("simulators", arguments, talks=True))

    async def ready(self) -> Json:
        """Wait until they listen; return their line `ready`. Raises DemoError when they end before."""
        while (line := await self._line()) is not None:
            if line.get("event") == "ready":
                return line
        await self._child.process.wait()
        raise self._child.failure()

    async def go(self) -> None:
        """Start the timeline."""
        await self.tell({"do": "go"})

    async def tell(self, order: Json) -> None:
        """Give an order."""
        stdin = self._child.process.stdin
        if stdin is not None:
            stdin.write(json.dumps(order).encode() + b"\n")
            await stdin.drain()

    async def listen(self, heard: Callable[[Json], None]) -> None:
        """Hand on each further line, until they end. Raises DemoError for an event that could not be done."""
        while (line := await self._line()) is not None:
            if line.get("event") == "error":
                raise DemoError(f"the simulators could not do {line.get('do')}: {line.get('error')}")
            heard(line)

    async def _line(self) -> Json | None:
        stdout = self._child.process.stdout
        text = await stdout.readline() if stdout is not None else b""
        value: Any = json.loads(text) if text else None
        return value if isinstance(value, dict) else None
