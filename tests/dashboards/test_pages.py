"""The pages over HTTP: who may see them, what they say, and what they never do."""

from __future__ import annotations

import asyncio
import gzip
import html
import re

import pytest
from sqlalchemy import text as sql
from starlette.testclient import TestClient
from starlette.types import Message

from dashboards.serve import create_app
from dashboards.web.guard import TRIES_PER_NAME, WINDOW_SECONDS
from monitor.collector.evaluate import evaluate
from monitor.model.inventory import Camera, Institution, Jurisdiction, Level, Zone
from monitor.model.observation import Kind
from monitor.store.browse import search_institutions
from monitor.store.engine import reading, writing
from monitor.store.findings import FindingRow, finding_rows
from monitor.store.registry import add_institution, add_jurisdiction
from support import seeded
from support.dashboard import PASSWORD, District, sign_in, token_in

PAGES = ["/", "/institutions/wj-0001", "/institutions/wj-0002", "/institutions/wj-0003", "/findings", "/findings?all=1",
         "/regulations", "/regulations/cn-nursery-wujiang-2021"]  # fmt: skip
EVIL = '<script>alert("x")</script>{{ 7 * 7 }}\'"><img src=https://evil.example/x>'


def words_of(page: str) -> str:
    """Return what a page says, without its marks."""
    plain = re.sub(r'<span class="date">([^<]*)</span>', r"\1", page)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<title>.*?</title>|<[^>]+>", " ", plain)))


def findings_of(district: District, institution: str) -> list[FindingRow]:
    with reading(district.context.engine) as session:
        return finding_rows(session, institution=institution)


# --- who may see what


@pytest.mark.parametrize("path", [*PAGES, "/findings/0000", "/institutions/nobody"])
def test_nothing_is_shown_without_a_sign_in(district: District, path: str) -> None:
    answer = district.client().get(path)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/sign-in?next=%2F")


def test_signing_in_leads_back_and_out_ends_it(empty: District) -> None:
    client = empty.client()
    assert sign_in(client, next="/findings?all=1").headers["location"] == "/findings?all=1"
    page = client.get("/")
    assert page.status_code == 200
    secret = client.cookies["cradlewatch_session"]
    assert client.post("/sign-out", data={"csrf": token_in(page.text)}).status_code == 303
    assert "cradlewatch_session" not in client.cookies
    client.cookies.set("cradlewatch_session", secret)
    assert client.get("/").status_code == 303  # the session is gone on the server too


def test_the_session_cookie_is_out_of_reach_for_scripts_and_other_sites(empty: District) -> None:
    cookie = sign_in(empty.client()).headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Secure" not in cookie  # over http a browser would throw it away
    client = empty.client()
    client.base_url = client.base_url.copy_with(scheme="https")
    assert "Secure" in sign_in(client).headers["set-cookie"]


def test_a_session_ends_by_itself(empty: District) -> None:
    client = empty.signed_in()
    empty.clock.advance(12 * 3600 + 1)
    assert client.get("/").status_code == 303


def test_a_wrong_password_is_refused_in_words(empty: District) -> None:
    client = empty.client()
    answer = sign_in(client, "wrong password", lang="en")
    assert answer.status_code == 403
    assert "用户名或密码错误" in answer.text
    assert "cradlewatch_session" not in client.cookies
    assert "wrong password" not in answer.text


def test_guessing_is_slowed_down(empty: District) -> None:
    client = empty.client()
    answers = [sign_in(client, f"guess {number}").status_code for number in range(TRIES_PER_NAME + 1)]
    assert answers == [403] * TRIES_PER_NAME + [429]
    waiting = sign_in(client)
    assert waiting.status_code == 429  # even with the right password
    assert int(waiting.headers["retry-after"]) <= WINDOW_SECONDS + 1
    empty.clock.advance(WINDOW_SECONDS)
    assert sign_in(client).status_code == 303


def test_guessing_from_each_address_of_a_network_is_slowed_down(empty: District) -> None:
    """Whoever has an IPv6 address has 2**64 of them."""
    app = create_app(empty.context)

    def guess(address: str) -> int:
        return sign_in(TestClient(app, client=(address, 1), follow_redirects=False), "guess").status_code

    assert [guess(f"2001:db8::{number}") for number in range(TRIES_PER_NAME)] == [403] * TRIES_PER_NAME
    assert (guess("2001:db8::ffff"), guess("2001:db8:0:1::1")) == (429, 403)


def test_forms_need_their_token(empty: District) -> None:
    client = empty.client()
    form = {"name": "inspector", "password": PASSWORD}
    assert client.post("/sign-in", data=form).status_code == 403
    assert client.post("/sign-in", data={**form, "csrf": "0.0"}).status_code == 403
    foreign = token_in(empty.client().get("/sign-in").text)  # another browser's
    client.get("/sign-in")
    assert client.post("/sign-in", data={**form, "csrf": foreign}).status_code == 403
    inside = empty.signed_in()
    assert inside.post("/sign-out", data={"csrf": foreign}).status_code == 403
    assert inside.get("/").status_code == 200


def test_signing_in_anew_takes_a_new_session(empty: District) -> None:
    client = empty.signed_in()
    first = client.cookies["cradlewatch_session"]
    client.cookies.set("cradlewatch_form", "x" * 32, domain="testserver.local", path="/")
    other = empty.client()
    sign_in(other)
    assert other.cookies["cradlewatch_session"] != first


def test_a_form_that_is_too_large_is_not_read(empty: District) -> None:
    assert empty.client().post("/sign-in", content=b"name=" + b"x" * 50_000).status_code == 413


async def test_a_form_that_does_not_come_is_not_waited_for(empty: District, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboards.web.guard.MOST_FORM_SECONDS", 0.05)
    sent: list[Message] = []

    async def never() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/sign-in", "query_string": b"", "headers": []}
    await asyncio.wait_for(create_app(empty.context)(scope, never, send), 20)
    assert (sent[0]["status"], dict(sent[0]["headers"])[b"connection"]) == (408, b"close")


# --- what every answer carries


@pytest.mark.parametrize("path", [*PAGES, "/sign-in", "/nope", "/api/v1/findings", "/static/none.css", "/health/live"])
def test_every_answer_is_strict(district: District, path: str) -> None:
    headers = district.signed_in().get(path).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", [*PAGES, "/sign-in"])
@pytest.mark.parametrize("language", ["zh", "en"])
def test_pages_hold_no_script_no_inline_style_and_no_other_address(
    district: District, path: str, language: str
) -> None:
    client = district.client() if path == "/sign-in" else district.signed_in()
    page = client.get(path, params={"lang": language} if "?" not in path else None).text
    assert "<script" not in page
    assert not re.search(r"\sstyle=|\son\w+=|javascript:", page)
    assert not re.search(r'(?:src|href|action)="(?!/|#)', page)


@pytest.mark.parametrize("path", PAGES)
def test_pages_are_small_over_the_wire(district: District, path: str) -> None:
    client = district.signed_in()
    with client.stream("GET", path, headers={"accept-encoding": "gzip"}) as answer:
        assert answer.headers["content-encoding"] == "gzip"
        assert int(answer.headers["content-length"]) < 60_000


def test_the_style_sheet_may_be_kept_for_ever(district: District) -> None:
    client = district.client()
    found = re.search(r'href="(/static/style\.css\?v=[0-9a-f]{12})"', client.get("/sign-in").text)
    assert found is not None
    answer = client.get(found[1])
    assert answer.headers["content-type"] == "text/css; charset=utf-8"
    assert "immutable" in answer.headers["cache-control"]
    assert not re.search(r"url\(|@import|https?:", answer.text)


# --- languages


def test_chinese_first_english_by_wish_and_kept(district: District) -> None:
    client = district.signed_in()
    assert '<html lang="zh-Hans">' in client.get("/").text
    assert '<html lang="en">' in client.get("/", headers={"accept-language": "en-GB,en"}).text
    assert '<html lang="en">' in client.get("/?lang=en").text
    assert '<html lang="en">' in client.get("/", headers={"accept-language": "zh"}).text
    assert '<html lang="zh-Hans">' in client.get("/?lang=zh").text
    assert '<html lang="zh-Hans">' in client.get("/?lang=<x>").text


def test_the_other_language_is_one_link_away_on_the_same_page(district: District) -> None:
    page = district.signed_in().get("/findings?all=1&requirement=uptime").text
    assert 'href="/findings?all=1&amp;requirement=uptime&amp;lang=en"' in page


def test_every_link_leads_to_a_page_and_to_a_place_on_it(district: District) -> None:
    client, seen, waiting = district.signed_in(), dict[str, str](), ["/"]
    while waiting:
        path = waiting.pop()
        answer = client.get(path)
        assert answer.status_code == 200, path
        seen[path] = answer.text
        found = {html.unescape(link) for link in re.findall(r'<a [^>]*href="([^"]+)"', answer.text)}
        places = {f"{path if link.startswith('#') else ''}{link}" for link in found if "lang=" not in link}
        waiting += sorted({place.partition("#")[0] for place in places} - seen.keys() - set(waiting))
    links = {
        html.unescape(link) for page in seen.values() for link in re.findall(r'<a [^>]*href="(/[^"]*#[^"]+)"', page)
    }
    assert links
    for path, _, place in (link.partition("#") for link in links):
        assert f'id="{place}"' in seen[path], f"{path}#{place}"
    assert "/findings?institution=wj-0002&all=1" in seen


def test_a_link_never_leads_to_another_host(district: District) -> None:
    page = district.signed_in().get("http://testserver//evil.example/x").text
    assert 'href="//' not in page


# --- what pages say


def test_institutions_worst_first(district: District) -> None:
    page = words_of(district.signed_in().get("/?lang=en").text)
    names = ["阳光宝贝托育园", "示范托育园", "小星星托育中心"]
    assert sorted(names, key=page.index) == names
    assert "Open findings 9 10 7 35" in page
    assert "In order 0 0 0 28" in page
    assert "Nothing known yet 0 0 0 0 none yet" in page


def test_the_list_begins_with_how_all_stand(district: District) -> None:
    page = words_of(district.signed_in().get("/?lang=en").text)
    assert "Institutions 3 Open findings 1 Not known 1 In order 1" in page
    assert "Times are those of each institution." in page


def test_a_town_looks_at_its_own_institutions(empty: District) -> None:
    with writing(empty.context.engine) as session:
        add_jurisdiction(session, Jurisdiction(code="320509", name="吴江区", level=Level.DISTRICT))
        for code, name in (("320509101", "盛泽镇"), ("320509102", "震泽镇")):
            add_jurisdiction(session, Jurisdiction(code=code, name=name, level=Level.TOWN, parent="320509"))
            for number in range(60):
                place = Institution(id=f"{code}-{number:02}", name=f"{name}园")
                add_institution(session, place, seeded.PACK, empty.context.now(), code)
    client = empty.signed_in()
    page = client.get("/?lang=zh&area=320509102").text
    assert '<option value="320509102" selected>\u3000震泽镇</option>' in page
    assert "机构 60" in words_of(page)
    assert "盛泽镇园" not in page
    found = re.search(r'rel="next" href="([^"]+)"', page)
    assert found is not None
    second = client.get(html.unescape(found[1])).text
    assert ("盛泽镇园" in second, "震泽镇园" in second) == (False, True)
    assert re.search(r'<a class="button" href="/\?lang=zh&amp;area=320509102">第一页</a>', second)
    assert "盛泽镇园" not in client.get("/", params={"q": "镇园", "area": "320509102"}).text
    assert "盛泽镇园" in client.get("/", params={"area": "no such area"}).text


def test_the_findings_of_each_kind_are_counted_where_one_chooses(district: District) -> None:
    page = district.signed_in().get("/findings?lang=en").text
    assert re.search(r'<option value="retention">Recordings kept \(\d+\)</option>', page)
    assert re.search(r'<option value="">all \(9\)</option>', page)


def test_search_by_a_part_of_the_name_or_number(district: District) -> None:
    client = district.signed_in()
    assert "wj-0001" not in client.get("/", params={"q": "宝贝"}).text
    assert "阳光宝贝托育园" in client.get("/", params={"q": "宝贝"}).text
    assert "小星星" in client.get("/", params={"q": "WJ-0003"}).text
    nothing = client.get("/", params={"q": "100%_no'such", "lang": "en"}).text
    assert "No institution is called “100%_no&#39;such”" in nothing


def test_long_lists_have_pages(empty: District) -> None:
    with writing(empty.context.engine) as session:
        for number in range(120):
            add_institution(session, Institution(id=f"x-{number:03}", name="园"), seeded.PACK, empty.context.now())
    client = empty.signed_in()
    for first in ("/", "/?q=园"):
        path, seen = first, []
        while path:
            page = client.get(path).text
            seen += re.findall(r'href="/institutions/([^"]+)"', page)
            found = re.search(r'rel="next" href="([^"]+)"', page)
            path = html.unescape(found[1]) if found else ""
        assert seen == [f"x-{number:03}" for number in range(120)]
    assert client.get("/?after=nonsense").status_code == 400
    assert client.get("/?q=园&from=-3").status_code == 200


def test_the_first_start_says_what_to_do(empty: District) -> None:
    page = empty.signed_in().get("/").text
    assert "cradlewatch collector institution add wj-0001" in page
    assert "cradlewatch collector enrolment create" in page
    with writing(empty.context.engine) as session:
        for table in ("user_session", "user_account"):
            session.execute(sql(f"DELETE FROM {table}"))
    assert "cradlewatch collector user add" in empty.client().get("/sign-in").text
    assert "cradlewatch collector user add" not in empty.client().get("/nope").text


def test_an_institution_whose_agent_has_not_reported(district: District) -> None:
    page = district.signed_in().get("/institutions/wj-0003?lang=en").text
    assert "Nothing is known yet: no agent has declared what this institution has." in page
    assert "cradlewatch collector enrolment create --institution wj-0003" in page


def test_a_sound_institution_says_so_in_one_sentence(district: District) -> None:
    page = district.signed_in().get("/institutions/wj-0001?lang=en").text
    assert "In order: all 28 checks are met." in words_of(page)
    assert page.count('<use href="#day-') >= 3 * 90
    assert '<use href="#day-gap"' not in page.replace('aria-hidden="true"><use href="#day-gap"', "")


def test_a_troubled_institution_in_both_languages(district: District) -> None:
    client = district.signed_in()
    english, chinese = (words_of(client.get(f"/institutions/wj-0002?lang={lang}").text) for lang in ("en", "zh"))
    assert "9 open findings: " in english
    assert "Only 35 of 90 days of recordings are held; in order on 2027-01-17 at the earliest." in english
    assert "Cause: the storage was reset (55 days of recordings, seen on 2026-10-20)." in english
    assert (
        "录像仅存 35 天，要求 90 天；最早 2027-01-17 达标。原因：存储被重置（格式化）（55 天录像，于 2026-10-20 发现）。"
        in chinese
    )
    assert "须留意：录像机设置的保存天数太短（45 天后删除）。" in chinese  # though all is held as yet
    assert "60 天后删除" not in chinese  # a hole is not explained by what the recorder is set to delete
    assert "No camera is declared for this zone, which must be covered." in english
    assert "07:00–09:00 (2 h) connection refused" in english
    assert "现场网络正常，但录像机自 2026-11-23 10:00 起无应答。" in chinese
    assert "录像天数：未知" in chinese
    assert "Because of: Recorder 旧录像机 (Round the clock)." in english


def test_what_is_unknown_is_never_a_number(district: District) -> None:
    page = district.signed_in().get("/institutions/wj-0002?lang=en").text
    hall = page[page.index('id="camera-hall"') :]
    hall = hall[: hall.index("</article>")]
    assert "Days of recordings: not known" in hall
    assert "held 0" not in hall
    assert hall.count('<use href="#day-unknown"') == 90
    assert 'class="met"' not in hall


def test_findings_with_clause_since_and_filter(district: District) -> None:
    client = district.signed_in()
    page = words_of(client.get("/findings?lang=en").text)
    assert page.count("Since 2026-") == 9
    assert "午睡室 · Round the clock: down" in page
    only = words_of(client.get("/findings?requirement=retention").text)
    assert only.count("Since 2026-") == 2
    everything = words_of(client.get("/findings?all=1").text)
    assert everything.count("Since 2026-") == 10
    assert words_of(client.get("/findings?institution=wj-0001&all=1").text).count("Since 2026-") == 0
    assert client.get("/findings?requirement=<x>&institution=nobody").status_code == 200
    assert client.get("/findings?after=x").status_code == 400


def test_a_findings_page_shows_clause_figures_evidence_and_history(district: District) -> None:
    (row,) = [item for item in findings_of(district, "wj-0002") if item.state == "short"]
    client = district.signed_in()
    page = client.get(f"/findings/{row.id}?lang=en").text
    said = words_of(page)
    assert 'Notice, "recordings are kept at least 90 days"; Rules, Article 32' in said
    assert "normative document from a secondary source" in said
    assert "compare the original before an order is issued" in said
    assert "Days held 35" in said
    assert "Days required 90" in said
    assert "A machine reading is a lead until an officer confirms it." in said
    assert row.evidence[0]["digest"] in page
    assert f'href="/institutions/{row.institution}#camera-gate"' in page
    assert "已核原文" not in client.get(f"/findings/{row.id}?lang=zh").text
    assert "据二手资料" in client.get(f"/findings/{row.id}?lang=zh").text


@pytest.mark.parametrize("path", ["/institutions/wj-0002?lang=en", "/findings?lang=en"])
def test_a_list_says_where_a_clause_was_not_read_in_the_original(district: District, path: str) -> None:
    page = district.signed_in().get(path).text
    shown = dict(re.findall(r'href="/findings/([0-9a-f]+)">.*?(</article>)', page, re.DOTALL))
    for row in findings_of(district, "wj-0002"):
        if row.id not in shown:
            continue
        said = words_of(page.split(f'href="/findings/{row.id}"')[1].split("</article>")[0])
        own = row.citation["strength"] == "internal"
        assert ("from a secondary source" in said) == (not own and row.citation["status"] == "secondary")
        assert ("not verified" in said) == (not own and row.citation["status"] == "unverified")
    assert "from a secondary source" in page


def test_an_ended_finding_says_from_when_to_when(district: District) -> None:
    (row,) = [item for item in findings_of(district, "wj-0002") if item.ended is not None]
    page = words_of(district.signed_in().get(f"/findings/{row.id}?lang=en").text)
    assert "No video from 2026-11-23 07:00 to 2026-11-23 09:00 (connection refused)." in page
    assert "lasting 2 h" in page


def test_each_finding_has_its_page_in_both_languages(district: District) -> None:
    client = district.signed_in()
    for row in findings_of(district, "wj-0002"):
        for language in ("zh", "en"):
            page = client.get(f"/findings/{row.id}?lang={language}")
            assert page.status_code == 200
            assert "None" not in words_of(page.text).replace("None.", "")


def test_a_pack_with_its_numbers_and_how_sure_they_are(district: District) -> None:
    client = district.signed_in()
    page = words_of(client.get("/regulations/cn-nursery-wujiang-2021").text)
    for said in (
        "监控录像资料保存不少于90日",
        "要求天数 90 天",
        "未核实",
        "据二手资料",
        "已核原文",
        "内部设定",
        "依据文件",
    ):
        assert said in page
    assert "cn-nursery-wujiang-2021" in client.get("/regulations").text


@pytest.mark.parametrize(
    "path", ["/nope", "/institutions/nobody", "/findings/nothing", "/regulations/none", "/static/x.css"]
)
def test_what_is_not_there_is_said_in_html(district: District, path: str) -> None:
    answer = district.signed_in().get(path, headers={"accept-language": "en"})
    assert answer.status_code == 404
    assert "There is no such page" in answer.text


def test_the_api_answers_its_own_errors(district: District) -> None:
    answer = district.client().get("/api/v1/nope")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_pages_cannot_be_posted_to(district: District) -> None:
    assert district.signed_in().post("/findings").status_code == 405


def test_what_was_not_judged_lately_is_not_in_order(empty: District) -> None:
    seeded.sound(empty.context)
    empty.clock.advance(11 * 60)
    client = empty.signed_in()
    assert "Not judged since 2026-11-23 12:00" in words_of(client.get("/institutions/wj-0001?lang=en").text)
    listed = client.get("/?lang=en").text
    assert "Not judged lately" in listed
    assert "Not known 1 In order 0" in words_of(listed)
    assert listed.count("In order") == 1


# --- what a site or a stranger may send


def test_names_from_a_site_are_text_and_nothing_else(empty: District) -> None:
    institution = Institution(id="wj-0009", name=EVIL)
    identity = seeded.enrolled(empty.context, institution)
    zones = (Zone(id="gate", room="entrance", name=EVIL), Zone(id="room1", room="toilet", name=EVIL))
    cameras = (Camera(id="gate", name=EVIL, zones=("gate", "room1"), recorder="nvr", channel="1"),)
    inventory = seeded.inventory_of(institution, cameras, zones=zones)
    seen = seeded.healthy(inventory, identity.agent, empty.context.now())
    nvr = seeded.recorder("nvr")
    seen = seeded.without(seen, Kind.CHANNELS, nvr)
    seen.append(seeded.read(nvr, Kind.CHANNELS, empty.context.now(), {"channels": [{"id": EVIL[:40], "name": EVIL}]}))
    seeded.report(empty.context, identity, seen)
    evaluate(empty.context, "wj-0009")
    client = empty.signed_in()
    with reading(empty.context.engine) as session:
        rows = finding_rows(session)
    assert rows
    paths = ["/", "/findings", "/institutions/wj-0009", *(f"/findings/{row.id}" for row in rows)]
    for path in [*paths, f"/?q={EVIL}", "/sign-in"]:
        page = client.get(path).text
        assert "<script" not in page
        assert "<img" not in page
        assert "49" not in words_of(page).replace("2026", "")[:200]
    assert "&lt;script&gt;" in client.get("/institutions/wj-0009").text


def test_a_database_that_is_gone_is_said_in_words(empty: District) -> None:
    client = empty.signed_in()
    with writing(empty.context.engine) as session:
        session.execute(sql("DROP TABLE user_session"))
    answer = client.get("/", headers={"accept-language": "en"})
    assert answer.status_code == 503
    assert "The database can&#39;t be reached" in answer.text


@pytest.mark.parametrize(
    "path", ["/institutions/%00", "/findings/%00", "/findings?institution=a%00", "/?q=%00", "/regulations/%00"]
)
def test_an_address_with_a_nul_is_not_understood(district: District, path: str) -> None:
    assert district.signed_in().get(path).status_code == 400


def test_search_treats_signs_as_signs(empty: District) -> None:
    with writing(empty.context.engine) as session:
        for institution_id, name in (("a", "100% Kids"), ("b", "1000 Kids"), ("c", "a_b")):
            add_institution(session, Institution(id=institution_id, name=name), seeded.PACK, empty.context.now())
        assert [row.id for row in search_institutions(session, "100%")] == ["a"]
        assert [row.id for row in search_institutions(session, "A_B")] == ["c"]
        assert [row.id for row in search_institutions(session, "kids")] == ["a", "b"]


def test_compressed_pages_are_what_they_were(district: District) -> None:
    client: TestClient = district.signed_in()
    with client.stream("GET", "/findings", headers={"accept-encoding": "gzip"}) as answer:
        body = b"".join(answer.iter_raw())
    assert gzip.decompress(body).decode().rstrip().endswith("</html>")
