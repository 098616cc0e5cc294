"""A view is taken in two rounds: who stood there and left is no part of it, nor who came; too much change is refused."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents.baseline import approve
from agents.baseline_cli import print_baseline
from agents.check import check
from agents.site import Site
from agents.state import State
from agents.taking import Taken, Taking, take_views
from agents.views import ViewBook
from agents.vision.fingerprint import Fingerprint
from agents.vision.match import match
from monitor.model.clock import SystemClock
from monitor.model.observation import Kind, Subject
from monitor.regulations.loader import load
from support.rtsp_device import serve
from support.showing import Showing, showing
from support.site import site_of, write_site
from support.views import Image, blurred, drawn_room, hidden, lit, overlaid, person, turned

pytestmark = pytest.mark.timeout(120)

QUICK = Taking(looks=3, apart_seconds=0.05, most_seconds=15.0, again_seconds=0.0)
CLOCK = SystemClock()
ROOM = drawn_room(6, 352, 288)
OCCUPIED = person(ROOM, 0.7, 1.6)
"""Somebody stands close to the camera."""
GREY = np.repeat(np.asarray(ROOM.mean(axis=2), np.uint8)[..., None], 3, axis=2)


def camera_at(url: str, name: str = "c1", **more: Any) -> dict[str, Any]:
    return {"id": name, "zones": ["room"], "stream": url, **more}


def book_of(site: Site, state: State) -> ViewBook:
    return ViewBook(state, [item.id for item in site.cameras])


def opened(folder: Path, *cameras: dict[str, Any], recorders: Sequence[dict[str, Any]] = ()) -> tuple[Site, State]:
    site = site_of(write_site(folder, cameras, recorders))
    return site, State(site.state_dir, "wj-0001")


async def taken_of(
    folder: Path, first: Image, then: Callable[[Showing], None], taking: Taking = QUICK
) -> tuple[Taken, Site, State, ViewBook]:
    """Take the view of a camera that shows `first`, and with which `then` happens between the rounds."""
    device = showing(first)
    async with serve(device):
        site, state = opened(folder, camera_at(device.url()))
        book = book_of(site, state)
        (taken,) = await take_views(site, CLOCK, book, site.cameras, taking, told=lambda *_: then(device))
    return taken, site, state, book


def view_of(taken: Taken) -> Fingerprint:
    assert taken.fingerprint is not None
    return taken.fingerprint


@pytest.mark.parametrize(("taking", "later"), [(QUICK, "ok"), (QUICK.once, "covered")], ids=["twice", "once"])
async def test_who_stood_large_before_the_camera_and_left_is_no_part_of_its_approved_view(
    tmp_path: Path, taking: Taking, later: str
) -> None:
    device = showing(OCCUPIED)
    async with serve(device):
        site, state = opened(tmp_path, camera_at(device.url()))
        book = book_of(site, state)
        taken = await take_views(site, CLOCK, book, site.cameras, taking, told=lambda *_: device.show(ROOM))
        approve(site, state, CLOCK, book, taken, "李园长")
        device.show(ROOM)
        empty = await check(site, load("demo-nursery"), CLOCK, state=state, views=book_of(site, state))
        device.show(hidden(ROOM, 0.5, "hand"))
        covered = await check(site, load("demo-nursery"), CLOCK, state=state, views=book_of(site, state))
    state.close()
    seen = [[item.state for item in one.verdicts if item.requirement.kind == "view"] for one in (empty, covered)]
    assert seen == [[later], ["covered"]]
    assert taken[0].problem == ""
    assert ("was gone or hidden at the second look, and doesn't count" in taken[0].note) is (taking is QUICK)
    assert taken[0].second_look == ("compared" if taking is QUICK else "not_taken")
    assert (taken[0].left_ratio or 0.0) >= (0.1 if taking is QUICK else 0.0)


async def test_who_came_in_between_is_no_part_of_the_view_and_the_rest_of_it_stays(tmp_path: Path) -> None:
    alone, *_ = await taken_of(tmp_path, ROOM, lambda _: None)
    came, _, state, _ = await taken_of(tmp_path, ROOM, lambda device: device.show(person(ROOM, 0.5, 1.0)))
    state.close()
    assert (alone.problem, alone.note, came.problem) == ("", "", "")
    before, after = view_of(alone).steady.astype(int), view_of(came).steady.astype(int)
    assert 0.5 * before.sum() < after.sum() < 0.97 * before.sum()
    same = match(view_of(alone), [view_of(came)], None)
    assert same is not None
    assert same.in_place > 0.95, "nobody's outline counts"


@pytest.mark.parametrize(
    ("after", "words"),
    [
        (turned(ROOM, 0.2, 0.1), "seemed to look elsewhere"),
        (hidden(ROOM, 0.8, "hand"), "of what it had shown was gone or hidden"),
    ],
    ids=["turned", "hidden"],
)
async def test_a_picture_that_changes_too_much_while_its_view_is_taken_is_refused_in_one_sentence(
    tmp_path: Path, after: Image, words: str
) -> None:
    taken, site, state, book = await taken_of(tmp_path, ROOM, lambda device: device.show(after))
    (refused,) = approve(site, state, CLOCK, book, [taken], "李园长")
    assert refused.outcome == "refused"
    assert "changed too much while its view was taken" in refused.problem
    assert words in refused.problem
    assert "take it again" in refused.problem
    assert book_of(site, state).of("c1") == ()
    state.close()


@pytest.mark.parametrize("by", ["sticker", "spray", "cloth"])
async def test_the_view_of_a_lens_that_is_covered_all_over_is_none_to_approve(tmp_path: Path, by: str) -> None:
    """By it the camera would be good for as long as it is covered, and when it isn't any more, too; its clock is an edge, and its name."""
    shown = overlaid(hidden(ROOM, 1.0, by), "2026-11-30 12:00:00")
    taken, site, state, book = await taken_of(tmp_path, shown, lambda _: None)
    (refused,) = approve(site, state, CLOCK, book, [taken], "李园长")
    assert refused.outcome == "refused"
    assert "hardly an edge beside its lettering" in refused.problem
    assert book_of(site, state).of("c1") == ()
    state.close()


@pytest.mark.parametrize(
    ("then", "words", "code"),
    [
        (lambda device: device.show(GREY), "the light was another (infrared instead of day)", "other_light"),
        (lambda device: device.show(lit(ROOM, 0, offset=4)), "the picture was black", "black"),
        (lambda device: device.show(blurred(OCCUPIED, 4)), "the picture was blurred", "blurred"),
        (lambda device: device.statuses.update(DESCRIBE=404), "there was no second look (describe: ", "failed"),
    ],
    ids=["another light", "black", "blurred", "no stream"],
)
async def test_a_second_round_that_says_nothing_refuses_nothing_and_is_told(
    tmp_path: Path, then: Callable[[Showing], None], words: str, code: str
) -> None:
    taken, site, state, book = await taken_of(tmp_path, OCCUPIED, then)
    (done,) = approve(site, state, CLOCK, book, [taken], "李园长")
    assert (done.outcome, done.problem, done.looks) == ("approved", "", 3)
    assert words in done.note
    assert done.note.endswith("so who stood there at the first look counts as part of the view")
    assert done.to_json()["note"] == done.note
    journal = state.journal()
    (said,) = journal.of(Subject(kind="camera", id="c1"), Kind.BASELINE)
    journal.close()
    assert (done.second_look, said.facts["second_look"], said.facts["left_ratio"]) == (code, code, None)
    assert view_of(done).to_json() == view_of(taken).to_json()
    state.close()


class Leaping(SystemClock):
    """Long waits are over at once, and the time has passed."""

    def __init__(self) -> None:
        """Begin with the machine's time."""
        self.slept: list[float] = []

    def monotonic(self) -> float:
        """Return the machine's seconds, and those that were leapt over."""
        return super().monotonic() + sum(self.slept)

    async def sleep(self, seconds: float) -> None:
        """Leap over a minute; wait for anything shorter."""
        if seconds < 30:
            await super().sleep(seconds)
        else:
            self.slept.append(seconds)


async def test_the_second_round_is_a_minute_after_the_first_and_it_is_said_what_is_waited_for(tmp_path: Path) -> None:
    device, clock, told = showing(ROOM), Leaping(), list[tuple[int, float]]()
    blind = {"id": "index-only", "zones": ["room"], "recorder": "nvr"}
    async with serve(device):
        recorders = [{"id": "nvr", "driver": "attested"}]
        site, state = opened(tmp_path, camera_at(device.url()), blind, recorders=recorders)
        taking = replace(QUICK, again_seconds=Taking().again_seconds)
        taken = await take_views(
            site, clock, book_of(site, state), site.cameras, taking, told=lambda *said: told.append(said)
        )
    state.close()
    assert [bool(item.problem) for item in taken] == [False, True]
    assert [round(seconds) for seconds in clock.slept] == [60], "the camera without a view isn't looked at again"
    assert [asked.method for asked in device.asked].count("PLAY") == 2
    ((cameras, seconds),) = told
    assert cameras == 1
    assert 55 < seconds <= 60


async def test_no_session_is_held_between_the_rounds_and_all_have_their_first_one_first(tmp_path: Path) -> None:
    order, names = list[str](), ("c1", "c2", "c3")
    devices = {name: showing(ROOM) for name in names}

    def noting(name: str) -> Any:
        async def note(_device: Any, asked: Any, _writer: Any) -> bool:
            if asked.method in {"PLAY", "TEARDOWN"}:
                order.append(f"{asked.method} {name}")
            return True

        return note

    for name, device in devices.items():
        device.override = noting(name)
    async with AsyncExitStack() as stack:
        for device in devices.values():
            await stack.enter_async_context(serve(device))
        cameras = [camera_at(device.url(), name, recorder="nvr", channel=name) for name, device in devices.items()]
        site, state = opened(tmp_path, *cameras, recorders=[{"id": "nvr", "driver": "attested", "max_streams": 1}])
        taken = await take_views(site, CLOCK, book_of(site, state), site.cameras, replace(QUICK, looks=2))
    state.close()
    assert [item.problem for item in taken] == ["", "", ""]
    assert order == [f"{method} {name}" for name in (*names, *names) for method in ("PLAY", "TEARDOWN")]


async def test_the_command_says_what_it_waits_for_and_prints_json_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    device = showing(ROOM)

    def command(config: Path) -> int:
        site = site_of(config)
        state = State(site.state_dir, "wj-0001")
        try:
            return print_baseline(site, state, QUICK, camera=None, by="李园长", as_json_only=True)
        finally:
            state.close()

    async with serve(device):
        status = await asyncio.to_thread(command, write_site(tmp_path, [camera_at(device.url())]))
    said = capsys.readouterr()
    assert status == 0
    assert json.loads(said.out)["cameras"][0]["outcome"] == "approved"
    assert said.err.splitlines() == [
        "looking at 1 camera for up to 15 s, and once more 0 s later",
        "a second look at 1 camera in 0 s, so that whoever stands there may leave",
    ]
