"""Checks many institutions, several at a time in processes of their own; each is told in its turn."""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import FrameType
from typing import Self

from sqlalchemy.exc import SQLAlchemyError

from monitor.collector.context import Context
from monitor.collector.restored import lost_here
from monitor.collector.settings import Settings
from monitor.collector.verify import Progress, Verified, verify_institution
from monitor.model.chain import Gap
from monitor.store.agents import agents_of
from monitor.store.engine import in_its_words, reading

AHEAD = 4
"""So many institutions for each process may be done before the one whose turn it is: then they wait for it, and memory is bounded."""
END_SECONDS = 10.0
"""So long a process may take to put its scratch file away."""


class CheckError(Exception):
    """A check that could not be done; the sentence says why."""


@dataclass(frozen=True)
class Found:
    """What the check of an institution came to."""

    verified: Verified
    lost: tuple[tuple[str, Gap], ...]
    """Of which agents reports are missing that a restored database lost."""


def verify_all(
    context: Context, institutions: Sequence[str], jobs: int, progress: Progress
) -> Generator[Found, None, None]:
    """Check institutions, `jobs` of them at a time; give what was found in their order, each as soon as its turn has come.

    With one job all is done in this process. Close what this returns where it isn't used to its end: that ends the processes.
    Raises CheckError where one of them can't go on.
    """
    jobs = min(jobs, len(institutions))
    if jobs <= 1:
        for name in institutions:
            yield _check(context, name, progress)
        return
    with _Crew(context.settings, jobs) as crew:
        yield from crew.check(institutions, progress)


def _check(context: Context, institution: str, progress: Progress) -> Found:
    verified = verify_institution(context, institution, progress)
    with reading(context.engine) as session:
        lost = [(agent.id, gap) for agent, gaps in lost_here(session, agents_of(session, institution)) for gap in gaps]
    return Found(verified, tuple(lost))


@dataclass(frozen=True)
class _Failed:
    """Why an institution couldn't be checked."""

    why: str


@dataclass
class _Hand:
    """A process that checks, and what it is at."""

    process: SpawnProcess
    line: Connection
    at: int | None = None


class _Crew:
    """Processes that check institutions, one at a time each."""

    def __init__(self, settings: Settings, count: int) -> None:
        """Start them."""
        self._hands: list[_Hand] = []
        try:
            for _ in range(count):
                self._hands.append(_start(settings))
        except BaseException:
            self._end(at_once=True)
            raise

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """End them: what isn't done is broken off."""
        self._end(at_once=kind is not None)

    def check(self, institutions: Sequence[str], progress: Progress) -> Iterator[Found]:
        """Give what was found of each institution, in their order."""
        done: dict[int, Found] = {}
        left = deque(range(len(institutions)))
        for turn in range(len(institutions)):
            while turn not in done:
                for hand in self._hands:
                    if hand.at is None and left and left[0] < turn + AHEAD * len(self._hands):
                        hand.at = left.popleft()
                        _send(hand, institutions[hand.at], institutions[hand.at])
                self._hear(institutions, done, progress)
            yield done.pop(turn)

    def _hear(self, institutions: Sequence[str], done: dict[int, Found], progress: Progress) -> None:
        """Wait until one of those at work says something."""
        by = {hand.line: hand for hand in self._hands if hand.at is not None}
        for line in wait(list(by)):
            hand = by[line]  # type: ignore[index]
            assert hand.at is not None  # noqa: S101  (for the type checker: it was looked for)
            said = _receive(hand, institutions[hand.at])
            if isinstance(said, str):
                progress(said)
            elif isinstance(said, _Failed):
                raise CheckError(said.why)
            else:
                done[hand.at], hand.at = said, None

    def _end(self, *, at_once: bool) -> None:
        for hand in self._hands:
            hand.line.close()  # who waits for the next one ends by it, and so does who wants to say something
            if at_once:
                hand.process.terminate()
        for hand in self._hands:
            hand.process.join(END_SECONDS)
            if hand.process.is_alive():
                hand.process.kill()
                hand.process.join()


def _start(settings: Settings) -> _Hand:
    """Start a process. Its own interpreter, for this one may have threads and has connections."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_work, args=(settings, theirs), daemon=True)
    # Ctrl-C is sent to all that the terminal started: this process alone says so, and ends the others.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process.start()
    finally:
        signal.signal(signal.SIGINT, before)
        theirs.close()
    return _Hand(process, ours)


def _send(hand: _Hand, what: str, institution: str) -> None:
    try:
        hand.line.send(what)
    except OSError:
        raise _ended(hand, institution) from None


def _receive(hand: _Hand, institution: str) -> str | Found | _Failed:
    try:
        said: str | Found | _Failed = hand.line.recv()
    except (EOFError, OSError):
        raise _ended(hand, institution) from None
    return said


def _ended(hand: _Hand, institution: str) -> CheckError:
    hand.process.join(END_SECONDS)
    code = hand.process.exitcode
    how = f"signal {-code}" if code is not None and code < 0 else f"status {code}"
    return CheckError(
        f"{institution}: the process that checked it ended ({how}), perhaps for want of memory: with --jobs 1 one is checked at a time"
    )


def _work(settings: Settings, line: Connection) -> None:
    """Check what is asked for until nobody asks any more."""
    signal.signal(signal.SIGTERM, _leave)
    try:
        _check_those_asked_for(Context.open(settings), line)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it ends: nothing is to break into that


def _check_those_asked_for(context: Context, line: Connection) -> None:
    while True:
        try:
            institution = line.recv()
        except (EOFError, OSError):
            return
        _say(line, _checked(context, institution, line))


def _checked(context: Context, institution: str, line: Connection) -> Found | _Failed:
    try:
        return _check(context, institution, lambda text: _say(line, text))
    except SQLAlchemyError as error:
        said = in_its_words(error)
        return _Failed(
            f"{institution}: the database can't be used: {said}; check database_url or CRADLEWATCH_DATABASE_URL"
        )


def _say(line: Connection, what: str | Found | _Failed) -> None:
    try:
        line.send(what)
    except OSError:  # nobody listens any more: the scratch file is put away
        raise SystemExit from None


def _leave(_signal: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise SystemExit
