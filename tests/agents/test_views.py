"""Approved views on site: an officer's before the site's own, and a look says which one it agrees with."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agents.assignment import Assignment
from agents.bounds import Bounds, Overrides
from agents.simulators.camera import Camera, Format
from agents.simulators.rtsp import RtspServer
from agents.state import State
from agents.station import Station
from agents.views import ApprovedView, ViewBook, agreed_view
from agents.vision.fingerprint import Fingerprint, fingerprint
from agents.vision.match import match
from agents.watch.camera import CameraWatch, Sight, Tools
from agents.watch.decoder import Decoder
from agents.watch.failure import Around
from monitor.model.clock import SystemClock
from monitor.model.observation import Observation, StreamCause
from monitor.model.span import to_millis
from monitor.model.view import view_id
from monitor.regulations.loader import load
from support.enrolled import enrol as enrol_state
from support.site import site_of, write_site
from support.views import drawn_room, grey, looked_at
from support.watching import PATIENT, QUICK

DAY = fingerprint(looked_at(drawn_room(7)))
OTHER = fingerprint(looked_at(drawn_room(11)))
NIGHT = fingerprint(grey(looked_at(drawn_room(7)).luma))


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    made = State(tmp_path / "state", "a")
    yield made
    made.close()


def assigned(*views: dict[str, Any]) -> str:
    pack = load("demo-nursery").model_dump(mode="json", by_alias=True)
    body = {"schema": "cradlewatch.assignment/1", "institution": "a", "regulation": pack, "views": list(views)}
    Assignment.model_validate_json(json.dumps(body))
    return json.dumps(body)


def view(item: Fingerprint, at: int = 1, **more: Any) -> dict[str, Any]:
    written = item.to_json()
    return {
        "camera": "gate", "light": item.light, "view": view_id(written), "at": at, "by": "王督察", "settled_at": None,
        "fingerprint": written, "said by a newer centre": True, **more,
    }  # fmt: skip


def enrol(state: State, *views: dict[str, Any]) -> None:
    enrol_state(state)
    state.put("assignment", {"from": "http://127.0.0.1:9", "etag": "", "body": assigned(*views)})


def by(book: ViewBook) -> dict[str, tuple[str, bool]]:
    return {item.light: (item.by, item.confirmed) for item in book.of("gate")}


def test_an_officers_view_comes_before_the_sites_own_of_the_same_light(state: State) -> None:
    book = ViewBook(state, ["gate"])
    book.approve("gate", DAY, 1, "李园长")
    book.approve("gate", NIGHT, 2, "李园长")
    assert by(book) == {"day": ("李园长", False), "infrared": ("李园长", False)}
    assert [item.by for item in book.approvals()["gate"]] == ["李园长", "李园长"]
    enrol(state, view(OTHER, 5))
    book.refresh()
    assert by(book) == {"day": ("王督察", True), "infrared": ("李园长", False)}
    said = [(item.view, item.at, item.by) for item in book.approvals()["gate"]]
    assert said == [(view_id(OTHER.to_json()), 5, "王督察")], "once enrolled the site is judged by the officer's word"


def test_an_earlier_view_is_told_without_its_fingerprint_and_one_that_is_not_understood_is_left_out(
    state: State,
) -> None:
    broken = {**DAY.to_json(), "version": 99}
    enrol(
        state,
        view(DAY, 1, fingerprint=None),
        view(OTHER, 2),
        view(NIGHT, 3, fingerprint=broken, view=view_id(broken)),
        view(NIGHT, 4, fingerprint=DAY.to_json()),
    )
    book = ViewBook(state, ["gate", "yard"])
    assert by(book) == {"day": ("王督察", True)}
    assert len(book.approvals()["gate"]) == 4
    assert book.of("yard") == ()


def held(item: Fingerprint) -> ApprovedView:
    return ApprovedView(item.light, view_id(item.to_json()), "李园长", item, confirmed=True)


def test_a_look_agrees_with_the_view_of_its_own_light(state: State) -> None:
    views = [held(DAY), held(NIGHT)]
    prints = [item.fingerprint for item in views]
    assert agreed_view(match(DAY, prints, None), views) == views[0].view
    assert agreed_view(match(NIGHT, prints, None), views) == views[1].view
    assert agreed_view(match(NIGHT, prints[:1], None), views[:1]) is None, (
        "by night nothing says what the day view shows"
    )
    assert agreed_view(None, views) is None
    assert state.enrolment() is None


@pytest.mark.timeout(120)
async def test_the_watcher_says_with_which_view_a_look_agrees_and_by_which_thresholds(tmp_path: Path) -> None:
    camera, seen, clock = Camera("yard", figures=0), list[Observation](), SystemClock()
    server = RtspServer()
    server.publish("s", camera.add_stream(Format(gop_seconds=0.4)))
    bounds = Bounds.resolve(Overrides({"confirm_looks": 3}))
    views: list[ApprovedView] = []
    async with server:
        site = site_of(write_site(tmp_path, [{"id": "yard", "zones": ["gate"], "stream": server.url("s")}]))
        config, decoder = site.cameras[0], Decoder()
        station = Station(site, clock, seen.append, deadlines=PATIENT)

        async def around(cause: StreamCause, since: float) -> Around:
            return await station.around(config, cause, since)

        tools = Tools(decoder, clock, seen.append, replace(QUICK))
        watch = CameraWatch(
            "yard", lambda: station.open(config), around, station.budget(config), tools,
            sight=Sight(bounds, lambda: tuple(views)),
        )  # fmt: skip
        task = asyncio.create_task(watch.run())
        try:
            await until(lambda: watch.view.state == "ok")
            assert watch.view.cause is None
            keyframe = await one_keyframe(station, site.cameras[0])
            looked = await decoder.look("another", "h264", keyframe)
            views.append(held(looked.view))
            await until(lambda: watch.view.cause == views[0].view)
            looks = watch.state.looks
            await until(lambda: watch.state.looks > looks)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await decoder.close()
            await station.close()
        watch.flush(to_millis(clock.now()))
    before, after = [item for item in seen if item.kind == "view"]
    assert (before.cause, after.cause) == (None, views[0].view)
    assert before.end == after.start, "from the look on that agrees with it"
    assert before.facts["thresholds"] == after.facts["thresholds"] == bounds.digest()


async def until(condition: Any, within: float = 60.0) -> None:
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110  (nothing tells)
            await asyncio.sleep(0.02)


async def one_keyframe(station: Station, camera: Any) -> bytes:
    stream = await station.open(camera)
    try:
        draining = asyncio.create_task(drain(stream))
        keyframe: bytes | None = await stream.next_keyframe(20.0)
        draining.cancel()
        await asyncio.gather(draining, return_exceptions=True)
    finally:
        await stream.close()
    assert keyframe is not None
    return keyframe


async def drain(stream: Any) -> None:
    while True:
        await stream.batch()
