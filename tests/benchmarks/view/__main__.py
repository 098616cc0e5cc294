"""`python -m benchmarks.view`: make the clips of a list, let every detector look at them, print the score of each."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from itertools import islice
from pathlib import Path

from benchmarks.view import lists
from benchmarks.view.peers import ALIASES, FFMPEG_STATES, RECIPE_STATES
from benchmarks.view.plan import STATES, Clip
from benchmarks.view.run import FFMPEG, OURS, RECIPE, Answer, DiagnoseFailed, Work, answered, perform
from benchmarks.view.score import Score, add
from benchmarks.view.sheet import sheet_of_plan
from benchmarks.view.stage import footage_present
from benchmarks.view.table import bars, note_lines, report
from benchmarks.view.truth import alarms_from

CLAIMED = {OURS: STATES, FFMPEG: FFMPEG_STATES, RECIPE: RECIPE_STATES}
CLEAN = "clean"
RECENT = 50
"""By so many clips the time is reckoned that is left: those that were kept of an earlier run cost none."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.view", description=__doc__)
    parser.add_argument(
        "--list", choices=lists.NAMES, default="tune", help="which scenes: thresholds are chosen on `tune`"
    )
    parser.add_argument(
        "--seed", type=int, help="the same kinds of places drawn anew, with other events: scenes that nobody has seen"
    )
    parser.add_argument("--short", action="store_true", help="a fixed small sample of the list")
    parser.add_argument("--states", help=f"only clips with one of these, by commas; `{CLEAN}` for clean days")
    parser.add_argument("--limit", type=int, help="only the first so many clips; any beginning is balanced")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep clips and answers here; a later run uses them")
    parser.add_argument(
        "--forget-videos", action="store_true", help="keep answers, not clips (the score list has 15 GB)"
    )
    parser.add_argument(
        "--resume", action="store_true", help="also take the product's kept answers: the rest of a broken run"
    )
    parser.add_argument("--misses", action="store_true", help="also list each miss and false alarm of the product")
    parser.add_argument(
        "--make-only", action="store_true", help="make and keep clips and ask the peers, not the product"
    )
    parser.add_argument(
        "--answered", action="store_true", help="only score what --keep has answers to, and make nothing"
    )
    parser.add_argument("--sheets", type=Path, metavar="DIR", help="draw contact sheets here, and do nothing else")
    return parser.parse_args()


def chosen(options: argparse.Namespace) -> list[Clip]:
    """Return the clips that the options ask for."""
    planned: Iterable[Clip] = lists.clips(lists.load(options.list, options.seed), short=options.short)
    if options.states:
        wanted = set(options.states.split(","))
        if unknown := wanted - {*STATES, CLEAN}:
            sys.exit(f"no such state: {', '.join(sorted(unknown))}; there are {', '.join((*STATES, CLEAN))}")
        planned = (clip for clip in planned if wanted & set(clip.states or (CLEAN,)))
    return list(islice(planned, options.limit))


def score_of(answers: Iterable[Answer]) -> dict[str, Score]:
    """Return every detector's score."""
    scores: dict[str, Score] = {}
    for answer in answers:
        for name in answer.said:
            add(
                scores.setdefault(name, Score()),
                answer.truth,
                alarms_from(answer.said[name]),
                ALIASES if name == RECIPE else None,
            )
    return scores


def _answers(work: list[Work], jobs: int, failed: list[str]) -> Iterator[Answer]:
    """Yield the answers as they come; of clips that the product failed on the ids are put into `failed`."""
    ended = deque([time.monotonic()], maxlen=RECENT + 1)
    with ProcessPoolExecutor(jobs) as pool:
        running = {pool.submit(perform, item): item for item in work}
        for number, done in enumerate(as_completed(running), 1):
            try:
                yield done.result()
            except DiagnoseFailed as failure:
                failed.append(running[done].clip.id)
                print(f"not scored: {failure}", file=sys.stderr)
            ended.append(time.monotonic())
            left = (ended[-1] - ended[0]) / (len(ended) - 1) * (len(work) - number)
            print(f"{number}/{len(work)} {running[done].clip.id}, about {left / 60:.0f} min left", file=sys.stderr)


def main() -> int:
    """Do what the command line says; return 1 where the product failed on a clip, or where a figure that must be reached is not."""
    options = _arguments()
    clips = chosen(options)
    if options.sheets:
        options.sheets.mkdir(parents=True, exist_ok=True)
        for clip in clips:
            sheet_of_plan(clip, options.sheets / f"{clip.id}.png")
        return 0
    if shutil.which("ffmpeg") is None:
        sys.exit("ffmpeg is not installed, and one side of the comparison is its filters (Debian: apt install ffmpeg)")
    with tempfile.TemporaryDirectory(prefix="bench-view-") as scratch:
        listed = lists.load(options.list, options.seed)
        folder = (options.keep or Path(scratch)) / listed.name
        keeps = options.keep is not None and not options.forget_videos
        work = [Work(clip, folder, keeps, options.resume or options.answered, options.make_only) for clip in clips]
        if options.answered:
            work = [item for item in work if answered(item)]
        failed = list[str]()
        scores = score_of(_answers(work, options.jobs, failed))
    absent = sorted({scene.base for scene in listed.scenes if not footage_present(scene.base)})
    print(f"list {listed.name}, {len(work)} clips" + (f", without {', '.join(absent)}" if absent else ""))
    if failed:
        print(f"NOT SCORED, as the product failed on them: {', '.join(sorted(failed))}")
    print(report(scores, CLAIMED))
    lines, reached = bars(scores.get(OURS, Score()))
    print("\n".join(lines))
    if options.misses and OURS in scores:
        print("\n".join(note_lines(scores[OURS])))
    return 0 if reached and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
