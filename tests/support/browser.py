"""A real Chromium on the pages: what it asked for, what it complained about, and simple checks of what it shows."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from playwright.sync_api import Browser, Page, Request, sync_playwright
from starlette.types import ASGIApp

from dashboards.serve import address_of, listen

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")

CHECKS = """() => {
  const found = [];
  const rgb = text => { const m = text.match(/[\\d.]+/g).map(Number); return {r: m[0], g: m[1], b: m[2], a: m.length > 3 ? m[3] : 1}; };
  const light = c => { const f = v => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
    return 0.2126 * f(c.r) + 0.7152 * f(c.g) + 0.0722 * f(c.b); };
  const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
  const ground = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c.a === 1) return c; }
    return {r: 255, g: 255, b: 255}; };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode, e = node.parentElement;
    if (!node.textContent.trim() || e.closest('title, .hidden, .skip, option, thead')) continue;
    const style = getComputedStyle(e), svg = e.closest('svg');
    if (style.visibility === 'hidden' || style.display === 'none') continue;
    const size = parseFloat(style.fontSize), bold = parseInt(style.fontWeight) >= 700;
    const need = size >= 24 || (bold && size >= 18.66) ? 3 : 4.5;
    const got = ratio(rgb(svg ? style.fill : style.color), ground(svg ? svg.parentElement : e));
    if (got < need) found.push(`contrast ${got.toFixed(2)} of ${need}: ${node.textContent.trim().slice(0, 40)}`);
    if (size < 10.5) found.push(`text of ${size}px: ${node.textContent.trim().slice(0, 40)}`);
  }
  const wide = document.documentElement.scrollWidth;
  if (wide > innerWidth) {
    found.push(`the page is ${wide}px wide on ${innerWidth}px`);
    for (const e of document.body.querySelectorAll('*')) {
      const box = e.getBoundingClientRect();
      if (box.right > innerWidth + 1 && !e.closest('.skip, .defs')) found.push(`  ${e.tagName}.${e.className}: ${Math.round(box.right)}px`);
    }
  }
  if (document.querySelectorAll('h1').length !== 1) found.push('not exactly one h1');
  let level = 0;
  for (const h of document.querySelectorAll('h1, h2, h3, h4')) {
    const now = Number(h.tagName[1]);
    if (now > level + 1) found.push(`heading level ${now} after ${level}: ${h.textContent.trim()}`);
    level = now;
  }
  const ids = [...document.querySelectorAll('[id]')].map(e => e.id);
  for (const id of new Set(ids.filter((id, i) => ids.indexOf(id) !== i))) found.push(`id twice: ${id}`);
  for (const e of document.querySelectorAll('input:not([type=hidden]), select')) if (!e.labels.length) found.push(`no label: ${e.name}`);
  for (const e of document.querySelectorAll('svg')) {
    const named = e.getAttribute('role') === 'img' && e.getAttribute('aria-label');
    if (!named && e.getAttribute('aria-hidden') !== 'true') found.push('an svg without a name');
  }
  for (const e of document.querySelectorAll('table')) if (!e.caption) found.push('a table without a caption');
  for (const e of document.querySelectorAll('use')) if (!document.querySelector(e.getAttribute('href'))) found.push(`nothing is ${e.getAttribute('href')}`);
  for (const e of document.querySelectorAll('a[href^="#"]')) if (!document.querySelector(e.getAttribute('href'))) found.push(`a link to nothing: ${e.getAttribute('href')}`);
  for (const e of document.querySelectorAll('a, button')) {
    const box = e.getBoundingClientRect();
    if (!e.textContent.trim()) found.push('a link without words');
    if (box.height < 16) found.push(`a target of ${Math.round(box.height)}px: ${e.textContent.trim()}`);
  }
  for (const e of document.querySelectorAll('button, .top a, .button, input:not([type=hidden]):not([type=checkbox]), select')) {
    const box = e.getBoundingClientRect();
    if (box.height < 32) found.push(`a control of ${Math.round(box.height)}px: ${e.textContent.trim()}`);
  }
  return found;
}"""


@dataclass
class Visited:
    """What a browser did besides showing the page."""

    origin: str
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        """Write down every request and every complaint of a page."""
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("requestfailed", self._failed)
        page.on("console", lambda message: self.complaints.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))

    def _failed(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # the page was left before its icon had come
            self.complaints.append(f"failed: {request.url}: {request.failure}")

    @property
    def elsewhere(self) -> list[str]:
        """Requests to any other origin."""
        return [url for url in self.requests if not url.startswith(self.origin + "/")]


@contextmanager
def served(app: ASGIApp) -> Iterator[str]:
    """Serve an application on a free port until the block ends; give its address."""
    with listen("127.0.0.1:0") as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            yield address_of(listening)
        finally:
            server.should_exit = True
            thread.join(20)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run Debian's Chromium until the block ends."""
    path = next((found for name in CHROMIUM if (found := shutil.which(name))), None)
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        try:
            yield browser
        finally:
            browser.close()


def faults(page: Page) -> list[str]:
    """Return what is wrong with the page that is shown: contrast, labels, headings, width."""
    found: Any = page.evaluate(CHECKS)
    return [str(item) for item in found]
