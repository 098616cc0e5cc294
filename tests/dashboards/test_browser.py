"""The pages in a real Chromium with JavaScript off: on a phone and on a desktop, in both languages, light and dark."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, BrowserContext, ViewportSize, expect

from dashboards.serve import create_app
from monitor.api.auth import SESSION_COOKIE
from monitor.model.inventory import Institution
from monitor.store.accounts import create_session
from monitor.store.engine import reading, writing
from monitor.store.findings import finding_rows
from support import parts, seeded
from support.browser import Visited, chromium, faults, served
from support.dashboard import PASSWORD, USER, District, new_district

# One worker starts one Chromium and one district for all of them.
pytestmark = [pytest.mark.browser, pytest.mark.timeout(180), pytest.mark.xdist_group("browser")]

PHONE: ViewportSize = {"width": 390, "height": 844}
SMALL: ViewportSize = {"width": 360, "height": 640}
DESKTOP: ViewportSize = {"width": 1280, "height": 800}
LONG = "Supercalifragilisticexpialidocious" * 5 + "苏州市吴江区"


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[District]:
    """The small district, and an institution with a very long name."""
    parts.require("chromium")
    parts.require("fonts")
    found = new_district(tmp_path_factory.mktemp("crowd"))
    seeded.sound(found.context)
    seeded.sound(found.context, "wj-long", LONG)
    seeded.troubled(found.context, found.clock)
    seeded.enrolled(found.context, Institution(id="wj-0003", name="小星星托育中心"))
    yield found
    found.context.engine.dispose()


@pytest.fixture(scope="module")
def address(crowd: District) -> Iterator[str]:
    with served(create_app(crowd.context)) as found:
        yield found


@pytest.fixture(scope="module")
def browser(crowd: District) -> Iterator[Browser]:
    with chromium() as found:
        yield found


def visitor(
    browser: Browser, district: District, address: str, size: ViewportSize, scheme: Literal["light", "dark"] = "light"
) -> BrowserContext:
    """Open a browser window that somebody has signed in with, JavaScript off."""
    window = browser.new_context(java_script_enabled=False, viewport=size, color_scheme=scheme)
    with writing(district.context.engine) as session:
        secret = create_session(session, USER, district.context.now())
    window.add_cookies([{"name": SESSION_COOKIE, "value": secret, "url": address}])
    return window


def paths(district: District) -> list[str]:
    with reading(district.context.engine) as session:
        rows = finding_rows(session)
    return [
        "/", "/?q=宝贝", "/?q=nothing", "/institutions/wj-0001", "/institutions/wj-0002", "/institutions/wj-0003",
        "/institutions/wj-long", "/findings", "/findings?all=1&institution=wj-0002", "/findings?institution=wj-0001",
        "/regulations", f"/regulations/{seeded.PACK}", *(f"/findings/{row.id}" for row in rows[:4]),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("size", "language", "scheme"),
    [
        pytest.param(SMALL, "zh", "light", id="small-zh"),
        pytest.param(PHONE, "zh", "dark", id="phone-zh-dark"),
        pytest.param(PHONE, "en", "light", id="phone-en"),
        pytest.param(DESKTOP, "zh", "light", id="desktop-zh"),
        pytest.param(DESKTOP, "en", "dark", id="desktop-en-dark"),
    ],
)
def test_every_page_reads_well_and_asks_nobody_else(
    browser: Browser, crowd: District, address: str, size: ViewportSize, language: str, scheme: Literal["light", "dark"]
) -> None:
    window = visitor(browser, crowd, address, size, scheme)
    page, visited = window.new_page(), Visited(address)
    visited.watch(page)
    wrong: dict[str, list[str]] = {}
    page.goto(f"{address}/?lang={language}")
    for path in paths(crowd):
        answer = page.goto(address + path)
        assert answer is not None
        assert answer.status == 200
        assert page.locator("html").get_attribute("lang") == {"zh": "zh-Hans", "en": "en"}[language]
        if found := faults(page):
            wrong[path] = found
    window.close()
    assert wrong == {}
    assert visited.complaints == []
    assert visited.elsewhere == []
    assert {url.removeprefix(address).partition("?")[0] for url in visited.requests if "/static/" in url} == {
        "/static/style.css",
        "/static/icon.svg",
    }


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_a_person_signs_in_finds_what_is_wrong_and_leaves(browser: Browser, address: str, size: ViewportSize) -> None:
    window = browser.new_context(java_script_enabled=False, viewport=size, locale="zh-CN")
    page, visited = window.new_page(), Visited(address)
    visited.watch(page)
    page.goto(address + "/findings")
    assert faults(page) == []
    page.get_by_label("用户名").fill(USER)
    page.get_by_label("密码").fill(PASSWORD)
    page.get_by_role("button", name="登录").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("问题")
    page.get_by_role("link", name="机构").first.click()
    page.get_by_role("link", name="阳光宝贝托育园").click()
    expect(page.get_by_text("有 9 项未结问题")).to_be_visible()
    page.get_by_role("link", name="大门 · 录像保存：天数不足").click()
    expect(page.get_by_text("录像仅存 35 天，要求 90 天").first).to_be_visible()
    expect(page.get_by_text("通知“监控录像资料保存不少于90日”；规范第三十二条")).to_be_visible()
    page.get_by_role("link", name="规则包 cn-nursery-wujiang-2021").click()
    expect(page.locator("#retention")).to_be_in_viewport()
    page.get_by_role("link", name="English").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Wujiang District")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    page.goto(address + "/findings")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    window.close()
    assert visited.complaints == []
    assert visited.elsewhere == []


def test_a_calendar_fits_the_phone_and_says_itself_in_words(browser: Browser, crowd: District, address: str) -> None:
    window = visitor(browser, crowd, address, SMALL)
    page = window.new_page()
    page.goto(address + "/institutions/wj-0002?lang=en")
    calendar = page.locator("#camera-room1 svg.calendar")
    box = calendar.bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= SMALL["width"]
    label = str(calendar.get_attribute("aria-label"))
    assert "missing: 2026-10-24 – 2026-10-26" in label or "missing: 2026-10-23 – 2026-10-26" in label
    cell = calendar.locator("use[href='#day-gap']").first.bounding_box()
    assert cell is not None
    assert cell["width"] >= 12
    window.close()


def test_states_look_different_without_colour(browser: Browser, crowd: District, address: str) -> None:
    window = visitor(browser, crowd, address, DESKTOP)
    page = window.new_page()
    page.goto(address + "/institutions/wj-0002")
    page.emulate_media(forced_colors="none")
    swatches = page.locator(".legend .swatch, .legend .key")
    pictures = [_grey(swatches.nth(index).screenshot()) for index in range(swatches.count())]
    window.close()
    assert len(pictures) == 9
    for group in (pictures[:5], pictures[5:]):
        for index, one in enumerate(group):
            for other in group[index + 1 :]:
                assert _differs(one, other)


def _grey(png: bytes) -> Any:
    import cv2  # a decoder for PNG
    import numpy as np

    picture = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert picture is not None
    return picture.astype(float)


def _differs(one: Any, other: Any) -> bool:
    """Tell whether two grey pictures differ in shape: also when one is made lighter or darker to match the other."""
    height, width = min(one.shape[0], other.shape[0]), min(one.shape[1], other.shape[1])
    a, b = one[:height, :width], other[:height, :width]
    plain = abs(a - b).mean()
    shape = abs((a - a.mean()) - (b - b.mean())).mean()
    return bool(plain > 6 and shape > 3)


def test_the_keyboard_finds_its_way(browser: Browser, crowd: District, address: str) -> None:
    window = visitor(browser, crowd, address, DESKTOP)
    page = window.new_page()
    page.goto(address + "/?lang=en")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    assert skip.evaluate("e => getComputedStyle(e).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("#main$"))
    window.close()


def test_a_printed_page_has_no_menu(browser: Browser, crowd: District, address: str, tmp_path: Path) -> None:
    window = visitor(browser, crowd, address, DESKTOP)
    page = window.new_page()
    page.goto(address + "/institutions/wj-0002")
    page.emulate_media(media="print")
    expect(page.locator(".top nav")).to_be_hidden()
    expect(page.locator(".aside")).to_be_hidden()
    page.pdf(path=tmp_path / "page.pdf", format="A4")
    assert (tmp_path / "page.pdf").stat().st_size > 20_000
    window.close()


def test_the_checks_find_what_is_wrong(browser: Browser) -> None:
    window = browser.new_context(viewport=PHONE)
    page = window.new_page()
    page.set_content(
        "<h1>a</h1><h3 id=x>b</h3><p id=x style='color:#999;background:#fff'>pale</p><input name=q><svg></svg>"
        "<table><tr><td>c</td></tr></table><a href='#none'></a><div style='width:900px'>wide</div>"
    )
    found = "\n".join(faults(page))
    window.close()
    for fault in ("contrast 2.8", "heading level 3 after 1", "id twice: x", "no label: q", "an svg without a name",
                  "a table without a caption", "a link to nothing", "a link without words", "px wide on 390px"):  # fmt: skip
        assert fault in found
