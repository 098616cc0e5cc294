"""F7: an agent's wall clock is set by a second to ten years, back and forth, in the middle of gaps: no interval is negative or double.

Each seed goes the whole way: what the box sees, its outbox, its sender, HTTP, the centre's store (SQLite, of one in ten
PostgreSQL) and its evaluations. The box is killed and comes again with another time, its line is away for minutes, and
the centre has other agents, or none. `clocks_auditor.py` knows what must come of it, by monotonic time and by the settings of the clock.
In one seed of three it is the centre's own clock that is set, mostly beside a box whose clock is right (`clocks_district.py`).
"""

from __future__ import annotations

import asyncio
import random
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from starlette.types import ASGIApp, Receive, Scope, Send

from agents.collector import Collector
from agents.held import Held
from agents.identity import Identity
from agents.outbox import Outbox
from agents.reporter import Reporter
from agents.run import MIND_SECONDS, Service
from agents.sender import Sender
from agents.watch.track import Track
from agents.watch.wall import Wall
from benchmarks.torture import auditor
from benchmarks.torture.clocks_auditor import PRESUMED, Audit, Said, Story
from benchmarks.torture.clocks_centre_auditor import CentreAudit
from benchmarks.torture.clocks_district import LOOKS_A_ROUND, SETS, District
from benchmarks.torture.power import memory
from monitor.api.routes import build_api
from monitor.collector.evaluate import evaluate
from monitor.collector.verify import verify_institution
from monitor.model.clock import ManualClock
from monitor.model.observation import Kind, Subject
from monitor.store.engine import open_engine
from monitor.store.schema import migrate
from support.answering import answering
from support.centre import Centre, declared, instant, make_centre
from support.databases import TEMPLATE, PostgresServer, run_postgres
from support.packs import pack

STEPS_SECONDS = (1, 3, 60, 600, 3600, 86_400, 30 * 86_400, 3653 * 86_400)
MINUTES = 30
WINDOW = "400d"
"""All that is told lies in it: what a clock showed that was set back by thirty days, too."""
LAST_MINUTES = 90
"""So long the last reports are sent: some have to wait for other agents to be heard."""
SETTLING_MINUTES = 25
"""So long a box goes on reporting once the centre's clock is set right for good: what nobody can tell is believed by then."""
ON_POSTGRES = 10
"""One seed in so many."""
EARLIEST_YEAR = 1985
"""No kernel lets a clock be set to before 1970."""
PLAUSIBLE_YEAR = 2026
"""A box whose clock is before it waits for it to be set."""
STATES = ("up", "down", "unknown")
RECORDER = Subject(kind="recorder", id="nvr")


def torture(runs: int, seed: int) -> list[str]:
    """Return what went wrong with `runs` seeds."""
    problems: list[str] = []
    done = _Done()
    numbers = range(seed, seed + runs)
    with _centres(on_postgres=any(map(_on_postgres, numbers))) as centres:
        for number in numbers:
            found = asyncio.run(_live(centres, number, done))
            problems += [f"seed {number}: {text}" for text in found]
    print(
        f"F7: {runs} seeds, {done.postgres} of them on PostgreSQL; the clock was set {done.set} times and the box killed {done.killed} times,"
        f" the centre's own clock was set {done.centre_set} times in {done.centres} seeds;"
        f" {done.reports} reports stored, {done.counted} of them count; {done.judged} evaluations"
    )
    if not done.counted:
        problems.append("no report counts: nothing is compared")
    return problems


@dataclass
class _Done:
    """What was done in all."""

    set: int = 0
    killed: int = 0
    reports: int = 0
    counted: int = 0
    judged: int = 0
    postgres: int = 0
    centres: int = 0
    """Seeds in which the centre's clock is set."""
    centre_set: int = 0


@dataclass
class _Centres:
    """Gives each seed a centre of its own, behind one server."""

    folder: Path
    postgres: PostgresServer | None = None
    url: str = ""
    application: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the present centre answer."""
        assert self.application is not None
        await self.application(scope, receive, send)

    @contextmanager
    def centre(self, number: int, now: datetime) -> Iterator[tuple[Centre, str]]:
        """Give a centre over an empty database, and its database's address."""
        file = self.folder / f"{number}.db"
        if _on_postgres(number):
            assert self.postgres is not None
            url = self.postgres.url(self.postgres.copy(TEMPLATE))
        else:
            shutil.copy(self.folder / "template.db", file)
            url = f"sqlite:///{file}"
        engine = open_engine(url)
        centre = make_centre(engine, pack(uptime={"window": WINDOW}))
        centre.clock.step((now - centre.clock.now()).total_seconds())
        self.application = build_api(centre.context)
        try:
            yield centre, url
        finally:
            engine.dispose()
            for path in self.folder.glob(f"{number}.*"):
                path.unlink()


def _on_postgres(number: int) -> bool:
    return number % ON_POSTGRES == 8  # the second of those that the suite plays


@contextmanager
def _centres(*, on_postgres: bool) -> Iterator[_Centres]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=memory())))
        centres = _Centres(folder)
        urls = [f"sqlite:///{folder}/template.db"]
        if on_postgres:
            centres.postgres = stack.enter_context(run_postgres())
            centres.postgres.execute(f"CREATE DATABASE {TEMPLATE}")
            urls.append(centres.postgres.url(TEMPLATE))
        for url in urls:
            engine = open_engine(url)
            migrate(engine)
            engine.dispose()
        _, (host, port) = stack.enter_context(answering(centres))
        centres.url = f"http://{host}:{port}"
        yield centres


async def _live(centres: _Centres, number: int, done: _Done) -> list[str]:
    seeded = random.Random(number)
    began = datetime(2026, 10, 25, seeded.randrange(24), seeded.randrange(60), tzinfo=UTC)
    with centres.centre(number, began) as (centre, url):
        life = _Life(centres, centre, url, number, seeded)
        await life.live()
        found = [*life.found, *life.audit.problems()]
        # What an honest box with a bad clock left is no forgery.
        found += verify_institution(centre.context, "wj-0001").problems
    if life.district is not None:
        done.centres += 1
        done.centre_set += life.district.set
    done.set += life.set
    done.killed += life.killed
    done.reports += len(life.audit.said)
    done.counted += life.audit.counted
    done.judged += len(life.audit.evaluations)
    done.postgres += _on_postgres(number)
    return found


def _millis(clock: ManualClock) -> int:
    return round(clock.now().timestamp() * 1000)


class _Box:
    """One run of an agent: the parts of it that see, tell and send."""

    def __init__(self, file: Path, clock: ManualClock, who: Identity, link: Collector, seeded: random.Random) -> None:
        self._clock = clock
        self.boot = f"{seeded.getrandbits(128):032x}"
        self.outbox = Outbox(file)
        self.held = Held()
        self.reporter = Reporter(self.outbox, clock, who, self.boot)
        self.sender = Sender(self.outbox, clock, lambda: link, seeded=seeded, again=self.reporter.again)
        self.track, self.alive = (
            Track(subject, kind, self.held.append, holds_for=PRESUMED)
            for subject, kind in ((RECORDER, Kind.REACH), (Subject(kind="agent", id="box"), Kind.AGENT))
        )
        service = SimpleNamespace(
            reach={"nvr": self.track},
            life=self.alive,
            pending=self.held,
            periodic=SimpleNamespace(begin_again=lambda: None),
        )
        self.wall = Wall(clock, lambda old, new: Service._stepped(cast("Any", service), old, new))

    def begin(self, state: str) -> Story:
        """Begin to watch."""
        now = self.wall.now()
        self.track.set(now, state)
        self.alive.set(now, "up")
        self.held.append(declared(now))
        return Story(_millis(self._clock), round(self._clock.monotonic() * 1000), state)

    def tell(self) -> list[int]:
        """Report what is held."""
        now = self.wall.now()
        for track in (self.track, self.alive):
            track.flush(now)
        with self.held.reports.storing() as seen:
            return self.reporter.report(seen)


@dataclass
class _Life:
    """One seed."""

    centres: _Centres
    centre: Centre
    url: str
    number: int
    seeded: random.Random
    set: int = 0
    killed: int = 0
    state: str = "up"
    nonce_at: int = 0
    found: list[str] = field(default_factory=list)
    """What was wrong meanwhile."""
    clock: ManualClock = field(init=False)
    truth: ManualClock = field(init=False)
    audit: Audit = field(init=False)
    district: District | None = None
    """There where the centre's own clock is set."""

    def __post_init__(self) -> None:
        self.clock = ManualClock(self.centre.clock.now(), monotonic=100.0)
        self.truth = ManualClock(self.centre.clock.now())
        self._others = self.seeded.choice([0, 0, 3, 3, -3])
        """How many other agents the centre has; less than none: they are silent."""
        self._recorder_off: float | None = None
        """By how much the recorder's clock is off, where the box tells of it."""
        self._is_set = True
        if self.number % SETS != 1:
            self.audit = Audit(self.url, auditor.Outbox())
            return
        self._is_set = self.seeded.random() < 0.3
        self._recorder_off = self.seeded.choice([0.4, 900.0])
        self.audit = CentreAudit(
            self.url, auditor.Outbox(), others=max(0, self._others), silent=max(0, -self._others),
            box_is_set=self._is_set, recorder_off_seconds=self._recorder_off,
        )  # fmt: skip

    async def live(self) -> None:
        """Let it all happen."""
        agent = self.centre.add()
        if isinstance(self.audit, CentreAudit):
            self.district = District(self.centre, self.centres.url, self.seeded, self.truth, self.audit)
        else:
            for number in range(abs(self._others)):
                self.centre.add(f"wj-{number + 1001}")
        who = Identity("wj-0001", "box", agent.key, agent.nonce)
        self.nonce_at = self.audit.enrolled_at = _millis(self.centre.clock)
        # A centre that is set back before the first report notes it as of then: it came in after this word was given.
        self.audit.took(self.nonce_at)
        file = self.centres.folder / f"{self.number}.outbox"
        link = Collector(self.centres.url, who)
        box = _Box(file, self.clock, who, link, self.seeded)
        story = box.begin(self.state)
        self._tell(box, story)
        away = False
        for look in range(int(MINUTES * 60 / MIND_SECONDS)):
            self._pass(MIND_SECONDS)
            self._set_the_clock(0.08 if away else 0.03)
            if self.district is not None:
                self.district.set_clock(0.01)
            if self.seeded.random() < 0.005:
                box.outbox.close()
                self._off()
                box = _Box(file, self.clock, who, link, self.seeded)
                story = box.begin(self.state)
            self._see(box, story)
            if self.seeded.random() < 0.2:
                self._tell(box, story)
            away = self.seeded.random() < (0.9 if away else 0.03)
            if look == 0 or (not away and self.seeded.random() < 0.3):
                await self._send(box)
            self._centre_works(look)
        if self.district is not None:
            await self._settle(box, story)
        self._tell(box, story)
        for _ in range(LAST_MINUTES):
            self._pass(60.0)
            self._hear_others()
            if await self._send(box):
                break
        self._evaluate()
        await link.close()
        box.outbox.close()
        self.audit.outbox = auditor.read_outbox(file)

    async def _settle(self, box: _Box, story: Story) -> None:
        """Set all clocks right for good, and let everybody go on reporting."""
        assert self.district is not None
        self.district.set_right()
        self.clock.step((self.truth.now() - self.clock.now()).total_seconds())
        for look in range(int(SETTLING_MINUTES * 60 / MIND_SECONDS)):
            self._pass(MIND_SECONDS)
            self._see(box, story)
            if look % LOOKS_A_ROUND == 0:
                self._tell(box, story)
                await self._send(box)
            self._centre_works(look)

    def _pass(self, seconds: float) -> None:
        self.clock.advance(seconds)
        if self.district is None:
            self.truth.advance(seconds)
            self.centre.clock.advance(seconds)
        else:
            self.district.passes(seconds)

    def _set_the_clock(self, chance: float) -> None:
        """Set the box's clock, sometimes; half of the time it is set right."""
        if not self._is_set or self.seeded.random() >= chance:
            return
        off = (self.clock.now() - self.truth.now()).total_seconds()
        way = self.seeded.choice([-1, 1]) if self.clock.now().year > EARLIEST_YEAR else 1
        wild = self.seeded.choice(STEPS_SECONDS) * way + self.seeded.randrange(-999, 1000) / 1000
        self.clock.step(-off if self.seeded.random() < 0.5 else wild)
        self.set += 1

    def _off(self) -> None:
        """Be off for a while; the clock may have stood meanwhile, or be another when the box comes again."""
        self.killed += 1
        for look in range(self.seeded.randrange(1, 60)):
            self._pass(MIND_SECONDS)
            if self.district is not None:
                self._centre_works(look)
        self._set_the_clock(0.5)
        if self.clock.now().year < PLAUSIBLE_YEAR:
            self.clock.step((self.truth.now() - self.clock.now()).total_seconds())

    def _see(self, box: _Box, story: Story) -> None:
        now, wall = box.wall.now(), _millis(self.clock)
        story.look(wall, round(self.clock.monotonic() * 1000))
        if self.seeded.random() < 0.1:
            self.state = self.seeded.choice(STATES)
            box.track.set(now, self.state)
            story.turn(wall, self.state)

    def _tell(self, box: _Box, story: Story) -> None:
        wall = _millis(self.clock)
        if self._recorder_off is not None:
            facts = {"offset_seconds": self._recorder_off}
            box.held.append(instant("recorder/nvr", Kind.CLOCK, wall, facts))
            self.audit.tells_clock()
        (number,) = box.tell()
        self.audit.said.append(Said(box.boot, number, wall, self.nonce_at, *story.told(wall)))

    async def _send(self, box: _Box) -> bool:
        """Send what waits; tell whether nothing does any more."""
        while (wait := await box.sender.turn()) == 0.0:
            self.nonce_at = _millis(self.centre.clock)
            self.audit.took(self.nonce_at)
            if box.sender._left_upto:
                return False
        return wait is None

    def _centre_works(self, look: int) -> None:
        """Let the centre do what it does beside answering the box."""
        if self.district is not None:
            if look % LOOKS_A_ROUND == 0:
                self.district.hear_others()
            self.found += self.district.work(look, _millis(self.centre.clock))
            return
        if look % 60 == 0:
            self._hear_others()
        if self.seeded.random() < 0.02:
            self._evaluate()

    def _hear_others(self) -> None:
        if self.district is not None:
            self.district.hear_others()
            return
        for number in range(self._others):
            name = f"wj-{number + 1001}"
            self.centre.send(self.centre.report(institution=name), institution=name)

    def _evaluate(self) -> None:
        evaluate(self.centre.context, "wj-0001")
        self.audit.look(_millis(self.centre.clock))
