"""Asks an installer for what site.yaml is made of: each question again until its answer can be used."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import typer

from agents.init import Answers, CameraAnswer, InitError, network_of, refusal, write_password
from agents.recorders.registry import DRIVERS
from agents.site_checks import LOCAL_DRIVERS
from monitor.model.inventory import Room
from monitor.regulations.loader import load, load_all
from monitor.regulations.problem import PackError

DEFAULT_REGULATION = "cn-nursery-wujiang-2021"
DEFAULT_TIMEZONE = "Asia/Shanghai"
MOST_CAMERAS = 256
"""So many are asked for one by one; more belong into the file by other means."""

T = TypeVar("T")


@dataclass(frozen=True)
class Given:
    """What the command line says already; None where it says nothing."""

    institution: str | None = None
    name: str | None = None
    timezone: str | None = None
    regulation: str | None = None
    networks: tuple[str, ...] = ()
    driver: str | None = None
    url: str | None = None
    username: str | None = None
    password_file: str | None = None
    recordings: str | None = None
    cameras: tuple[CameraAnswer, ...] = field(default_factory=tuple)


def cameras_of(cameras: Sequence[str], streams: Sequence[str]) -> tuple[CameraAnswer, ...]:
    """Read --camera and --stream, which go together in their order. Raises InitError."""
    if len(streams) > len(cameras):
        raise InitError("there are more --stream than --camera: give both for each camera, in the same order")
    return tuple(
        replace(CameraAnswer.parse(text), stream=stream)
        for text, stream in itertools.zip_longest(cameras, streams, fillvalue="")
    )


def take(given: Given) -> Answers:
    """Return the answers without asking anybody. Raises InitError or PackError."""
    if given.institution is None:
        raise InitError("give --institution: there is nobody to ask")
    answers = _given(given, given.institution)
    if not answers.networks and _has_a_name(answers) and refusal(answers) is None:
        raise InitError(
            "give --network, such as 192.0.2.0/24: a name tells no network, and outside its networks the agent contacts nothing"
        )
    return answers


def _given(given: Given, institution: str) -> Answers:
    regulation = DEFAULT_REGULATION if given.regulation is None else given.regulation
    return Answers(
        institution=institution,
        name=given.name or "",
        timezone=DEFAULT_TIMEZONE if given.timezone is None else given.timezone,
        regulation=load(regulation).id,
        networks=given.networks,
        driver=given.driver or "hikvision",
        url=given.url or "",
        username=given.username or "",
        password_file=given.password_file or "nvr.password",
        recordings=given.recordings or "",
        cameras=given.cameras,
    )


def ask(given: Given) -> Answers:
    """Ask for what is not given. Raises InitError or PackError for what the command line says, typer.Abort at Ctrl-C."""
    answers = _given(given, given.institution or "x")
    if given.url is None and given.recordings is None:
        answers = _ask_recorder(answers, given)
    if given.institution is None:
        question = "Institution's id (letters, digits, - . _)"
        answers = _prompt(question, None, lambda text: _accepted(replace(answers, institution=text)))
    if given.name is None:
        answers = _prompt("Institution's name", "", lambda text: _accepted(replace(answers, name=text)))
    if given.timezone is None:
        zone = answers.timezone
        answers = _prompt("Time zone", zone, lambda text: _accepted(replace(answers, timezone=text)))
    if given.regulation is None:
        packs = ", ".join(pack.id for pack in load_all())
        answers = replace(answers, regulation=_prompt(f"Regulation ({packs})", DEFAULT_REGULATION, _pack_id))
    if not given.cameras:
        answers = replace(answers, cameras=_ask_cameras(answers))
    if given.username is None and (answers.url or any(camera.stream for camera in answers.cameras)):
        whose = "Recorder's" if answers.url else "Cameras'"
        question = f"{whose} user name (empty: no login)"
        answers = _prompt(question, "", lambda text: _accepted(replace(answers, username=text)))
    if not given.networks and _has_a_name(answers):
        answers = _ask_network(answers)
    return answers


def ask_password(answers: Answers, output: Path) -> None:
    """Ask for the password of the login and keep it in its file; one that is there stays. Raises InitError."""
    path = output.absolute().parent / answers.password_file
    if not answers.username or path.exists():
        return
    password = typer.prompt(
        f"Password of {answers.username} (kept in {path}; empty: later)",
        default="",
        hide_input=True,
        show_default=False,
    )
    if password:
        write_password(path, password)


def _prompt(question: str, default: str | None, read: Callable[[str], T]) -> T:
    """Ask until `read` takes the answer; what it raises is told before the question comes again."""

    def value(text: str) -> T:
        try:
            text.encode()
        except UnicodeEncodeError:
            raise typer.BadParameter(
                "this is no UTF-8 text; set the terminal to UTF-8, or LANG to the encoding that it sends"
            ) from None
        try:
            return read(text.strip())
        except (InitError, PackError) as error:
            raise typer.BadParameter(str(error)) from None

    found: T = typer.prompt(question, default=default, value_proc=value, show_default=bool(default))
    return found


def _accepted(answers: Answers) -> Answers:
    """Return the answers when the agent would accept them. Raises InitError with what is wrong."""
    problem = refusal(answers)
    if problem is not None:
        raise InitError(problem)
    return answers


def _ask_recorder(answers: Answers, given: Given) -> Answers:
    """Ask for a recorder's address and make, or the folder of recordings; both may be left out."""
    question = "Recorder's URL, such as http://192.0.2.10 (empty: none)"
    found = _prompt(question, "", lambda text: _accepted(replace(answers, url=text)))
    if found.url and given.driver is None:
        makes = ", ".join(name for name in DRIVERS if name not in LOCAL_DRIVERS)
        make = found.driver
        return _prompt(f"Its make ({makes})", make, lambda text: _accepted(replace(found, driver=text)))
    if not found.url:
        question = "Folder of recorded files, such as /recordings/{camera}/%Y-%m-%d/%H%M%S.mp4 (empty: none)"
        return _prompt(question, "", lambda text: _accepted(replace(found, recordings=text)))
    return found


def _pack_id(text: str) -> str:
    return load(text).id


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) > MOST_CAMERAS:
        raise InitError(f"{text!r} is no number of cameras: write 0 to {MOST_CAMERAS}")
    return int(text)


def _ask_cameras(answers: Answers) -> tuple[CameraAnswer, ...]:
    count = _prompt("How many cameras", "1", _count)
    if count:
        typer.echo(f"Rooms: {', '.join(room.value for room in Room)}")
    cameras: list[CameraAnswer] = []
    for number in range(1, count + 1):
        what = f"Channel {number}" if answers.url else f"Camera {number}"
        camera = _prompt(f"{what}: ROOM or ROOM=NAME", "play", CameraAnswer.parse)
        if not answers.url and not answers.recordings:
            camera = _ask_stream(answers, camera, number)
        cameras.append(camera)
    return tuple(cameras)


def _ask_stream(answers: Answers, camera: CameraAnswer, number: int) -> CameraAnswer:
    def seen(text: str) -> CameraAnswer:
        found = replace(camera, stream=text)
        if not text:
            raise InitError("a camera without a recorder needs its stream: there is nothing else to look at")
        _accepted(replace(answers, cameras=(found,)))
        return found

    return _prompt(f"Camera {number}: its sub-stream, such as rtsp://192.0.2.21/live/sub", None, seen)


def _has_a_name(answers: Answers) -> bool:
    urls = [answers.url, *(camera.stream for camera in answers.cameras)]
    return any(url and network_of(url) is None for url in urls)


def _ask_network(answers: Answers) -> Answers:
    """A name tells no network, and outside its networks the agent contacts nothing."""

    def inside(text: str) -> Answers:
        networks = tuple(text.replace(",", " ").split())
        if not networks:
            raise InitError("the agent contacts nothing outside the networks named here: write one like 192.0.2.0/24")
        return _accepted(replace(answers, networks=networks))

    return _prompt("Networks of the recorder and the cameras, such as 192.0.2.0/24", None, inside)
