"""`python -m benchmarks.watch`: what watching costs beside FFmpeg, how soon a lost camera is known, and how all come back."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.watch.clips import MAIN, SUB, SUB_H265, Format, Units, cut, encode
from benchmarks.watch.cost import SETTLE_SECONDS, Compared, Cost, ServerLagsError, Watched, WorkMissingError, measure
from benchmarks.watch.herd import restart
from benchmarks.watch.know import time_to_know
from benchmarks.watch.serving import serving
from benchmarks.watch.sides import COPY, FILTERS, KEYFRAMES, watched_by_agent, watched_by_ffmpeg

CPU_MUST, CPU_AIM = 1.0, 0.5
MEMORY_MUST, MEMORY_AIM = 400, 250
MAIN_MUST, MAIN_AIM = 0.5, 0.3
KNOW_MUST, KNOW_AIM = 10.0, 5.0
HERD_MUST = 32
"""Connections that all cameras of a site may open in any second."""
FEWEST = 2


def main() -> int:
    """Run what was asked for; exit 1 when a figure that must be reached is not, or a side didn't do its work."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.watch", description=__doc__)
    parser.add_argument("--runs", type=int, default=1, help="of each side, in turns; the record has 5")
    parser.add_argument("--seconds", type=float, default=60.0, help="of steady running that are measured")
    parser.add_argument("--cameras", type=int, default=64)
    parser.add_argument(
        "--main-cameras", type=int, default=64, help="to begin with; halved until the machine serves them"
    )
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--away", type=float, default=10.0, help="seconds that the server is away before all come back")
    parser.add_argument("--only", nargs="+", choices=sorted(PARTS), default=list(PARTS))
    arguments = parser.parse_args()
    met = True
    with tempfile.TemporaryDirectory() as folder:
        for part in arguments.only:
            try:
                met &= PARTS[part](arguments, Path(folder))
            except (ServerLagsError, WorkMissingError) as error:
                print(f"FAILED: {error}")
                met = False
    return 0 if met else 1


def clip(form: Format, folder: Path) -> Units:
    """Return the clip of a format, made when it isn't there."""
    return cut(encode(form, folder), form)


def compare(
    form: Format, cameras: int, theirs: Watched, arguments: argparse.Namespace, folder: Path, title: str
) -> Compared:
    """Measure both sides in turns. Raises ServerLagsError, WorkMissingError."""
    print(f"\n{title}: {cameras} x {form}, {arguments.seconds:g} s of steady running", flush=True)
    units = clip(form, folder)
    ours_costs, theirs_costs = list[Cost](), list[Cost]()
    for _ in range(arguments.runs):
        for costs, side in ((ours_costs, watched_by_agent), (theirs_costs, theirs)):
            with serving([units], cameras) as served:
                costs.append(measure(served, form, side, arguments.seconds))
            print(f"  {costs[-1]}", flush=True)
    compared = Compared(ours_costs, theirs_costs)
    print(f"  median of {arguments.runs}: {compared}", flush=True)
    return compared


def verdict(what: str, value: float, must: float, aim: float) -> bool:
    """Print how a figure stands; return whether it is reached."""
    word = "aim reached" if value <= aim else "reached" if value <= must else "NOT REACHED"
    print(f"  {what} {value:.2f}: {word} (must {must:g}, aim {aim:g})", flush=True)
    return value <= must


def sub_streams(form: Format, arguments: argparse.Namespace, folder: Path) -> bool:
    """Compare with FFmpeg that only reads."""
    found = compare(form, arguments.cameras, partial(watched_by_ffmpeg, action=COPY), arguments, folder, "sub-streams")
    cpu = verdict("CPU ratio", found.ratio, CPU_MUST, CPU_AIM)
    return verdict("memory in MiB", found.memory_mib, MEMORY_MUST, MEMORY_AIM) and cpu


def main_streams(arguments: argparse.Namespace, folder: Path) -> bool:
    """Compare with FFmpeg's own detectors, over as many main streams as the machine serves."""
    theirs = partial(watched_by_ffmpeg, action=FILTERS, before=KEYFRAMES)
    cameras = arguments.main_cameras
    while True:
        try:
            found = compare(MAIN, cameras, theirs, arguments, folder, "main streams")
        except ServerLagsError as error:
            print(f"  {error}")
            cameras //= 2
            if cameras < FEWEST:
                raise WorkMissingError("the machine can't serve main streams") from error
        else:
            return verdict("CPU ratio", found.ratio, MAIN_MUST, MAIN_AIM)


def know(arguments: argparse.Namespace, folder: Path) -> bool:
    """Kill cameras."""
    print(f"\ntime to know: {arguments.kills} of {arguments.cameras} cameras killed at random", flush=True)
    with serving([clip(SUB, folder)], arguments.cameras) as served, tempfile.TemporaryDirectory() as site:
        with watched_by_agent(served.streams, Path(site)) as side:
            time.sleep(SETTLE_SECONDS)
            found = time_to_know(served, side.agent, arguments.kills)
        print(f"  {str(found).replace(chr(10), chr(10) + '  ')}")
        return verdict("seconds at most", max(found.all), KNOW_MUST, KNOW_AIM)


def herd(arguments: argparse.Namespace, folder: Path) -> bool:
    """Restart the server."""
    print(f"\nall come back together: {arguments.cameras} cameras", flush=True)
    units = [clip(SUB, folder)]
    with serving(units, arguments.cameras) as served, tempfile.TemporaryDirectory() as site:
        with watched_by_agent(served.streams, Path(site)) as side:
            found = restart(served, units, side.agent, arguments.away)
        print(f"  {found}")
        return verdict("connections in a second", found.most_in_a_second, HERD_MUST, HERD_MUST)


PARTS: dict[str, Callable[[argparse.Namespace, Path], bool]] = {
    "sub": partial(sub_streams, SUB),
    "main": main_streams,
    "h265": partial(sub_streams, SUB_H265),
    "know": know,
    "herd": herd,
}

if __name__ == "__main__":
    sys.exit(main())
