"""One camera: its stream held open (or visited in turns), its outages with their causes, its pictures looked at."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from pydantic import JsonValue

from agents.bounds import Bounds
from agents.rtsp.errors import StreamError
from agents.rtsp.rtp import FrameEvent
from agents.rtsp.stream import Stream, StreamInfo
from agents.views import ApprovedView, agreed_view
from agents.vision.diagnose import OK, Diagnosis, look
from agents.vision.eye import Eye, Judged
from agents.vision.loop import Loop
from agents.watch.awake import Awake
from agents.watch.begins import Begins
from agents.watch.budget import Budget, Seat
from agents.watch.decoder import DecodeError, Decoder, DecoderBusyError, DecoderKilledError
from agents.watch.ended import ended
from agents.watch.failure import Around, meaning
from agents.watch.filming import Filming
from agents.watch.gauge import Gauge, Rates, facts_of
from agents.watch.looking import Rhythm
from agents.watch.main_look import look_at_main
from agents.watch.placeholder import PLAYS_PLACEHOLDER, Offline, Placeholder, nobody_says
from agents.watch.track import Sink, Track
from agents.watch.wall import Wall
from monitor.model.clock import Clock
from monitor.model.observation import Kind, Observation, StreamCause, Subject
from monitor.model.span import SECOND, Basis, Millis, to_millis

OPENING_RATIO = 0.25
"""Of a visit, until its first frame."""
OPENING_SECONDS = 5.0
"""After this a session that plays nothing yet keeps nobody waiting who wants to know how many a recorder serves."""


@dataclass(frozen=True)
class Timings:
    """How often and how long, in seconds."""

    look_every: float = 10.0
    confirm_every: float = 4.0
    """Between looks while a change is being confirmed."""
    keyframe_wait: float = 25.0
    """Keyframes may be 10 to 20 s apart."""
    unseen_after: float = 300.0
    """Without any picture that stands alone for this long, the view is said to be unknown."""
    turn: float = 4.0
    """How long a camera that shares a session is visited, at least, unless the others would come too late."""
    turn_gap: float = 300.0
    """Between two visits of one camera, at most; what both saw is assumed in between, as sampled."""
    backoff_first: float = 1.0
    backoff_most: float = 60.0
    spread: float = 0.0
    """Over so many seconds more the attempts of a site's cameras are spread, for they all fail at the same moment."""
    steady: float = 30.0
    """A stream that ran this long starts its back-off anew, and may be left for the recorded one for a moment."""
    main_look: float = 10.0
    """How long the recorded stream is watched when it is looked at."""
    holds_for: float = 180.0
    """How long the last state may be presumed when no report follows."""


@dataclass(frozen=True)
class Sight:
    """By what one camera's pictures are judged."""

    bounds: Bounds = field(default_factory=Bounds)
    views: Callable[[], Sequence[ApprovedView]] = tuple
    """Returns the approved views that are in force now."""
    offline: Offline = nobody_says
    """Tells whether a picture without any signal is the recorder's placeholder."""


Opener = Callable[[], Awaitable[Stream]]
"""Opens the camera's stream; the only I/O that is injected."""

Surroundings = Callable[[StreamCause, float], Awaitable[Around]]
"""Finds out what is known around a stream that failed, tried since the given monotonic second."""


@dataclass(frozen=True)
class Tools:
    """What all cameras of a site share."""

    decoder: Decoder
    clock: Clock
    sink: Sink
    timings: Timings
    seed: int = 0
    """Of the jitter: cameras that come back together don't stampede."""
    awake: Awake | None = None
    """Knows when the process stood still; None: it never does."""


@dataclass
class CameraState:
    """What metrics show of a camera."""

    info: StreamInfo | None = None
    """What the stream is, None before the first frame."""
    rates: Rates | None = None
    frames: int = 0
    bytes: int = 0
    lost_packets: int = 0
    looks: int = 0
    reconnects: int = 0


@dataclass(frozen=True)
class _Failure:
    """What a failed stream means, as `meaning` says it."""

    state: str
    cause: StreamCause
    detail: str
    basis: Basis


class CameraWatch:
    """Watches one camera for ever."""

    def __init__(
        self,
        camera_id: str,
        opener: Opener,
        surroundings: Surroundings,
        budget: Budget,
        tools: Tools,
        runs: Callable[[], None] | None = None,
        sight: Sight | None = None,
        main: Opener | None = None,
    ) -> None:
        """Start nothing yet; the sink is told what was seen whenever `flush` is called. `main` opens what is recorded."""
        timings, sink = tools.timings, tools.sink
        subject = Subject(kind="camera", id=camera_id)
        holds_for = self._holds_for = round(timings.holds_for * SECOND)
        self.camera_id = camera_id
        self.stream = Track(subject, Kind.STREAM, sink, holds_for)
        self.view = Track(subject, Kind.VIEW, sink, holds_for)
        self.state = CameraState()
        self._opener = opener
        self._surroundings = surroundings
        self._budget = budget
        self._runs = runs or (lambda: None)
        """Told whenever frames arrive: the recorder's other cameras go by it."""
        self._decoder = tools.decoder
        self._clock = tools.clock
        self._sink = sink
        self._timings = timings
        self._sight = sight or Sight()
        self._bounds_digest = self._sight.bounds.digest()
        self._random = random.Random(f"{camera_id}/{tools.seed}")  # noqa: S311  (jitter, no secret)
        self._eye = Eye(self._sight.bounds.day, by_light=self._sight.bounds.of)
        self._filming = Filming(self._eye, tools.decoder, tools.clock)
        self._diagnosis = Diagnosis()
        # Whether a look is due soon, though there is no change yet to be confirmed; whether it was told since when a recording is played as live.
        self._undecided, self._loop_told = False, False
        self._main, self._main_wanted = main, False
        self._placeholder = Placeholder(self._sight.offline, tools.clock)
        self._gauge: Gauge | None = None
        self._newest: FrameEvent | None = None
        self._seen_until: Millis = 0
        self._looked_until: Millis = 0
        self._followed_since: Millis = 0
        """Since when the stream was watched without an outage, or was visited in turns that all saw it."""
        self._last_visit: Millis | None = None
        self._last_look: Millis | None = None
        """When the picture was last seen, if the stream has been watched since."""
        self._looked_at = 0.0
        """The monotonic second of the last look that worked."""
        self._doubt: _Failure | None = None
        """Why a stream that ran has failed, until it is back or has failed again."""
        self._begins = Begins()
        self._hurried = False
        """Whether the first packet is waited for less long than a healthy device may take, for the sake of the others' turns."""
        self._sampled = False
        self._shared_at = 0.0
        """The monotonic second at which the session was last one of turns: begun as a visit, or with others waiting."""
        self._rhythm = Rhythm(timings.look_every, timings.confirm_every)
        self._look_due = 0.0
        self._awake_since: Millis = 0
        """When the process last stood still, until when."""
        self._wall_clock = Wall(tools.clock, self._stepped, tools.awake, self._stood_still)

    async def run(self) -> None:
        """Connect, watch, and connect again; ends only when cancelled."""
        backoff = self._timings.backoff_first
        begin_within = max(self._timings.spread, min(1.0, self._timings.backoff_first))
        await self._clock.sleep(self._random.random() * begin_within)
        while True:
            began = self._clock.monotonic()
            failed = await self._visit()
            if not failed or self._clock.monotonic() - began > self._timings.steady:
                backoff = self._timings.backoff_first
            if failed:
                self.state.reconnects += 1
                spread = self._timings.spread * self._random.random()
                await self._clock.sleep(backoff * self._random.uniform(0.7, 1.3) + spread)
                backoff = min(backoff * 2, self._timings.backoff_most)

    def flush(self, now: Millis) -> None:
        """Hand on what is sure up to `now`: frames up to the last that came, views up to the last that agreed."""
        self._now()  # the clock may have been set since the last frame
        self._note_rates()
        self.stream.flush(min(now, self._seen_until) if self.stream.state == "up" else now)
        self.view.flush(min(now, self._looked_until))

    @property
    def stands(self) -> str | None:
        """How the stream stands now: between two visits as the last one left it, for as long as that is assumed."""
        last = self._last_visit
        if self.stream.state is None and last is not None:
            return "up" if to_millis(self._clock.now()) - last <= round(self._assumed * SECOND) else None
        return self.stream.state

    @property
    def shows(self) -> str:
        """What the picture shows, as its looks confirmed; `unknown` where the stream isn't known to run either."""
        return "unknown" if self.stands is None else self.view.state or "unknown"

    @property
    def showing(self) -> Eye | None:
        """What the camera shows now; None unless its picture is good, and was looked at lately."""
        lately = self._clock.monotonic() - self._looked_at <= self._assumed
        return self._eye if lately and self.view.state == OK else None

    @property
    def loop(self) -> Loop:
        """What is remembered of the stream's frames: some of it is kept over restarts."""
        return self._eye.loop

    def want_main(self) -> None:
        """Ask for a short look at the stream that is recorded, as soon as the camera's own session is at hand."""
        self._main_wanted = self._main is not None

    def _note_rates(self) -> None:
        """Let the stream's codec, size and rates go with what is handed on."""
        if self._gauge is None or self.state.info is None or self.stream.state != "up":
            return
        self.state.rates = self._gauge.take(self._newest) or self.state.rates
        facts = facts_of(self.state.info, self.state.rates)
        self.stream.note(lambda: facts)

    async def _visit(self) -> bool:
        """Hold one session until the stream fails (True) or another camera's turn comes (False)."""
        async with self._budget.session(self.camera_id) as seat:
            returns = False
            while True:
                tried = self._clock.monotonic()
                if self._budget.waiting:
                    self._sampled = True
                try:
                    stream = await self._opener()
                except StreamError as error:
                    await self._failed(error, tried, seat)
                    return True
                self._wait_for_first(stream, returns=returns)
                try:
                    await self._watch(stream, seat)
                except StreamError as error:
                    await self._failed(error, tried, seat)
                    return True
                finally:
                    await _close(stream)
                if seat.is_leaving or self._main is None:
                    break
                # In the session that is the camera's anyway: nobody else's is taken for it, on site or here.
                self._main_wanted, returns = False, True
                seconds, subject, patience = self._timings.main_look, self.stream.subject, self._patience
                self._sink(await look_at_main(subject, self._main, self._clock, seconds, self._seen, patience))
        self._leave()
        return False

    async def _watch(self, stream: Stream, seat: Seat) -> None:
        """Take frames and look at pictures until something else is due: another camera's turn, or the main stream.

        Raises StreamError when frames end, and what a look or a film failed with that nobody foresaw: a camera whose
        picture nobody looks at any more would pass for one that is watched.
        """
        looking = asyncio.create_task(self._look_on(stream))
        opening = asyncio.get_running_loop().call_later(OPENING_SECONDS, seat.aside)
        self._gauge = Gauge(stream.info.clock_rate)
        self._filming.begin(stream)
        self._shared_at = self._clock.monotonic()
        first: float | None = None
        """A visit counts from its first frame on: many devices wait for their next keyframe."""
        try:
            while True:
                events = await stream.batch()
                if first is None:
                    first = self._clock.monotonic()
                    self._begins.began(first - self._shared_at)
                if events:
                    self._take(events, self._gauge)
                    self._seen(events[0].received_at, events[-1].received_at)
                    self._newest = events[-1]
                seat.playing()
                self._runs()
                if looking.done():
                    await ended(looking)
                self.state.info = stream.info
                if self._main_due(first):
                    return
                if self._must_yield(first):
                    seat.leaving()
                    return
        finally:
            opening.cancel()
            looking.cancel()
            try:
                await ended(looking)
            finally:
                await self._filming.end()

    def _take(self, events: Sequence[FrameEvent], gauge: Gauge) -> None:
        """Take note of frames: once for all of a read, since a site's cameras have a thousand a second."""
        state = self.state
        state.frames += len(events)
        state.bytes += sum([event.bytes for event in events])
        state.lost_packets += sum([event.lost for event in events])
        gauge.frames(events)
        self._eye.frames(self._filming.sent(events))

    def _wait_for_first(self, stream: Stream, *, returns: bool = False) -> None:
        """Give a stream the time that it may take to begin, unless what ran must soon be known to be lost.

        Who `returns` from the main stream has lost nothing: the camera was left, and a keyframe may have been near by chance when it was opened before.
        """
        patience, self._hurried = self._patience, False
        if self.stream.state != "up" or self._begins.late or (returns and not self._begins.always_at_once):
            stream.wait_for_first(patience)
            self._hurried = patience < self._timings.keyframe_wait and not self._begins.always_at_once

    @property
    def _patience(self) -> float:
        """For how long a first packet may be waited for, unless a camera that ran must soon be known to be lost."""
        return min(self._timings.keyframe_wait, self._budget.turn(self._timings.turn_gap))

    def _main_due(self, first: float) -> bool:
        stays = self._stays(1) if self._budget.waiting else self._timings.steady
        return self._main_wanted and self._clock.monotonic() - first >= stays

    def _must_yield(self, first: float) -> bool:
        if self._budget.over:
            return True
        if not self._budget.crowded:
            return False
        stayed = self._clock.monotonic() - first
        looked = self._looked_until >= self._seen_until - round(self._timings.turn * SECOND)
        return stayed >= self._stays(1 if looked else 3)

    def _stays(self, turns: int) -> float:
        """Return how many seconds a visit lasts, so many turns, or fewer where all cameras would else not have theirs in time."""
        room = (1 - OPENING_RATIO) * self._budget.turn(self._timings.turn_gap)
        return min(turns * self._timings.turn, room)

    def _seen(self, first: float, last: float) -> None:
        """Frames came between two monotonic instants: the wall clock is read once for all of them."""
        at = self._wall(first)
        # What was taken when the process ran again may have come before: that it runs now is all that it shows.
        at, last_at = max(at, self._awake_since), at + round((last - first) * SECOND)
        held = self._is_held_again(last)
        basis = Basis.SAMPLED if self._sampled else Basis.WATCHED
        if self._doubt is not None:
            self._settle(self._doubt)  # it is back: a blip, logged with its own cause
        if self._placeholder.plays:
            self._play_placeholder(at)
        elif self.stream.state != "up" and not self._bridge(at):
            self._followed_since = at
        if not self._placeholder.plays and (self.stream.state != "up" or held):
            self.stream.set(at, "up", basis=basis)
        self._seen_until = max(self._seen_until, last_at)

    def _play_placeholder(self, at: Millis) -> None:
        """The frames that come from `at` on are the recorder's own: the camera is gone."""
        self.stream.set(at, "down", StreamCause.CHANNEL_OFFLINE, detail=PLAYS_PLACEHOLDER, basis=Basis.RECORDER_SAYS)

    @property
    def _assumed(self) -> float:
        """For how many seconds between two visits what both saw is assumed: a turn may come a little late."""
        return self._timings.turn_gap * 1.5

    def _is_held_again(self, now: float) -> bool:
        """Tell whether the connection is held from now on: for as long as two visits are apart nobody else has waited for it."""
        if self._budget.waiting:
            self._sampled, self._shared_at = True, now
        if not self._sampled or now - self._shared_at <= self._timings.turn_gap:
            return False
        self._sampled = False
        self.stream.holds_for = self.view.holds_for = self._holds_for
        return True

    def _bridge(self, at: Millis) -> bool:
        """Between two visits that both saw frames, frames are assumed: basis sampled says so. Return whether it is so."""
        last, self._last_visit = self._last_visit, None
        if last is None or not 0 < at - last <= round(self._assumed * SECOND):
            return False
        self._sink(
            Observation(
                subject=self.stream.subject,
                kind=Kind.STREAM,
                start=last,
                end=at,
                state="up",
                basis=Basis.SAMPLED,
                expires=at + round(self._assumed * SECOND),
            )
        )
        return True

    def _leave(self) -> None:
        """End a visit that went well: until the next one nothing is watched."""
        until = self._seen_until
        self._sampled = True
        self._last_look = None
        hold = round(self._assumed * SECOND)
        self.stream.holds_for = self.view.holds_for = hold
        self.view.flush(self._looked_until)
        if not self._placeholder.plays:  # a camera that is down is so between two visits, too
            self.stream.forget(until)
            self._last_visit = until

    async def _failed(self, error: StreamError, tried: float, seat: Seat) -> None:
        """Say since when the camera is down or unknown, and why.

        A stream that was closed is not called anything before it failed to come back once: a recorder that loses its
        power closes its streams a moment before it stops to answer, and then it is the recorder that is gone.
        """
        around = await self._surroundings(error.cause, tried)
        ran = self._newest is not None
        cut_short = self._hurried and error.cause is StreamCause.STALLED and not seat.is_playing
        tells_nothing = error.inconclusive or cut_short
        around = replace(around, was_playing=seat.is_playing, never_ran=not ran, inconclusive=tells_nothing)
        state, cause = meaning(error.cause, around)
        if cause is StreamCause.RECORDER_FULL:
            seat.refused()
        self._last_visit = None
        self._lose_sight()
        basis = Basis.RECORDER_SAYS if cause is StreamCause.CHANNEL_OFFLINE else Basis.WATCHED
        failure = _Failure(state, cause, error.detail[:500], basis)
        if error.cause is StreamCause.CLOSED and self.stream.state == "up" and self._doubt is None:
            self._doubt = failure
        else:
            self._settle(failure)

    def _settle(self, failure: _Failure) -> None:
        """Let a failure stand: from the last frame on when the stream had run, else from now."""
        at = self._seen_until if self.stream.state == "up" else self._now()
        self._doubt = None
        self.stream.flush(min(at, self._seen_until))
        self.stream.set(at, failure.state, failure.cause, detail=failure.detail, basis=failure.basis)

    async def _look_on(self, stream: Stream) -> None:
        """Look at keyframes for as long as the stream lives."""
        clock = self._clock
        if self._rhythm.failures:  # a new connection is no reason to look sooner
            await clock.sleep(max(0.0, self._look_due - clock.monotonic()))
        self._look_due = clock.monotonic()
        while True:
            keyframe = await self._next_keyframe(stream)
            came = clock.monotonic()
            await self._look(stream, keyframe)
            self._filming.go_on(self._keyframe_seconds)
            now = clock.monotonic()
            soon = self._undecided or self._diagnosis.confirming
            wait = self._rhythm.wait(confirming=soon, keyframe_seconds=self._keyframe_seconds)
            self._look_due = max(came + wait, now)
            await clock.sleep(self._look_due - now)

    @property
    def _keyframe_seconds(self) -> float | None:
        """From one keyframe to the next: as lately, else as in the minute before."""
        lately = None if self._gauge is None else self._gauge.keyframe_seconds
        return lately or (None if self.state.rates is None else self.state.rates.keyframe_seconds)

    async def _next_keyframe(self, stream: Stream) -> bytes:
        """Wait for a keyframe, however long; one that doesn't come for long leaves the view unknown."""
        asked_at = self._clock.monotonic()
        while (keyframe := await stream.next_keyframe(self._timings.keyframe_wait)) is None:
            waited = self._clock.monotonic() - asked_at
            if waited >= self._timings.unseen_after:
                self._unseen(self._now(), f"no keyframe came for {waited:.0f} s")
        return keyframe

    def _lose_sight(self) -> None:
        """Nobody saw the picture since the last look: what the next ones show holds from then on."""
        self._last_look = None
        self._diagnosis = Diagnosis(self._diagnosis.state, self._diagnosis.since)
        self.view.forget(self._looked_until)

    def _unseen(self, at: Millis, why: str) -> None:
        """Say that the picture can't be told, nor could it since the last one that was seen."""
        since = at if self.view.state is None else self._looked_until
        self.view.set(since, "unknown", StreamCause.DECODE_ERROR, detail=why)
        self._last_look = None
        self._diagnosis = Diagnosis(self._diagnosis.state, self._diagnosis.since)
        self._looked_until = at

    async def _look(self, stream: Stream, keyframe: bytes) -> None:
        asked, info = self._clock.monotonic(), stream.info
        try:
            looked = await self._decoder.look(self.camera_id, info.codec, keyframe, (info.width, info.height))
        except DecoderBusyError:
            return  # others were in the way: this look says nothing of the camera
        except DecodeError as error:
            self._rhythm.broke(error.seconds, costly=isinstance(error, DecoderKilledError))
            if self._rhythm.blind:
                self._unseen(self._wall(asked), str(error))
            return
        sent_at = asked if self._gauge is None else min(asked, self._gauge.keyframe_sent_at or asked)
        at = self._sent_at(sent_at)  # only now: the wall clock may have been set while the picture was decoded
        if asked - self._looked_at > self._assumed and self.view.state != "unknown":
            self._lose_sight()
        self._looked_at = asked
        self._rhythm.looked(looked.seconds)
        self.state.looks += 1
        approved = self._sight.views()
        self._eye.approved = tuple(item.fingerprint for item in approved)
        taken = self._filming.taken(looked.imprint)
        judged = self._eye.look(looked.measures, looked.view, taken, codec=info.codec)
        self._undecided = judged.undecided
        self._diagnosis = look(self._diagnosis, judged.conditions, at, judged.thresholds, self._last_look)
        self._last_look = at
        state = self._diagnosis.state
        if state is not None and not self._diagnosis.confirming:
            await self._tell_placeholder(state)
            at = self._sent_at(sent_at)  # the wall clock may have been set while the recorder was asked
            agreed = agreed_view(judged.matched, approved) if state == OK else None
            # Another light, or a view approved since: from this look on it agrees with another view.
            since = at if self.view.state == state and self.view.cause != agreed else self._known_since(at)
            figures = partial(_figures, judged, self._bounds_digest)
            basis = Basis.SAMPLED if self._sampled else Basis.WATCHED
            if state != "looped" or self.view.state != state:
                self._loop_told = False
            if state == "looped" and judged.looped_since is not None and not self._loop_told:
                # Its noise may say that it is a recording before its frames say since when. What was played before an outage, too, was not seen while it lasted.
                began = max(self._wall(judged.looped_since), self._followed_since)
                self._was_looped(began, since, basis, figures())
                self._loop_told = True
            self.view.set(since, state, agreed, basis=basis, facts=figures)
            self._looked_until = at

    def _sent_at(self, monotonic: float) -> Millis:
        """Return when a picture was sent: after the one before it, and while the stream was watched."""
        return max(self._wall(monotonic), self._looked_until, self._followed_since)

    async def _tell_placeholder(self, state: str) -> None:
        """Say that the camera is gone when what is confirmed to be shown is its recorder's placeholder, or that it is back."""
        played = self._placeholder.plays
        if await self._placeholder.confirmed(state) == played:
            return
        since = self._diagnosis.since
        if self._placeholder.plays:
            # Of what came before the very first look nothing else is known: a start of the agent ends no outage.
            self._play_placeholder(since if self._looked_until else min(since, self._followed_since))
        else:
            self._followed_since = since
            self.stream.set(since, "up", basis=Basis.SAMPLED if self._sampled else Basis.WATCHED)

    def _known_since(self, at: Millis) -> Millis:
        """Return since when the diagnosed state holds: what held before the picture couldn't be told does so from now on."""
        since = self._diagnosis.since
        return at if self.view.state in {None, "unknown"} and since <= self._looked_until else since

    def _was_looped(self, start: Millis, end: Millis, basis: Basis, facts: dict[str, JsonValue]) -> None:
        """Say that the pictures since `start` were a recording, though each of them looked well: only now it is known."""
        if start < end:
            self._sink(
                Observation(
                    subject=self.view.subject,
                    kind=Kind.VIEW,
                    start=start,
                    end=end,
                    state="looped",
                    basis=basis,
                    expires=end + self.view.holds_for,
                    facts=facts,
                )
            )

    def _stepped(self, old: Millis, new: Millis) -> None:
        """The wall clock was set: end what held on the old one, so that the step itself is nobody's time."""
        self.stream.flush(min(old, self._seen_until) if self.stream.state == "up" else old)
        self.view.flush(min(old, self._looked_until))
        for track in (self.stream, self.view):
            track.restart(new)
        self._seen_until += new - old
        self._looked_until += new - old
        self._awake_since += new - old
        self._followed_since = new
        self._last_visit = self._last_look = None
        self._diagnosis = self._diagnosis.shifted(new - old)

    def _stood_still(self, old: Millis, new: Millis) -> None:
        """Nobody watched from `old` to `new`: what was seen ends there, and what is seen from now on begins anew."""
        self._awake_since = new
        self._doubt = None
        if self.stream.state == "up":
            self.stream.forget(min(old, self._seen_until))
        else:
            self.stream.flush(old)
            self.stream.restart(new)
        self.view.forget(min(old, self._looked_until))
        self._last_visit = self._last_look = None

    def _now(self) -> Millis:
        return self._wall_clock.now()

    def _wall(self, monotonic: float) -> Millis:
        """Turn a monotonic instant of the recent past into wall time."""
        return self._now() - round((self._clock.monotonic() - monotonic) * SECOND)


def _figures(judged: Judged, thresholds: str) -> dict[str, JsonValue]:
    """Return a look's numbers, and by which thresholds it was judged."""
    return {**judged.scores, "thresholds": thresholds}


async def _close(stream: Stream) -> None:
    """Close a stream; that the device is slow to let go is no reason to stop watching."""
    with contextlib.suppress(StreamError, TimeoutError, OSError):
        await stream.close()
