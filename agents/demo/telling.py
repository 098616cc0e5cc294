"""What the demo says to people, in Chinese and English, on a terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from agents.demo.centre import Access
from agents.demo.compare import key_of, text_of
from agents.demo.institution import Institution, Json

Write = Callable[[str], None]

OLD: Final = timedelta(days=2)

HAPPENED: Final[dict[str, tuple[str, str]]] = {
    "black": ("画面变黑", "the picture turns black"),
    "covered": ("镜头被遮挡", "the lens is covered"),
    "moved": ("摄像头被转动", "the camera is turned"),
    "blurred": ("镜头失焦", "the lens is put out of focus"),
    "looped": ("播放旧画面", "old pictures are played"),
    "dead": ("码流中断", "the stream dies"),
    "die": ("录像机断电", "the recorder dies"),
    "disk": ("一块硬盘损坏", "a disk fails"),
    "erase": ("录像被清空", "its recordings are erased"),
    "change_password": ("录像机密码被改", "its password is changed"),
    "kill": ("采集端被终止", "the agent is killed"),
}

HEALED: Final[dict[str, tuple[str, str]]] = {
    "covered": ("遮挡移开", "the lens is free again"),
    "dead": ("码流恢复", "the stream returns"),
}
"""By what is over."""

TOUR: Final[tuple[tuple[str, str, str], ...]] = (
    ("/", "各机构，问题多的在前", "institutions, the worst first"),
    ("/institutions/wj-0012", "被动过手脚的画面", "tampered pictures: what was seen, and when"),
    ("/institutions/wj-0002", "录像日历：只存了35天", "days of recordings: only 35 are held"),
    ("/institutions/wj-0005", "中断后又恢复的码流", "a stream that died and returned: the last 24 hours"),
    ("/institutions/wj-0013", "预计几天后将不足90天", "in order, and by the forecast too few days before long"),
    ("/institutions/wj-0015", "存储被清空：原因与日期", "a storage that was reset: the cause and its date"),
    ("/institutions/wj-0016", "列得出、放不了的录像", "footage that is listed and does not play"),
    ("/findings?all=1", "线索：条款、证据、起止时间", "findings: clause, evidence, since and until when"),
)
"""Pages, each with what there is to see."""


def wide(text: str, columns: int) -> str:
    """Pad a text to so many columns of a terminal, on which a Chinese character takes two."""
    taken = sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)
    return text + " " * max(1, columns - taken)


class Telling:
    """Writes lines; which stream they go to is the caller's."""

    def __init__(self, write: Write) -> None:
        """Write by `write`, a line at a time."""
        self._write = write
        self._known: dict[str, bool] = {}

    def line(self, text: str = "") -> None:
        """Say anything."""
        self._write(text)

    def invite(self, access: Access, district: Iterable[Institution]) -> None:
        """Say where to look, how to get in, and what is to be seen."""
        self.line()
        for label, value in (
            ("网址 address", access.url),
            ("用户 user", access.user),
            ("密码 password", access.password),
            ("令牌 API token", access.token),
        ):
            self.line(f"  {wide(label, 16)}{value}")
        self.line(f'  curl -H "Authorization: Bearer {access.token}" {access.url}/api/v1/findings')
        self.line()
        self.line("虚构的机构，以及其中各自设置的问题 Fictional institutions, and their faults:")
        self.line()
        for item in district:
            self.line(f"  {item.id}  {wide(item.full_name, 22)}{item.planted_zh}")
            self.line(f"  {wide('', 9)}{item.planted_en}")
        self.line()
        self.line("依次看 What to look at, in this order:")
        for number, (path, zh, en) in enumerate(TOUR, start=1):
            self.line(f"  {number}. {access.url}{path}")
            self.line(f"     {zh} {en}")
        self.line()
        self.line("各采集端正在登记并首次核查 The agents enrol and take their first look:")

    def go(self, duration: float | None) -> None:
        """Say that it begins."""
        until = "Ctrl-C 结束 ends it" if duration is None else f"{duration:g} 秒后自行结束 ends by itself"
        self.line()
        self.line("开始：故障逐一发生，线索随之出现 It begins: faults happen, findings follow")
        self.line(f"  {until}")

    def happened(self, seconds: float, place: str, do: str, heals: str = "") -> None:
        """Say that something was done to a device; `heals`: the fault that is over by it."""
        zh, en = HEALED.get(heals, (do, do)) if heals else HAPPENED.get(do, (do, do))
        word = "恢复 mended" if heals else "故障 fault"
        self.line(f"  {seconds:6.1f} s  {wide(word, 15)}{place}: {zh} {en}")

    def news(self, seconds: float, findings: Iterable[Json]) -> None:
        """Say what has been found, or has ended, since the last time."""
        for item in findings:
            ended = item["ended_at"] is not None
            before = self._known.get(item["id"])
            if before is None:
                self.line(f"  {seconds:6.1f} s  {wide('线索 finding', 15)}{text_of(key_of(item))}")
            if ended and not before:
                self.line(f"  {seconds:6.1f} s  {wide('结束 ended', 15)}{text_of(key_of(item))}")
            self._known[item["id"]] = ended

    def outcome(self, as_of: str, findings: Sequence[Json], planted: Sequence[Json], said: Sequence[str]) -> None:
        """Say what was found as of an instant, and how it compares with what was planted."""
        self.line()
        self.line(wide(f"设置 planted: {len(planted)}   线索 findings: {len(findings)}", 56) + "自 since    至 until")
        for item in sorted(findings, key=key_of):
            began, ended = (_clock_time(item[key], as_of) for key in ("began_at", "ended_at"))
            self.line(f"  {wide(text_of(key_of(item)), 54)}{wide(began, 12)}{ended}".rstrip())
        self.line()
        if said:
            self.line("与设置不符 different from what was planted:")
            for sentence in said:
                self.line(f"  {sentence}")
        else:
            self.line("与设置完全一致，无一多余 exactly what was planted, and nothing else")


def _clock_time(text: str | None, as_of: str) -> str:
    """Return the time of day on this machine's clock, of what is older than two days the date; nothing for None."""
    if text is None:
        return ""
    at = datetime.fromisoformat(text).astimezone()
    return at.strftime("%Y-%m-%d" if datetime.fromisoformat(as_of) - at > OLD else "%H:%M:%S")
