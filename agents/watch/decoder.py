"""Keyframes to measures, through a child process that is killed when it takes too long or too much."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.limited import MAX_PIXELS, command, environment
from agents.vision.film import FilmFrame
from agents.vision.fingerprint import Fingerprint
from agents.vision.imprint import IMPRINT_BYTES, Imprint, from_bytes
from agents.vision.measure import Measures
from agents.vision.offset import Offset
from agents.watch.answer import OtherFormError, read
from agents.watch.processor import processor_seconds

LOOK_SECONDS = 5.0
START_SECONDS = 30.0
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "OPENCV_FOR_THREADS_NUM": "1"}
"""Pictures are small: threads that wait for each other cost more than half of a look."""
KEPT_MEMORY = {"MALLOC_TRIM_THRESHOLD_": str(64 << 20), "MALLOC_MMAP_THRESHOLD_": str(32 << 20)}
"""Planes come and go with each look: giving their pages back to the kernel and fetching them anew cost a tenth of it."""
TURN_SECONDS = 10.0
"""So long a look waits for those of other cameras; a keyframe that is older then is not looked at any more."""

MOST_FILMS = 4
"""Of a site's cameras so many are filmed at a time: a film may take 8 MiB here, and as much again on its way to the child."""

MAX_ANSWER = 4 << 20
"""Far more than the views of all keyframes that are looked at in one go; a child that was taken over may say anything."""

_Answer = tuple[dict[str, Any], bytes]
"""What the child says in JSON, and what follows that."""

_Timed = tuple[dict[str, Any], bytes, float]
"""And how many seconds of its processor time that took."""

Size = tuple[int | None, int | None]
"""Width and height in pixels, as the stream's parameter sets say; None while unknown."""


class DecodeError(Exception):
    """A keyframe could not be turned into a picture; the text says why."""

    def __init__(self, why: str, seconds: float = 0.0) -> None:
        """Take what it cost of the decoder's processor time, where that is known: what comes to nothing may be dear, too."""
        super().__init__(why)
        self.seconds = seconds


class DecoderKilledError(DecodeError):
    """The keyframe cost the decoder its life: it took too long, or too much."""


class DecoderBusyError(DecodeError):
    """The decoder was busy with other cameras' pictures for too long: nothing is said of this one."""


@dataclass(frozen=True)
class Looked:
    """One picture: its size in pixels, its measures, and what is kept of its view."""

    width: int
    height: int
    measures: Measures
    view: Fingerprint
    imprint: Imprint | None = None
    """Of its noise; None where the picture is too small."""
    seconds: float = 0.0
    """How much of the decoder's processor time it took: on a busy machine a usual picture takes long, and is none the dearer."""


@dataclass(frozen=True)
class Developed:
    """The last frames of a film, and how much of the decoder's processor time it took."""

    frames: tuple[FilmFrame, ...]
    seconds: float = 0.0


@dataclass(frozen=True)
class Filmed:
    """Keyframes of a recorded file: its codec, and when the first of them is shown, in seconds after the first frame."""

    codec: str
    first_seconds: float
    looks: tuple[Looked, ...]


class Decoder:
    """One child process for all cameras, one keyframe at a time; started when first needed, and again after a kill."""

    def __init__(self, look_seconds: float = LOOK_SECONDS, turn_seconds: float = TURN_SECONDS) -> None:
        """Start nothing yet. A look may take `look_seconds`, and the wait for it `turn_seconds`."""
        self._look_seconds = look_seconds
        self._turn_seconds = turn_seconds
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()
        self.films = asyncio.Semaphore(MOST_FILMS)
        """Taken for as long as frames are put together for a film and decoded."""
        self._exchange: asyncio.Task[_Timed] | None = None
        self._started = False
        self.restarts = 0

    async def look(self, camera: str, codec: str, keyframe: bytes, announced: Size = (None, None)) -> Looked:
        """Decode and measure one keyframe. Raises DecodeError; the child is killed when it exceeds its time.

        First come, first served: a look waits for those before it, and for `turn_seconds` at most.
        A picture `announced` as larger than any camera's is refused before anything is done for it.
        """
        width, height = announced
        if (width or 0) * (height or 0) > MAX_PIXELS:
            raise DecodeError(f"the stream announces a picture of {width} x {height}, larger than any camera's")
        header = {"camera": camera, "codec": {"h265": "hevc"}.get(codec, codec)}
        _, told, seconds = await self._asked(header, keyframe)
        with _making_sense():
            return Looked(*read(told), seconds)

    async def film(self, codec: str, frames: Sequence[bytes], last: int, earlier: Imprint) -> Developed:
        """Decode frames one after the other, the first one a keyframe; of the `last` ones that are shown return what they leave beside an earlier look. Raises DecodeError."""
        header = {"codec": {"h265": "hevc"}.get(codec, codec), "film": [len(item) for item in frames], "last": last}
        answer, data, seconds = await self._asked(header, b"".join((*frames, earlier.tobytes())))
        with _making_sense():
            offsets = [None if item is None else _offset(item) for item in answer["offsets"]]
            found = zip(_imprints(data, len(offsets)), offsets, strict=True)
            return Developed(tuple(FilmFrame(*item) for item in found), seconds)

    async def look_at_file(self, camera: str, path: Path, offset_seconds: float, most: int) -> Filmed:
        """Decode and measure `most` keyframes of a recorded file, from the one before `offset_seconds` on.

        Raises DecodeError, also for a file that can't be read.
        """
        where = {"path": str(path), "offset_seconds": offset_seconds, "most": most}
        answer, _, seconds = await self._asked({"camera": f"file/{camera}", "codec": "", **where}, b"")
        with _making_sense():
            looks = tuple(_looked(item, seconds) for item in answer["looks"])
            return Filmed(str(answer["codec"]), float(answer["first_seconds"]), looks)

    async def _asked(self, header: dict[str, Any], data: bytes) -> _Timed:
        """Wait for a turn, and ask the child. Raises DecodeError, also for what it could not decode."""
        await self._take_turn()
        self._exchange = asyncio.create_task(self._exchanged(json.dumps(header).encode() + b"\n" + data))
        self._exchange.add_done_callback(_heard)
        # Whoever is cancelled leaves the answer to be read by nobody: to kill the child would cost all others a second.
        answer, told, seconds = await asyncio.shield(self._exchange)
        if "error" in answer:
            raise DecodeError(str(answer["error"]), seconds)
        return answer, told, seconds

    async def close(self) -> None:
        """End the child, and what it is at."""
        if self._exchange is not None:
            self._exchange.cancel()
            await asyncio.gather(self._exchange, return_exceptions=True)
        await self._kill()

    async def _take_turn(self) -> None:
        try:
            async with asyncio.timeout(self._turn_seconds):
                await self._turn.acquire()
        except TimeoutError:
            raise DecoderBusyError(f"the decoder was busy for {self._turn_seconds:g} s") from None

    async def _exchanged(self, request: bytes) -> _Timed:
        """Ask the child, and give the turn back. Raises DecodeError."""
        try:
            process, loop = await self._running(), asyncio.get_running_loop()
            began, used = loop.time(), processor_seconds(process.pid)
            async with asyncio.timeout(self._look_seconds if process.returncode is None else 0):
                answer, cells = await _ask(process, request)
            uses = processor_seconds(process.pid)
            return answer, cells, loop.time() - began if used is None or uses is None else uses - used
        except (TimeoutError, OSError, EOFError, ValueError, TypeError) as error:
            await self._kill()
            raise DecoderKilledError("the decoder took too long or died on this keyframe") from error
        finally:
            self._turn.release()

    async def _running(self) -> asyncio.subprocess.Process:
        if self._process is not None and self._process.returncode is None:
            return self._process
        self.restarts += self._started
        self._started = True
        try:  # what fails here is no keyframe's fault: a machine without memory, or with too many processes
            self._process = await asyncio.create_subprocess_exec(
                *command("agents.watch.decoder_child"),
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
                env=environment() | ONE_THREAD | KEPT_MEMORY,
            )  # fmt: skip
            async with asyncio.timeout(START_SECONDS):
                warm, _ = await _ask(self._process, b'{"camera": "", "codec": "h264"}\n')
        except (TimeoutError, OSError, EOFError, ValueError, TypeError) as error:
            await self._kill()
            raise DecodeError("the decoder could not be started") from error
        if "error" not in warm:
            raise DecodeError("the decoder answers nonsense")
        return self._process

    async def _kill(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        transport = getattr(process, "_transport", None)
        if transport is not None:
            transport.close()


def _looked(answer: dict[str, Any], seconds: float) -> Looked:
    measures, view = Measures.from_numbers(answer["measures"]), Fingerprint.from_json(answer["view"])
    return Looked(int(answer["width"]), int(answer["height"]), measures, view, seconds=seconds)


def _imprints(data: bytes, count: int) -> list[Imprint]:
    """Read so many imprints at the end of an answer. Raises ValueError for fewer bytes."""
    start = len(data) - count * IMPRINT_BYTES
    if start < 0 or count < 0:
        raise ValueError("an answer without its imprints")
    return [from_bytes(data[at : at + IMPRINT_BYTES]) for at in range(start, len(data), IMPRINT_BYTES)]


def _offset(numbers: Sequence[float]) -> Offset:
    """Read where a frame lies. Raises ValueError or TypeError for anything else."""
    right, down, alike = numbers
    if not all(type(item) in {int, float} and math.isfinite(item) for item in (right, down, alike)):
        raise TypeError("an offset that is no number")
    return Offset(right, down, alike)


def _heard(exchange: asyncio.Task[_Timed]) -> None:
    """Take note of an exchange's end, as nobody else may."""
    if not exchange.cancelled():
        exchange.exception()


async def _ask(process: asyncio.subprocess.Process, request: bytes) -> _Answer:
    if process.stdin is None or process.stdout is None:
        raise OSError("the decoder has no pipes")
    process.stdin.write(struct.pack(">I", len(request)) + request)
    await process.stdin.drain()
    (length,) = struct.unpack(">I", await process.stdout.readexactly(4))
    if length > MAX_ANSWER:
        raise ValueError(f"an answer of {length} bytes")
    told, _, cells = (await process.stdout.readexactly(length)).partition(b"\n")
    try:
        answer = _ANSWERS.decode(told.decode())
    except RecursionError as error:
        raise ValueError("an answer that is nested without end") from error
    if not isinstance(answer, dict):
        raise TypeError("an answer that is no object")
    return answer, cells


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no measure")


_ANSWERS = json.JSONDecoder(parse_constant=_no_number)


@contextlib.contextmanager
def _making_sense() -> Iterator[None]:
    """Read what the child said. Raises DecodeError where that is in another form than its own."""
    try:
        yield
    except OtherFormError as error:
        raise DecodeError(str(error)) from error
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:
        raise DecodeError("the decoder answers nonsense") from error
