"""What is wrong with a pack: file, line, key and one sentence."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

Key = tuple[str | int, ...]
"""Where a value stands in a file: ("references", 0, "status")."""


def format_key(key: Key) -> str:
    """Write a key as people read it: references[0].status."""
    text = ""
    for part in key:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong. `line` counts from 1, and is 0 where no line is meant; `key` may be empty."""

    file: str
    line: int
    key: str
    message: str

    def __str__(self) -> str:
        """One sentence: config/regulations/x.yaml:42: requirements.retention.required_days: ..."""
        place = f"{self.file}:{self.line}" if self.line else self.file
        return ": ".join(part for part in (place, self.key, self.message) if part)


MAX_PROBLEMS = 100
"""Nobody reads more, and a file that is no pack at all can have thousands."""


class PackError(Exception):
    """A pack that can't be used; `problems` has what is wrong with it, in the order of its lines."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        found = sorted(set(problems))
        self.problems = found[:MAX_PROBLEMS]
        if len(found) > MAX_PROBLEMS:
            rest = f"and {len(found) - MAX_PROBLEMS} further problems"
            self.problems.append(Problem(found[MAX_PROBLEMS].file, 0, "", rest))
        super().__init__("\n".join(str(problem) for problem in self.problems))
