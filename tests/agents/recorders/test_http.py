"""The conversation with a recorder's web interface: logins that are never repeated, deadlines, caps, redirects, TLS."""

import asyncio
import gzip
import socket
import ssl
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from agents.recorders.base import RecorderError
from agents.recorders.http import MAX_BODY_BYTES, DeviceHttp
from agents.recorders.settings import OptionsError
from monitor.model.clock import ManualClock
from support.old_tls import OLD, grown_old
from support.parts import require
from support.recorder_http import NOW, PASSWORD, Asked, Door, Reply, behind, recorder_settings, serving


def ok(_: Asked) -> Reply:
    return Reply(200, b"<ok/>")


async def cause_of(http: DeviceHttp, path: str = "/x") -> str:
    with pytest.raises(RecorderError) as error:
        await http.fetch("GET", path)
    await http.close()
    assert error.value.detail.endswith(".")
    assert PASSWORD not in str(error.value)
    return error.value.cause


@pytest.mark.parametrize(
    ("algorithm", "qop"),
    [(algorithm, "auth") for algorithm in ("MD5", "MD5-sess", "SHA-256", "SHA-256-sess")]
    + [("MD5", "auth,auth-int"), ("MD5", None), ("SHA-256", None)],
)
async def test_digest_logs_in(tmp_path: Path, algorithm: Any, qop: Any) -> None:
    door = Door(algorithms=(algorithm,), qop=qop)
    async with serving(behind(door, ok)) as server:
        http = DeviceHttp(recorder_settings(tmp_path, server.url), 5)
        answer = await http.fetch("POST", "/a?format=json", content=b"<b/>")
        await http.close()
    assert (answer.status, answer.body) == (200, b"<ok/>")
    assert (door.accepted, door.refused) == (1, 0)
    assert server.asked[-1].body == b"<b/>"


async def test_of_two_challenges_the_stronger_is_answered(tmp_path: Path) -> None:
    door = Door(algorithms=("MD5", "SHA-256"))
    async with serving(behind(door, ok)) as server:
        http = DeviceHttp(recorder_settings(tmp_path, server.url), 5)
        await http.fetch("GET", "/")
        await http.close()
    assert "algorithm=SHA-256" in server.asked[-1].headers["authorization"]


async def test_a_refused_login_is_sent_once_and_then_held(tmp_path: Path) -> None:
    door = Door(password="another")
    async with serving(behind(door, ok)) as server:
        settings = recorder_settings(tmp_path, server.url)
        assert await cause_of(DeviceHttp(settings, 5)) == "unauthorized"
        assert await cause_of(DeviceHttp(settings, 5)) == "credentials_held"
        # another start of the agent, the same file of the breaker
        assert await cause_of(DeviceHttp(recorder_settings(tmp_path, server.url), 5)) == "credentials_held"
    assert door.refused == 1


async def test_sixteen_at_once_with_a_wrong_password_send_one(tmp_path: Path) -> None:
    door = Door(password="another")
    async with serving(behind(door, ok)) as server:
        settings = recorder_settings(tmp_path, server.url)
        causes = await asyncio.gather(*(cause_of(DeviceHttp(settings, 5)) for _ in range(16)))
    assert door.refused == 1
    assert sorted(set(causes)) == ["credentials_held", "unauthorized"]


@pytest.mark.parametrize("passed", [0, 59, 61])
async def test_a_password_that_changes_between_two_requests_costs_at_most_two_refusals(
    tmp_path: Path, passed: float
) -> None:
    door, clock = Door(), ManualClock(NOW)
    async with serving(behind(door, ok)) as server:
        http = DeviceHttp(recorder_settings(tmp_path, server.url, clock=clock), 5)
        await http.fetch("GET", "/x")
        door.password = "another"
        clock.advance(passed)
        assert await cause_of(http) == "unauthorized"
        assert await cause_of(http) == "credentials_held"
        assert await cause_of(DeviceHttp(recorder_settings(tmp_path, server.url, clock=clock), 5)) == "credentials_held"
    assert door.refused == (2 if passed < 60 else 1)


@pytest.mark.parametrize(("algorithm", "qop", "wire"), [
    ("MD5", "auth", 11), ("SHA-256", "auth", 11), ("MD5", "auth-int,auth", 11), ("MD5-sess", "auth", 20), ("MD5", None, 20),
])  # fmt: skip
async def test_one_challenge_serves_a_round(tmp_path: Path, algorithm: str, qop: str | None, wire: int) -> None:
    door = Door(algorithms=(algorithm,), qop=qop)
    async with serving(behind(door, ok)) as server:
        http = DeviceHttp(recorder_settings(tmp_path, server.url, clock=ManualClock(NOW)), 5)
        for number in range(10):
            assert (await http.fetch("GET", f"/{number}")).logged_in
        await http.close()
    assert (door.accepted, door.refused, len(server.asked)) == (10, 0, wire)
    counts = [asked.headers["authorization"].partition("nc=")[2][:8] for asked in server.asked if asked.has_credentials]
    if wire == 11:
        assert counts == [f"{number:08x}" for number in range(1, 11)]


async def test_the_next_round_asks_for_a_nonce_of_its_own(tmp_path: Path) -> None:
    door, clock = Door(), ManualClock(NOW)
    async with serving(behind(door, ok)) as server:
        http = DeviceHttp(recorder_settings(tmp_path, server.url, clock=clock), 5)
        for _ in range(3):
            await http.fetch("GET", "/a")
            await http.fetch("GET", "/b")
            clock.advance(61)
        await http.close()
    assert len(server.requests(with_credentials=False)) == 3


async def test_nonces_for_one_use_are_tried_twice_once_in_a_process(tmp_path: Path) -> None:
    door, clock = Door(nonces_once=True), ManualClock(NOW)
    async with serving(behind(door, ok)) as server:
        http = DeviceHttp(recorder_settings(tmp_path, server.url, clock=clock), 5)
        for _ in range(5):
            assert (await http.fetch("GET", "/x")).status == 200
            clock.advance(20)
        await http.close()
    assert (door.accepted, door.refused) == (5, 1)
    assert len(server.requests(with_credentials=False)) == 5


async def test_a_device_whose_nonces_run_out_is_asked_with_younger_ones(tmp_path: Path) -> None:
    door, clock = Door(), ManualClock(NOW)
    async with serving(behind(door, ok)) as server:
        http = DeviceHttp(recorder_settings(tmp_path, server.url, clock=clock), 5)
        await http.fetch("GET", "/x")
        clock.advance(40)
        door.stale_next = True
        await http.fetch("GET", "/x")
        asked = len(server.asked)
        clock.advance(19)
        await http.fetch("GET", "/x")
        assert len(server.asked) == asked + 1
        clock.advance(2)
        await http.fetch("GET", "/x")
        assert len(server.asked) == asked + 3
        await http.close()
    assert door.refused == 0


async def test_a_locked_user_is_known_from_the_first_answer(tmp_path: Path) -> None:
    door = Door()
    lock = b"<userCheck><lockStatus>lock</lockStatus></userCheck>"
    locked: list[Asked] = []

    def answer(asked: Asked) -> Reply:
        if not locked:
            return door.check(asked) or ok(asked)
        locked.append(asked)
        return Reply(401, lock, (("WWW-Authenticate", 'Digest realm="r", nonce="n", qop="auth"'),))

    async with serving(answer) as server:
        http = DeviceHttp(recorder_settings(tmp_path, server.url), 5)
        await http.fetch("GET", "/x")
        locked.append(server.asked[-1])
        assert await cause_of(http) == "unauthorized"
        assert await cause_of(http) == "credentials_held"
    assert [one.has_credentials for one in locked[1:]] == [True, False]


async def test_a_connection_that_was_closed_under_a_used_nonce_begins_anew(tmp_path: Path) -> None:
    door = Door()
    cut: list[Asked] = []

    def answer(asked: Asked) -> Reply:
        if asked.target == "/cut" and not cut:
            cut.append(asked)
            return Reply(raw=b"")
        return door.check(asked) or ok(asked)

    async with serving(answer) as server:
        http = DeviceHttp(recorder_settings(tmp_path, server.url), 5)
        await http.fetch("GET", "/x")
        assert (await http.fetch("GET", "/cut")).status == 200
        await http.close()
    assert cut[0].has_credentials
    assert (door.accepted, door.refused) == (2, 0)


async def test_a_stale_nonce_is_no_refusal(tmp_path: Path) -> None:
    door = Door(stale_next=True)
    async with serving(behind(door, ok)) as server:
        http = DeviceHttp(recorder_settings(tmp_path, server.url), 5)
        assert (await http.fetch("GET", "/x")).status == 200
        await http.close()
    assert (door.accepted, door.refused) == (1, 0)


async def test_a_missing_right_in_the_makers_words_does_not_hold_the_login(tmp_path: Path) -> None:
    door = Door()
    body = b"<ResponseStatus><subStatusCode>lowPrivilege</subStatusCode></ResponseStatus>"
    async with serving(behind(door, lambda _: Reply(403, body))) as server:
        http = DeviceHttp(recorder_settings(tmp_path, server.url), 5)
        assert (await http.fetch("GET", "/x")).status == 403
        assert (await http.fetch("GET", "/x")).status == 403
        await http.close()


async def test_a_locked_user_is_a_refusal_and_is_held(tmp_path: Path) -> None:
    body = b"<userCheck><lockStatus>lock</lockStatus><unlockTime>1740</unlockTime></userCheck>"
    challenge = ("WWW-Authenticate", 'Digest realm="r", nonce="n"')
    async with serving(lambda _: Reply(401, body, (challenge,))) as server:
        http = DeviceHttp(recorder_settings(tmp_path, server.url), 5)
        with pytest.raises(RecorderError, match="locked"):
            await http.fetch("GET", "/x")
        assert await cause_of(http) == "credentials_held"
    assert len(server.requests()) == 1


async def test_basic_alone_is_not_answered_in_the_clear(tmp_path: Path) -> None:
    async with serving(lambda _: Reply(401, b"", (("WWW-Authenticate", 'Basic realm="r"'),))) as server:
        assert await cause_of(DeviceHttp(recorder_settings(tmp_path, server.url), 5)) == "recorder"
    assert server.requests() == []


@pytest.mark.parametrize(
    "challenge",
    ['Digest realm="r"', "Digest nonce", 'Digest realm="r", nonce="n", qop="auth-int"', 'Digest x="', "Digest"],
)
async def test_a_broken_challenge_is_an_unusable_answer(tmp_path: Path, challenge: Any) -> None:
    async with serving(lambda _: Reply(401, b"", (("WWW-Authenticate", challenge),))) as server:
        assert await cause_of(DeviceHttp(recorder_settings(tmp_path, server.url), 5)) == "recorder"


async def test_without_a_user_name_the_sentence_names_the_keys(tmp_path: Path) -> None:
    async with serving(behind(Door(), ok)) as server:
        http = DeviceHttp(recorder_settings(tmp_path, server.url, username=""), 5)
        with pytest.raises(RecorderError, match="password_file"):
            await http.fetch("GET", "/x")
        await http.close()


async def test_a_closed_port_is_refused(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        assert await cause_of(DeviceHttp(recorder_settings(tmp_path, url), 5)) == "refused"


async def test_an_address_outside_the_networks_is_never_contacted(tmp_path: Path) -> None:
    assert await cause_of(DeviceHttp(recorder_settings(tmp_path, "http://192.0.2.10"), 5)) == "not_allowed"


async def test_silence_ends_at_the_deadline(tmp_path: Path) -> None:
    async with serving(lambda _: Reply(hang=True)) as server:
        assert await cause_of(DeviceHttp(recorder_settings(tmp_path, server.url), 0.2)) == "timeout"


async def test_one_byte_at_a_time_ends_at_the_deadline(tmp_path: Path) -> None:
    over = asyncio.Event()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while not reader.at_eof():
            writer.write(b"x")
            with suppress(TimeoutError):
                await asyncio.wait_for(reader.read(1), 0.02)
        writer.close()
        over.set()

    listener = await asyncio.start_server(drip, "127.0.0.1", 0)
    async with listener:
        url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        assert await cause_of(DeviceHttp(recorder_settings(tmp_path, url), 0.3)) == "timeout"
        await over.wait()


@pytest.mark.parametrize(
    "raw",
    [
        b"RTSP/1.0 200 OK\r\n\r\n",
        b"SSH-2.0-dropbear\r\n",
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: " + b"x" * 200_000 + b"\r\n\r\n",
    ],
)
async def test_what_is_not_http_is_an_unusable_answer(tmp_path: Path, raw: Any) -> None:
    async with serving(lambda _: Reply(raw=raw)) as server:
        assert await cause_of(DeviceHttp(recorder_settings(tmp_path, server.url), 5)) in {"recorder", "no_connection"}


async def test_too_much_is_an_unusable_answer(tmp_path: Path) -> None:
    async with serving(lambda _: Reply(200, b"x" * (MAX_BODY_BYTES + 1))) as server:
        assert await cause_of(DeviceHttp(recorder_settings(tmp_path, server.url), 5)) == "recorder"


async def test_a_compressed_bomb_is_not_unpacked(tmp_path: Path) -> None:
    bomb = gzip.compress(b"0" * 10_000_000)
    async with serving(lambda _: Reply(200, bomb, (("Content-Encoding", "gzip"),))) as server:
        assert await cause_of(DeviceHttp(recorder_settings(tmp_path, server.url), 5)) == "recorder"


async def test_a_connection_that_the_recorder_closed_meanwhile_is_opened_again(tmp_path: Path) -> None:
    closing = iter([Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), Reply(raw=b""), Reply(200, b"again")])
    async with serving(lambda _: next(closing)) as server:
        http = DeviceHttp(recorder_settings(tmp_path, server.url), 5)
        await http.fetch("GET", "/x")
        assert (await http.fetch("GET", "/x")).body == b"again"
        await http.close()


async def test_requests_go_one_at_a_time(tmp_path: Path) -> None:
    async with serving(behind(Door(), ok)) as server:
        http = DeviceHttp(recorder_settings(tmp_path, server.url), 5)
        await asyncio.gather(*(http.fetch("GET", f"/{number}") for number in range(8)))
        await http.close()
    assert server.most_at_once == 1


@pytest.mark.parametrize(
    "place",
    ["http://127.0.0.1:{port}/other", "https://127.0.0.2/", "ftp://x/", "//127.0.0.3/", "/elsewhere", "", "https://["],
)
async def test_no_redirect_but_the_hosts_own_https_is_followed(tmp_path: Path, place: Any) -> None:
    async with serving(
        lambda asked: Reply(302, b"", (("Location", place.format(port=asked.headers["host"].split(":")[1])),))
    ) as server:
        assert await cause_of(DeviceHttp(recorder_settings(tmp_path, server.url), 5)) == "recorder"
    assert len(server.asked) == 1


async def test_a_redirect_to_a_port_that_site_yaml_does_not_write_is_named_and_not_followed(tmp_path: Path) -> None:
    knocked: list[bool] = []

    async def other_service(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        knocked.append(True)
        writer.close()

    other = await asyncio.start_server(other_service, "127.0.0.1", 0)
    port = other.sockets[0].getsockname()[1]
    async with other, serving(lambda _: Reply(302, b"", (("Location", f"https://127.0.0.1:{port}/"),))) as server:
        http = DeviceHttp(recorder_settings(tmp_path, server.url), 5)
        with pytest.raises(RecorderError) as caught:
            await http.fetch("GET", "/x")
        await http.close()
    assert caught.value.cause == "not_allowed"
    assert caught.value.detail == (
        f"127.0.0.1 redirects to its port {port}, which site.yaml doesn't write: if its own page is there, "
        f"write https://127.0.0.1:{port} as `url` of recorder nvr."
    )
    assert knocked == []


@pytest.fixture
def certificate(tmp_path: Path) -> Callable[[str], ssl.SSLContext]:
    require("openssl", present=subprocess.run(["openssl", "version"], capture_output=True, check=False).returncode == 0)

    def make(name: str) -> ssl.SSLContext:
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-days", "2",
             "-keyout", tmp_path / f"{name}.key", "-out", tmp_path / f"{name}.crt"],
            check=True, capture_output=True,
        )  # fmt: skip
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / f"{name}.crt", tmp_path / f"{name}.key")
        return context

    return make


async def test_https_of_the_same_host_is_followed_and_its_certificate_pinned(tmp_path: Path, certificate: Any) -> None:
    door = Door()
    seen: list[str] = []
    async with serving(behind(door, ok), tls=certificate("nvr")) as secure:
        where = f"https://127.0.0.1:{secure.port}/doc/page/login.asp"
        async with serving(lambda _: Reply(301, b"", (("Location", where),))) as plain:
            ports = frozenset({secure.port})
            settings = recorder_settings(tmp_path, plain.url, fingerprint_seen=seen.append, ports=ports)
            http = DeviceHttp(settings, 5)
            assert (await http.fetch("GET", "/x")).status == 200
            assert (await http.fetch("GET", "/y")).status == 200
            await http.close()
    assert len(seen) == 1
    assert len(seen[0]) == 64
    assert len(plain.asked) == 1
    assert door.accepted == 2


@pytest.mark.parametrize("how", OLD)
async def test_old_units_are_understood(tmp_path: Path, certificate: Any, how: str) -> None:
    async with serving(behind(Door(), ok), tls=grown_old(certificate("nvr"), how)) as server:
        settings = replace(recorder_settings(tmp_path, f"https://127.0.0.1:{server.port}"), old_tls=how == "TLS 1.0")
        http = DeviceHttp(settings, 5)
        assert (await http.fetch("GET", "/x")).status == 200
        await http.close()


async def test_tls_1_0_is_not_spoken_unless_its_entry_says_so(tmp_path: Path, certificate: Any) -> None:
    door = Door()
    async with serving(behind(door, ok), tls=grown_old(certificate("nvr"), "TLS 1.0")) as server:
        http = DeviceHttp(recorder_settings(tmp_path, f"https://127.0.0.1:{server.port}"), 5)
        with pytest.raises(RecorderError, match="old_tls: true"):
            await http.fetch("GET", "/x")
        await http.close()
    assert door.accepted == 0


async def test_another_certificate_than_the_known_one_gets_no_login(tmp_path: Path, certificate: Any) -> None:
    door = Door()
    async with serving(behind(door, ok), tls=certificate("other")) as server:
        url = f"https://127.0.0.1:{server.port}"
        assert await cause_of(DeviceHttp(recorder_settings(tmp_path, url, tls_fingerprint="ab" * 32), 5)) == "recorder"
    assert server.requests() == []


@pytest.mark.parametrize("answered", [1, 2], ids=["after the challenge", "after a login"])
async def test_a_certificate_that_changes_between_two_connections_gets_no_login(
    tmp_path: Path, certificate: Any, answered: int
) -> None:
    context, door = certificate("nvr"), Door()
    certificate("other")
    logins = answered - 1

    def once_a_connection(asked: Asked) -> Reply:
        if len(server.asked) == answered:  # somebody sits in between from the next connection on
            context.load_cert_chain(tmp_path / "other.crt", tmp_path / "other.key")
        reply = door.check(asked) or ok(asked)
        return replace(reply, headers=(*reply.headers, ("Connection", "close")))

    async with serving(once_a_connection, tls=context) as server:
        http = DeviceHttp(recorder_settings(tmp_path, f"https://127.0.0.1:{server.port}"), 5)
        for _ in range(logins):
            assert (await http.fetch("GET", "/x")).status == 200
        with pytest.raises(RecorderError, match="is not the known one"):
            await http.fetch("GET", "/y")
        await http.close()
    assert (len(server.asked), len(server.requests())) == (answered, logins)


async def test_a_port_that_is_silent_is_said_to_have_been_so_for_as_long_as_it_was_waited_for(tmp_path: Path) -> None:
    """A connection is given up sooner than an answer: a port that knows no TLS waits for a line that never comes."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        for scheme, seconds in (("https", 0.4), ("http", 0.8)):
            http = DeviceHttp(recorder_settings(tmp_path, f"{scheme}://127.0.0.1:{port}"), 0.8)
            with pytest.raises(RecorderError, match=f"127.0.0.1 didn't answer within {seconds} s: check"):
                await http.fetch("GET", "/")
            await http.close()


async def test_a_port_without_tls_is_an_unusable_answer(tmp_path: Path) -> None:
    async with serving(ok) as server:
        url = f"https://127.0.0.1:{server.port}"
        assert await cause_of(DeviceHttp(recorder_settings(tmp_path, url), 0.3)) in {"recorder", "timeout"}


@pytest.mark.parametrize(
    "url", ["", "192.0.2.10", "rtsp://192.0.2.10", "http://", "http://u:p@192.0.2.10", "http://[", "http://a:b"]
)
def test_a_wrong_url_is_a_sentence_that_names_the_recorder(tmp_path: Path, url: Any) -> None:
    with pytest.raises(OptionsError, match="recorder nvr: `url`"):
        DeviceHttp(recorder_settings(tmp_path, url), 5)


async def test_exchanges_tell_what_was_asked_and_answered_without_secrets(tmp_path: Path) -> None:
    body = f"<uri>rtsp://admin:{PASSWORD}@192.0.2.1/x</uri> {PASSWORD}".encode()
    async with serving(behind(Door(), lambda _: Reply(200, body * 200))) as server:
        http = DeviceHttp(recorder_settings(tmp_path, server.url), 5)
        for _ in range(100):
            await http.fetch("GET", "/x", note="why")
        await http.close()
    assert len(http.exchanges) == 60
    last = http.exchanges[-1]
    assert last.asked == "GET /x (why)"
    assert last.answered.startswith("HTTP 200, ")
    assert len(last.answered) <= 2000
    assert PASSWORD not in last.answered


@pytest.mark.parametrize(
    "body",
    [
        "table.RemoteDevice.uuid:X_0.Password=other secret\r\ntable.RemoteDevice.uuid:X_0.Port=37777",
        '{"UserName": "admin", "Password" : "other secret", "Port": 37777}',
        "<port>37777</port><userName>admin</userName><password>other secret</password>",
    ],
)
async def test_the_logins_of_other_devices_are_never_kept(tmp_path: Path, body: str) -> None:
    async with serving(lambda _: Reply(200, body.encode())) as server:
        http = DeviceHttp(recorder_settings(tmp_path, server.url), 5)
        await http.fetch("GET", "/x")
        await http.close()
    assert "secret" not in http.exchanges[-1].answered
    assert "37777" in http.exchanges[-1].answered


async def test_the_middle_of_a_request_is_on_the_agents_clock(tmp_path: Path) -> None:
    clock = ManualClock(NOW)

    def slow(_: Asked) -> Reply:
        clock.advance(2)
        return Reply(200)

    async with serving(slow) as server:
        http = DeviceHttp(recorder_settings(tmp_path, server.url, clock=clock), 5)
        answer = await http.fetch("GET", "/x")
        await http.close()
    assert answer.middle == NOW + timedelta(seconds=1)
