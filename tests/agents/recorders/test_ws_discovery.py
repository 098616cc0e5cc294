"""WS-Discovery on loopback: who answers, who is kept, and what becomes of anything else that comes in."""

import tracemalloc
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.recorders.ws_discovery import MAX_BYTES, MAX_DATAGRAMS, MAX_DEVICES_EACH, Device, discover, matches
from agents.simulators.onvif_discovery import ANSWER, DiscoverableDevice

LOOPBACK = [ip_network("127.0.0.0/8")]
PROBE = frozenset({"urn:uuid:1"})


def answer(**changes: str) -> bytes:
    values = {
        "relates_to": "urn:uuid:1",
        "endpoint": "urn:uuid:2",
        "scopes": "onvif://www.onvif.org/name/Nursery%20NVR onvif://www.onvif.org/hardware/NVR302",
        "addresses": "http://127.0.0.9/onvif/device_service",
    }
    return ANSWER.format(**{**values, **changes}).encode()


async def test_a_device_is_found_by_either_kind_of_probe() -> None:
    async with DiscoverableDevice(name="Gate%20%E5%A4%A7%E9%97%A8") as device:
        found = await discover(LOOPBACK, group=device.place, most=1, seconds=10)
        assert found == (
            Device(
                "http://127.0.0.1/onvif/device_service",
                "Gate 大门",
                "NVR302-16S2",
                "urn:uuid:00000000-0000-1000-8000-000000000001",
            ),
        )
        assert found[0].address == "127.0.0.1"
        assert set(device.probes) == {"dn:NetworkVideoTransmitter", "tds:Device"}


async def test_several_answers_of_one_device_are_one_device() -> None:
    async with DiscoverableDevice() as device:
        assert len(await discover(LOOPBACK, group=device.place, seconds=0.4)) == 1
        assert device.probes.total() == 4, "each probe goes out twice"


async def test_junk_before_the_answer_does_no_harm() -> None:
    junk = (b"", b"\xff" * 2000, b"<!DOCTYPE l [<!ENTITY a 'ha'>]><l>&a;</l>", answer(relates_to="urn:uuid:another"))
    async with DiscoverableDevice(before=junk) as device:
        assert len(await discover(LOOPBACK, group=device.place, most=1, seconds=10)) == 1


async def test_a_flood_from_one_address_is_cut() -> None:
    junk = tuple(b"<x/>" for _ in range(MAX_DATAGRAMS))
    async with DiscoverableDevice(before=junk) as device:
        assert await discover(LOOPBACK, group=device.place, seconds=0.1) == ()


@pytest.mark.parametrize(
    "device",
    [
        DiscoverableDevice(addresses=("http://192.0.2.7/onvif/device_service",)),
        DiscoverableDevice(addresses=("http://nvr.local/onvif/device_service", "ftp://127.0.0.1/")),
        DiscoverableDevice(addresses=()),
        DiscoverableDevice(relates_to="urn:uuid:another"),
    ],
)
async def test_what_lies_elsewhere_or_answers_somebody_else_is_left_out(device: DiscoverableDevice) -> None:
    async with device:
        assert await discover(LOOPBACK, group=device.place, seconds=0.1) == ()


async def test_an_answer_from_outside_the_networks_is_left_out() -> None:
    async with DiscoverableDevice(addresses=("http://192.0.2.7/",)) as device:
        assert await discover([ip_network("192.0.2.0/24")], group=device.place, seconds=0.1) == ()


async def test_one_address_that_answers_for_a_crowd_leaves_room_for_others() -> None:
    async with DiscoverableDevice(crowd=tuple(f"http://127.0.0.9/{place}" for place in range(100))) as device:
        assert len(await discover(LOOPBACK, group=device.place, seconds=0.4)) == MAX_DEVICES_EACH


async def test_nobody_there_is_no_error() -> None:
    async with DiscoverableDevice() as device:
        place = device.place
    assert await discover(LOOPBACK, group=place, seconds=0.1) == ()


async def test_without_a_network_nothing_is_sent() -> None:
    assert await discover([], seconds=0.01) == ()


async def test_the_group_is_asked_from_loopback_too() -> None:
    assert await discover(LOOPBACK, seconds=0.05) == ()


def test_of_many_addresses_the_first_inside_the_networks_is_taken() -> None:
    found = matches(
        answer(addresses="http://10.0.0.1/x http://[fe80::1]/x https://127.0.0.3:8443/onvif"), PROBE, LOOPBACK
    )
    assert [(one.url, one.name, one.hardware) for one in found] == [
        ("https://127.0.0.3:8443/onvif", "Nursery NVR", "NVR302")
    ]


@pytest.mark.parametrize(
    "address",
    [
        "http://user:pass@127.0.0.1/",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1:0/",
        "http://[::1/",
        "http://127.0.0.1/" + "x" * 400,
        "http://127.0.0.1/ü",
        "//127.0.0.1/",
    ],
)
def test_addresses_that_are_not_plain_are_left_out(address: str) -> None:
    assert matches(answer(addresses=address), PROBE, LOOPBACK) == ()


def test_what_a_device_says_of_itself_is_cut_and_cleaned() -> None:
    device = matches(
        answer(scopes="onvif://www.onvif.org/name/a%1B%5B31m" + "b" * 500, endpoint="e" * 500), PROBE, LOOPBACK
    )[0]
    assert device.name == ("a[31m" + "b" * 500)[:100]
    assert device.endpoint == "e" * 100


def test_a_large_datagram_is_not_even_read() -> None:
    tracemalloc.start()
    try:
        assert matches(answer(scopes="x" * MAX_BYTES), PROBE, LOOPBACK) == ()
        assert matches(b"<a>" * (MAX_BYTES // 3), PROBE, LOOPBACK) == ()
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@given(st.data())
def test_any_datagram_gives_devices_inside_the_networks_or_none(data: st.DataObject) -> None:
    body = bytearray(answer())
    for _ in range(data.draw(st.integers(0, 6))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(body)[: data.draw(st.integers(0, len(body)))] if data.draw(st.booleans()) else bytes(body)
    for device in matches(cut, PROBE, LOOPBACK):
        assert device.address.startswith("127.")
        assert device.url.isprintable()


@given(st.text(max_size=60))
def test_any_address_gives_one_inside_the_networks_or_none(text: str) -> None:
    escaped = "".join(sign for sign in text if sign not in "<&\x00" and (sign.isprintable() or sign in " \t\n"))
    for device in matches(answer(addresses=escaped), PROBE, LOOPBACK):
        assert device.address.startswith("127.")
