"""A collector process for tests to kill: it takes reports in and prints each number once it is acknowledged."""

from __future__ import annotations

import sys

from monitor.model.span import SECOND
from monitor.store.engine import open_engine
from support.centre import NOW, make_centre, span
from support.packs import pack


def main(url: str, first: int) -> None:
    """Take in reports number `first`, `first` + 1, ... for ever."""
    centre = make_centre(open_engine(url), pack())
    centre.sequence = first - 1
    while True:
        start = NOW + centre.sequence * SECOND
        report = centre.report(span("camera/gate", "up", start, start + SECOND))
        (receipt,) = centre.send(report)
        print(report.sequence, receipt.status, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
