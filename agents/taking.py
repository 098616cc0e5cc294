"""Takes a view of each camera: two rounds of looks, a minute apart, so that whoever stands there may leave."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from pydantic import JsonValue

from agents.glance import next_picture
from agents.rtsp.errors import StreamError
from agents.rtsp.request import Deadlines
from agents.rtsp.stream import Stream
from agents.site import CameraConfig, Site
from agents.station import Station
from agents.views import ApprovedView, ViewBook
from agents.vision.eye import Eye
from agents.vision.fingerprint import Fingerprint, merge
from agents.vision.light import Light
from agents.vision.match import overlap
from agents.vision.pair import telling_cells
from agents.vision.settling import MOST_GONE, without_what_left
from agents.watch.budget import FULL_RETRIES, Seat
from agents.watch.decoder import DecodeError, Decoder
from monitor.model.clock import Clock
from monitor.model.observation import StreamCause
from monitor.model.view import COMPARED, FAILED, NOT_TAKEN, OTHER_LIGHT, view_id

DEADLINES = Deadlines(connect=3.0, answer=4.0, total=8.0, first_frame=25.0, stall=10.0)
"""Many devices begin with their next keyframe, which may be 20 s away."""

UNUSABLE = frozenset({"signal_lost", "black", "corrupt", "frozen", "dark", "bright"})
"""States in which a picture has nothing in it that a later one could be held against."""

SAYS_NOTHING = UNUSABLE | {"blurred", "noisy", "striped"}
"""States in which a second look doesn't tell whether what the view shows is still there."""

LEAST_CELLS = 25.0
"""Cells whose structure counts. A room has 150 and more, half of them behind a hand; a lens that is covered all over has a few, of what is at the border."""

WORTH_SAYING = 0.1
"""Share of a view that has to have left for it to be told."""

EMPTY = (
    "the picture shows hardly an edge beside its lettering, so that nothing could be held against this view later:"
    " see that the lens is not covered and in focus, and that the camera does not look at a bare wall"
)

_Named = TypeVar("_Named", bound=str)

Told = Callable[[int, float], None]
"""Told, after the first round, how many cameras are looked at again, and in how many seconds the first of them."""


@dataclass(frozen=True)
class Taking:
    """How a view is taken: who walks through is voted out over several looks, who stands there by a second round."""

    looks: int = 5
    least_looks: int = 2
    """With fewer pictures nobody can be told from a wall."""
    apart_seconds: float = 2.0
    most_seconds: float = 45.0
    """Keyframes may be 20 s apart."""
    keyframe_seconds: float = 22.0
    """So long one is waited for before frames from a recovery point on will do."""
    again_looks: int = 3
    """Of the second round, which only says what is still there; 0: there is none."""
    again_seconds: float = 60.0
    """From the end of a camera's first round to its second: who stands there has seen what is going on, and left."""

    @property
    def once(self) -> Taking:
        """The same without a second round."""
        return replace(self, again_looks=0)


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
    note: str = ""
    """What who approves it should know, in one sentence: what the second round took away, or why it said nothing."""
    second_look: str = NOT_TAKEN
    """What came of the second round, as `Proposal.second_look` has it."""
    left_ratio: float | None = None
    """How much of what the view showed had left by then."""
    state: str = ""
    """What its looks show, held against the approved views."""
    looks: int = 0
    """How many pictures the view was merged from: those of the first round."""
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
            "note": self.note or None,
            "second_look": self.second_look,
            "left_ratio": self.left_ratio,
        }


async def take_views(
    site: Site,
    clock: Clock,
    book: ViewBook,
    cameras: Sequence[CameraConfig],
    taking: Taking | None = None,
    *,
    one_at_a_time: bool = False,
    learnt: Mapping[str, int] | None = None,
    told: Told | None = None,
) -> list[Taken]:
    """Look at the cameras, all at once within each recorder's sessions; return their views in the order given.

    `one_at_a_time` is for a recorder whose sessions a running service holds already: those left are people's. `learnt`
    are session budgets known from earlier runs, by recorder. No session is held between a camera's two rounds, and
    turns are given in the order in which they were asked for: so where a recorder serves few, all have their first
    round before any has its second.
    Raises SecretError or OptionsError when the site can't be asked at all.
    """
    station, decoder = Station(site, clock, lambda _: None, deadlines=DEADLINES, learnt=learnt), Decoder()
    if one_at_a_time:
        for budget in station.budgets.values():
            budget.limit = 1
    takers = [_Taker(station, decoder, item, book.of(item.id), taking or Taking()) for item in cameras]
    new = len(takers)

    async def take(taker: _Taker) -> Taken:
        nonlocal new
        await taker.take()
        new -= 1
        waiting = [one.again_at for one in takers if one.again_at is not None]
        if not new and waiting and told is not None:
            told(len(waiting), max(0.0, min(waiting) - clock.monotonic()))
        await taker.look_again()
        return taker.taken

    try:
        return list(await asyncio.gather(*(take(item) for item in takers)))
    finally:
        await decoder.close()
        await station.close()


@dataclass(frozen=True)
class _Look:
    light: Light
    state: str
    view: Fingerprint
    keyframe: bytes


@dataclass
class _Round:
    """One round of looks at a camera."""

    eye: Eye
    wanted: int
    """So many looks are enough."""
    looks: list[_Look] = field(default_factory=list)
    undecoded: str = ""
    codec: str = ""

    def of(self, light: Light) -> list[_Look]:
        return [look for look in self.looks if look.light == light]

    @property
    def light(self) -> Light:
        """That of most looks: it may change in between."""
        return _commonest([look.light for look in self.looks])


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
        self.taken = Taken(camera.id)
        """The view, as far as it is known."""
        self.again_at: float | None = None
        """Monotonic: when the second round is due; None before it is known that there is one, and once it has begun."""

    async def take(self) -> None:
        """Take the view in a first round of looks."""
        if not self._station.site.has_stream(self._camera):
            self.taken = replace(self.taken, problem="it has no stream: the recorder's index shows no picture")
            return
        first = self._round([item.fingerprint for item in self._approved], self._taking.looks)
        failure = await self._look(first)
        self.taken = Taken(self._camera.id, failure, looks=len(first.looks)) if failure else self._seen(first)
        if not self.taken.problem and self._taking.again_looks:
            self.again_at = self._station.clock.monotonic() + self._taking.again_seconds

    async def look_again(self) -> None:
        """Wait until the second round is due, and leave out of the view what isn't there any more."""
        if self.again_at is None or self.taken.fingerprint is None:
            return
        await self._station.clock.sleep(max(0.0, self.again_at - self._station.clock.monotonic()))
        self.again_at = None
        second = self._round([self.taken.fingerprint], self._taking.again_looks)
        failure = await self._look(second)
        self.taken = self._seen_again(self.taken, self.taken.fingerprint, second, failure)

    def _round(self, approved: Sequence[Fingerprint], wanted: int) -> _Round:
        bounds = self._camera.bounds
        return _Round(Eye(bounds.day, approved, by_light=bounds.of), wanted)

    async def _look(self, now: _Round) -> str:
        """Take the camera's turn for one round; return why there are too few looks, empty where there aren't."""
        clock, budget = self._station.clock, self._station.budget(self._camera)
        since = clock.monotonic()
        for attempt in range(FULL_RETRIES + 1):
            async with budget.session(self._camera.id) as seat:
                try:
                    await self._through(seat, now)
                    return ""
                except StreamError as error:
                    if len(now.looks) >= self._taking.least_looks:
                        return ""
                    if attempt == FULL_RETRIES or not await self._is_full(error, since, seat):
                        return f"{error.stage}: {error.detail}"
            await clock.sleep(1.0 + attempt)
        return ""

    async def _through(self, seat: Seat, now: _Round) -> None:
        """Open the stream and look at it. Raises StreamError."""
        stream = await self._station.open(self._camera)
        try:
            seat.playing()
            now.codec = stream.info.codec
            await self._look_on(stream, now)
        finally:
            await asyncio.gather(stream.close(), return_exceptions=True)

    async def _is_full(self, error: StreamError, since: float, seat: Seat) -> bool:
        """Tell whether a recorder that is full stands behind it: then the camera's turn comes when others are through."""
        _, cause = await self._station.meaning_of(self._camera, error, since, seat)
        return cause is StreamCause.RECORDER_FULL

    async def _look_on(self, stream: Stream, now: _Round) -> None:
        """Look at keyframes until there are enough or the time is up. Raises StreamError when the stream ends first."""
        pictures = asyncio.create_task(self._pictures(stream, now))
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

    async def _pictures(self, stream: Stream, now: _Round) -> None:
        clock = self._station.clock
        until = clock.monotonic() + self._taking.most_seconds
        while len(now.looks) < now.wanted and (left := until - clock.monotonic()) > 0:
            keyframe = await next_picture(stream, left, self._taking.keyframe_seconds)
            if keyframe is None:
                return
            info = stream.info
            try:
                looked = await self._decoder.look(self._camera.id, info.codec, keyframe, (info.width, info.height))
            except DecodeError as error:
                now.undecoded = str(error)
            else:
                judged = now.eye.look(looked.measures, looked.view, codec=info.codec)
                now.looks.append(_Look(looked.view.light, judged.conditions.state, looked.view, keyframe))
                if len(now.looks) == now.wanted:
                    return
            await clock.sleep(min(self._taking.apart_seconds, max(0.0, until - clock.monotonic())))

    def _seen(self, first: _Round) -> Taken:
        """Put the looks of the first round together: those of one light."""
        if not first.looks:
            return replace(self.taken, problem=first.undecoded or "no picture came: there was no keyframe in time")
        looks = first.of(first.light)
        state = _state(looks)
        view = merge([look.view for look in looks])
        taken = replace(
            self.taken,
            state=state,
            looks=len(looks),
            fingerprint=view,
            codec=first.codec,
            keyframe=looks[-1].keyframe,
        )
        if len(looks) < self._taking.least_looks:
            return replace(
                taken, problem=f"only {len(looks)} picture came in time; {self._taking.least_looks} are needed"
            )
        if state in UNUSABLE:
            return replace(taken, problem=f"the picture is {_word(state)}: there is nothing to approve")
        if telling_cells(view) < LEAST_CELLS:
            return replace(taken, problem=EMPTY)
        return replace(taken, compared=self._compared(view))

    def _compared(self, view: Fingerprint) -> tuple[Compared, ...]:
        return tuple(Compared(item, overlap(view, item.fingerprint)) for item in self._approved)

    def _seen_again(self, taken: Taken, view: Fingerprint, second: _Round, failure: str) -> Taken:
        """Leave out of a view what the second round doesn't show.

        A round that says nothing of it refuses nothing either: the view is what it would have been without one, and
        who approves it is told. What shows that the camera looks elsewhere, or that most has gone, refuses it: then
        the view is of no use.
        """
        looks = second.of(view.light)
        mute = self._mute(looks, view.light, second, failure)
        if mute is not None:
            code, why = mute
            note = f"{why}, so who stood there at the first look counts as part of the view"
            return replace(taken, note=note, second_look=code)
        kept, gone = without_what_left(view, [look.view for look in looks])
        moved = _state(looks) == "moved"
        if moved or gone > MOST_GONE:
            at_second = (
                "the camera seemed to look elsewhere"
                if moved
                else f"{gone:.0%} of what it had shown was gone or hidden"
            )
            return replace(
                taken,
                problem=f"the picture changed too much while its view was taken: at the second look {at_second}; "
                "take it again when the camera stays as it is and nobody stands before it",
            )
        note = f"{gone:.0%} of what it showed was gone or hidden at the second look, and doesn't count"
        note = note if gone >= WORTH_SAYING else ""
        return replace(
            taken,
            fingerprint=kept,
            compared=self._compared(kept),
            note=note,
            second_look=COMPARED,
            left_ratio=round(gone, 4),
        )

    def _mute(self, looks: Sequence[_Look], light: Light, second: _Round, failure: str) -> tuple[str, str] | None:
        """Return why the second round says nothing of the view, as a code and in a few words; None where it does."""
        if failure:
            return FAILED, f"there was no second look ({failure})"
        if len(second.looks) < self._taking.least_looks:
            return FAILED, f"there was no second look ({second.undecoded or 'too few pictures came in time'})"
        state = _state(second.looks)
        if state in SAYS_NOTHING:
            return state, f"at the second look the picture was {_word(state)}"
        if len(looks) < self._taking.least_looks:
            # Shadows, lamps and what infrared light makes of cloth differ: what is missing need not have left.
            return OTHER_LIGHT, f"at the second look the light was another ({second.light} instead of {light})"
        return None


def _commonest(items: Sequence[_Named]) -> _Named:
    return Counter(items).most_common(1)[0][0]


def _state(looks: Sequence[_Look]) -> str:
    """Return what most looks show; the first one, which has none before it, says least."""
    return _commonest([look.state for look in looks[1:] or looks])


def _word(state: str) -> str:
    return state.replace("_", " ")
