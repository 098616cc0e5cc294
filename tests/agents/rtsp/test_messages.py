"""Messages, challenges, descriptions, URLs and addresses: known cases, and that no bytes break the parsers."""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import threading
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.rtsp import AddressBook, Login, StreamError, StreamRequest
from agents.rtsp.auth import Authenticator, choose_challenge
from agents.rtsp.errors import MalformedError
from agents.rtsp.message import Message, interleaved_of, parse_head, render_request, session_of, status_error
from agents.rtsp.nal import H264, ParameterSets
from agents.rtsp.sdp import parse_description
from agents.rtsp.wire import Parser
from monitor.model.observation import StreamCause
from support.cost import costing_less_than
from support.rtsp_device import SDP

URL = "rtsp://192.0.2.10/live?channel=1"


class Collector:
    """Keeps what the parser tells."""

    def __init__(self) -> None:
        self.packets: list[tuple[int, bytes]] = []
        self.messages: list[Message] = []

    def on_bytes(self) -> None:
        pass

    def on_packet(self, channel: int, data: bytearray, start: int, end: int) -> None:
        self.packets.append((channel, bytes(data[start:end])))

    def on_plain(self, data: bytearray, start: int, end: int) -> int:
        return start

    def on_message(self, message: Message) -> None:
        self.messages.append(message)

    def on_read(self) -> None:
        pass

    def on_closed(self, error: Exception | None) -> None:
        pass


packets = st.tuples(st.integers(0, 255), st.binary(max_size=300)).map(
    lambda item: (item, bytes([0x24, item[0]]) + len(item[1]).to_bytes(2, "big") + item[1])
)
answers = st.binary(max_size=200).map(
    lambda body: (body, b"RTSP/1.0 200 OK\r\nCSeq: 3\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
)


@given(st.lists(st.one_of(packets, answers), max_size=30), st.lists(st.integers(1, 700), max_size=60))
def test_packets_and_messages_come_out_whole_however_they_were_cut(
    items: list[tuple[bytes | tuple[int, bytes], bytes]], cuts: list[int]
) -> None:
    stream, collected = b"".join(wire for _, wire in items), Collector()
    parser, position = Parser(collected), 0
    for cut in [*cuts, len(stream)]:
        parser.feed(stream[position : position + cut])
        position += cut
    assert collected.packets == [what for what, _ in items if isinstance(what, tuple)]
    assert [message.body for message in collected.messages] == [what for what, _ in items if isinstance(what, bytes)]
    assert not parser.message_pending


@given(
    st.lists(st.lists(st.one_of(packets, answers), max_size=10), min_size=2, max_size=3),
    st.lists(st.tuples(st.integers(0, 2), st.integers(1, 700)), max_size=60),
)
def test_connections_whose_reads_take_turns_in_one_buffer_do_not_mix(
    streams: list[list[tuple[bytes | tuple[int, bytes], bytes]]], turns: list[tuple[int, int]]
) -> None:
    collected = [Collector() for _ in streams]
    parsers = [Parser(item) for item in collected]
    left = [b"".join(wire for _, wire in items) for items in streams]
    for turn, cut in [*turns, *((number, 1 << 20) for number in range(len(streams)))]:
        number = turn % len(streams)
        parsers[number].feed(left[number][:cut])
        left[number] = left[number][cut:]
    for items, item in zip(streams, collected, strict=True):
        assert item.packets == [what for what, _ in items if isinstance(what, tuple)]
        assert [message.body for message in item.messages] == [what for what, _ in items if isinstance(what, bytes)]


def test_the_largest_packets_pass_cut_in_two() -> None:
    collected = Collector()
    parser = Parser(collected)
    wire = b"\x24\x00\xff\xff" + bytes(65535)
    for _ in range(5):
        parser.feed(wire[:65000])
        parser.feed(wire[65000:] + wire)
    assert [len(data) for _, data in collected.packets] == [65535] * 10


def rtp_like(number: int) -> bytes:
    return b"\x24\x00\x00\x10\x80\x60" + bytes([number]) * 14


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00",
        b"garbage",
        b"GARBAGE IN CAPITALS ",
        b"$",
        b"\x24\x00\x00\x10\x80\x60half",
        b"\xff" * 5000,
        b"RTSP/1.0 nonsense\r\n\r\n",
        b"SOMETHING that never ends \r\n" * 900,
    ],
)
@pytest.mark.parametrize("cut", [1, 7, 10_000])
def test_after_garbage_between_packets_the_packets_go_on(garbage: bytes, cut: int) -> None:
    collected = Collector()
    parser = Parser(collected)
    good = [rtp_like(number) for number in range(1, 60)]
    answer = b"RTSP/1.0 200 OK\r\nCSeq: 9\r\n\r\n"
    wire = b"".join(good[:3]) + garbage + b"".join(good[3:]) + answer
    for at in range(0, len(wire), cut):
        parser.feed(wire[at : at + cut])
    # Up to the largest head or packet may have been swallowed with it, and what follows is whole again.
    assert collected.packets[:3] == [(0, packet[4:]) for packet in good[:3]]
    assert collected.packets[-1] == (0, good[-1][4:])
    assert [message.cseq for message in collected.messages] == [9]


@pytest.mark.parametrize("channel", [10, 45, 92, 93, 94, 200, 255])
def test_after_garbage_packets_go_on_on_whatever_channel_they_come(channel: int) -> None:
    collected = Collector()
    parser = Parser(collected)
    parser.channel = channel
    good = [b"\x24" + bytes([channel]) + rtp_like(number)[2:] for number in range(1, 60)]
    parser.feed(good[0] + b"stray bytes" + b"".join(good[1:]))
    assert collected.packets == [(channel, packet[4:]) for packet in good]


def test_endless_garbage_is_an_error_and_a_little_now_and_then_is_not() -> None:
    parser = Parser(Collector())
    parser.feed(rtp_like(1))
    for number in range(100):
        parser.feed(b"\xff" * 2000 + rtp_like(number))
        parser.forgive()
    endless = b"".join(b"\xff" * 2000 + rtp_like(number) for number in range(100))
    with pytest.raises(MalformedError):
        parser.feed(endless)


def test_before_the_first_packet_nothing_is_skipped() -> None:
    parser = Parser(Collector())
    parser.feed(b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n")
    with pytest.raises(MalformedError):
        parser.feed(b"garbage" + rtp_like(1))


@given(st.lists(st.binary(max_size=400), max_size=20))
def test_no_bytes_break_the_parser(chunks: list[bytes]) -> None:
    parser = Parser(Collector())
    with suppress(MalformedError):
        for chunk in chunks:
            parser.feed(chunk)


@given(st.sampled_from([b"RTSP/1.0 200 OK\r\n", b"OPTIONS * RTSP/1.0\r\n", b"$", b"\r\n"]), st.binary(max_size=3000))
def test_no_bytes_after_a_right_beginning_break_the_parser(start: bytes, rest: bytes) -> None:
    with suppress(MalformedError):
        Parser(Collector()).feed(start + rest)


@pytest.mark.parametrize(
    "garbage",
    [b"RTSP/1.0 2", b"RTSP/1.0 200 \n", b"RTSP/1.0 200 OK\n" * 8 + b"\n", b"$\x00", b"\xff$\x00\x00\x01\x80", b"\r\n"],
)
def test_garbage_that_looks_like_something_costs_no_more_than_other_garbage(garbage: bytes) -> None:
    """A device that sends it would else hold up all others: so much as one read took three seconds once."""
    parser = Parser(Collector())
    parser.feed(rtp_like(1))
    with costing_less_than(0.3), suppress(MalformedError):
        parser.feed(garbage * (100_000 // len(garbage)))


@pytest.mark.parametrize(
    "challenge", ["Digest x=1, " + "a" * 4000, "Digest " + "a-" * 2000, "Digest x=1, " + "a " * 2000]
)
def test_a_challenge_that_makes_no_sense_is_refused_at_once(challenge: str) -> None:
    with costing_less_than(0.1):
        for _ in range(4):
            with pytest.raises(MalformedError):
                choose_challenge([challenge])


def test_endless_line_breaks_neither_fill_the_buffer_nor_make_messages() -> None:
    collected = Collector()
    Parser(collected).feed(b"\r\n" * 200_000)
    assert collected.messages == []


@given(st.binary(max_size=500))
def test_a_head_is_read_or_refused(head: bytes) -> None:
    try:
        message = parse_head(head)
    except MalformedError:
        return
    assert (message.status is None) != (message.method is None)


@given(st.text(max_size=200))
def test_session_and_transport_are_read_or_refused(text: str) -> None:
    for read in (session_of, interleaved_of):
        with suppress(MalformedError):
            read(text)


def test_session_and_transport_of_real_devices() -> None:
    assert session_of("1234567890;timeout=60") == ("1234567890", 60.0)
    assert session_of("abc; Timeout=30 ") == ("abc", 30.0)
    assert session_of("abc") == ("abc", 60.0)
    assert interleaved_of("RTP/AVP/TCP;unicast;interleaved=2-3;ssrc=4CD3") == 2
    assert interleaved_of("RTP/AVP/TCP;unicast;interleaved=4") == 4
    with pytest.raises(MalformedError):
        interleaved_of("RTP/AVP;unicast;client_port=8000-8001")


@given(st.lists(st.text(max_size=300), max_size=4))
def test_a_challenge_is_read_or_refused(headers: list[str]) -> None:
    try:
        challenge = choose_challenge(headers)
    except MalformedError:
        return
    header = Authenticator(Login("u", "p"), challenge).authorization("DESCRIBE", URL)
    assert header.startswith(("Basic ", "Digest "))


@given(st.text(alphabet='Basic Digest,="\\realmnonceqopauth', max_size=120))
def test_what_looks_like_a_challenge_is_read_or_refused(header: str) -> None:
    with suppress(MalformedError):
        choose_challenge([header])


@pytest.mark.parametrize("control", ["\r", "\0", "\x0b"])
@pytest.mark.parametrize("field", ["realm", "nonce", "opaque"])
def test_a_challenge_that_would_break_the_answers_line_is_refused(field: str, control: str) -> None:
    values = {"realm": "x", "nonce": "y", "opaque": "z"} | {field: f"a{control}b"}
    header = "Digest " + ", ".join(f'{name}="{value}"' for name, value in values.items())
    with pytest.raises(MalformedError):
        choose_challenge([header])


def test_the_digest_of_rfc_7616() -> None:
    """The example of section 3.9.1 of RFC 7616."""
    nonce, opaque = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"
    start, end = 'Digest realm="http-auth@example.org", qop="auth, auth-int"', f'nonce="{nonce}", opaque="{opaque}"'
    challenge = choose_challenge([f"{start}, algorithm=MD5, {end}", f"{start}, algorithm=SHA-256, {end}"])
    assert str(challenge) == "Digest SHA-256"
    login = Login("Mufasa", "Circle of Life")
    answer = Authenticator(login, challenge, "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ")
    header = answer.authorization("GET", "/dir/index.html")
    assert 'response="753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"' in header
    assert "nc=00000001" in header
    assert "nc=00000002" in answer.authorization("GET", "/dir/index.html")


def test_the_old_digest_without_qop() -> None:
    challenge = choose_challenge(['Basic realm="x"', 'Digest realm="IP Camera(C1)", nonce="abc", stale="FALSE"'])
    assert (str(challenge), challenge.stale, challenge.qop_auth) == ("Digest MD5", False, False)

    def md5(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()

    expected = md5(f"{md5('admin:IP Camera(C1):12345')}:abc:{md5('DESCRIBE:' + URL)}")
    header = Authenticator(Login("admin", "12345"), challenge).authorization("DESCRIBE", URL)
    assert header == (
        f'Digest username="admin", realm="IP Camera(C1)", nonce="abc", uri="{URL}", response="{expected}"'
    )


def test_two_challenges_in_one_header() -> None:
    challenge = choose_challenge(['Basic realm="a, b", Digest realm="d", nonce="n", algorithm=SHA-256, stale=true'])
    assert (str(challenge), challenge.realm, challenge.stale) == ("Digest SHA-256", "d", True)
    assert str(choose_challenge(["Basic"])) == "Basic"


def test_an_unsupported_login_is_refused() -> None:
    with pytest.raises(MalformedError):
        choose_challenge(['Digest realm="d", nonce="n", algorithm=SHA-512-256', "Negotiate"])


def test_a_password_never_shows() -> None:
    request = StreamRequest(URL, Login("viewer", "s3cret"))
    assert "s3cret" not in repr(request)
    assert "s3cret" not in str(request)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("rtsp://user:s3cret@192.0.2.10/live", "user name or password"),
        ("rtsp://user@192.0.2.10/live", "user name or password"),
        ("http://192.0.2.10/s3cret", "begins with rtsp"),
        ("rtsp:///s3cret", "needs a host"),
        ("rtsp://192.0.2.10:99999/s3cret", "port"),
        ("rtsp://192.0.2.10/a b s3cret", "spaces"),
        ("rtsp://192.0.2.10/\r\nTEARDOWN s3cret", "spaces or control"),
        ("rtsp://192.0.2.10/" + "s3cret" * 1000, "longer"),
    ],
)
def test_a_wrong_url_is_refused_without_repeating_it(url: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        StreamRequest(url)
    assert "s3cret" not in str(caught.value)


@given(st.text(max_size=100))
def test_any_url_is_taken_or_refused(text: str) -> None:
    for url in (text, "rtsp://" + text):
        try:
            request = StreamRequest(url)
        except ValueError:
            continue
        assert render_request("OPTIONS", request.url, 1, {}).count(b"\r\n") == 3


def test_url_parts() -> None:
    request = StreamRequest("rtsps://[2001:db8::1]/入口", tls_fingerprint=":".join(["AB"] * 32))
    assert (request.host, request.port, request.secure) == ("2001:db8::1", 322, True)
    assert request.url.endswith("/%E5%85%A5%E5%8F%A3")
    assert request.tls_fingerprint == "ab" * 32
    with pytest.raises(ValueError, match="SHA-256"):
        StreamRequest(URL, tls_fingerprint="xyz")


def test_a_description_gives_the_first_video_and_its_urls() -> None:
    video = parse_description(SDP.encode(), URL + "/", URL)
    assert (video.codec, video.clock_rate) == ("h264", 90000)
    assert video.control_url == "rtsp://192.0.2.10/live?channel=1/track2"
    assert video.play_url == URL + "/"
    assert len(video.parameter_sets) == 2


@pytest.mark.parametrize(
    ("control", "base", "expected"),
    [
        ("trackID=0", "rtsp://192.0.2.10/live/", "rtsp://192.0.2.10/live/trackID=0"),
        ("trackID=0", "rtsp://192.0.2.10/live", "rtsp://192.0.2.10/live/trackID=0"),
        ("*", "rtsp://192.0.2.10/live/", "rtsp://192.0.2.10/live/"),
        ("track 1", "rtsp://192.0.2.10/live/", "rtsp://192.0.2.10/live/track%201"),
        ("通道1?a=%20", "rtsp://192.0.2.10/live", "rtsp://192.0.2.10/live/%E9%80%9A%E9%81%931?a=%20"),
        ("/live/track", "rtsp://192.0.2.10/x/", "rtsp://192.0.2.10/live/track"),
        ("rtsp://10.0.0.1:8554/a/b", "rtsp://192.0.2.10/x/", "rtsp://192.0.2.10/a/b"),
        ("rtsp://10.0.0.1?a=b", "rtsp://192.0.2.10/x/", "rtsp://192.0.2.10?a=b"),
        ("t", "rtsp://10.0.0.1:9/inner", "rtsp://192.0.2.10/inner/t"),
        ("t", "relative/", URL + "/t"),
        ("http://10.0.0.1/a", "rtsp://192.0.2.10/x/", URL),
    ],
)
def test_control_urls_stay_on_the_host_that_was_asked(control: str, base: str, expected: str) -> None:
    video = parse_description(SDP.replace("track2", control).encode(), base, URL)
    assert video.control_url == expected


def test_h265_parameter_sets_are_read() -> None:
    sdp = (
        "v=0\nm=video 0 RTP/AVP 98 99\na=rtpmap:98 MP4V-ES/90000\na=rtpmap:99 H265/90000\n"
        "a=fmtp:99 sprop-vps=QAEM; sprop-sps=QgEB;sprop-pps=RAHA\na=control:v\n"
    )
    video = parse_description(sdp.encode(), URL, URL)
    assert (video.codec, [nal[0] >> 1 for nal in video.parameter_sets]) == ("h265", [32, 33, 34])


@pytest.mark.parametrize(
    "sets", ["AAAAAWdNAB6NjUBaHtA=,AAAAAWjuOIA=", "AAABZ00Aho2NQFoe0A==,aO44gA==", "AAAAAWdNAB6NjUBaHtAAAAABaO44gA=="]
)
def test_start_codes_before_the_parameter_sets_of_a_description_are_left_out(sets: str) -> None:
    """As in a file: some recorders write them so, and some write both sets as one. Where they come in the description alone, no keyframe could be decoded."""
    sdp = f"v=0\nm=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\na=fmtp:96 packetization-mode=1;sprop-parameter-sets={sets}\n"
    video = parse_description(sdp.encode(), URL, URL)
    assert [nal[0] & 31 for nal in video.parameter_sets] == [7, 8]
    assert video.parameter_sets[1] == bytes.fromhex("68ee3880")
    assert ParameterSets(H264, video.parameter_sets).units() is not None


def test_parameters_under_another_number_are_those_of_the_only_format() -> None:
    """Vitek announces format 98 and gives the parameters of 62."""
    line = "a=fmtp:62 profile-level-id=42e032; sprop-vps=QAEM;sprop-sps=QgEB;sprop-pps=RAHA; packetization-mode=1\n"
    one = f"v=0\nm=video 0 RTP/AVP 98\na=rtpmap:98 H265/90000\n{line}"
    two = f"v=0\nm=video 0 RTP/AVP 98 62\na=rtpmap:98 H265/90000\na=rtpmap:62 H264/90000\n{line}"
    counts = [len(parse_description(sdp.encode(), URL, URL).parameter_sets) for sdp in (one, two)]
    assert counts == [3, 0]


@pytest.mark.parametrize(
    ("attribute", "size"),
    [
        ("x-dimensions:1920,1080", (1920, 1080)),
        ("x-dimensions: 1280, 720", (1280, 720)),
        ("framesize:26 2592-1944", (2592, 1944)),
        ("framesize:0S", None),
    ],
)
def test_a_size_in_a_description(attribute: str, size: tuple[int, int] | None) -> None:
    sdp = f"v=0\nm=video 0 RTP/AVP 26\na={attribute}\n"
    assert parse_description(sdp.encode(), URL, URL).size == size


@given(st.binary(max_size=2000))
def test_any_description_is_read_or_refused(body: bytes) -> None:
    try:
        parse_description(body, URL, URL)
    except StreamError as refused:
        error = refused
    else:
        return
    assert error.stage == "describe"
    assert error.detail.isprintable()


@given(
    st.lists(
        st.sampled_from(SDP.split("\r\n")) | st.text(alphabet="m=video aRTPAVP96:rtpmapH264/90000\x00é", max_size=40),
        max_size=40,
    ),
    st.text(max_size=50),
)
def test_shuffled_descriptions_are_read_or_refused(lines: list[str], base: str) -> None:
    try:
        video = parse_description("\n".join(lines).encode(), base, URL)
    except StreamError:
        return
    for url in (video.control_url, video.play_url):
        assert url.startswith("rtsp://192.0.2.10")
        render_request("SETUP", url, 1, {})


@given(st.integers(300, 999))
def test_every_other_status_has_an_error(status: int) -> None:
    error = status_error(status, "setup")
    assert str(status) in error.detail


def book(*networks: str) -> AddressBook:
    return AddressBook([ipaddress.ip_network(network) for network in networks])


@pytest.mark.parametrize(
    ("networks", "address", "allowed"),
    [
        (["192.0.2.0/24"], "192.0.2.10", True),
        (["192.0.2.0/24"], "192.0.3.10", False),
        (["0.0.0.0/0"], "127.0.0.1", False),
        (["127.0.0.1/32"], "127.0.0.1", True),
        (["127.0.0.1/32"], "127.0.0.2", False),
        (["0.0.0.0/0"], "169.254.169.254", False),
        (["169.254.0.0/16"], "169.254.1.1", False),
        (["0.0.0.0/0"], "224.0.0.1", False),
        (["0.0.0.0/0"], "255.255.255.255", False),
        (["0.0.0.0/0"], "0.0.0.0", False),
        (["::/0"], "::1", False),
        (["::1/128"], "::1", True),
        (["::/0"], "fe80::1", False),
        (["2001:db8::/32"], "2001:db8::5", True),
        (["::/0"], "::ffff:127.0.0.1", False),
        (["192.0.2.0/24"], "::ffff:192.0.2.9", True),
        (["192.0.2.0/24"], "gate.local", False),
    ],
)
def test_only_declared_networks_are_allowed(networks: list[str], address: str, allowed: bool) -> None:
    assert book(*networks).allows(address) is allowed


async def test_a_name_is_resolved_once_and_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [["192.0.2.10"], ["192.0.2.66"]]
    asked: list[str] = []

    def getaddrinfo(host: str, port: int, **_: object) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        asked.append(host)
        return [(2, 1, 6, "", (address, port)) for address in answers.pop(0)]

    monkeypatch.setattr("agents.rtsp.address.socket.getaddrinfo", getaddrinfo)
    addresses = book("192.0.2.0/24")
    assert await addresses.resolve("nvr.example", 554) == "192.0.2.10"
    assert await addresses.resolve("nvr.example", 554) == "192.0.2.10"
    assert asked == ["nvr.example"]
    addresses.forget("nvr.example")
    assert await addresses.resolve("nvr.example", 554) == "192.0.2.66"


async def test_a_name_that_leads_outside_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(_: str, port: int, **__: object) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        return [(2, 1, 6, "", ("203.0.113.7", port))]

    monkeypatch.setattr("agents.rtsp.address.socket.getaddrinfo", getaddrinfo)
    with pytest.raises(StreamError) as caught:
        await book("192.0.2.0/24").resolve("elsewhere.example", 554)
    assert caught.value.cause == StreamCause.NOT_ALLOWED
    assert "declared networks" in caught.value.detail


async def test_a_name_that_does_not_exist_is_no_connection() -> None:
    with pytest.raises(StreamError) as caught:
        await book("192.0.2.0/24").resolve("does-not-exist.invalid", 554)
    assert (caught.value.cause, caught.value.inconclusive) == (StreamCause.NO_CONNECTION, True)
    assert caught.value.again().inconclusive


async def test_a_name_server_that_hangs_holds_up_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's resolver waits for half a minute, in threads that the outbox and the logins need, too."""
    asked: list[str] = []
    over = threading.Event()

    def getaddrinfo(host: str, port: int, **_: object) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        asked.append(host)
        over.wait(60)
        return [(2, 1, 6, "", ("192.0.2.10", port))]

    monkeypatch.setattr("agents.rtsp.address.socket.getaddrinfo", getaddrinfo)
    addresses = AddressBook([ipaddress.ip_network("192.0.2.0/24")], resolve_seconds=0.1)
    names = [f"camera{number}.example" for number in range(64)]
    for _ in range(2):
        failed = await asyncio.gather(*(addresses.resolve(name, 554) for name in names), return_exceptions=True)
        assert [item.inconclusive for item in failed if isinstance(item, StreamError)] == [True] * 64
    async with asyncio.timeout(5):
        assert await asyncio.to_thread(lambda: "free") == "free"
    assert sorted(asked) == sorted(names), "one look-up each: a later attempt waits for the one that hangs"
    assert all(one.daemon for one in threading.enumerate() if one.name.startswith("name camera")), "and no stop does"
    over.set()
    async with asyncio.timeout(20):
        while True:
            with suppress(StreamError):
                assert await addresses.resolve(names[0], 554) == "192.0.2.10"
                break


def test_a_description_of_endless_words_is_told_in_a_short_sentence() -> None:
    with pytest.raises(StreamError) as caught:
        parse_description(b"v=0\r\nm=" + b"a" * 50_000 + b" 0 RTP/AVP 8\r\n", URL, URL)
    assert caught.value.cause is StreamCause.NO_VIDEO
    assert len(caught.value.detail) < 200


async def test_a_name_that_is_always_resolved_too_late_is_known_at_the_next_attempt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where the first of two name servers is gone the system's resolver asks the second one after five seconds, each time."""
    late = threading.Event()

    def getaddrinfo(_: str, port: int, **__: object) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        late.wait(60)
        return [(2, 1, 6, "", ("203.0.113.9", port)), (2, 1, 6, "", ("192.0.2.10", port))]

    monkeypatch.setattr("agents.rtsp.address.socket.getaddrinfo", getaddrinfo)
    addresses = AddressBook([ipaddress.ip_network("192.0.2.0/24")], resolve_seconds=0.05)
    with pytest.raises(StreamError, match="was not resolved within"):
        await addresses.resolve("camera.example", 554)
    late.set()
    for thread in [one for one in threading.enumerate() if one.name == "name camera.example"]:
        await asyncio.to_thread(thread.join)
    late.clear()
    assert await addresses.resolve("camera.example", 554) == "192.0.2.10"
    late.set()
