"""A collector process for tests to kill: it takes reports in and prints each number once it is acknowledged."""

from __future__ import annotations

from sqlalchemy import Engine, select

from monitor.collector.ingest import ingest
from monitor.model.envelope import Place
from monitor.model.span import SECOND
from monitor.model.suite import PrivateKey
from monitor.store.engine import open_engine, reading
from monitor.store.tables import ReportRow
from support.centre import BOOT, NOW, make_centre, span
from support.packs import pack
from support.signing import SigningAgent


def main(url: str, first: int, pem: str, nonce: str) -> None:
    """Take in reports number `first`, `first` + 1, ... for ever; a number that was used before has the same bytes."""
    engine = open_engine(url)
    centre = make_centre(engine, pack())
    sender = SigningAgent("wj-0001", "box", PrivateKey.of_pem(pem.encode()), nonce, place(engine, first - 1))
    centre.sequences["wj-0001"] = first - 1
    while True:
        start = NOW + centre.sequences["wj-0001"] * SECOND
        report = centre.report(span("camera/gate", "up", start, start + SECOND))
        (receipt,) = ingest(centre.context, [sender.envelope(report.to_bytes())]).receipts
        print(report.sequence, receipt.status, flush=True)


def place(engine: Engine, sequence: int) -> Place | None:
    """Return what the next report follows."""
    with reading(engine) as session:
        digest = session.scalars(select(ReportRow.digest).where(ReportRow.sequence == sequence)).one_or_none()
    return None if digest is None else Place(boot=BOOT, sequence=sequence, digest=digest)
