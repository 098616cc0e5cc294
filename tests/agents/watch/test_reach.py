"""Who answers: a recorder that is gone, and a line of our own that is cut."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading
from collections import Counter
from collections.abc import Mapping

import pytest

from agents.rtsp.address import AddressBook
from agents.watch.reach import FRESH_SECONDS, Answer, Endpoint, Reach, tcp_greet, tcp_knock
from monitor.model.clock import ManualClock, SystemClock
from monitor.model.observation import StreamCause
from monitor.model.span import from_millis
from support.ports import closed_port, full_backlog, say_nothing, talking

NVR, OTHER, GATEWAY = ("192.0.2.10", 80), ("192.0.2.11", 80), ("192.0.2.1", 80)
STREAMS = ("192.0.2.10", 554)


class Door:
    """Answers knocks as it is told, and counts them."""

    def __init__(self, answers: Mapping[Endpoint, Answer]) -> None:
        self.answers = dict(answers)
        self.knocks: Counter[Endpoint] = Counter()

    async def __call__(self, host: str, port: int) -> Answer:
        self.knocks[host, port] += 1
        await asyncio.sleep(0)
        return self.answers[host, port]


def reach_of(door: Door, clock: ManualClock | None = None) -> Reach:
    recorders = {"nvr": (NVR, STREAMS), "other": (OTHER,)}
    return Reach(door, clock or ManualClock(from_millis(0)), recorders, (GATEWAY,))


@pytest.mark.parametrize(
    ("web", "streams", "other", "gateway", "state"),
    [
        ("open", "open", "open", "open", "up"),
        ("open", "silent", "silent", "silent", "up"),
        ("silent", "open", "silent", "silent", "up"),
        ("refused", "open", "silent", "silent", "up"),
        ("refused", "refused", "silent", "silent", "down"),
        ("refused", "silent", "silent", "silent", "down"),
        ("silent", "silent", "open", "silent", "down"),
        ("silent", "silent", "refused", "silent", "down"),
        ("silent", "silent", "silent", "open", "down"),
        ("silent", "silent", "silent", "refused", "down"),
        ("silent", "silent", "silent", "silent", "unknown"),
        ("nameless", "nameless", "silent", "silent", "unknown"),
        ("nameless", "nameless", "nameless", "nameless", "unknown"),
        ("nameless", "open", "silent", "silent", "up"),
        ("nameless", "silent", "open", "silent", "down"),
    ],
)
async def test_table(web: Answer, streams: Answer, other: Answer, gateway: Answer, state: str) -> None:
    reached = await reach_of(Door({NVR: web, STREAMS: streams, OTHER: other, GATEWAY: gateway})).ask("nvr")
    assert reached.state == state
    cause = {"up": None, "down": StreamCause.RECORDER_UNREACHABLE, "unknown": StreamCause.BLIND}[state]
    assert reached.cause == cause
    assert reached.detail


@pytest.mark.parametrize(("gateway", "answers"), [("open", True), ("refused", True), ("silent", False)])
async def test_the_site_answers_when_anything_does(gateway: Answer, answers: bool) -> None:
    door = Door({NVR: "silent", STREAMS: "silent", OTHER: "silent", GATEWAY: gateway})
    assert await reach_of(door).site_answers() is answers


async def test_a_site_with_nothing_to_knock_at_isn_t_called_blind() -> None:
    reach = Reach(Door({}), ManualClock(from_millis(0)), {"folder": ()}, ())
    assert await reach.site_answers()
    assert not reach.is_device("folder")


CAMERA = ("192.0.2.50", 554)


@pytest.mark.parametrize(("camera", "answers", "state"), [("open", True, "down"), ("silent", False, "unknown")])
async def test_a_camera_at_an_address_of_its_own_is_a_device_of_the_site(
    camera: Answer, answers: bool, state: str
) -> None:
    door = Door({NVR: "silent", STREAMS: "silent", CAMERA: camera})
    reach = Reach(door, ManualClock(from_millis(0)), {"nvr": (NVR, STREAMS)}, (), (STREAMS, CAMERA))
    assert await reach.site_answers() is answers
    assert (await reach.ask("nvr")).state == state


async def test_one_question_serves_all_who_ask_at_the_same_time() -> None:
    door = Door({NVR: "silent", STREAMS: "silent", OTHER: "open", GATEWAY: "open"})
    clock = ManualClock(from_millis(0))
    reach = reach_of(door, clock)
    answers = await asyncio.gather(*(reach.ask("nvr") for _ in range(16)))
    assert {answer.state for answer in answers} == {"down"}
    assert door.knocks[NVR] == 1
    assert (await reach.ask("nvr")).state == "down"
    assert door.knocks[NVR] == 1
    clock.advance(FRESH_SECONDS)
    door.answers[NVR] = "open"
    assert (await reach.ask("nvr")).state == "up"
    assert door.knocks[NVR] == 2


async def test_one_who_gives_up_does_not_take_the_answer_from_the_others() -> None:
    reach = reach_of(Door({NVR: "open", STREAMS: "open", OTHER: "open", GATEWAY: "open"}))
    asking = [asyncio.create_task(reach.ask("nvr")) for _ in range(3)]
    await asyncio.sleep(0)
    asking[0].cancel()
    assert [item.state for item in await asyncio.gather(*asking[1:])] == ["up", "up"]


LOOPBACK = [ipaddress.ip_network("127.0.0.0/8")]


async def test_real_ports_are_open_refused_or_silent() -> None:
    knock = tcp_knock(AddressBook(LOOPBACK), seconds=0.4)
    async with talking(say_nothing) as port:
        assert await knock("127.0.0.1", port) == "open"
    assert await knock("127.0.0.1", closed_port()) == "refused"
    with full_backlog() as full:
        assert await knock("127.0.0.1", full) == "silent"


async def test_what_lies_outside_the_declared_networks_is_not_knocked_at() -> None:
    knock = tcp_knock(AddressBook([ipaddress.ip_network("192.0.2.0/24")]), seconds=0.4)
    reached = asyncio.Event()

    async def told(*_: object) -> None:
        reached.set()

    async with talking(told) as port:
        assert await knock("127.0.0.1", port) == "silent"
    assert not reached.is_set()


async def test_many_cameras_that_fail_together_ask_for_the_site_once() -> None:
    door = Door({NVR: "silent", STREAMS: "silent", OTHER: "silent", GATEWAY: "refused"})
    reach = reach_of(door)
    assert set(await asyncio.gather(*(reach.site_answers() for _ in range(16)))) == {True}
    assert set(door.knocks.values()) == {1}


async def test_the_first_answer_is_enough() -> None:
    never = asyncio.Event()

    async def knock(host: str, port: int) -> Answer:
        if (host, port) != GATEWAY:
            await never.wait()
        return "open"

    reach = Reach(knock, ManualClock(from_millis(0)), {"other": (OTHER,)}, (GATEWAY,))
    async with asyncio.timeout(5):
        assert await reach.site_answers()
    assert len(asyncio.all_tasks()) == 1, "nobody goes on knocking"


async def test_a_recorder_that_hangs_is_unreachable_though_its_kernel_accepts() -> None:
    """A stopped program's handshakes are completed by its kernel: nothing but an answer shows that it lives."""
    stop = asyncio.Event()

    async def hang(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await stop.wait()
        writer.close()

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    addresses = AddressBook([ipaddress.ip_network("127.0.0.0/8")])
    async with (
        await asyncio.start_server(hang, "127.0.0.1", 0) as hung,
        await asyncio.start_server(refuse, "127.0.0.1", 0) as alive,
    ):
        places = {
            name: [("127.0.0.1", server.sockets[0].getsockname()[1])]
            for name, server in (("hung", hung), ("alive", alive))
        }
        reach = Reach(tcp_knock(addresses), SystemClock(), places, (), greet=tcp_greet(addresses, 0.3))
        assert (await reach.ask("alive")).state == "up"
        found = await reach.ask("hung")
        assert (found.state, found.cause) == ("down", StreamCause.RECORDER_UNREACHABLE)
        assert "answers nothing" in found.detail
        stop.set()


async def test_a_recorder_whose_name_cannot_be_resolved_is_not_said_to_be_unreachable() -> None:
    """The site's name server comes up after the agent: nobody has asked the recorder anything."""
    door = Door({NVR: "nameless", STREAMS: "nameless", OTHER: "open", GATEWAY: "open"})
    reached = await reach_of(door).ask("nvr")
    assert (reached.state, reached.cause) == ("unknown", StreamCause.NO_CONNECTION)
    assert reached.detail == "the name 192.0.2.10 has no address: nobody was asked"


async def test_a_name_without_an_address_is_told_from_a_silent_port(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()

    def getaddrinfo(host: str, *_: object, **__: object) -> list[object]:
        if host == "hangs.example":
            over.wait(60)
        raise socket.gaierror(socket.EAI_AGAIN, "later")

    monkeypatch.setattr("agents.rtsp.address.socket.getaddrinfo", getaddrinfo)
    knock = tcp_knock(AddressBook([ipaddress.ip_network("127.0.0.0/8")]), 0.2)
    answers = await asyncio.gather(knock("gone.example", 80), knock("hangs.example", 80))
    assert set(answers) == {"nameless"}
    over.set()
