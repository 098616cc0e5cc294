"""site.yaml: the contract's example is read whole, and every wrong way is one sentence with its line."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.bounds import Bounds, Overrides, ThresholdsForm
from agents.recorders.settings import OptionsError
from agents.secret import SecretError
from agents.site import Site, SiteError, load_site
from agents.site_checks import check_driver
from agents.site_file import Endpoint
from agents.vision.thresholds import Thresholds
from monitor.model.inventory import Inventory

WITH_THRESHOLDS = """
thresholds:
  dark_p90: 50
  infrared: {noisy_grain: 9, dark_p90: 20}
"""

CONTRACT = """\
institution: {id: wj-0001, name: 示范托育园, timezone: Asia/Shanghai}
regulation: cn-nursery-wujiang-2021
networks: [192.0.2.0/24]
hours: {open: "07:30", close: "18:00", days: [mon, tue, wed, thu, fri]}
closures: [{from: 2027-02-05, to: 2027-02-12, reason: 春节}]
naps: [{from: "12:00", to: "14:30"}]
recorders:
  - id: nvr
    driver: hikvision
    url: http://192.0.2.10
    username: compliance
    password_file: secrets/nvr
    tls_fingerprint: null
    max_streams: 8
    quiet_hours: ["01:00-05:00"]
zones:
  - {id: gate, room: entrance, name: 大门}
  - {id: room1, room: play, name: 小一班}
cameras:
  - id: gate
    name: 大门
    zones: [gate]
    recorder: nvr
    channel: 1
    stream: rtsp://192.0.2.10:554/Streaming/Channels/102
    main_stream: rtsp://192.0.2.10:554/Streaming/Channels/101
    identity: null
    commissioned: 2024-03-01
  - {id: room1, zones: [room1], recorder: nvr, channel: 2}
"""


def options_of_tests(recorder_id: str, driver: str, options: Mapping[str, Any]) -> None:
    """Stand for the registry where the test is not about drivers: one option is known."""
    if driver not in {"hikvision", "files"}:
        raise OptionsError(f"recorder {recorder_id}: unknown driver; there are files, hikvision")
    for key in options:
        if key != "path":
            raise OptionsError(f"recorder {recorder_id}: unknown key {key!r}; driver {driver} knows: path")


def load(folder: Path, text: str, name: str = "site.yaml") -> Site:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return load_site(path, check_options=options_of_tests)


def wrong(folder: Path, text: str) -> list[str]:
    """Return the sentences without the folder's name."""
    with pytest.raises(SiteError) as caught:
        load(folder, text)
    return [str(problem).replace(f"{folder}/", "") for problem in caught.value.problems]


def test_the_contracts_example_is_read_whole(tmp_path: Path) -> None:
    site = load(tmp_path, CONTRACT)
    assert site.regulation == "cn-nursery-wujiang-2021"
    assert [str(network) for network in site.networks] == ["192.0.2.0/24"]
    assert site.closures[0].to == date(2027, 2, 12)
    assert site.naps[0].to == time(14, 30)
    recorder = site.recorder("nvr")
    assert recorder is not None
    assert (recorder.max_streams, recorder.options, recorder.url) == (8, {}, "http://192.0.2.10")
    assert (recorder.quiet_hours[0].start, recorder.quiet_hours[0].end) == (time(1), time(5))
    gate, room1 = site.cameras
    assert (gate.channel, gate.commissioned, gate.stream) == (
        "1",
        date(2024, 3, 1),
        "rtsp://192.0.2.10:554/Streaming/Channels/102",
    )
    assert site.credentials_of(gate) == recorder.credentials == site.credentials_of(room1)
    assert site.state_dir == tmp_path / "site.state"
    assert site.cameras_of("nvr") == (gate, room1)
    assert site.camera("nobody") is None
    assert site.recorder(None) is None


@pytest.mark.parametrize(("driver", "channel"), [("hikvision", "2"), ("files", "02")])
def test_a_channel_that_is_a_number_is_the_one_that_the_recorder_lists(
    tmp_path: Path, driver: str, channel: str
) -> None:
    text = CONTRACT.replace("driver: hikvision", f"driver: {driver}").replace("channel: 2}", 'channel: "02"}')
    assert load(tmp_path, text).cameras[1].channel == channel


def test_the_inventory_travels_without_addresses_and_secrets(tmp_path: Path) -> None:
    inventory = load(tmp_path, CONTRACT).inventory()
    text = inventory.model_dump_json(by_alias=True)
    assert Inventory.model_validate_json(text) == inventory
    assert [camera.has_stream for camera in inventory.cameras] == [True, True]
    assert not any(word in text for word in ("192.0.2", "compliance", "secrets", "rtsp"))


MINIMAL = """\
institution: {id: a}
regulation: r
networks: []
zones: []
cameras: []
"""


def test_recorders_may_be_absent_or_empty(tmp_path: Path) -> None:
    assert load(tmp_path, MINIMAL).recorders == load(tmp_path, MINIMAL + "recorders: []\n").recorders == ()


def test_a_camera_of_a_folder_of_files_has_no_stream(tmp_path: Path) -> None:
    text = MINIMAL.replace("cameras: []", "cameras: [{id: c, zones: [], recorder: f}]")
    site = load(tmp_path, text + "recorders: [{id: f, driver: files, path: 'rec/{camera}/%H.mp4'}]\n")
    assert site.recorders[0].options == {"path": "rec/{camera}/%H.mp4"}
    assert not site.inventory().cameras[0].has_stream


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("192.0.2.1", Endpoint(host="192.0.2.1")),
        ("gw.lan:80", Endpoint(host="gw.lan", port=80)),
        ("'[2001:db8::1]:8'", Endpoint(host="2001:db8::1", port=8)),
    ],
)
def test_the_gateway_is_a_host_and_perhaps_a_port(tmp_path: Path, written: str, read: Endpoint) -> None:
    text = MINIMAL.replace("networks: []", "networks: [192.0.2.0/24, '2001:db8::/64']")
    assert load(tmp_path, text + f"gateway: {written}\n").gateway == read


def test_paths_are_relative_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.yaml").write_text(CONTRACT + "state_dir: ../state\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    site = load_site("sub/a.yaml", check_options=options_of_tests)
    assert site.state_dir == tmp_path / "sub" / "../state"
    assert site.base_dir == tmp_path / "sub"


def test_two_sites_in_a_folder_keep_apart_states(tmp_path: Path) -> None:
    assert load(tmp_path, MINIMAL, "north.yaml").state_dir != load(tmp_path, MINIMAL, "south.yaml").state_dir


# Passwords.


def password_of(folder: Path) -> str:
    credentials = load(folder, CONTRACT).recorders[0].credentials
    assert credentials is not None
    return credentials.password.read()


@pytest.mark.parametrize("content", [b"pa ss\n", b"pa ss", b"\xef\xbb\xbfpa ss\r\n"])
def test_a_trailing_newline_is_no_part_of_a_password(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "nvr").write_bytes(content)
    assert password_of(tmp_path) == "pa ss"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "can't be read (No such file or directory); create it, or correct the path"),
        (b"\n", "is empty; write the password into it"),
        (b"hunter2\nsecond\n", "holds more than one line; write only the password into it"),
        (b"\xff\xfe", "is no UTF-8 text; save it as UTF-8"),
        (b"hunter2" * 1000, "is longer than 4096 bytes; it is no password file"),
    ],
)
def test_a_password_that_cannot_be_read_is_one_sentence_without_it(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    (tmp_path / "secrets").mkdir()
    if content is not None:
        (tmp_path / "secrets" / "nvr").write_bytes(content)
    with pytest.raises(SecretError) as caught:
        password_of(tmp_path)
    assert str(caught.value) == f"recorder nvr: password_file {tmp_path}/secrets/nvr {said}"
    assert "hunter2" not in repr(caught.value)


def test_a_password_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = load(tmp_path, CONTRACT.replace("password_file: secrets/nvr", "password_env: NVR_PASSWORD"))
    credentials = site.recorders[0].credentials
    assert credentials is not None
    with pytest.raises(SecretError, match="recorder nvr: password_env NVR_PASSWORD is not set; export it"):
        credentials.password.read()
    monkeypatch.setenv("NVR_PASSWORD", "hunter2")
    assert credentials.password.read() == "hunter2"
    assert "hunter2" not in repr(site)


def test_a_password_from_a_credential_of_systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = load(tmp_path, CONTRACT.replace("password_file: secrets/nvr", "password_credential: nvr.password"))
    credentials = site.recorders[0].credentials
    assert credentials is not None
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    with pytest.raises(
        SecretError, match=r"recorder nvr: password_credential nvr.password can't .* LoadCredential=nvr.password:FILE"
    ):
        credentials.password.read()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    with pytest.raises(SecretError, match=r"password_credential nvr.password can't be read"):
        credentials.password.read()
    (tmp_path / "nvr.password").write_text("hunter2\n")
    (tmp_path / "nvr.password").chmod(0o440)
    assert credentials.password.read() == "hunter2"
    assert site.warnings() == (), "systemd lets the unit alone reach it"
    assert "hunter2" not in repr(site)


@pytest.mark.parametrize("name", ["../nvr", "/etc/cradlewatch/nvr", "a b", "", ".hidden", "hunter2!"])
def test_a_credential_is_a_name_and_no_path_and_what_stands_there_is_not_repeated(tmp_path: Path, name: str) -> None:
    with pytest.raises(SiteError) as caught:
        load(tmp_path, CONTRACT.replace("password_file: secrets/nvr", f"password_credential: {name!r}"))
    assert "password_credential" in str(caught.value)
    assert not name or name not in str(caught.value)


def test_a_password_file_that_others_may_read_is_warned_of(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    file = tmp_path / "secrets" / "nvr"
    site = load(tmp_path, CONTRACT)
    assert site.warnings() == ()
    file.write_text("hunter2")
    file.chmod(0o640)
    assert site.warnings() == (
        f"recorder nvr: password_file {file} can be opened by other users of this machine; run chmod 600 on it",
    )
    file.chmod(0o600)
    assert site.warnings() == ()


def test_old_tls_is_warned_of(tmp_path: Path) -> None:
    assert not load(tmp_path, CONTRACT).recorders[0].old_tls
    site = load(tmp_path, CONTRACT.replace("    driver: hikvision\n", "    driver: hikvision\n    old_tls: true\n"))
    assert site.recorders[0].old_tls
    (warning,) = site.warnings()
    assert warning.startswith("recorder nvr: old_tls allows TLS 1.0 and 1.1")


# Wrong files: (what is replaced, by what, the sentence).
SHAPE = "write it like"
WRONG = [
    ("networks: [192.0.2.0/24]\n", "", "site.yaml:1: networks: this key is missing"),
    ("regulation: cn-nursery-wujiang-2021\n", "", "site.yaml:1: regulation: this key is missing"),
    ("naps:", "napps:", "site.yaml:6: napps: unknown key; did you mean naps?"),
    ("timezone: Asia/Shanghai", "timezone: Asia/Wujiang", "site.yaml:1: institution.timezone: unknown time zone 'Asia/Wujiang'; write an IANA name such as Asia/Shanghai"),
    ("id: wj-0001", "id: 'wj 1'", "site.yaml:1: institution.id: 'wj 1' is no id; use letters, digits, dot, underscore and hyphen, at most 64"),
    ("[192.0.2.0/24]", "[192.0.2.10/24]", "site.yaml:3: networks[0]: names an address inside a network: write 192.0.2.0/24 for the network, or 192.0.2.10/32 for the one address"),
    ("[192.0.2.0/24]", "[site]", f'site.yaml:3: networks[0]: is no network: {SHAPE} "192.0.2.0/24"'),
    ('open: "07:30"', 'open: "18:30"', ("site.yaml:4: hours: close must be later than open on the same day; who is open over midnight leaves hours out:"
     " then all of the day counts as open")),
    ('open: "07:30"', 'open: "07:30+08:00"', "site.yaml:4: hours.open: must be the institution's local time, without a zone: write it like 07:30"),
    ("days: [mon,", "days: [monday,", "site.yaml:4: hours.days[0]: 'monday' is not known here; write 'mon', 'tue', 'wed', 'thu', 'fri', 'sat' or 'sun'"),
    ("to: 2027-02-12", "to: 2027-02-01", "site.yaml:5: closures[0]: to must not be before from"),
    ("to: 2027-02-12", "to: 2027-02-30", "site.yaml:5: closures[0].to: '2027-02-30' is not a date; write it as 2021-03-31"),
    ('to: "14:30"', 'to: "02:30"', "site.yaml:6: naps[0]: to must be later than from on the same day"),
    ("driver: hikvision", "driver: hikvison", "site.yaml:9: recorders[0].driver: unknown driver; there are files, hikvision"),
    ("url: http://192.0.2.10", "urll: http://192.0.2.10", "site.yaml:8: recorders[0]: driver hikvision needs a url: add it like http://192.0.2.10"),
    ("max_streams: 8", "max_stream: 8", "site.yaml:14: recorders[0].max_stream: unknown key 'max_stream'; driver hikvision knows: path"),
    ("max_streams: 8", "max_streams: 0", "site.yaml:14: recorders[0].max_streams: 0 is out of range; it must be at least 1"),
    ("http://192.0.2.10", "ftp://192.0.2.10", "site.yaml:10: recorders[0].url: must begin with http:// or https://"),
    ("http://192.0.2.10", "192.0.2.10", "site.yaml:10: recorders[0].url: must begin with http:// or https://"),
    ("http://192.0.2.10", "http://", f"site.yaml:10: recorders[0].url: names no host: {SHAPE} http://192.0.2.10"),
    ("http://192.0.2.10", "http://192.0.2.10:99999", f"site.yaml:10: recorders[0].url: is no address: {SHAPE} http://192.0.2.10"),
    *(("http://192.0.2.10", f"http://{typo}", f"site.yaml:10: recorders[0].url: is no address, which is four numbers from 0 to 255 without leading zeros: {SHAPE} http://192.0.2.10")
      for typo in ("192.0.2.010", "192.0.2.256", "192.0.2", "192.0.2.10.", "3221225994", "0xc000020a:80", "nvr.0x0a")),
    ("http://192.0.2.10", "http://admin:hunter2@192.0.2.10", "site.yaml:10: recorders[0].url: holds a user name or password: remove it, and write username and password_file instead"),
    ("http://192.0.2.10", "http://198.51.100.1", "site.yaml:10: recorders[0].url: 198.51.100.1 lies outside the site's networks: add its network to networks, or correct the address"),
    *(("http://192.0.2.10", f"http://{host}", f"site.yaml:10: recorders[0].url: {host.strip('[]')} is link-local, or no device's at all, and never contacted: give the device an address inside the networks")
      for host in ("169.254.12.1", "[fe80::1]", "0.0.0.0", "239.255.255.250")),
    ("http://192.0.2.10", "http://127.0.0.1", "site.yaml:10: recorders[0].url: 127.0.0.1 lies outside the site's networks: add its network to networks, or correct the address"),
    ("password_file: secrets/nvr", "password: hunter2", "site.yaml:12: recorders[0].password: a password may not stand in this file: put it into a file and write password_file"),
    ("password_file: secrets/nvr", "password_file: 4711", "site.yaml:12: recorders[0].password_file: what stands here is not a text; put it into quotes"),
    ("password_file: secrets/nvr", "password_file: a\n    password_env: B", "site.yaml:8: recorders[0]: has both password_file and password_env: keep one of them"),
    ("    password_file: secrets/nvr\n", "", "site.yaml:8: recorders[0]: has a username and no password: add password_file, password_env or password_credential"),
    ("    username: compliance\n", "", "site.yaml:8: recorders[0]: has a password and no username: add username"),
    ("tls_fingerprint: null", "tls_fingerprint: abcd", "site.yaml:13: recorders[0].tls_fingerprint: must be a certificate's SHA-256: 64 hexadecimal digits"),
    ("01:00-05:00", "1-5", f'site.yaml:15: recorders[0].quiet_hours[0]: must be a span of two times: {SHAPE} "01:00-05:00"'),
    ("room: entrance", "room: gate", "site.yaml:17: zones[0].room: 'gate' is not known here; write 'entrance', 'corridor', 'play', 'nap', 'dining', 'wash', 'changing', 'toilet', 'nursing', 'kitchen', 'reception', 'outdoor_play', 'office', 'staff_rest' or 'other'"),
    ("{id: room1, room: play", "{id: gate, room: play", "site.yaml:18: zones[1].id: gate is also the id of zones[0]: give each its own"),
    ("{id: room1, zones: [room1], recorder: nvr, channel: 2}", "{id: room1, zones: [room2], recorder: nvr}", "site.yaml:29: cameras[1].zones[0]: there is no zone room2: declare it under zones, or correct the name"),
    ("{id: room1, zones: [room1], recorder: nvr, channel: 2}", "{id: room1, zones: [room1], recorder: dvr}", "site.yaml:29: cameras[1].recorder: there is no recorder dvr: declare it under recorders, or correct the name"),
    ("{id: room1, zones: [room1], recorder: nvr, channel: 2}", "{id: room1, zones: [room1]}", "site.yaml:29: cameras[1]: has neither a stream nor a recorder: add one, there is nothing to look at"),
    ("{id: room1, zones: [room1], recorder: nvr, channel: 2}", "{id: room1, recorder: nvr}", "site.yaml:29: cameras[1].zones: this key is missing"),
    ("{id: room1, zones: [room1], recorder: nvr, channel: 2}", "{id: room1, zones: [room1, room1], recorder: nvr}", "site.yaml:29: cameras[1].zones[1]: names zone room1 twice: keep one of them"),
    ("channel: 2}", "channel: 1}", "site.yaml:29: cameras[1].channel: channel 1 of recorder nvr is already camera gate: each has its own"),
    ("channel: 2}", 'channel: "01"}', "site.yaml:29: cameras[1].channel: channel 01 of recorder nvr is already camera gate: each has its own"),
    ("channel: 2}", "channel: true}", "site.yaml:29: cameras[1].channel: must be a number or a text"),
    ("recorder: nvr, channel: 2}", "channel: 2, stream: rtsp://192.0.2.9/}", "site.yaml:29: cameras[1].channel: needs a recorder: a channel is one of a recorder's"),
    ("stream: rtsp://192.0.2.10:554/Streaming/Channels/102", "stream: http://192.0.2.10/", "site.yaml:25: cameras[0].stream: must begin with rtsp:// or rtsps://"),
    ("stream: rtsp://192.0.2.10:554/Streaming/Channels/102", "stream: rtsp://192.0.2.10/user=admin&password=hunter2&channel=1", "site.yaml:25: cameras[0].stream: holds a user name or password: remove it, and write username and password_file instead"),
    ("commissioned: 2024-03-01", "commissioned: 20240301", "site.yaml:28: cameras[0].commissioned: 20240301 is not a date; write it as 2021-03-31"),
    ("institution:", "gateway: http://x\ninstitution:", f"site.yaml:1: gateway: must be HOST or HOST:PORT: {SHAPE} 192.0.2.1 or 192.0.2.1:80"),
    ("institution:", "gateway: 198.51.100.1\ninstitution:", "site.yaml:1: gateway: 198.51.100.1 lies outside the site's networks: add its network to networks, or correct the address"),
    ("regulation:", "regulation: a\nregulation:", "site.yaml:3: regulation: this key is written twice; it first stands on line 2"),
    (CONTRACT, "", "site.yaml:1: is empty: write a site with `cradlewatch agent init`"),
    (CONTRACT, "- a\n", "site.yaml:1: is no site.yaml: write one with `cradlewatch agent init`"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "sentence"), WRONG)
def test_each_wrong_way_is_one_sentence(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    assert old in CONTRACT
    found = wrong(tmp_path, CONTRACT.replace(old, new, 1))
    assert sentence in found
    assert not any("hunter2" in text or "4711" in text for text in found)


MANY_ZONES = [f"zone{number}" for number in range(65)]
LONG_REASON = "放" * 65
UNDECLARABLE = [
    ("reason: 春节", f"reason: {LONG_REASON}",
     "site.yaml:5: closures[0].reason: is told to the collector as a name: 200 letters at most, no more than 64 of them without a space"),
    ("zones: [gate]", f"zones: {MANY_ZONES}", "site.yaml:87: cameras[0].zones: has 65 entries, and 64 may be told to the collector"),
    ("channel: 2}\n", "channel: 2}\n" + "".join(
        f"  - {{id: more{number}, name: {'a room ' * 28}, zones: [room1], recorder: nvr}}\n" for number in range(300)
    ), "site.yaml:1: has 78972 letters in its names and their keys, and 65536 may be told to the collector: shorten names"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "sentence"), UNDECLARABLE)
def test_what_no_report_can_declare_is_told_before_the_service_starts(
    tmp_path: Path, old: str, new: str, sentence: str
) -> None:
    zones = "".join(f"  - {{id: {zone}, room: play}}\n" for zone in MANY_ZONES)
    large = CONTRACT.replace("zones:\n", "zones:\n" + zones, 1)
    assert load(tmp_path, large).zones[0].id == "zone0"
    assert wrong(tmp_path, large.replace(old, new, 1)) == [sentence]


def test_a_long_reason_in_a_short_declaration_is_told_as_ever(tmp_path: Path) -> None:
    site = load(tmp_path, CONTRACT.replace("reason: 春节", f"reason: {LONG_REASON}", 1))
    assert site.closures[0].reason == LONG_REASON


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SiteError, match=r"nowhere\.yaml: there is no such file"):
        load_site(tmp_path / "nowhere.yaml")


def test_all_problems_come_at_once_in_the_order_of_their_lines(tmp_path: Path) -> None:
    found = wrong(
        tmp_path,
        CONTRACT.replace("room: entrance", "room: gate")
        .replace('open: "07:30"', "open: 7")
        .replace("[192.0.2.0/24]", "[x]"),
    )
    assert [text.split(": ")[0] for text in found] == ["site.yaml:3", "site.yaml:4", "site.yaml:17"]


def test_a_loopback_address_counts_when_listed(tmp_path: Path) -> None:
    text = CONTRACT.replace("192.0.2.10", "127.0.0.1")
    assert load(tmp_path, text.replace("[192.0.2.0/24]", "[127.0.0.0/8]")).recorders[0].url == "http://127.0.0.1"
    assert len(wrong(tmp_path, text.replace("[192.0.2.0/24]", "[0.0.0.0/0]"))) == 3


def test_a_name_is_resolved_later(tmp_path: Path) -> None:
    assert load(tmp_path, CONTRACT.replace("http://192.0.2.10", "http://nvr.lan")).recorders[0].url == "http://nvr.lan"


def test_an_unknown_driver_is_told_by_the_registry() -> None:
    with pytest.raises(OptionsError, match=r"recorder nvr: unknown driver; there are .*, files, hikvision"):
        check_driver("nvr", "hikvison", {})


LINES = CONTRACT.splitlines()
VALUES = st.sampled_from(
    ["", "null", "[]", "{}", "1", "-1", "1e999", "true", "'", '"', "[", "{a: b}", "&a", "*a", "!x", "\ud800", "\x00", "9" * 400, "2027-02-05", "12:00", "http://[", "//", "%", "0" * 70000]
)  # fmt: skip


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, len(LINES) - 1), VALUES | st.text(max_size=12), st.booleans()), min_size=1, max_size=4
    )
)
def test_any_file_is_read_or_refused_in_sentences(tmp_path: Path, changes: list[tuple[int, str, bool]]) -> None:
    lines = list(LINES)
    for index, value, keep in changes:
        key, _, _ = lines[index].partition(":")
        lines[index] = f"{key}: {value}" if keep else value
    path = tmp_path / "site.yaml"
    path.write_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))
    with contextlib.suppress(SiteError):
        load_site(path, check_options=options_of_tests)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "site.yaml"
    path.write_bytes(content)
    with pytest.raises(SiteError):
        load_site(path, check_options=options_of_tests)


# --- thresholds ------------------------------------------------------------------------------------------------------


def test_thresholds_are_laid_over_each_other_and_what_is_changed_is_declared(tmp_path: Path) -> None:
    own = "thresholds: {confirm_looks: 3, infrared: {noisy_grain: 7}}"
    site = load(tmp_path, CONTRACT.replace("channel: 2}", f"channel: 2, {own}}}") + WITH_THRESHOLDS)
    gate, room = (site.camera(name) for name in ("gate", "room1"))
    assert gate is not None
    assert room is not None
    assert gate.bounds.day == replace(Thresholds(), dark_p90=50.0)
    assert gate.bounds.of("infrared") == replace(Thresholds(), dark_p90=20.0, noisy_grain=9.0)
    assert room.bounds.of("infrared") == replace(Thresholds(), dark_p90=20.0, noisy_grain=7.0, confirm_looks=3)
    declared = [(item.camera, item.light, item.name, item.value) for item in site.inventory().thresholds]
    assert declared == [
        (None, None, "dark_p90", 50.0),
        (None, "infrared", "dark_p90", 20.0),
        (None, "infrared", "noisy_grain", 9.0),
        ("room1", None, "confirm_looks", 3.0),
        ("room1", "infrared", "noisy_grain", 7.0),
    ]
    assert len({gate.bounds.digest(), room.bounds.digest(), Bounds().digest()}) == 3
    assert Inventory.model_validate_json(site.inventory().model_dump_json(by_alias=True)) == site.inventory()


def test_thresholds_that_are_the_defaults_are_no_change(tmp_path: Path) -> None:
    site = load(tmp_path, CONTRACT + f"thresholds: {{dark_p90: {Thresholds().dark_p90}}}\n")
    assert site.inventory().thresholds == ()
    assert site.cameras[0].bounds.digest() == Bounds().digest() == Thresholds().digest()


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ("{dark_p9: 50}", "thresholds.dark_p9: unknown key; did you mean dark_p90?"),
        ("{night: {}}", "thresholds.night: unknown key"),
        ("{infrared: {day: {}}}", "thresholds.infrared.day: unknown key"),
        ("{covered_ratio: 1.5}", "thresholds.covered_ratio: 1.5 is out of range; it must be at most 1"),
        ("{nap: {dark_p90: -1}}", "thresholds.nap.dark_p90: -1 is out of range; it must be at least 0"),
        ("{confirm_looks: 0}", "thresholds.confirm_looks: 0 is out of range; it must be at least 1"),
        ("{confirm_looks: 2.5}", "thresholds.confirm_looks: 2.5 is not a whole number"),
        ("{dark_p90: much}", "thresholds.dark_p90: 'much' is not a number"),
    ],
)
def test_a_threshold_that_makes_no_sense_is_named_with_its_key(tmp_path: Path, written: str, sentence: str) -> None:
    (found,) = wrong(tmp_path, CONTRACT + f"thresholds: {written}\n")
    assert sentence in found


def test_every_threshold_has_a_range_that_its_default_lies_in() -> None:
    form = ThresholdsForm.model_validate(vars(Thresholds()), strict=True)
    assert Bounds.resolve(Overrides.of(form)) == Bounds()
