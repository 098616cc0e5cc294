"""Time that nobody watched, on an institution's page: unknown, until the recorder's index tells what it was."""

from __future__ import annotations

import html
import re

from dashboards.web.charts import BAR_WIDTH
from monitor.model.observation import Kind, Observation
from monitor.model.span import HOUR, MINUTE, Millis, to_millis
from support.centre import Centre, declared, index, span
from support.dashboard import District

PACK = "cn-nursery-wujiang-2021"


def watched(start: Millis, end: Millis) -> list[Observation]:
    """Return what an agent says that ran from `start` to `end` and saw its cameras and its recorder all the time."""
    return [
        *(span(f"camera/{name}", "up", start, end) for name in ("gate", "room1")),
        span("recorder/nvr", "up", start, end, kind=Kind.REACH),
        span("agent/box", "up", start, end, kind=Kind.AGENT),
    ]


class Page:
    """An institution's page, as a browser gets it."""

    def __init__(self, district: District) -> None:
        answer = district.signed_in().get("/institutions/wj-0001?lang=en")
        assert answer.status_code == 200
        self.text = html.unescape(answer.text)

    def bar(self) -> str:
        """Return the first camera's bar of 24 hours."""
        found = re.search(r'<svg class="bar".*?</svg>', self.text, re.DOTALL)
        assert found is not None
        return found[0]

    def drawn(self, state: str) -> list[tuple[float, float]]:
        """Return where a state is drawn on the bar, in hours since its beginning."""
        rects = re.findall(rf'<rect class="b-{state}" x="([\d.]+)" y="\d+" width="([\d.]+)"', self.bar())
        hours = 24 / BAR_WIDTH
        return [(round(float(x) * hours, 1), round((float(x) + float(wide)) * hours, 1)) for x, wide in rects]


def test_the_time_between_is_unknown_then_up_where_footage_is_and_site_power_where_it_is_missing(
    empty: District,
) -> None:
    centre = Centre(empty.context, empty.clock)
    centre.add(regulation=PACK)
    now = to_millis(empty.clock.now())
    killed, back = now - 10 * HOUR, now - 6 * HOUR
    centre.see(declared(now - 30 * HOUR), *watched(now - 30 * HOUR, killed))
    centre.see(*watched(back, now))

    page = Page(empty)
    assert page.drawn("up") == [(0.0, 14.0), (18.0, 24.0)]
    assert page.drawn("down") == []
    assert "unknown 4" in page.bar()

    centre.see(index("gate", now, 100))
    page = Page(empty)
    assert page.drawn("up") == [(0.0, 24.0)]
    assert page.drawn("down") == []
    assert "unknown" not in page.bar()

    empty.clock.advance(60)
    later = now + MINUTE
    centre.see(*watched(now, later), index("gate", later, 100, holes=[(killed, back)]))
    page = Page(empty)
    assert page.drawn("up") == [(0.0, 14.0), (18.0, 24.0)]
    assert page.drawn("down") == [(14.0, 18.0)]
    assert "power" in page.bar()
