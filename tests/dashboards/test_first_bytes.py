"""What a connection is for: only what is certain is said, and nobody is held up who isn't one of a herd."""

from __future__ import annotations

import pytest

from dashboards.first_bytes import MOST_BODY_BYTES, MOST_BYTES, MOST_HEAD_BYTES, Wants, wants

REPORT = b"POST /api/v1/reports HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"


def told(found: bytes) -> Wants:
    buffer = bytearray(MOST_BYTES)
    buffer[: len(found)] = found
    return wants(buffer, min(len(found), MOST_BYTES))


def test_a_report_is_known_when_its_last_byte_is_there() -> None:
    assert {told(REPORT[:size]) for size in range(1, len(REPORT))} == {Wants.NOT_SAID}
    assert told(REPORT) is Wants.TO_REPORT
    assert told(REPORT + b"GET /") is Wants.TO_REPORT


def test_bytes_of_the_one_before_don_t_count() -> None:
    buffer = bytearray(REPORT)
    assert wants(buffer, 20) is Wants.NOT_SAID
    assert wants(buffer, len(REPORT) - 1) is Wants.NOT_SAID


@pytest.mark.parametrize(
    "found",
    [
        REPORT.replace(b"1.1", b"1.0"),
        REPORT.replace(b"Content-Length: 3", b"content-length:\t3 "),
        REPORT.replace(b"Content-Length: 3", b"Content-Length: 0"),
        REPORT.replace(b"Host: x", b"X-Expect: content-length"),
    ],
    ids=["a proxy's HTTP/1.0", "written otherwise", "nothing in it", "other headers"],
)
def test_reports_of_other_forms(found: bytes) -> None:
    assert told(found) is Wants.TO_REPORT


@pytest.mark.parametrize(
    "found",
    [
        b"GET / HTTP/1.1\r\n",
        b"G",
        b"\r\n",
        b"\x16\x03\x01",
        REPORT.replace(b"/reports", b"/reports?x"),
        REPORT.replace(b"/reports", b"/enrolments"),
        REPORT.replace(b"Content-Length: 3", b"Transfer-Encoding: chunked"),
        REPORT.replace(b"Host: x", b"Expect: 100-continue"),
        REPORT.replace(b"Host: x", b"transfer-encoding : gzip"),
        REPORT.replace(b": 3", b": %d" % (MOST_BODY_BYTES + 1)),
        REPORT.replace(b": 3", b": 1000000"),
        REPORT.replace(b": 3", b": -3"),
        REPORT.replace(b": 3", b": +3"),
        REPORT.replace(b"Host: x", b"x: " + b"a" * MOST_HEAD_BYTES)[:-6],
    ],
)
def test_anything_else_is_known_at_once(found: bytes) -> None:
    assert told(found) is Wants.ANYTHING_ELSE
