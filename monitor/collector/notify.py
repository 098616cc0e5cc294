"""Sends the notices that are due, by apprise: e-mail, webhook and many more, as configured."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from monitor.collector.context import Context
from monitor.model.counted import counted
from monitor.model.regulation import Text
from monitor.model.span import DAY, HOUR, MINUTE, SECOND, Millis, isoformat
from monitor.store import notices, registry
from monitor.store.engine import reading, writing
from monitor.store.findings import FindingRow, finding

log = structlog.get_logger(__name__)

FIRST_WAIT: Millis = 30 * SECOND
LONGEST_WAIT: Millis = 6 * HOUR
GIVE_UP: Millis = 7 * DAY
"""What could not be sent for a week is no news: the page has it."""
TRIED = 10
"""So often it was tried at least: a clock that jumped ahead is no week."""
SENDING: Millis = 2 * MINUTE
"""While one process sends, no other takes the same notice on; if it dies, another does after this long."""


TITLES = {
    "retention": Text(zh="监控录像保存期问题线索", en="Retention lead"),
    "view": Text(zh="监控画面问题线索", en="Picture lead"),
}

VIEW_STATES = {
    "black": Text(zh="画面全黑。", en="The picture is black."),
    "dark": Text(zh="开放时间内画面过暗。", en="The picture is too dark in opening hours."),
    "bright": Text(zh="画面过亮。", en="The picture is too bright."),
    "frozen": Text(zh="画面定格不动。", en="The picture is frozen."),
    "blurred": Text(zh="画面模糊，失焦或镜头脏污。", en="The picture is out of focus, or the lens is smeared."),
    "covered": Text(zh="镜头被遮挡。", en="The lens is covered."),
    "moved": Text(
        zh="摄像机角度偏移，不再对着经核准的画面。", en="The camera no longer shows its approved view: it was moved."
    ),
    "noisy": Text(zh="画面噪点过多。", en="The picture is full of noise."),
    "striped": Text(zh="画面有条纹。", en="The picture has stripes."),
    "colour_cast": Text(zh="画面偏色。", en="The picture has a colour cast."),
    "signal_lost": Text(zh="录像机显示“无视频信号”。", en="The recorder shows its “no video” picture."),
    "corrupt": Text(zh="画面花屏。", en="The picture is corrupt."),
    "looped": Text(zh="有录像被当作实时画面循环播放。", en="A recording is played as if it were live."),
}
"""What is wrong with a picture, a sentence for each state of the contract."""


@dataclass(frozen=True)
class Message:
    """What is said."""

    title: str
    body: str


def wait_after(attempts: int) -> Millis:
    """Return how long to wait after so many failed attempts: twice as long each time, six hours at most."""
    return min(FIRST_WAIT << min(max(attempts - 1, 0), 20), LONGEST_WAIT)


def send_notices(context: Context) -> int:
    """Send what is due; return how many went out. What can't be sent is tried again later, less and less often.

    Raises SettingsError when the configured addresses can't be read. Without any, nothing is sent.
    """
    urls = context.settings.notice_urls()
    if not urls:
        return 0
    with reading(context.engine) as session:
        due = notices.due_notices(session, context.now())
    return sum(1 for item in due if _send(context, urls, item))


def _send(context: Context, urls: Sequence[str], notice: notices.Notice) -> bool:
    """Send one notice: claim it, send it to the addresses that have not taken it, note which did."""
    now = context.now()
    with writing(context.engine) as session:
        if not notices.claim(session, notice, now + max(SENDING, wait_after(notice.attempts + 1))):
            return False  # another process got there first
        row = finding(session, notice.finding)
        summary = registry.institution(session, notice.institution)
    if row is None:
        return False
    message = message_of(context, row, summary.name if summary else "")
    taken = {mark_of(url) for url in urls if mark_of(url) in notice.taken_by or deliver(url, message)}
    done = len(taken) == len({mark_of(url) for url in urls})
    with writing(context.engine) as session:
        notices.taken(session, notice, notice.taken_by | taken)
        if done:
            notices.sent(session, notice, context.now())
        elif now - notice.created > GIVE_UP and notice.attempts + 1 >= TRIED:
            notices.give_up(session, notice)
    if not done:
        log.warning("notice not sent to every address", finding=notice.finding, attempts=notice.attempts + 1)
    return done


def mark_of(url: str) -> str:
    """Return a mark that tells addresses apart and is too short to find out a password in one by trying."""
    return hashlib.sha256(url.encode()).hexdigest()[:8]


def deliver(url: str, message: Message) -> bool:
    """Send a message to one address; tell whether it was taken. An address holds secrets: it is never logged."""
    import apprise

    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)  # it logs whole addresses
    sender = apprise.Apprise()
    if not sender.add(url):
        log.error("a notice address can't be used: apprise knows no such service, or the address is incomplete")
        return False
    return bool(sender.notify(title=message.title, body=message.body, body_format=apprise.NotifyFormat.TEXT))


def message_of(context: Context, row: FindingRow, name: str) -> Message:
    """Return what a notice about a newly opened finding says, in the configured language."""
    chinese = context.settings.notices.language == "zh"
    who = f"{name} ({row.institution})" if name else row.institution
    held, required = row.measured.get("held_days"), row.measured.get("required_days")
    citation = row.citation_zh if chinese else row.citation
    if chinese:
        title = f"{TITLES[row.requirement].zh}：{who}" if row.requirement in TITLES else f"问题线索：{who}"
        lines = [f"对象：{row.subject}", f"开始：{isoformat(row.began)}"]
        lines += [f"保存 {held} 天，要求 {required} 天"] if isinstance(held, int) else []
        lines += [VIEW_STATES[row.state].zh] if row.requirement == "view" and row.state in VIEW_STATES else []
        lines += [f"依据：{citation['title']} {citation['clause']}"]
    else:
        title = f"{TITLES[row.requirement].en}: {who}" if row.requirement in TITLES else f"Lead: {who}"
        lines = [f"Subject: {row.subject}", f"Since: {isoformat(row.began)}"]
        known = row.requirement == "view" and row.state in VIEW_STATES
        lines += [VIEW_STATES[row.state].en if known else row.reason]
        lines += [f"Held {counted(held, 'day')}, required {required}"] if isinstance(held, int) else []
        lines += [f"Clause: {citation['title']}, {citation['clause']}"]
    if context.settings.public_url is not None:
        lines.append(f"{context.settings.public_url.rstrip('/')}/findings/{row.id}")
    return Message(title, "\n".join(lines))
