"""Writes a first site.yaml: annotated, and such that the agent accepts it."""

from __future__ import annotations

import ipaddress
import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from agents.site import SiteError, load_site
from agents.site_file import is_address
from monitor.model.inventory import Room
from monitor.regulations.problem import Problem

STATE_OF_A_SERVICE = "/var/lib/cradlewatch"
"""As config/units/cradlewatch-agent.service has it."""


class InitError(Exception):
    """site.yaml can't be written; the text is one sentence."""


@dataclass(frozen=True)
class CameraAnswer:
    """One camera: what its zone is used for, what it is called, and its stream where the recorder is not to be asked."""

    room: str
    name: str = ""
    stream: str = ""

    @classmethod
    def parse(cls, text: str) -> CameraAnswer:
        """Read ROOM or ROOM=NAME. Raises InitError for a room that there is not."""
        room, _, name = text.partition("=")
        if room not in {item.value for item in Room}:
            rooms = ", ".join(item.value for item in Room)
            raise InitError(f"{text!r} names no room: write ROOM or ROOM=NAME, with a room of {rooms}")
        return cls(room, name)


@dataclass(frozen=True)
class Answers:
    """What site.yaml is made of. Either `url` (a recorder) or `recordings` (a folder of files), or neither.

    The login is the recorder's, or without one that of the cameras with streams.
    """

    institution: str
    name: str
    timezone: str
    regulation: str
    networks: tuple[str, ...] = ()
    driver: str = "hikvision"
    url: str = ""
    username: str = ""
    password_file: str = ""
    recordings: str = ""
    cameras: tuple[CameraAnswer, ...] = ()


def network_of(url: str) -> str | None:
    """Return the network that a recorder's numeric address most likely lies in; None for a name."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return None
    if not is_address(host):
        return None
    address = ipaddress.ip_address(host)
    length = 8 if address.is_loopback else 24 if address.version == 4 else 64
    return str(ipaddress.ip_network(f"{address}/{length}", strict=False))


def state_dir_for(output: Path) -> str:
    """Return what `state_dir` is to say: nothing, but where site.yaml lies below /etc, which a service may not write to."""
    return STATE_OF_A_SERVICE if output.resolve().is_relative_to("/etc") else ""


def write_site(answers: Answers, output: Path, *, force: bool = False) -> None:
    """Write site.yaml when the agent accepts it. Raises InitError, and SiteError when it does not.

    A file that is there stays as it is without `force`.
    """
    if output.exists() and not force:
        raise InitError(f"{output} is there already: give another --output, or --force to write over it")
    if not (answers.url or answers.recordings) and not all(camera.stream for camera in answers.cameras):
        raise InitError(
            "cameras need something to look at: give the recorder's URL, the folder of its recordings, or streams"
        )
    fresh = output.with_name(output.name + ".new")
    try:
        fresh.write_text(render(answers, state_dir_for(output)), encoding="utf-8")
        load_site(fresh)
        fresh.replace(output)
    except SiteError as error:
        raise SiteError(_renamed(error.problems, output)) from None
    except OSError as error:
        raise InitError(f"{output} can't be written: {error.strerror}") from None
    finally:
        fresh.unlink(missing_ok=True)


def refusal(answers: Answers) -> str | None:
    """Return why the agent would not accept a site.yaml of these answers, in one sentence; None when it would."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "site.yaml"
        path.write_text(render(answers), encoding="utf-8")
        try:
            load_site(path)
        except SiteError as error:
            return error.problems[0].message
    return None


def write_password(path: Path, password: str) -> None:
    """Write a password file that only its owner may read; one that is there stays. Raises InitError."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise InitError(f"{path} can't be written: {error.strerror}") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(password + "\n")


def _renamed(problems: Sequence[Problem], output: Path) -> list[Problem]:
    return [replace(problem, file=str(output)) for problem in problems]


def _text(value: str) -> str:
    """Write a text as YAML in quotes: JSON's are YAML's too."""
    return json.dumps(value, ensure_ascii=False)


_HEAD = """\
# Cradlewatch 采集端配置 / the agent's configuration. Unknown keys are errors. No password stands in this file.

# 机构 / the institution; its time zone decides when a day begins
institution: {{id: {institution}, name: {name}, timezone: {timezone}}}

# 规则包（cradlewatch regulation list）；登记后以监管端下发的为准 / the pack; once enrolled the collector's wins
regulation: {regulation}

# 采集端只访问这些地址（监管端除外）/ the only addresses that the agent may contact, besides the collector
networks: [{networks}]

# 开放时间，请核对 / opening hours: correct them, then take the # away
# hours: {{open: "07:30", close: "18:00", days: [mon, tue, wed, thu, fri]}}

# 停业日期，to 为最后一天 / closed days; `to` is the last of them
# closures: [{{from: 2027-02-05, to: 2027-02-12, reason: 春节}}]
"""

_STATE = """
# 采集端的数据、队列与密钥存放处 / where the agent keeps what it knows, what it has to send, and its key
state_dir: {state_dir}
"""

_RECORDER = """
recorders:
  - id: nvr
    driver: {driver}
    url: {url}
"""

_FILES = """
recorders:
  - id: nvr
    driver: files
    # strftime；{{camera}} 是摄像机的 channel，没有则是 id / {{camera}} is the camera's channel, else its id
    path: {recordings}
"""

_LOGIN = """\
    # 只读账号 / an account of its own, with rights to look and search only
    username: {username}
    # 密码单独存放，chmod 600 / the password lies in a file of its own
    password_file: {password_file}
"""


def render(answers: Answers, state_dir: str = "") -> str:
    """Return the text of site.yaml; with the state's directory where it is not to be the usual one. Pure."""
    parts = [
        _HEAD.format(
            institution=_text(answers.institution),
            name=_text(answers.name),
            timezone=_text(answers.timezone),
            regulation=_text(answers.regulation),
            networks=", ".join(map(_text, answers.networks or _networks(answers))),
        ),
        _STATE.format(state_dir=_text(state_dir)) if state_dir else "",
        _recorder(answers),
        _zones(answers.cameras),
        _cameras(answers),
    ]
    return "".join(parts)


def _networks(answers: Answers) -> list[str]:
    """Return the networks that the numeric addresses lie in, each once."""
    urls = [answers.url, *(camera.stream for camera in answers.cameras)]
    return list(dict.fromkeys(found for url in urls if (found := network_of(url)) is not None))


def _recorder(answers: Answers) -> str:
    if answers.recordings:
        return _FILES.format(recordings=_text(answers.recordings))
    if not answers.url:
        return "\nrecorders: []\n"
    text = _RECORDER.format(driver=_text(answers.driver), url=_text(answers.url))
    if answers.username:
        text += _LOGIN.format(username=_text(answers.username), password_file=_text(answers.password_file))
    return text


def _zones(cameras: Sequence[CameraAnswer]) -> str:
    rooms = ", ".join(room.value for room in Room)
    lines = [
        f"  - {{id: {camera.room}{number}, room: {camera.room}, name: {_text(camera.name)}}}"
        for number, camera in enumerate(cameras, 1)
    ]
    head = f"\n# 区域；room 为其中之一 / zones, each with its room, one of:\n#   {rooms}\n"
    return head + ("zones:\n" + "\n".join(lines) if lines else "zones: []") + "\n"


def _cameras(answers: Answers) -> str:
    head = (
        "\n# 摄像机；可加 stream: rtsp://…（子码流）与 commissioned: 启用日期"
        "\n# cameras; add stream: rtsp://... (the sub-stream) where the recorder is not to be asked for it, and"
        "\n# commissioned: DATE when it is new\n"
    )
    lines = [_camera(answers, camera, number) for number, camera in enumerate(answers.cameras, 1)]
    return head + ("cameras:\n" + "\n".join(lines) if lines else "cameras: []") + "\n"


def _camera(answers: Answers, camera: CameraAnswer, number: int) -> str:
    parts = [f"id: cam{number}", f"name: {_text(camera.name)}", f"zones: [{camera.room}{number}]"]
    if answers.url or answers.recordings:
        parts.append("recorder: nvr")
    if answers.url:  # in a folder of recordings the camera's id is its name there, unless a channel says otherwise
        parts.append(f"channel: {number}")
    if camera.stream:
        parts.append(f"stream: {_text(camera.stream)}")
        if answers.username and not answers.url:
            parts += [f"username: {_text(answers.username)}", f"password_file: {_text(answers.password_file)}"]
    return f"  - {{{', '.join(parts)}}}"
