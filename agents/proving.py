"""The service's proofs by decoding: facts, quiet hours, sessions and views brought together for one recorder's turn."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from agents.recorders.base import StreamPlayback
from agents.recorders.menus import menus_of
from agents.rtsp.stream import Stream
from agents.scan.beside import Dated
from agents.scan.minute import Minute, is_quiet, minutes
from agents.scan.playing import Player
from agents.scan.proof import BUSY, Outcome, Prover
from agents.scan.proof_round import read_round
from agents.scan.recorder import Channelled, Sink
from agents.site import RecorderConfig, Site
from agents.state import State
from agents.station import Station
from agents.views import ViewBook
from agents.watch.decoder import Decoder
from monitor.model.clock import Clock
from monitor.model.ledger import Facts
from monitor.model.span import Millis, parse_instant, to_millis
from monitor.model.verdict import Verdict

if TYPE_CHECKING:
    from monitor.model.regulation import Regulation

TURN_SECONDS = 60.0
"""So long a session of the recorder's budget is waited for: then it is busy, and tried again later."""


class Proving:
    """Proves one camera of a recorder at a time. Nothing is contacted before `turn`."""

    def __init__(
        self, site: Site, station: Station, decoder: Decoder, state: State, views: ViewBook, clock: Clock, sink: Sink
    ) -> None:
        """Take what the service has."""
        self._site, self._station, self._decoder, self._state = site, station, decoder, state
        self._views, self._clock, self._sink = views, clock, sink

    async def turn(
        self, recorder_id: str, facts: Facts | None, verdicts: Sequence[Verdict], regulation: Regulation
    ) -> str | None:
        """Prove the camera whose turn it is, if it is time; return its id, None when there was nothing to do.

        What is known of the footage comes from `facts`, where it begins from the retention `verdicts`.
        """
        recorder, retention = self._site.recorder(recorder_id), regulation.requirements.retention
        local = self._clock.now().astimezone(self._site.timezone)
        if recorder is None or facts is None or retention is None or not is_quiet(local, recorder.quiet_hours):
            return None
        key = f"proofs/{recorder_id}"
        kept, now = read_round(self._state.get(key)), to_millis(self._clock.now())
        scan = self._station.scans[recorder_id]
        edges = _far_edges(verdicts)
        known = {
            item.camera: found
            for item in scan.cameras
            if (found := self._minutes(item, recorder_id, facts, edges, retention.required_days)) is not None
        }
        camera = kept.next(known, now, self._site.rhythm.proof_every)
        if camera is None:
            return None
        item = next(one for one in scan.cameras if one.camera == camera)
        outcome = await self._proved(recorder, item, *known[camera])
        self._state.put(key, kept.after(camera, outcome, to_millis(self._clock.now())).to_json())
        return camera

    async def _proved(self, recorder: RecorderConfig, item: Channelled, far: Minute, newer: Minute | None) -> Outcome:
        """Play within the recorder's session budget, for which watching cameras take turns where it is short."""
        prover = self._prover(recorder, item)
        if not recorder.serves_streams:
            return await prover.prove(item, far, newer)
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(TURN_SECONDS):
                    session = self._station.budgets[recorder.id].session(item.camera)
                    (await stack.enter_async_context(session)).aside()
            except TimeoutError:
                return Outcome("not_proved", BUSY, "no session of the recorder was free")
            return await prover.prove(item, far, newer)

    def _prover(self, recorder: RecorderConfig, item: Channelled) -> Prover:
        camera = self._site.camera(item.camera)
        if camera is None:  # scans know the site's own cameras alone
            raise LookupError(item.camera)

        async def open_playback(request: StreamPlayback) -> Stream:
            return await self._station.open_playback(recorder.id, camera, request)

        player = Player(open_playback, self._decoder, self._clock, self._site.timezone)
        driver = self._station.drivers[recorder.id]
        right = menus_of(recorder.driver).playback
        return Prover(driver, player, self._sink, self._dated, camera.bounds.day, right)

    def _minutes(
        self, item: Channelled, recorder_id: str, facts: Facts, edges: Mapping[str, Millis], required_days: int
    ) -> tuple[Minute, Minute | None] | None:
        reading = facts.recordings.get(item.camera)
        if reading is None:
            return None
        offsets = facts.offsets.get(recorder_id, ())
        return minutes(reading, edges.get(item.camera), offsets, to_millis(self._clock.now()), required_days)

    def _dated(self) -> dict[str, list[Dated]]:
        """Return all approved views in force, by camera, with the instants of their approval."""
        approvals = self._views.approvals()
        found: dict[str, list[Dated]] = {}
        for camera in self._site.cameras:
            at = {item.view: item.at for item in approvals.get(camera.id, ())}
            found[camera.id] = [
                Dated(item.fingerprint, at.get(item.view, to_millis(self._clock.now())))
                for item in self._views.of(camera.id)
            ]
        return found


def _far_edges(verdicts: Sequence[Verdict]) -> dict[str, Millis]:
    """Return the far edges that retention found, by camera."""
    found = {}
    for item in verdicts:
        at = item.measured.get("far_edge_at") if item.requirement.kind == "retention" else None
        if isinstance(at, str):
            found[item.subject.id] = parse_instant(at)
    return found
