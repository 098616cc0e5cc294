"""Takes views of a site's cameras, compares them with those that are approved, and approves or proposes them."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pydantic import JsonValue

from agents.glance import next_picture
from agents.reporter import Reporter
from agents.rtsp.errors import StreamError
from agents.rtsp.request import Deadlines
from agents.rtsp.stream import Stream
from agents.site import CameraConfig, Site
from agents.sketch import sketch
from agents.state import State
from agents.station import Station
from agents.views import ApprovedView, ViewBook
from agents.vision.diagnose import OK
from agents.vision.eye import Eye
from agents.vision.fingerprint import Fingerprint, merge
from agents.vision.match import overlap
from agents.watch.budget import FULL_RETRIES, Seat
from agents.watch.decoder import DecodeError, Decoder
from monitor.model.clock import Clock
from monitor.model.observation import Kind, Observation, Source, StreamCause, Subject
from monitor.model.span import DAY, SECOND, Basis, Millis, isoformat, to_millis
from monitor.model.view import Proposal, view_id

DEADLINES = Deadlines(connect=3.0, answer=4.0, total=8.0, first_frame=25.0, stall=10.0)
"""Many devices begin with their next keyframe, which may be 20 s away."""

UNUSABLE = frozenset({"signal_lost", "black", "corrupt", "frozen", "dark", "bright"})
"""States in which a picture has nothing in it that a later one could be held against."""

HOLDS_FOR: Millis = 3660 * DAY - DAY
"""A proposal waits for an officer for as long as it takes."""

_EXTENSIONS = {"h264": "h264", "h265": "h265", "mjpeg": "jpg"}

Told = Callable[[str], None]


class BaselineError(Exception):
    """Views can't be taken or approved as asked; the text is one sentence."""


@dataclass(frozen=True)
class Taking:
    """How a view is taken: people who walk through are voted out over several looks."""

    looks: int = 5
    least_looks: int = 2
    """With fewer pictures nobody can be told from a wall."""
    apart_seconds: float = 2.0
    most_seconds: float = 45.0
    """Keyframes may be 20 s apart."""
    keyframe_seconds: float = 22.0
    """So long one is waited for before frames from a recovery point on will do."""


@dataclass(frozen=True)
class Compared:
    """How far a view taken now is one that is approved."""

    view: ApprovedView
    overlap: float


@dataclass(frozen=True)
class Taken:
    """One camera's view as it is now, or why it could not be taken."""

    camera: str
    problem: str = ""
    """One sentence; empty when a view was taken that can be approved."""
    state: str = ""
    """What its looks show, held against the approved views."""
    looks: int = 0
    fingerprint: Fingerprint | None = None
    compared: tuple[Compared, ...] = ()
    codec: str = ""
    keyframe: bytes = field(default=b"", repr=False)
    outcome: str = "shown"
    """shown, approved, proposed; refused where it was to be approved and has a problem."""

    @property
    def in_force(self) -> Compared | None:
        """The approved view of the same light, compared."""
        light = None if self.fingerprint is None else self.fingerprint.light
        return next((item for item in self.compared if item.view.light == light), None)

    def to_json(self) -> dict[str, JsonValue]:
        """Return its form for scripts: every key, whether or not a view was taken."""
        view = self.fingerprint
        overlaps: list[JsonValue] = [
            {
                "light": item.view.light, "view": item.view.view, "overlap": round(item.overlap, 4),
                "by": item.view.by, "confirmed": item.view.confirmed,
            }
            for item in self.compared
        ]  # fmt: skip
        return {
            "camera": self.camera,
            "state": self.state or None,
            "light": None if view is None else view.light,
            "looks": self.looks,
            "view": None if view is None else view_id(view.to_json()),
            "overlaps": overlaps,
            "outcome": self.outcome,
            "problem": self.problem or None,
        }


@dataclass(frozen=True)
class _Look:
    light: str
    state: str
    view: Fingerprint
    keyframe: bytes


async def take_views(
    site: Site,
    clock: Clock,
    book: ViewBook,
    cameras: Sequence[CameraConfig],
    taking: Taking | None = None,
    *,
    one_at_a_time: bool = False,
    learnt: Mapping[str, int] | None = None,
) -> list[Taken]:
    """Look at the cameras, all at once within each recorder's sessions; return their views in the order given.

    `one_at_a_time` is for a recorder whose sessions a running service holds already: those left are people's. `learnt`
    are session budgets known from earlier runs, by recorder.
    Raises SecretError or OptionsError when the site can't be asked at all.
    """
    station, decoder = Station(site, clock, lambda _: None, deadlines=DEADLINES, learnt=learnt), Decoder()
    if one_at_a_time:
        for budget in station.budgets.values():
            budget.limit = 1
    try:
        return list(
            await asyncio.gather(
                *(_Taker(station, decoder, item, book.of(item.id), taking or Taking()).take() for item in cameras)
            )
        )
    finally:
        await decoder.close()
        await station.close()


class _Taker:
    """Takes the view of one camera."""

    def __init__(
        self,
        station: Station,
        decoder: Decoder,
        camera: CameraConfig,
        approved: Sequence[ApprovedView],
        taking: Taking,
    ) -> None:
        self._station = station
        self._decoder = decoder
        self._camera = camera
        self._approved = approved
        self._taking = taking
        bounds = camera.bounds
        self._eye = Eye(bounds.day, [item.fingerprint for item in approved], by_light=bounds.of)
        self._looks: list[_Look] = []
        self._undecoded = ""
        self._codec = ""

    async def take(self) -> Taken:
        if not self._station.site.has_stream(self._camera):
            return Taken(self._camera.id, "it has no stream: the recorder's index shows no picture")
        clock, budget = self._station.clock, self._station.budget(self._camera)
        since = clock.monotonic()
        for attempt in range(FULL_RETRIES + 1):
            async with budget.session(self._camera.id) as seat:
                try:
                    await self._through(seat)
                    break
                except StreamError as error:
                    if len(self._looks) >= self._taking.least_looks:
                        break
                    if attempt == FULL_RETRIES or not await self._is_full(error, since, seat):
                        return Taken(self._camera.id, f"{error.stage}: {error.detail}", looks=len(self._looks))
            await clock.sleep(1.0 + attempt)
        return self._taken()

    async def _through(self, seat: Seat) -> None:
        """Open the stream and look at it. Raises StreamError."""
        stream = await self._station.open(self._camera)
        try:
            seat.playing()
            self._codec = stream.info.codec
            await self._look_on(stream)
        finally:
            await asyncio.gather(stream.close(), return_exceptions=True)

    async def _is_full(self, error: StreamError, since: float, seat: Seat) -> bool:
        """Tell whether a recorder that is full stands behind it: then the camera's turn comes when others are through."""
        _, cause = await self._station.meaning_of(self._camera, error, since, seat)
        return cause is StreamCause.RECORDER_FULL

    async def _look_on(self, stream: Stream) -> None:
        """Look at keyframes until there are enough or the time is up. Raises StreamError when the stream ends first."""
        pictures = asyncio.create_task(self._pictures(stream))
        try:
            while not pictures.done():
                frames = asyncio.create_task(stream.batch())
                await asyncio.wait({pictures, frames}, return_when=asyncio.FIRST_COMPLETED)
                if not frames.done():
                    frames.cancel()
                await asyncio.gather(frames, return_exceptions=True)
                if frames.done() and not frames.cancelled() and not pictures.done():
                    frames.result()
                    self._station.runs(self._camera)
            await pictures
        finally:
            pictures.cancel()
            await asyncio.gather(pictures, return_exceptions=True)

    async def _pictures(self, stream: Stream) -> None:
        clock = self._station.clock
        until = clock.monotonic() + self._taking.most_seconds
        while len(self._looks) < self._taking.looks and (left := until - clock.monotonic()) > 0:
            keyframe = await next_picture(stream, left, self._taking.keyframe_seconds)
            if keyframe is None:
                return
            info = stream.info
            try:
                looked = await self._decoder.look(self._camera.id, info.codec, keyframe, (info.width, info.height))
            except DecodeError as error:
                self._undecoded = str(error)
            else:
                judged = self._eye.look(looked.measures, looked.view)
                self._looks.append(_Look(looked.view.light, judged.conditions.state, looked.view, keyframe))
                if len(self._looks) == self._taking.looks:
                    return
            await clock.sleep(min(self._taking.apart_seconds, max(0.0, until - clock.monotonic())))

    def _taken(self) -> Taken:
        """Put the looks together: those of the commonest light, for the light may change in between."""
        if not self._looks:
            return Taken(self._camera.id, self._undecoded or "no picture came: there was no keyframe in time")
        light = Counter(look.light for look in self._looks).most_common(1)[0][0]
        looks = [look for look in self._looks if look.light == light]
        state = Counter(look.state for look in looks[1:] or looks).most_common(1)[0][0]
        taken = Taken(
            self._camera.id,
            state=state,
            looks=len(looks),
            fingerprint=merge([look.view for look in looks]),
            codec=self._codec,
            keyframe=looks[-1].keyframe,
        )
        if len(looks) < self._taking.least_looks:
            return replace(
                taken, problem=f"only {len(looks)} picture came in time; {self._taking.least_looks} are needed"
            )
        if state in UNUSABLE:
            return replace(taken, problem=f"the picture is {state.replace('_', ' ')}: there is nothing to approve")
        compared = tuple(Compared(item, overlap(_view(taken), item.fingerprint)) for item in self._approved)
        return replace(taken, compared=compared)


def _view(taken: Taken) -> Fingerprint:
    if taken.fingerprint is None:
        raise BaselineError(f"camera {taken.camera}: no view was taken")
    return taken.fingerprint


def approve(site: Site, state: State, clock: Clock, book: ViewBook, taken: Sequence[Taken], by: str) -> list[Taken]:
    """Approve the views in the name of `by`; once enrolled, propose them: an officer confirms at the centre.

    Views with a problem are refused. Each approval is written down as an observation; what it was held against, and
    how far it overlaps, stays with it. Raises BaselineError without a name, DatabaseError when nothing can be kept.
    """
    who = by.strip()[:200]
    if not who:
        raise BaselineError("--by is empty: write the name of the person who vouches for these views")
    enrolled = state.enrolment() is not None
    at = to_millis(clock.now())
    sound = [item for item in taken if not item.problem]
    observations = [_observation(item, at, who, proposed=enrolled) for item in sound]
    journal = state.journal()
    try:
        journal.append(observations)
    finally:
        journal.close()
    if enrolled and observations:
        _report(state, clock, observations)
    for item in sound:
        if not enrolled:
            book.approve(item.camera, _view(item), at, who)
        if site.keep_images:
            _keep_image(state, item)
    done = "proposed" if enrolled else "approved"
    return [replace(item, outcome="refused" if item.problem else done) for item in taken]


def _observation(taken: Taken, at: Millis, by: str, *, proposed: bool) -> Observation:
    view, held = _view(taken), taken.in_force
    written = view.to_json()
    facts = Proposal(
        light=view.light,
        view=view_id(written),
        by=by,
        looks=taken.looks,
        overlap=None if held is None else round(held.overlap, 4),
        state=taken.state or OK,
        sketch=sketch(view),
        fingerprint=written,
    ).model_dump(mode="json")
    return Observation(
        subject=Subject(kind="camera", id=taken.camera), kind=Kind.BASELINE, start=at, end=at,
        state="proposed" if proposed else "approved", basis=Basis.ATTESTED, source=Source.PERSON,
        expires=at + HOLDS_FOR, facts=facts,
    )  # fmt: skip


def _report(state: State, clock: Clock, observations: Sequence[Observation]) -> None:
    outbox = state.outbox()
    try:
        identity = state.identity()
        if identity is not None:
            Reporter(outbox, clock, identity, state.boot).report(observations)
    finally:
        outbox.close()


def _keep_image(state: State, taken: Taken) -> None:
    """Keep the camera's own keyframe, as it came, for its owner alone; it is never sent anywhere."""
    folder = state.directory / "views"
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"{taken.camera}-{_view(taken).light}.{_EXTENSIONS.get(taken.codec, 'bin')}"
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(taken.keyframe)


def as_json(site: Site, at: Millis, taken: Sequence[Taken]) -> dict[str, JsonValue]:
    """Return the form for scripts."""
    return {
        "schema": "cradlewatch.baseline/1",
        "institution": site.institution.id,
        "as_of": isoformat(at // SECOND * SECOND),
        "cameras": [item.to_json() for item in taken],
    }
