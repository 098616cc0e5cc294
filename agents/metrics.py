"""What the agent shows to Prometheus: its streams, its outbox, and what its journal says of retention."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from agents.database import DatabaseError
from agents.run import Service
from agents.watch.gauge import facts_of


class AgentCollector(Collector):
    """Reads the service's state when it is asked; keeps none of its own."""

    def __init__(self, service: Service) -> None:
        """Show this service."""
        self._service = service
        self._institution = service.site.institution.id

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        yield from self._streams()
        yield from self._rates()
        yield from self._retention()
        yield from self._delivery()
        yield from self._storage()

    def _streams(self) -> Iterator[Metric]:
        labels = ["institution", "camera"]
        up = GaugeMetricFamily("cradlewatch_stream_up", "1 up, 0 down; absent while unknown", labels=labels)
        state = GaugeMetricFamily(
            "cradlewatch_stream_state",
            "1 for the state that holds now; between two visits in turns the last one's",
            labels=[*labels, "state"],
        )
        frames = CounterMetricFamily("cradlewatch_stream_frames", "Frames received", labels=labels)
        received = CounterMetricFamily("cradlewatch_stream_received_bytes", "Payload bytes received", labels=labels)
        lost = CounterMetricFamily("cradlewatch_stream_lost_packets", "Packets missing by sequence", labels=labels)
        reconnects = CounterMetricFamily("cradlewatch_stream_reconnects", "Attempts after a failure", labels=labels)
        looks = CounterMetricFamily("cradlewatch_view_looks", "Keyframes looked at", labels=labels)
        shown = GaugeMetricFamily(
            "cradlewatch_view_state",
            "1 for what the picture shows now: ok, a fault, or unknown",
            labels=[*labels, "state"],
        )
        for name, watch in self._service.watches.items():
            key = [self._institution, name]
            now = watch.stands or "unknown"
            if now in {"up", "down"}:
                up.add_metric(key, 1.0 if now == "up" else 0.0)
            for each in ("up", "down", "unknown"):
                state.add_metric([*key, each], 1.0 if each == now else 0.0)
            frames.add_metric(key, watch.state.frames)
            received.add_metric(key, watch.state.bytes)
            lost.add_metric(key, watch.state.lost_packets)
            reconnects.add_metric(key, watch.state.reconnects)
            looks.add_metric(key, watch.state.looks)
            shown.add_metric([*key, watch.shows], 1.0)
        yield from (up, state, frames, received, lost, reconnects, looks, shown)

    def _rates(self) -> Iterator[Metric]:
        """Yield what each watched stream is, absent while unknown."""
        labels = ["institution", "camera"]
        codec = GaugeMetricFamily("cradlewatch_stream_codec", "1 for the stream's codec", labels=[*labels, "codec"])
        gauges = {
            "width": GaugeMetricFamily("cradlewatch_stream_width_pixels", "Picture's width", labels=labels),
            "height": GaugeMetricFamily("cradlewatch_stream_height_pixels", "Picture's height", labels=labels),
            "frame_rate": GaugeMetricFamily("cradlewatch_stream_frames_per_second", "Frames, lately", labels=labels),
            "bit_rate": GaugeMetricFamily(
                "cradlewatch_stream_bytes_per_second", "Payload bytes, lately", labels=labels
            ),
            "keyframe_seconds": GaugeMetricFamily(
                "cradlewatch_stream_keyframe_interval_seconds", "From one keyframe to the next, lately", labels=labels
            ),
        }
        for name, watch in self._service.watches.items():
            if watch.state.info is None or watch.stands != "up":
                continue
            key = [self._institution, name]
            codec.add_metric([*key, watch.state.info.codec], 1.0)
            for fact, value in facts_of(watch.state.info, watch.state.rates).items():
                if fact in gauges and isinstance(value, int | float):
                    gauges[fact].add_metric(key, value / 8 if fact == "bit_rate" else value)
        yield from (codec, *gauges.values())

    def _retention(self) -> Iterator[Metric]:
        labels = ["institution", "camera"]
        held = GaugeMetricFamily(
            "cradlewatch_retention_held_days", "Days held up to yesterday; absent while unknown", labels=labels
        )
        progress = GaugeMetricFamily(
            "cradlewatch_index_progress_ratio", "Share of the index scan under way that is done", labels=labels
        )
        for verdict in self._service.judging.verdicts:
            days = verdict.measured.get("held_days")
            if verdict.requirement.kind == "retention" and isinstance(days, int):
                held.add_metric([self._institution, verdict.subject.id], days)
        for name, share in self._service.index_progress.items():
            progress.add_metric([self._institution, name], share)
        required = GaugeMetricFamily(
            "cradlewatch_retention_required_days", "Days that the regulation asks for", labels=["institution"]
        )
        retention = self._service.regulation.requirements.retention
        if retention is not None:
            required.add_metric([self._institution], retention.required_days)
        yield from (held, required, progress)

    def _delivery(self) -> Iterator[Metric]:
        key = [self._institution]
        waiting = GaugeMetricFamily(
            "cradlewatch_agent_outbox_reports", "Reports waiting to be sent", labels=["institution"]
        )
        dropped = CounterMetricFamily(
            "cradlewatch_agent_outbox_dropped", "Reports given up because the outbox was full", labels=["institution"]
        )
        with contextlib.suppress(DatabaseError):  # the file can't be read now: absent is unknown
            outbox = self._service.outbox.status()
            waiting.add_metric(key, outbox.waiting)
            dropped.add_metric(key, outbox.dropped)
        status = self._service.sender.status
        stored = CounterMetricFamily(
            "cradlewatch_agent_reports_stored", "Reports that the collector stored", labels=["institution"]
        )
        stored.add_metric(key, status.stored)
        failures = CounterMetricFamily(
            "cradlewatch_agent_send_failures", "Attempts to send that failed", labels=["institution"]
        )
        failures.add_metric(key, status.failures)
        restarts = CounterMetricFamily(
            "cradlewatch_agent_decoder_restarts", "Decoder processes that were killed", labels=["institution"]
        )
        restarts.add_metric(key, self._service.decoder.restarts)
        yield from (waiting, dropped, stored, failures, restarts)

    def _storage(self) -> Iterator[Metric]:
        """Yield how the agent's own disk and files are."""
        labels, key = ["institution", "file"], self._institution
        failing = GaugeMetricFamily(
            "cradlewatch_agent_storage_failing", "1 while a file of the agent can't be written or read", labels=labels
        )
        damaged = CounterMetricFamily(
            "cradlewatch_agent_damaged_files", "Damaged files that were set aside", labels=labels
        )
        unreadable = GaugeMetricFamily(
            "cradlewatch_agent_unreadable_rows", "What was skipped because it can't be read any more", labels=labels
        )
        for file in self._service.storage.files:
            failing.add_metric([key, file.name], float(file.problem is not None))
            damaged.add_metric([key, file.name], file.damaged)
            unreadable.add_metric([key, file.name], file.unreadable)
        pending = self._service.pending
        held = GaugeMetricFamily(
            "cradlewatch_agent_observations_held", "What was seen and is in memory alone", labels=labels
        )
        lost = CounterMetricFamily(
            "cradlewatch_agent_observations_lost", "What was seen and could not be kept", labels=labels
        )
        for name, queue in (("journal", pending.journal), ("outbox", pending.reports)):
            held.add_metric([key, name], len(queue))
            lost.add_metric([key, name], queue.lost)
        yield from (failing, damaged, unreadable, held, lost)


def serve_metrics(service: Service, host: str, port: int) -> WSGIServer:
    """Serve the metrics in a thread; return the server. Raises OSError when the address can't be had."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(AgentCollector(service))
    server, _ = start_http_server(port, host, registry)
    return server
