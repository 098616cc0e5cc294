"""What there is to watch: devices on the networks, channels of the recorders, as text to paste and as JSON."""

import json
from collections.abc import Sequence
from ipaddress import ip_network
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from agents.cli import app
from agents.discover import Asked, Discovered, Listed, as_json, as_yaml, discover
from agents.recorders.base import Behind, Channel, OffersNothing, RecorderError
from agents.recorders.ws_discovery import Device
from agents.site import Site, load_site
from agents.site_file import Network

NETWORK = ip_network("192.0.2.0/24")
FOUND = Device("http://192.0.2.60/onvif/device_service", "Yard\n- {id: evil}", "IPC-1", "urn:uuid:1")


class Told(OffersNothing):
    """A recorder that lists channels, or refuses."""

    def __init__(self, *channels: Channel, error: RecorderError | None = None) -> None:
        self._channels, self._error = channels, error

    async def channels(self) -> tuple[Channel, ...]:
        if self._error is not None:
            raise self._error
        return self._channels


def written(folder: Path, **more: object) -> Site:
    site = {
        "institution": {"id": "wj-1", "timezone": "Asia/Shanghai"},
        "regulation": "cn-nursery-wujiang-2021",
        "networks": [str(NETWORK)],
        "recorders": [{"id": name, "driver": "hikvision", "url": "http://192.0.2.10"} for name in ("nvr", "old")],
        "zones": [],
        "cameras": [{"id": "gate", "zones": [], "recorder": "nvr", "channel": 1}],
        **more,
    }
    path = folder / "site.yaml"
    path.write_text(yaml.safe_dump(site))
    return load_site(path)


async def probed(networks: Sequence[Network]) -> tuple[Device, ...]:
    assert list(networks) == [NETWORK]
    return (FOUND,)


async def nothing(_: Sequence[Network]) -> tuple[Device, ...]:
    raise OSError(99, "no such address")


CHANNELS = (
    Channel("1", "大门", True),
    Channel("2", 'Room "1" # x\n- {id: evil}', False, Behind("SER-2", "", "192.0.2.22", "IPC")),
)


async def test_channels_that_are_not_declared_can_be_pasted(tmp_path: Path) -> None:
    site = written(tmp_path)
    drivers = {"nvr": Told(*CHANNELS), "old": Told(error=RecorderError("timeout", "192.0.2.10 didn't answer"))}
    found = await discover([NETWORK], site, drivers, probed)  # type: ignore[arg-type]  # asked for channels alone
    text = as_yaml(found)
    pasted = yaml.safe_load(text)
    assert pasted == {
        "cameras": [
            {
                "id": "nvr-2",
                "name": 'Room "1" # x - {id: evil}',
                "zones": [],
                "recorder": "nvr",
                "channel": "2",
                "identity": "SER-2",
            }
        ]
    }
    assert "# recorder nvr: 2 channels, 1 of them not in site.yaml" in text
    assert "# recorder old: 192.0.2.10 didn't answer" in text
    assert "# ONVIF device at http://192.0.2.60/onvif/device_service: IPC-1 Yard - {id: evil}" in text
    again = written(
        tmp_path, cameras=[{"id": "gate", "zones": [], "recorder": "nvr", "channel": 1}, *pasted["cameras"]]
    )
    assert [camera.id for camera in again.cameras] == ["gate", "nvr-2"]


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=["Cs"]), max_size=70)
            | st.sampled_from(["1", "2", "Rec_1", "门1"]),
            st.text(st.characters(exclude_categories=["Cs"]), max_size=250),
            st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
        ),
        max_size=5,
    )
)
def test_whatever_a_recorder_lists_what_is_pasted_is_loaded(
    tmp_path_factory: pytest.TempPathFactory, listed: list[tuple[str, str, str]]
) -> None:
    channels = [Channel(number, name, True, Behind(text, "", text, text)) for number, name, text in listed]
    gate = {"id": "nvr-1", "zones": [], "recorder": "nvr", "channel": "other"}
    asked = Asked("nvr", "hikvision", tuple(Listed(one, None) for one in channels), None)
    text = as_yaml(Discovered((), None, (asked,)), ["nvr-1"])
    pasted = (yaml.safe_load(text) or {"cameras": []})["cameras"]
    loaded = written(tmp_path_factory.mktemp("site"), cameras=[gate, *pasted]).cameras
    nameable = {one.id for one in channels if 0 < len(one.id) <= 64 and one.id.isprintable()}
    assert {camera.channel for camera in loaded[1:]} == nameable
    assert len(loaded[1:]) == len(nameable)
    assert {camera.identity for camera in loaded[1:]} <= {None, *(text for _, _, text in listed)}


async def test_a_site_of_ipv6_alone_is_told_that_nobody_was_looked_for() -> None:
    found = await discover([ip_network("2001:db8::/64")], None, {}, probed)
    assert "all networks are IPv6" in as_yaml(found)


async def test_as_json_everything_is_told(tmp_path: Path) -> None:
    found = await discover([NETWORK], written(tmp_path), {"nvr": Told(*CHANNELS)}, probed)  # type: ignore[dict-item]
    told = json.loads(as_json(found))
    assert told["schema"] == "cradlewatch.discover/1"
    assert told["devices"] == [{"url": FOUND.url, "name": FOUND.name, "hardware": "IPC-1", "endpoint": "urn:uuid:1"}]
    assert [(one["id"], one["declared_as"], one["online"]) for one in told["recorders"][0]["channels"]] == [
        ("1", "gate", True),
        ("2", None, False),
    ]


async def test_without_a_socket_the_recorders_are_asked_all_the_same(tmp_path: Path) -> None:
    found = await discover([NETWORK], written(tmp_path), {"nvr": Told(*CHANNELS)}, nothing)  # type: ignore[dict-item]
    assert found.device_error == "devices can't be looked for: no such address"
    assert len(found.recorders[0].channels) == 2


async def test_nothing_found_is_said() -> None:
    async def none(_: Sequence[Network]) -> tuple[Device, ...]:
        return ()

    assert as_yaml(await discover([NETWORK], None, {}, none)) == "# no ONVIF device answered in these networks\n"


def test_the_commands_say_what_they_lack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = CliRunner()
    monkeypatch.chdir(tmp_path)
    result = runner.invoke(app, ["discover"])
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "give --config or --network" in result.stderr
    result = runner.invoke(app, ["discover", "--network", "192.168.1.*"])
    said = "--network 192.168.1.*: this is no network; write it like 192.0.2.0/24\n"
    assert (result.exit_code, result.stderr) == (2, said)
    site = written(tmp_path)
    result = runner.invoke(app, ["record-device", "--config", str(site.path), "--recorder", "nope"])
    assert result.exit_code == 2
    assert "has no recorder of that id; there are nvr, old" in result.stderr
