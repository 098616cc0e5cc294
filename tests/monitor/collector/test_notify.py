"""Notices: one for each finding about recordings or pictures that opens, sent by apprise to a real address, again when that fails."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select

from monitor.collector.evaluate import evaluate
from monitor.collector.jobs import bring_back
from monitor.collector.notify import GIVE_UP, LONGEST_WAIT, TRIED, VIEW_STATES, send_notices, wait_after
from monitor.collector.settings import NoticeSettings, Settings, SettingsError
from monitor.evaluation.view import CONDITIONS
from monitor.model.observation import Kind
from monitor.model.span import DAY, HOUR, MINUTE, SECOND
from monitor.store.engine import reading
from monitor.store.tables import NoticeRow
from support.centre import NOW, Centre, declared, index, make_centre, span
from support.packs import pack
from support.planted import plant

pytestmark = pytest.mark.filterwarnings(
    "ignore:'imghdr' is deprecated:DeprecationWarning"
)  # apprise's e-mail asks for it


HOOK = "T0k3n-of-a-hook-2026"
"""Whoever knows it may write there."""


class Webhook:
    """A web server on this machine that takes notices, or refuses them."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.refusing = False
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if not outer.refusing:
                    outer.taken.append(json.loads(body))
                self.send_response(503 if outer.refusing else 200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"json://127.0.0.1:{self.server.server_port}/{plant(HOOK)}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    made = Webhook()
    yield made
    made.close()


@pytest.fixture
def second_webhook() -> Iterator[Webhook]:
    made = Webhook()
    yield made
    made.close()


def short(engine: Engine, tmp_path: Path, *urls: str, language: Any = "zh") -> Centre:
    """Return a centre that was just told of a camera whose recordings are short; nothing has been sent."""
    file = tmp_path / "urls"
    file.write_text("# where notices go\n\n" + "\n".join(urls) + "\n", encoding="utf-8")
    notices = NoticeSettings(urls_file=file, language=language)
    settings = Settings(notices=notices, public_url="https://watch.example")
    centre = make_centre(engine, pack(retention={"confirm_after": "0s"}), settings=settings)
    centre.add()
    centre.see(declared(NOW), index("gate", NOW, 36))
    evaluate(centre.context, "wj-0001")
    return centre


def rows(engine: Engine) -> list[NoticeRow]:
    with reading(engine) as session:
        return list(session.scalars(select(NoticeRow)))


def test_one_notice_for_one_finding(engine: Engine, tmp_path: Path, webhook: Webhook) -> None:
    centre = short(engine, tmp_path, webhook.url)
    assert send_notices(centre.context) == 1
    assert send_notices(centre.context) == 0
    evaluate(centre.context, "wj-0001")
    assert send_notices(centre.context) == 0
    (notice,) = webhook.taken
    assert notice["title"] == "监控录像保存期问题线索：wj-0001 (wj-0001)"
    lines = notice["message"].splitlines()
    assert lines[:4] == [
        "对象：camera/gate",
        "开始：2026-11-23T04:00:00Z",
        "保存 35 天，要求 90 天",
        "依据：测试规定 第一条",
    ]
    assert lines[4].startswith("https://watch.example/findings/")
    (row,) = rows(engine)
    assert (row.sent_at, row.due_at, row.attempts) == (NOW, None, 1)


def test_in_english(engine: Engine, tmp_path: Path, webhook: Webhook) -> None:
    centre = short(engine, tmp_path, webhook.url, language="en")
    assert send_notices(centre.context) == 1
    assert webhook.taken[0]["title"] == "Retention lead: wj-0001 (wj-0001)"
    assert "Held 35 days, required 90" in webhook.taken[0]["message"]


def test_what_is_refused_is_sent_later(engine: Engine, tmp_path: Path, webhook: Webhook) -> None:
    centre = short(engine, tmp_path, webhook.url)
    webhook.refusing = True
    for attempt in (1, 2, 3):
        assert send_notices(centre.context) == 0
        assert send_notices(centre.context) == 0  # not due: another process could be sending it
        (row,) = rows(engine)
        assert (row.attempts, row.sent_at) == (attempt, None)
        assert row.due_at is not None
        centre.clock.advance((row.due_at - centre.context.now()) / SECOND)
    webhook.refusing = False
    assert send_notices(centre.context) == 1
    assert len(webhook.taken) == 1


def test_a_retry_reaches_only_who_has_not_taken_it(
    engine: Engine, tmp_path: Path, webhook: Webhook, second_webhook: Webhook
) -> None:
    centre = short(engine, tmp_path, webhook.url, second_webhook.url)
    second_webhook.refusing = True
    assert send_notices(centre.context) == 0
    second_webhook.refusing = False
    centre.clock.advance(600)
    assert send_notices(centre.context) == 1
    assert (len(webhook.taken), len(second_webhook.taken)) == (1, 1)


def test_a_notice_is_given_up_after_a_week(engine: Engine, tmp_path: Path, webhook: Webhook) -> None:
    centre = short(engine, tmp_path, webhook.url)
    webhook.refusing = True
    centre.clock.advance(GIVE_UP / SECOND + 1)
    for number in range(TRIED):
        (row,) = rows(engine)
        assert row.due_at is not None, "a clock that jumps ahead gives nothing up at the first try"
        assert send_notices(centre.context) == 0
        centre.clock.advance(wait_after(number + 1) / SECOND + 120)
    (row,) = rows(engine)
    assert (row.due_at, row.sent_at) == (None, None)


def test_a_notice_that_a_clock_put_off_is_sent_when_it_is_set_right(
    engine: Engine, tmp_path: Path, webhook: Webhook
) -> None:
    centre = short(engine, tmp_path, webhook.url)
    webhook.refusing = True
    centre.clock.step(400 * DAY / SECOND)
    assert send_notices(centre.context) == 0
    centre.clock.step(-400 * DAY / SECOND)
    webhook.refusing = False
    assert send_notices(centre.context) == 0
    assert bring_back(centre.context) == 1
    assert send_notices(centre.context) == 1
    assert len(webhook.taken) == 1


@pytest.mark.parametrize("url", ["nonsense://x", "json://127.0.0.1:1/hook", "json://", "x"])
def test_an_address_that_cannot_be_used_fails_like_any_other(
    engine: Engine, tmp_path: Path, url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    centre = short(engine, tmp_path, url.replace("://", "://someone:topsecret@"))
    assert send_notices(centre.context) == 0
    assert "topsecret" not in "".join(capfd.readouterr())


def test_without_addresses_nothing_is_owed(engine: Engine) -> None:
    centre = make_centre(engine, pack(retention={"confirm_after": "0s"}))
    centre.add()
    centre.see(declared(NOW), index("gate", NOW, 36))
    evaluation = evaluate(centre.context, "wj-0001")
    assert evaluation is not None
    assert evaluation.opened
    assert rows(engine) == []
    assert send_notices(centre.context) == 0


def test_addresses_that_cannot_be_read_say_so(engine: Engine, tmp_path: Path, webhook: Webhook) -> None:
    centre = short(engine, tmp_path, webhook.url)
    (tmp_path / "urls").unlink()
    with pytest.raises(SettingsError, match=r"urls: notices.urls_file can't be read: No such file"):
        send_notices(centre.context)


def test_waiting_grows_and_has_an_end() -> None:
    waits = [wait_after(attempts) for attempts in range(1, 40)]
    assert waits[:3] == [30 * SECOND, MINUTE, 2 * MINUTE]
    assert waits == sorted(waits)
    assert waits[-1] == LONGEST_WAIT == 6 * HOUR


@pytest.mark.parametrize(("language", "words"), [("zh", "镜头被遮挡。"), ("en", "The lens is covered.")])
def test_a_notice_about_a_picture_says_what_is_wrong_with_it(
    engine: Engine, tmp_path: Path, webhook: Webhook, language: str, words: str
) -> None:
    centre = short(engine, tmp_path, webhook.url, language=language)
    send_notices(centre.context)
    webhook.taken.clear()
    centre.see(span("camera/gate", "covered", NOW - HOUR, NOW, kind=Kind.VIEW))
    evaluate(centre.context, "wj-0001")
    assert send_notices(centre.context) == 1
    (taken,) = webhook.taken
    assert words in taken["message"]
    assert {"zh": "监控画面问题线索", "en": "Picture lead"}[language] in taken["title"]


def test_every_state_of_a_picture_has_a_sentence() -> None:
    assert set(VIEW_STATES) == set(CONDITIONS)
