"""Scrubbing: no secret, name, address or serial number is left, and the interface's own words are."""

import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote
from xml.sax.saxutils import escape

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agents.recorders.scrub import Scrubber

FIXTURES = Path(__file__).parents[2] / "fixtures" / "recorders"
SECRETS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=6, max_size=14).map(
    lambda text: f"Qz{text}"
)
"""Begin so that no word of an interface holds one by chance."""


def as_xml(name: str, value: str) -> str:
    return f'<Device version="2.0"><id>1</id><{name} note="{escape(value, {chr(34): "&quot;"})}">{escape(value)}</{name}></Device>'


def as_json(name: str, value: str) -> str:
    return json.dumps({"Response": {"ResponseCode": 0, "Data": [{name: value, "Nums": 1}, value]}})


def as_lines(name: str, value: str) -> str:
    return f"table.X[0].{name}={value}\r\ntable.X[0].Enable=true\r\n"


def as_text(name: str, value: str) -> str:
    return f"{name}: {value}\r\n"


FORMS = (as_xml, as_json, as_lines, as_text)
ANY_NAME = st.sampled_from(
    [
        "userName",
        "password",
        "serialNumber",
        "ipAddress",
        "deviceName",
        "Title",
        "anything",
        "Remark",
        "hostName",
        "x",
        "comment",
    ]
)


@given(form=st.sampled_from(FORMS), name=ANY_NAME, secret=SECRETS)
def test_a_text_that_nobody_knows_of_never_stays(form: Callable[[str, str], str], name: str, secret: str) -> None:
    scrubbed = Scrubber([]).scrub(form(name, secret).encode()).decode()
    assert secret not in scrubbed
    assert escape(secret) not in scrubbed
    assert secret not in json.loads(f'"{scrubbed}"') if form is as_json and '"' not in scrubbed else True


@given(
    form=st.sampled_from(FORMS),
    name=ANY_NAME | st.sampled_from(["status", "model", "firmwareVersion", "result", "Flags", "type"]),
    secret=SECRETS,
    around=st.tuples(st.sampled_from(["", "rtsp://admin:", "a "]), st.sampled_from(["", "@192.0.2.7/x", " b"])),
)
def test_a_known_secret_stays_nowhere_in_no_spelling(
    form: Callable[[str, str], str], name: str, secret: str, around: tuple[str, str]
) -> None:
    for spelling in (secret, escape(secret), quote(secret), quote(secret, safe=""), json.dumps(secret)[1:-1]):
        body = form(name, f"{around[0]}{spelling}{around[1]}").encode()
        scrubbed = Scrubber([secret]).scrub(body).decode()
        assert secret.casefold() not in scrubbed.casefold()
        assert quote(secret).casefold() not in scrubbed.casefold()


@given(
    form=st.sampled_from(FORMS),
    name=st.sampled_from(["status", "model", "address", "x"]),
    value=st.ip_addresses(v=4).map(str)
    | st.ip_addresses(v=6).map(str)
    | st.from_regex(r"([0-9a-f]{2}:){5}[0-9a-f]{2}", fullmatch=True)
    | st.emails(),
)
def test_addresses_never_stay(form: Callable[[str, str], str], name: str, value: str) -> None:
    scrubbed = Scrubber([]).scrub(form(name, f"at {value} now").encode()).decode()
    assert value not in scrubbed or len(value) < 3 or value.startswith(("192.0.2.", "198.51.", "02:00:00:"))


@pytest.mark.parametrize("long_number", ["13812345678", "6217000010001234567"])
def test_telephone_and_serial_numbers_never_stay(long_number: str) -> None:
    for form in FORMS:
        assert long_number not in Scrubber([]).scrub(form("x", long_number).encode()).decode()


@given(st.binary(max_size=400))
@example(b'{"model": "\\ud800"}')
def test_any_bytes_are_scrubbed_or_left_out(body: bytes) -> None:
    assert isinstance(Scrubber(["geheim"]).scrub(body), bytes)


def test_what_is_no_text_is_left_out_whole() -> None:
    assert Scrubber([]).scrub(b"\xff\xd8\xff\xe0 a picture") == b""


def test_the_same_value_has_the_same_placeholder_in_every_answer() -> None:
    scrubber = Scrubber([])
    one = scrubber.scrub(b"<a><serialNumber>DS-1</serialNumber></a>")
    assert one == scrubber.scrub(b"<a><serialNumber>DS-1</serialNumber></a>")
    assert scrubber.scrub(b"<a><serialNumber>DS-2</serialNumber></a>") != one


def test_comments_and_sections_are_gone() -> None:
    body = b"<?xml version='1.0'?><!-- Alice --><a><![CDATA[Bob]]><b>1</b></a>"
    assert Scrubber([]).scrub(body) == b"<?xml version='1.0'?><a><b>1</b></a>"


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        (b"<hdd><id>1</id><status>smartFailed</status><capacity>7630885</capacity><property>RW</property></hdd>", None),
        (b"table.Record[0].TimeSection[0][0]=1 00:00:00-24:00:00\r\n", None),
        (b"list.info[0].Name=/dev/md0\r\nlist.info[0].Detail[0].TotalBytes=495636709376.000000\r\n", None),
        (b"items[0].StartTime=2026-11-22 12:00:00\r\n", None),
        (b"Error\r\nAuthority:check failure.\r\n", None),
        (b"result=3039757640\r\n", None),
        (b"2026-11-23T12:00:30+08:00\r\n", None),
        (b"<name>gate</name>", b"<name>scrubbed-1</name>"),
    ],
)
def test_the_words_of_the_interface_stay(body: bytes, kept: bytes | None) -> None:
    assert Scrubber([]).scrub(body) == (body if kept is None else kept)


def test_no_fixture_of_ours_loses_its_form() -> None:
    """The described replies can be scrubbed without becoming another kind of answer."""
    for path in FIXTURES.glob("*/*.*"):
        if path.suffix in {".xml", ".txt"}:
            body = path.read_bytes()
            scrubbed = Scrubber([]).scrub(body)
            assert (scrubbed.count(b"</"), scrubbed.count(b"\n")) == (body.count(b"</"), body.count(b"\n")), path


@pytest.mark.parametrize(
    ("name", "text", "left"),
    [
        ("XAddr", "http://10.0.0.8:8000/onvif/Media", "http://192.0.2.1/onvif/Media"),
        ("Uri", "rtsp://admin:pw@nvr.kita.example/onvif/replay/QzToken", "rtsp://scrubbed-1/scrubbed-2"),
        ("URL", "rtsp://10.0.0.8:554/c1/b1/e2/replay/", "rtsp://192.0.2.1/scrubbed-2"),
        ("Address", "0.0.0.0", "0.0.0.0"),
        ("Value", "ter:NotAuthorized", "ter:NotAuthorized"),
        ("Value", "ter:Kindergarten", "scrubbed-1"),
        ("Namespace", "http://www.onvif.org/ver10/search/wsdl", "http://www.onvif.org/ver10/search/wsdl"),
        ("Namespace", "http://kita.example/wsdl", "http://scrubbed-1/scrubbed-2"),
    ],
)
def test_addresses_stay_addresses_and_words_of_onvif_words(name: str, text: str, left: str) -> None:
    assert Scrubber([]).scrub(f"<a><{name}>{text}</{name}></a>".encode()).decode() == f"<a><{name}>{left}</{name}></a>"
    assert json.loads(Scrubber([]).scrub(json.dumps({name: text}).encode())) == {name: left}
