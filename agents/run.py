"""The service: watches round the clock, asks the recorders, keeps all it sees, and reports it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import signal
from datetime import UTC, datetime
from functools import partial
from threading import Lock

import structlog
from pydantic import JsonValue

from agents.assignment import Assigned
from agents.beside import Beside
from agents.collector import CollectorError
from agents.held import Held
from agents.history import forget_history, tell_history
from agents.judging import Asked, Judging
from agents.link import Link
from agents.loops import LoopBook, recall
from agents.periodic import Periodic
from agents.proving import Proving
from agents.reporter import Reporter
from agents.scan.recorder import RecorderScan
from agents.scan.rounds import Rounds
from agents.sender import Sender
from agents.site import CameraConfig, Site
from agents.state import Enrolment, State, StateError
from agents.station import Station
from agents.storage import File, Storage
from agents.summary import sum_up
from agents.uncounted import Uncounted
from agents.views import ViewBook
from agents.watch.awake import Awake
from agents.watch.camera import CameraWatch, Sight, Timings, Tools
from agents.watch.decoder import Decoder
from agents.watch.failure import Around
from agents.watch.track import Track
from agents.watch.twins import Twins
from agents.watch.wall import Wall
from monitor.model.clock import Clock
from monitor.model.observation import Kind, Observation, Source, StreamCause, Subject
from monitor.model.regulation import Regulation
from monitor.model.span import DAY, HOUR, MINUTE, SECOND, Millis, to_millis

LAST_WORDS_SECONDS = 3.0
CONNECTIONS_A_SECOND = 32
"""So many at most, on average, when all cameras of a site come back together."""
BUDGET_SECONDS = 300.0
"""How often a recorder's session budget is asked whether it may grow; it says itself how seldom it does."""
LOOPS_SECONDS = 6 * 3600.0
"""Within this what is remembered of each camera's stream is written once: 128 KiB a camera, of which a kill loses the newest."""
TWINS_SECONDS = 60.0
"""How often one camera's picture is held against all others'."""
STEADY_SECONDS = 30.0
PROOF_PAUSE_SECONDS = 60.0
"""Between two cameras' proofs of one recorder."""
MAIN_LOOK_SECONDS = 10.0
MAIN_PAUSE_SECONDS = 60.0
"""Between two cameras' looks at their main streams, at most."""
MAIN_FIRST_SECONDS = 600.0
"""After a start the sub-streams are seen first: a look at a main stream takes pictures away from them for ten seconds."""
MIND_SECONDS = 5.0
"""How often the service looks whether its clock was set, and whether its files are still its own."""
PLAUSIBLE_FROM = datetime(2026, 1, 1, tzinfo=UTC)
"""A box without a battery wakes up in 1970: nothing is seen before its clock is set."""

log = structlog.get_logger()


def clock_set(agent: Subject, old: Millis, new: Millis) -> Observation:
    """Return what the centre has to know where this machine's clock was set: what was told from `new` to `old` is told twice."""
    return Observation(
        subject=agent,
        kind=Kind.AGENT,
        start=new,
        end=new,
        state="unknown",
        cause=StreamCause.CLOCK_SET,
        expires=new,
        facts={"was_at": old},
    )


class Service:
    """One site watched. Built from parts that exist; `run` ends when it is told to stop."""

    def __init__(self, site: Site, regulation: Regulation, state: State, clock: Clock) -> None:
        """Build everything; nothing is contacted yet. Raises SecretError, OptionsError."""
        self.site = site
        self.clock = clock
        self.state = state
        self.declared_regulation = regulation
        self.pending = Held()
        self.journal = state.journal()
        self.judging = Judging(self.journal)
        self.outbox = state.outbox()
        self.storage = Storage()
        self.link = Link(state)
        self.assigned = Assigned(state, self.link)
        self.assigned.refresh()
        jitter = random.Random(state.boot)  # noqa: S311  (no secret)
        self.sender = Sender(
            self.outbox, clock, self.link, seeded=jitter, again=self._report_again, counted=self._is_counted
        )
        self.uncounted = Uncounted(state)
        self.reporter: Reporter | None = None
        self._enrolment: Enrolment | None = None
        self._owes_history = False
        self.station = Station(site, clock, self.pending.append, learnt=state.learnt_budgets(), memory=state)
        self.decoder = Decoder()
        self.awake = Awake(clock)
        seed = hash(state.boot) & 0xFFFF
        self.tools = Tools(self.decoder, clock, self.pending.append, self._timings(), seed, self.awake)
        self.views = ViewBook(state, [item.id for item in site.cameras])
        self.watches = {item.id: self._watch(item) for item in site.cameras if site.has_stream(item)}
        holds_for = round(self._holds_for() * SECOND)
        self.reach = {
            item.id: Track(Subject(kind="recorder", id=item.id), Kind.REACH, self.pending.append, holds_for)
            for item in site.recorders
            if self.station.reach.is_device(item.id)
        }
        self.twins = Twins(self.watches, self.pending.append)
        self.loops = LoopBook(state.directory)
        self._loop_turn = itertools.cycle(self.watches)
        self._unread = set(self.watches)
        """Cameras of whose streams what was kept has not been read yet."""
        self.life = Track(Subject(kind="agent", id=state.agent), Kind.AGENT, self.pending.append, holds_for)
        self._wall = Wall(clock, self._stepped, self.awake, self._stood_still)
        self.periodic = Periodic(clock)
        self.index_progress: dict[str, float] = {}
        """Share of the first index scan that is done, by camera."""
        self.rounds = {name: self._rounds(scan) for name, scan in self.station.scans.items()}
        self._reconnects: dict[tuple[str, str], int] = {}
        """How often each camera had reconnected when its recorder's index was last read."""
        self.proving = Proving(site, self.station, self.decoder, state, self.views, clock, self.pending.append)
        self._keeping = Beside("keeping")
        """Where what was seen is stored and reported."""
        self._reporting = Lock()
        """Held by whoever writes reports: the sender may have one to say anew."""
        self._wake = asyncio.Event()
        self._stop = asyncio.Event()

    @property
    def regulation(self) -> Regulation:
        """The pack in force: the collector's assignment wins once enrolled."""
        assignment = self.assigned.current()
        return assignment.regulation if assignment is not None else self.declared_regulation

    def stop(self) -> None:
        """Ask the service to end; it writes a last report first."""
        self._stop.set()

    async def run(self) -> None:
        """Watch until stopped by SIGTERM, SIGINT, SIGHUP or `stop`. Raises StateError when the state directory is taken away."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup's wish
            loop.add_signal_handler(signal.SIGHUP, self.stop)
        await self._wait_for_clock()
        if self._stop.is_set():
            return
        self.awake.begin()
        self._declare()
        await self._keep_job()
        # Beside the watching: a name server that is still starting, as after a power cut, is waited for.
        asking = asyncio.create_task(self._ask_for_gateway(), name="gateway")
        recalling = asyncio.create_task(self._recall_loops(self.clock.now().timestamp()), name="loops")
        tasks = [asyncio.create_task(watch.run(), name=f"watch {name}") for name, watch in self.watches.items()]
        tasks.append(asyncio.create_task(self.sender.run(self._wake), name="sender"))
        tasks.append(asyncio.create_task(self._mind_the_clock(), name="clock"))
        tasks.append(asyncio.create_task(self.awake.run(), name="awake"))
        tasks.append(asyncio.create_task(self._mind_the_state(), name="state"))
        self._schedule()
        self.periodic.start()
        log.info(
            "watching",
            cameras=len(self.watches),
            recorders=len(self.site.recorders),
            institution=self.site.institution.id,
        )
        try:
            await self._until_stopped(tasks)
        finally:
            self.periodic.stop()
            for task in (asking, recalling, *tasks):
                task.cancel()
            await asyncio.gather(asking, recalling, *tasks, return_exceptions=True)
            await self._last_words()

    async def _wait_for_clock(self) -> None:
        """Wait until the wall clock can be right: instants of 1970 would stand in the ledger for ever."""
        while self.clock.now() < PLAUSIBLE_FROM and not self._stop.is_set():
            log.warning("this machine's clock is not set; waiting for it", clock=self.clock.now().isoformat())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(5.0):
                    await self._stop.wait()

    async def _ask_for_gateway(self) -> None:
        if (trouble := await self.station.gateway_trouble()) is not None:
            log.warning(trouble)

    async def _recall_loops(self, began: float) -> None:
        """Give each camera what was kept of its stream, as the disk gives it: beside the watching, for no look waits for a disk.

        Until then nothing is written in its place.
        """
        for name, watch in self.watches.items():
            kept = await self._keeping.do(partial(self.loops.read, name))
            if kept is not None:
                recall(name, watch.loop, kept, began)
            self._unread.discard(name)
        await self._keeping.do(partial(self.loops.forget_others, self.watches.keys()))

    async def _until_stopped(self, tasks: list[asyncio.Task[None]]) -> None:
        """Wait for the word to stop; a task that ends by itself is a fault of ours, and the service ends with it."""
        stopping = asyncio.create_task(self._stop.wait())
        done, _ = await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        for task in done - {stopping}:
            task.result()

    async def _last_words(self) -> None:
        """Say what was seen up to the end, and try for a moment to send it."""
        await self._keep_job()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS_SECONDS):
                await self.sender.drain()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS_SECONDS):
                for name in self.watches:
                    await self._keep_loop(name)
        await self.decoder.close()
        await self.station.close()
        await self.link.close()
        self.judging.close()
        self._keeping.close()
        self.journal.close()
        self.outbox.close()

    # --- jobs ---------------------------------------------------------------------------------------------------------

    def _schedule(self) -> None:
        """Put everything periodic on the clock, recorders staggered so that they are not all asked at once."""
        rhythm, every = self.site.rhythm, self.periodic.every
        proofs = min(PROOF_PAUSE_SECONDS, rhythm.proof_every / 4)
        every(rhythm.report_every, self._report_job, name="report", first=min(2.0, rhythm.report_every))
        every(rhythm.assignment_every, self._assignment_job, name="assignment", first=0.0)
        every(rhythm.reach_every, self._life_job, name="life", first=0.0)
        for number, item in enumerate(self.site.recorders):
            stagger = number * min(rhythm.reach_every, 1.0) / max(1, len(self.site.recorders))
            for what, seconds, job, first in (
                ("reach", rhythm.reach_every, self._reach_job, stagger),
                ("look", rhythm.recorder_every, self._look_job, stagger),
                ("settings", rhythm.settings_every, self._settings_job, stagger + 0.3),
                ("index", rhythm.index_every, self._index_job, stagger + 0.5),
                ("proof", proofs, self._proof_job, proofs + stagger),
            ):
                every(seconds, partial(job, item.id), name=f"{what} {item.id}", first=first)
        every(86400.0, self._prune_job, name="prune", first=3600.0)
        every(3600.0, self._summary_job, name="summary", first=900.0)
        twins = min(TWINS_SECONDS, rhythm.look_every * 6)
        every(twins, self._twins_job, name="twins", first=twins)
        turn = LOOPS_SECONDS / max(1, len(self.watches))
        every(turn, self._loops_job, name="loops", first=turn)
        every(BUDGET_SECONDS, self._budget_job, name="budgets", first=BUDGET_SECONDS)
        # One camera at a time, so that no two of a recorder's cameras leave their streams together.
        pause = min(MAIN_PAUSE_SECONDS, rhythm.main_stream_every / max(1, len(self.watches)))
        quiet = min(MAIN_FIRST_SECONDS, rhythm.main_stream_every / 8)
        every(pause, self._main_job, name="main streams", first=max(pause, quiet))

    async def _mind_the_clock(self) -> None:
        """Notice by monotonic time that the wall clock was set, for the jobs go by the wall clock."""
        while True:
            await self.clock.sleep(MIND_SECONDS)
            self._now()

    async def _mind_the_state(self) -> None:
        """End the service when its state directory is no longer there, or is another one. Raises StateError.

        Gone at one look alone it may be on its way back; nothing is written elsewhere meanwhile.
        """
        gone = False
        while True:
            await self.clock.sleep(MIND_SECONDS)
            why = await asyncio.to_thread(self.state.taken_away)
            if why is not None and gone:
                raise StateError(why)
            gone = why is not None

    async def _report_job(self) -> None:
        await self._keep_job()
        await self._refresh()
        if await self._keeping.do(self.station.refresh_passwords):
            log.info("a password was corrected: what waited for it is asked again")
            self.periodic.begin_again()

    async def _keep_job(self) -> None:
        """Write down everything seen since the last time; report it when enrolled.

        The disk is waited for beside the loop: one that is slow, or a file that a command holds, delays nobody's watching.
        """
        now = self._now()
        for watch in self.watches.values():
            watch.flush(now)
        for track in (*self.reach.values(), self.life):
            track.flush(now)
        if await self._keeping.do(partial(self._keep, now)):
            self._wake.set()

    def _keep(self, now: Millis) -> bool:
        """Store what is held; tell whether there may be reports to send.

        What was learnt goes first, for it was put before it was told of.
        """
        self.state.learn_budgets({name: budget.learnt for name, budget in self.station.budgets.items()})
        for name, file in (("state", self.state), ("pins", self.station.pins)):
            self.storage.attempt(name, file.settle)
        told = self.storage.look(now, self.state.agent, self._files(), self.pending)
        if told is not None:
            self.pending.append(told)
        self.storage.attempt("journal", self._keep_in_journal)
        with self._reporting:
            written = self.storage.attempt("outbox", self._write_reports)
            if written and self._owes_history:
                self.storage.attempt("history", self._tell_history)
        self.storage.note(self._files())
        return written

    def _keep_in_journal(self) -> None:
        with self.pending.journal.storing() as seen:
            self.journal.append(seen)

    def _write_reports(self) -> None:
        reporter = self._reporter()
        with self.pending.reports.storing() as seen:
            if reporter is not None:
                reporter.report(seen)
            else:
                self.outbox.try_again()

    def _report_again(self, sealed: bytes) -> bool:
        """Report anew what a report says that was sealed with an earlier key or nonce. Raises CollectorError, DatabaseError."""
        with self._reporting:
            try:
                reporter = self._reporter()
            except StateError as error:
                raise CollectorError(str(error)) from None
            return reporter is not None and reporter.again(sealed)

    def _is_counted(self, counts: bool) -> None:
        """Hear whether a report counts at the collector; once one does after others didn't, say anew what is not said each hour.

        This machine's clock was wrong: the collector doesn't know what the recorders' indexes held, nor what the site has.
        """
        if self.uncounted.hear(self.rounds, counts=counts, now=to_millis(self.clock.now())):
            log.warning("reports count at the collector again: the recorders' indexes are read anew for it")
            forget_history(self.state)
            self._owes_history = True
            self._declare()

    def _files(self) -> tuple[File, ...]:
        """Return how each of the agent's files stands."""
        journal, outbox = self.journal, self.outbox
        for kept in (self.state, self.station.breaker, self.station.pins):
            kept.try_again()
        unreadable = journal.unreadable + journal.unreadable_spans + self.judging.indexes.unreadable
        return (
            File("state", self.state.problem),
            File("journal", journal.problem, len(journal.set_aside), unreadable),
            File("outbox", outbox.problem, len(outbox.set_aside), self.storage.garbled(outbox)),
            File("breaker", self.station.breaker.problem),
            File("pins", self.station.pins.problem),
        )

    def _reporter(self) -> Reporter | None:
        """Return who writes reports; None while the agent is not enrolled."""
        enrolment = self.state.enrolment()
        if enrolment != self._enrolment:
            identity = self.state.identity()
            other = (
                self._enrolment is None or enrolment is None or enrolment.collector_key != self._enrolment.collector_key
            )
            self.reporter = None if identity is None else Reporter(self.outbox, self.clock, identity, self.state.boot)
            self._enrolment = enrolment
            if other and self.reporter is not None:
                self._declare()
                self._owes_history = True
        return self.reporter

    def _tell_history(self) -> None:
        if self.reporter is None:
            self._owes_history = False
            return
        self.state.settle()  # whoever enrolled the agent anew has said what is to be told
        now = to_millis(self.clock.now())
        self._owes_history = not tell_history(self.site, self.journal, self.state, self.reporter, now)

    async def _summary_job(self) -> None:
        """Report the days that ended since the last time, each as few spans."""
        await self._keeping.do(partial(self.storage.attempt, "summary", partial(self._sum_up, self._now())))

    def _sum_up(self, now: Millis) -> None:
        with self._reporting:
            reporter = self._reporter()
            if reporter is not None:
                sum_up(self.journal, self.state, reporter, now)

    async def _assignment_job(self) -> None:
        await self.assigned.pull()
        await self._refresh()

    async def _refresh(self) -> None:
        """See what others did beside this process: somebody may have enrolled the agent, or approved a view."""
        await self._keeping.do(self.assigned.refresh)
        await self._keeping.do(self.views.refresh)

    async def _budget_job(self) -> None:
        for budget in self.station.budgets.values():
            budget.try_more(self.clock.monotonic())

    async def _twins_job(self) -> None:
        self.twins.round(self._now())

    async def _loops_job(self) -> None:
        """Keep what is remembered of the stream of the camera whose turn it is."""
        for name in itertools.islice(self._loop_turn, 1):
            await self._keep_loop(name)

    async def _keep_loop(self, camera: str) -> None:
        if camera in self._unread:
            return
        kept = self.watches[camera].loop.kept(self.clock.now().timestamp())

        def keep() -> None:
            if self.state.taken_away() is None:
                self.loops.keep(camera, kept)

        await self._keeping.do(partial(self.storage.attempt, "loops", keep))

    async def _main_job(self) -> None:
        """Let the camera whose main stream was looked at longest ago look at it, when a day has passed."""
        kept = self.state.get("main_streams")
        looked: dict[str, JsonValue] = kept if isinstance(kept, dict) else {}
        now, every = self._now(), round(self.site.rhythm.main_stream_every * SECOND)
        waits = {name: at if isinstance(at := looked.get(name), int) else 0 for name in self._main_watched()}
        due = [name for name, at in waits.items() if not 0 <= now - at < every]
        if due:
            name = min(due, key=waits.__getitem__)
            self.watches[name].want_main()
            self.state.put("main_streams", {key: at for key, at in looked.items() if key in self.watches} | {name: now})

    def _main_watched(self) -> list[str]:
        """Return the cameras that are up and whose main stream is known."""
        return [
            item.id
            for item in self.site.cameras
            if item.id in self.watches and self.watches[item.id].stream.state == "up" and self.station.main_url(item)
        ]

    async def _life_job(self) -> None:
        """Say that the agent runs, and whether it sees anything of its site at all."""
        if self.station.anything_arrives() or await self.station.reach.site_answers():
            self.life.set(self._now(), "up")
        else:
            self.life.set(self._now(), "unknown", StreamCause.BLIND, detail="no device of the site answers")

    async def _reach_job(self, recorder_id: str) -> None:
        if recorder_id not in self.reach:
            return
        if self.station.frames_arrive(recorder_id):
            self.reach[recorder_id].set(self._now(), "up", detail="frames arrive through the recorder")
            return
        reached = await self.station.reach.ask(recorder_id)
        self.reach[recorder_id].set(self._now(), reached.state, reached.cause, detail=reached.detail)

    async def _look_job(self, recorder_id: str) -> None:
        scan, every = self.station.scans[recorder_id], self.site.rhythm.recorder_every
        calm = [self._is_calm("look", item.camera) for item in scan.cameras]
        await scan.look(self._keeps_for(every), every=every, calm=all(calm))

    async def _settings_job(self, recorder_id: str) -> None:
        await self.station.settings_scans[recorder_id].ask(self._keeps_for(self.site.rhythm.settings_every))

    async def _index_job(self, recorder_id: str) -> None:
        """Read what is due of the index: all of it at first, then what is new, and old days in turn."""
        retention = self.regulation.requirements.retention
        every, rounds = round(self.site.rhythm.index_every * SECOND), self.rounds[recorder_id]
        if self.uncounted.take(recorder_id):
            rounds.forget()
        await rounds.round(
            retention.required_days if retention else 2, calm=partial(self._is_calm, "index"), every=every
        )
        await self._keep_job()
        await self._judge()

    def _is_calm(self, job: str, camera: str) -> bool:
        """Tell whether a camera's stream is up, and was since this job last asked."""
        watch = self.watches.get(camera)
        if watch is None:
            return False
        before, now = self._reconnects.get((job, camera)), watch.state.reconnects
        self._reconnects[job, camera] = now
        return watch.stream.state == "up" and before == now

    async def _judge(self) -> None:
        """Judge what the journal holds, for the metrics and the proofs: on site the same figures are seen as at the centre."""
        assignment, declared = self.assigned.current(), self.site.inventory()
        await self.judging.judge(
            Asked(
                self._now(),
                assignment.apply_to(declared) if assignment is not None else declared,
                assignment.waivers if assignment is not None else (),
                self.views.approvals(),
                self.regulation,
            )
        )

    async def _proof_job(self, recorder_id: str) -> None:
        """Prove the footage of the recorder's camera whose turn it is, in its quiet hours."""
        known = self.judging
        if await self.proving.turn(recorder_id, known.facts, known.verdicts, self.regulation) is not None:
            await self._keep_job()
            await self._judge()

    async def _prune_job(self) -> None:
        while await self._keeping.do(partial(self.journal.prune, self._now())):
            pass  # one transaction after the other: what was seen is written in between
        self._declare()

    # --- parts --------------------------------------------------------------------------------------------------------

    def _declare(self) -> None:
        """Say what the institution has: it travels with the reports."""
        now = to_millis(self.clock.now())  # in whichever thread: a step of the clock is the loop's to notice
        facts: dict[str, JsonValue] = self.site.inventory().model_dump(mode="json", by_alias=True)
        self.pending.append(
            Observation(
                subject=Subject(kind="institution", id=self.site.institution.id), kind=Kind.INVENTORY, start=now,
                end=now, state="declared", source=Source.PERSON, expires=now + 10 * 365 * DAY, facts=facts,
            )
        )  # fmt: skip

    def _rounds(self, scan: RecorderScan) -> Rounds:
        rounds = Rounds(
            scan,
            zone=self.site.timezone,
            journal=self.journal,
            kept=self.state,
            keep=self._keep_job,
            now=self._now,
            progress=self.index_progress.__setitem__,
        )
        rounds.far_edge_every = round(self.site.rhythm.far_edge_every * 1000)
        return rounds

    def _watch(self, camera: CameraConfig) -> CameraWatch:
        async def around(cause: StreamCause, since: float) -> Around:
            return await self.station.around(camera, cause, since)

        return CameraWatch(
            camera.id,
            lambda: self.station.open(camera),
            around,
            self.station.budget(camera),
            self.tools,
            lambda: self.station.runs(camera),
            Sight(camera.bounds, lambda: self.views.of(camera.id), partial(self.station.says_offline, camera)),
            lambda: self.station.open_main(camera),
        )

    def _timings(self) -> Timings:
        rhythm = self.site.rhythm
        return Timings(
            look_every=rhythm.look_every,
            confirm_every=max(1.0, rhythm.look_every * 0.4),
            backoff_first=min(1.0, rhythm.reconnect_most),
            backoff_most=rhythm.reconnect_most,
            spread=len(self.site.cameras) / CONNECTIONS_A_SECOND,
            steady=min(STEADY_SECONDS, rhythm.main_stream_every / 8),
            main_look=min(MAIN_LOOK_SECONDS, rhythm.main_stream_every / 4),
            holds_for=self._holds_for(),
        )

    def _holds_for(self) -> float:
        """How long the last word may be presumed: two reports may be late, not more."""
        return 3 * max(self.site.rhythm.report_every, self.site.rhythm.reach_every) + 15.0

    def _keeps_for(self, every_seconds: float) -> Millis:
        """How long a recorder's answer holds: until the third asking after it has failed, an hour at the least."""
        return max(HOUR, round(3 * every_seconds * SECOND) + MINUTE)

    def _stepped(self, old: Millis, new: Millis) -> None:
        """The wall clock was set: what holds ends on the old one and goes on on the new one."""
        log.warning("this machine's clock was set", seconds=(new - old) / SECOND)
        for track in (*self.reach.values(), self.life):
            track.flush(old)
            track.restart(new)
        self.pending.append(clock_set(self.life.subject, old, new))
        self.periodic.begin_again()

    def _stood_still(self, old: Millis, new: Millis) -> None:
        """This process did nothing for a while: what it would have seen then is unknown, and so is that it ran."""
        log.warning("this process stood still; nothing was watched meanwhile", seconds=(new - old) / SECOND)
        for track in (*self.reach.values(), self.life):
            track.flush(old)
            track.restart(new)

    def _now(self) -> Millis:
        return self._wall.now()
