"""/metrics: what Prometheus scrapes, read from the store when it asks."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time

from prometheus_client import CollectorRegistry, Counter, Gauge, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from sqlalchemy.orm import Session

from monitor.api.context import Context
from monitor.api.load import Load
from monitor.collector.clocks import compare
from monitor.collector.own_keys import unreadable_keys
from monitor.collector.restored import lost_here
from monitor.model.report import Receipts
from monitor.model.span import Millis
from monitor.store import agents, evaluations, findings, registry
from monitor.store.engine import reading
from monitor.store.verdicts import CurrentVerdict, verdicts_of_requirement

METRICS_DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"
"""Where prometheus-client keeps what each worker counts: whichever is asked shows the sum."""

REASONS = (
    "size", "compression", "form", "count", "algorithm", "unknown_key", "revoked_key", "replaced_key", "signature",
    "cross_site", "nonce", "back_dated", "ahead", "clock_unsure", "content", "equivocation", "order", "unlinked", "code", "flood", "other",
)  # fmt: skip
"""Why something of an agent's is refused: the ones before `cross_site` without looking at a payload."""


class Counters:
    """What this process counts itself, or all those together that answer at one socket."""

    def __init__(self, registry_: CollectorRegistry) -> None:
        """Count from zero: Prometheus knows that a process begins anew."""
        self.receipts = Counter(
            "cradlewatch_report_receipts",
            "Reports that were answered since the start, by answer.",
            ["status"],
            registry=registry_,
        )
        for status in ("stored", "already_have_it", "rejected"):
            self.receipts.labels(status)
        self.refused = Counter(
            "cradlewatch_refused",
            "Reports and requests of agents that were refused since the start, by reason.",
            ["reason"],
            registry=registry_,
        )
        for reason in REASONS:
            self.refused.labels(reason)
        self.load = Load(
            at_work=Gauge(
                "cradlewatch_requests_in_work",
                "Requests with reports that are worked on now.",
                registry=registry_,
                multiprocess_mode="livesum",
            ),
            turned_away=Counter(
                "cradlewatch_requests_turned_away",
                "Requests with reports that were told to come back later.",
                registry=registry_,
            ),
        )

    def refuse(self, reason: str) -> None:
        """Count something refused; a word that isn't known counts as other."""
        self.refused.labels(reason if reason in REASONS else "other").inc()

    def answered(self, receipts: Receipts, sent: int) -> None:
        """Count the receipts of a batch of so many reports, and those of it that have to come again."""
        for _ in range(receipts.waiting(sent)):
            self.refuse("clock_unsure")
        for receipt in receipts.receipts:
            self.receipts.labels(receipt.status.replace(" ", "_")).inc()
            if receipt.status == "rejected" or (receipt.status == "stored" and receipt.reason is not None):
                self.refuse(receipt.reason or "other")


def counted(registry_: CollectorRegistry) -> CollectorRegistry:
    """Return what shows the counters of `registry_`: where several processes answer, the sum over all of them."""
    if METRICS_DIRECTORY not in os.environ:
        return registry_
    found = CollectorRegistry()
    MultiProcessCollector(found)  # type: ignore[no-untyped-call]
    return found


class StoreCollector(Collector):
    """Gauges over the store. An unknown value has no sample: it is never zero."""

    def __init__(self, context: Context) -> None:
        """Read from this context's database at each scrape."""
        self._context = context

    def describe(self) -> Iterable[Metric]:
        """Name nothing in advance: registering must not ask the database."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Give all metrics."""
        with reading(self._context.engine) as session:
            yield from _retention(session)
            yield from _agents(session)
            yield from _findings(session)
            late = GaugeMetricFamily(
                "cradlewatch_evaluations_late",
                "Institutions whose evaluation is more than five minutes late, or fails.",
            )
            every = self._context.settings.evaluate_every
            late.add_metric([], evaluations.count_late(session, self._context.now(), every))
            yield late
            yield _unreadable(session)
            yield _own_keys(session)
            yield self._unjudged(session)
            yield from _clocks(session, self._context.now())

    def _unjudged(self, session: Session) -> Metric:
        found = GaugeMetricFamily(
            "cradlewatch_institutions_unjudged",
            "Institutions that are not evaluated, because their regulation pack can't be read.",
            labels=["regulation"],
        )
        counts = registry.count_by_regulation(session)
        unreadable = self._context.packs.unreadable(counts)
        for regulation, count in sorted(counts.items()):
            found.add_metric([regulation], count if regulation in unreadable else 0)
        return found


def _unreadable(session: Session) -> Metric:
    """Only of whom there are any: nearly always of nobody."""
    found = GaugeMetricFamily(
        "cradlewatch_unreadable_rows",
        "Stored rows that an institution's newest evaluation could not read; absent where it could read all.",
        labels=["institution"],
    )
    for institution, rows in evaluations.with_unreadable(session):
        found.add_metric([institution], rows)
    return found


def _own_keys(session: Session) -> Metric:
    name, what = "cradlewatch_collector_keys_unreadable", "Rows of the collector's own keys that can't be read."
    return GaugeMetricFamily(name, what, value=len(unreadable_keys(session)))


def _retention(session: Session) -> Iterator[Metric]:
    labels = ["institution", "camera"]
    held = GaugeMetricFamily(
        "cradlewatch_retention_held_days", "Days of footage held: from the far edge to yesterday.", labels=labels
    )
    maturing = GaugeMetricFamily(
        "cradlewatch_retention_maturing",
        "1 for a new camera that holds fewer days than required as it should.",
        labels=labels,
    )
    required = GaugeMetricFamily(
        "cradlewatch_retention_required_days", "Days that the institution's pack requires.", labels=["institution"]
    )
    breaks = GaugeMetricFamily(
        "cradlewatch_retention_breaks_timestamp_seconds",
        "The day from which on fewer days than required will be held, by the forecast; absent without one.",
        labels=labels,
    )
    days: dict[str, float] = {}
    for verdict in verdicts_of_requirement(session, "retention"):
        names = [verdict.institution, verdict.subject_id]
        here, asked = (_number(verdict, key) for key in ("held_days", "required_days"))
        if asked is not None:
            days[verdict.institution] = asked
        if here is not None:
            held.add_metric(names, here)
            maturing.add_metric(names, float(verdict.state == "maturing"))
        foretold = _day(verdict.json["measured"].get("breaks_on"))
        if foretold is not None:
            breaks.add_metric(names, datetime.combine(foretold, time(), UTC).timestamp())
    for institution, asked in days.items():
        required.add_metric([institution], asked)
    yield from (held, maturing, required, breaks)


def _day(value: object) -> date | None:
    try:
        return date.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:  # somebody edited the row by hand: of the others it is told
        return None


def _number(verdict: CurrentVerdict, key: str) -> float | None:
    value = verdict.json["measured"].get(key)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _agents(session: Session) -> Iterator[Metric]:
    labels = ["institution", "agent"]
    last = GaugeMetricFamily(
        "cradlewatch_agent_last_report_timestamp_seconds", "When the newest report of an agent came in.", labels=labels
    )
    count = CounterMetricFamily("cradlewatch_agent_reports", "Reports stored of an agent, ever.", labels=labels)
    missing = GaugeMetricFamily(
        "cradlewatch_agent_missing_reports", "Reports of an agent that are known to be missing.", labels=labels
    )
    forked = GaugeMetricFamily(
        "cradlewatch_agent_forked", "1 for an agent whose chain of reports was continued twice.", labels=labels
    )
    forgotten = GaugeMetricFamily(
        "cradlewatch_agent_reports_lost_here",
        "Missing reports of an agent that the collector may have lost itself: its database was restored from a backup.",
        labels=labels,
    )
    unreadable = GaugeMetricFamily(
        "cradlewatch_agent_chain_unreadable",
        "1 for an agent of whose chain of reports what is kept can't be read: which are missing isn't known.",
        labels=labels,
    )
    disputed = GaugeMetricFamily(
        "cradlewatch_agent_disputed_reports",
        "Reports of an agent that came in twice with different bytes.",
        labels=labels,
    )
    misdated = GaugeMetricFamily(
        "cradlewatch_agent_misdated_reports", "Reports of an agent that say a time that can't be.", labels=labels
    )
    found = agents.all_agents(session)
    lost = {(agent.institution, agent.id): sum(gap.count for gap in gaps) for agent, gaps in lost_here(session, found)}
    for agent in found:
        forgotten.add_metric([agent.institution, agent.id], lost.get((agent.institution, agent.id), 0))
        misdated.add_metric([agent.institution, agent.id], agent.misdated)
        count.add_metric([agent.institution, agent.id], agent.reports)
        missing.add_metric([agent.institution, agent.id], agent.missing)
        forked.add_metric([agent.institution, agent.id], float(agent.forked_at is not None))
        unreadable.add_metric([agent.institution, agent.id], float(agent.chain_lost))
        disputed.add_metric([agent.institution, agent.id], agent.disputed)
        if agent.last_report_at is not None:
            last.add_metric([agent.institution, agent.id], agent.last_report_at / 1000)
    silent = GaugeMetricFamily("cradlewatch_agent_silent", "1 for an agent that has fallen silent.", labels=labels)
    for verdict in verdicts_of_requirement(session, "agent_silence"):
        silent.add_metric([verdict.institution, verdict.subject_id], float(verdict.state == "silent"))
    yield from (last, count, silent, missing, forgotten, forked, unreadable, disputed, misdated)


def _clocks(session: Session, now: Millis) -> Iterator[Metric]:
    """The centre's clock beside its agents'; absent while too few were heard lately."""
    offset = GaugeMetricFamily(
        "cradlewatch_collector_clock_offset_seconds", "The collector's clock minus the median of its agents' clocks."
    )
    found = compare(session, now)
    if found.offset is not None:
        offset.add_metric([], -found.offset / 1000)
    yield offset


def _findings(session: Session) -> Iterator[Metric]:
    total = GaugeMetricFamily("cradlewatch_institutions", "Institutions in the register.")
    total.add_metric([], registry.count_institutions(session))
    found = GaugeMetricFamily("cradlewatch_open_findings", "Findings that have not ended.", labels=["requirement"])
    for requirement, count in sorted(findings.open_counts(session).items()):
        found.add_metric([requirement], count)
    yield from (total, found)
