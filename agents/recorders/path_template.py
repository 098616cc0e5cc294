"""The path template of a folder of recordings: from site.yaml's strftime text to matching names and their times."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

CAMERA = "{camera}"
_SHORT = {"F": "%Y-%m-%d", "T": "%H:%M:%S", "R": "%H:%M"}
_DIGITS = {
    "Y": r"\d{4}",
    "y": r"\d{2}",
    "m": r"\d{2}",
    "d": r"\d{2}",
    "j": r"\d{3}",
    "H": r"\d{2}",
    "M": r"\d{2}",
    "S": r"\d{2}",
    "f": r"\d{6}",
    "s": r"\d{9,11}",
}
_TOKEN = re.compile(r"\{camera\}|%(.)|\*|[^%*{]+|[{%]", re.DOTALL)

Parts = Mapping[str, int]
"""What a path says so far: strftime letter to number."""


class TemplateError(ValueError):
    """The template cannot be used; the text says why and what to write."""


@dataclass(frozen=True)
class Component:
    """One name of the path: a fixed text, or a pattern that reads parts of the time (and the camera) out of names."""

    text: str
    letters: tuple[str, ...]
    has_camera: bool
    is_pattern: bool

    @property
    def tells_camera(self) -> bool:
        """Whether a name that fits is one camera's alone: all that stands beside the camera has a fixed length."""
        return self.text.count(CAMERA) == 1 and "*" not in self.text and "s" not in self.letters

    def fixed(self, camera: str) -> str | None:
        """Return the only name that fits for `camera`; None when several may."""
        return None if self.is_pattern else self.text.replace(CAMERA, camera).replace("%%", "%")

    def regex(self, camera: str | None) -> re.Pattern[str]:
        """Return what fits for `camera`, or for any camera when None (group `camera`)."""
        out = []
        seen: set[str] = set()
        for token in _TOKEN.finditer(self.text):
            text, letter = token.group(), token.group(1)
            if text == CAMERA:
                out.append(_camera_regex(camera, seen))
            elif text == "*":
                out.append("[^/]*")
            elif letter == "%":
                out.append("%")
            elif letter:
                out.append(f"(?P={letter})" if letter in seen else f"(?P<{letter}>{_DIGITS[letter]})")
                seen.add(letter)
            else:
                out.append(re.escape(text))
        return re.compile("".join(out), re.ASCII)


def _camera_regex(camera: str | None, seen: set[str]) -> str:
    if camera is not None:
        return re.escape(camera)
    if "camera" in seen:
        return "(?P=camera)"
    seen.add("camera")
    return "(?P<camera>[^/]+?)"


@dataclass(frozen=True)
class Template:
    """The path as a fixed root and the components below it, the last one being the file's name."""

    root: Path
    components: tuple[Component, ...]

    @property
    def has_camera(self) -> bool:
        """Whether the camera is told by the path."""
        return any(component.has_camera for component in self.components)

    @property
    def tells_start(self) -> bool:
        """Whether a path tells when its file begins: by its hour, in seconds since 1970, or as the one file of a day."""
        letters = {letter for component in self.components for letter in component.letters}
        return bool({"H", "s"} & letters) or not any("*" in component.text for component in self.components)

    @property
    def camera_depth(self) -> int:
        """Which component names the camera; the last one (the file) where none does."""
        last = len(self.components) - 1
        return next((i for i, component in enumerate(self.components) if component.has_camera), last)

    @property
    def camera_is_folder(self) -> bool:
        """Whether each camera has a folder of its own."""
        return self.camera_depth < len(self.components) - 1


def parse_template(text: str, base: Path) -> Template:
    """Read a template; relative ones start at `base`. Raises TemplateError."""
    names = [
        name for name in re.sub(r"%([FTR])", lambda found: _SHORT[found[1]], text).split("/") if name not in {"", "."}
    ]
    if not names:
        msg = "`path` is empty; write it like /recordings/{camera}/%Y-%m-%d/%H%M%S.mp4"
        raise TemplateError(msg)
    strange = re.findall(r"\{[^}/]*\}", text.replace("{camera}", ""))
    if strange:
        msg = f"`path` {text!r} holds {strange[0]}; of names in braces there is {{camera}} alone"
        raise TemplateError(msg)
    components = [_component(name, text) for name in names]
    fixed = next((i for i, one in enumerate(components) if one.is_pattern or one.has_camera), len(components))
    if fixed == len(components):
        msg = f"`path` {text!r} names one file only; say by %Y, %m, %d, %H, %M, %S where the time stands"
        raise TemplateError(msg)
    if ".." in names[fixed:]:
        msg = f"`path` {text!r} climbs with .. out of a folder that depends on camera or time"
        raise TemplateError(msg)
    letters = {letter for component in components for letter in component.letters}
    if "s" not in letters and not ({"Y", "y"} & letters and ({"m", "d"} <= letters or "j" in letters)):
        msg = f"`path` {text!r} does not tell the day; it needs %Y, %m and %d (or %j, or %s)"
        raise TemplateError(msg)
    root = Path("/") if text.startswith("/") else base.absolute()
    return Template(
        root.joinpath(*(one.text.replace("%%", "%") for one in components[:fixed])), tuple(components[fixed:])
    )


def _component(name: str, text: str) -> Component:
    letters = []
    for token in _TOKEN.finditer(name):
        letter = token.group(1)
        if token.group() == "%" or (letter and letter != "%" and letter not in _DIGITS):
            known = " ".join(f"%{one}" for one in (*_DIGITS, *_SHORT))
            msg = f"`path` {text!r} holds {token.group()!r}, which is not understood; known are {known} {CAMERA} *"
            raise TemplateError(msg)
        if letter and letter != "%":
            letters.append(letter)
    return Component(name, tuple(letters), CAMERA in name, bool(letters) or "*" in name)


def wall_range(parts: Parts) -> tuple[datetime, datetime] | None:
    """Return from when until when (naive, exclusive) a path with these parts may lie; None when no such time exists.

    %s counts from 1970 in UTC and is no wall time: see `epoch`.
    """
    year = parts.get("Y", 2000 + parts["y"] if "y" in parts else None)
    if year is None:
        return datetime.min, datetime.max  # noqa: DTZ901  (wall time, on purpose)
    try:
        if "j" in parts:
            day = datetime(year, 1, 1) + timedelta(days=parts["j"] - 1)  # noqa: DTZ001  (wall time)
            if day.year != year:
                return None
        elif "m" not in parts:
            return datetime(year, 1, 1), datetime(year + 1, 1, 1)  # noqa: DTZ001  (wall time)
        elif "d" not in parts:
            following = (year + parts["m"] // 12, parts["m"] % 12 + 1)
            return datetime(year, parts["m"], 1), datetime(*following, 1)  # noqa: DTZ001  (wall time)
        else:
            day = datetime(year, parts["m"], parts["d"])  # noqa: DTZ001  (wall time)
        return _within(day, parts)
    except (ValueError, OverflowError):
        return None


def _within(day: datetime, parts: Parts) -> tuple[datetime, datetime]:
    begin, length = day, timedelta(days=1)
    for letter, unit in (("H", "hour"), ("M", "minute"), ("S", "second"), ("f", "microsecond")):
        if letter not in parts:
            break
        begin = begin.replace(**{unit: parts[letter]})  # type: ignore[arg-type]  # keywords of replace
        length = timedelta(**{f"{unit}s": 1})
    return begin, begin + length


def epoch(parts: Parts) -> datetime | None:
    """Return the UTC instant that %s states (and %f beside it), if the path has it."""
    return datetime.fromtimestamp(parts["s"], UTC).replace(microsecond=parts.get("f", 0)) if "s" in parts else None
