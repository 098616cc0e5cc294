"""What agents and judgements note in English (beside evidence, and why something is not known), in the page's language."""

from __future__ import annotations

import re
from functools import cache

from dashboards.web.figures import Words
from dashboards.web.i18n import mark as _n
from dashboards.web.times import read_instant

NOTES: tuple[str, ...] = (
    # A judgement's own words.
    _n("as declared"),
    _n("the recorder's index"),
    _n("walked by %(by)s"),
    _n("tested by %(by)s"),
    _n("%(count)s span of unlocked footage"),
    _n("%(count)s spans of unlocked footage"),
    _n("%(count)s span of unlocked footage since %(at)s"),
    _n("%(count)s spans of unlocked footage since %(at)s"),
    _n("locked clips of %(seconds)s s are left out"),
    _n("footage of %(seconds)s s, dated before 2000 by a clock that was lost, is left out"),
    _n("the recorder's clock was first read at %(at)s: a hole before that may be a step of the clock"),
    _n("the minute of %(at)s was played and decoded"),
    _n("the minute of %(at)s could not be played (%(cause)s)"),
    _n("the minute of %(at)s could not be played"),
    _n("the minute of %(at)s was not tried (%(cause)s)"),
    _n("the minute of %(at)s was not tried"),
    _n("it shows the approved view"),
    _n("it does not show the approved view"),
    # Why something is not known.
    _n("the camera has no recorder: write recorder and channel in site.yaml"),
    _n("opening hours are not declared: write hours in site.yaml"),
    _n("the recorder's index was not read yet"),
    _n("the first scan of the recorder's index is not complete"),
    _n("the recorder's clock shows a date before 2000, so what it recorded can't be dated: set the recorder's clock"),
    _n("the index was not read"),
    _n("the index was read only in part"),
    _n("the recorder's index lists footage that does not play"),
    _n("the recordings show the view of another camera"),
    _n("nothing has been seen of it yet"),
    _n("no picture has been looked at"),
    _n("the camera is known by its recorder's index alone"),
    _n("the recorder was not asked yet"),
    _n("its last answer has expired"),
    _n("no answer"),
    _n("nothing has been heard since %(at)s"),
    _n("no picture since %(at)s"),
    _n("the index was last read at %(at)s, and the agent has not reported since"),
    # A stream.
    _n("no frame for %(seconds)s s since PLAY was answered: no packet arrives"),
    _n("no frame for %(seconds)s s since PLAY was answered: packets arrive, but their timestamps do not move"),
    _n(
        "no frame for %(seconds)s s since PLAY was answered: packets arrive on another channel than the device has answered"
    ),
    _n("no frame for %(seconds)s s: no packet arrives"),
    _n("no frame for %(seconds)s s: packets arrive, but their timestamps do not move"),
    _n("%(where)s refuses connections"),
    _n("%(where)s did not complete a connection within %(seconds)s s"),
    _n("%(where)s cannot be reached (%(why)s)"),
    _n("the agent keeps the address of %(name)s while it runs: start it anew if that has changed"),
    _n("the name %(name)s could not be resolved"),
    _n("the name %(name)s was not resolved within %(seconds)s s"),
    _n("the device asks for a login and none is configured: give username and password_file"),
    _n("the login of '%(user)s' was refused (%(method)s was answered 401 again)"),
    _n("the login is no longer accepted (a keep-alive was answered 401)"),
    _n(
        "%(method)s was answered by a redirect (%(status)s) that leads elsewhere or on and on, and is not followed: where that is right, write it as the camera's stream"
    ),
    _n("%(method)s was refused (403): the login lacks the right, or the account is locked"),
    _n("the device serves no further session (%(method)s was answered %(status)s)"),
    _n("there is no such stream (%(method)s was answered %(status)s)"),
    _n("the stream holds no video, but %(shown)s"),
    _n("the device does not send the stream over the RTSP connection (TCP interleaved)"),
    _n("it answered 461"),
    _n("the video is in %(codec)s; H.264, H.265 and MJPEG can be watched"),
    _n("no stream is known, and the recorder tells of none: write stream in site.yaml"),
    # Who answers at the site.
    _n("its services refuse the connection while the site's line is whole"),
    _n("it is silent while the site's line is whole"),
    _n("it accepts connections and answers nothing while the site's line is whole"),
    _n("the name %(name)s has no address: nobody was asked"),
    _n("no device of the site answers"),
    _n("neither the gateway nor any device of the site answers"),
    _n("the recorder answers"),
    _n("frames arrive through the recorder"),
    # A recorder.
    _n("the login was refused: correct the password, then run agent check --retry-credentials"),
    _n(
        "the login of '%(user)s' at %(host)s is held: %(why)s; "
        "correct the password or run agent check --retry-credentials, else it is tried again after %(until)s UTC"
    ),
    _n("%(host)s didn't answer within %(seconds)s s: check that it is switched on and reachable."),
    _n(
        "%(host)s doesn't offer %(request)s: this model or firmware lacks it, or `driver` names another make than it is."
    ),
    _n("%(host)s asks for a login: give recorder %(recorder)s a `username` and a `password_file`."),
    _n("The recorder lost its own search handle: what it found is not known, and it is asked again later."),
    _n("%(host)s gives no search handle: others may hold them all; it is asked again later."),
    _n("The recorder says that it holds footage, and lists none: what it holds is unknown."),
    _n("the picture is %(seconds)s s away from the minute that was asked for"),
    _n("%(days)s day that was listed before is no longer listed"),
    _n("%(days)s days that were listed before are no longer listed"),
)
"""The longer of two that begin alike stands first: the first one that fits the whole of a text counts."""

_PLACE = re.compile(r"%\((\w+)\)s")
_INSTANT = r"\d{4}-\d\d-\d\dT[\d:.]+Z"


def noted(text: str, words: Words, *, seconds: bool = True) -> str | None:
    """Return a note in the page's language, its instants as local time; None when its words are not known here.

    `seconds`: whether they are told to the second. What follows a semicolon may be a note of its own. What a note names
    (hosts, people, numbers) stays as it is.
    """
    whole = _said(text, words, seconds=seconds)
    if whole is not None or ";" not in text:
        return whole
    parts = [_said(part.strip(), words, seconds=seconds) for part in text.split(";")]
    known = [part for part in parts if part is not None]
    return words.translate("; ").join(known) if len(known) == len(parts) else None


def _said(text: str, words: Words, *, seconds: bool) -> str | None:
    for message in NOTES:
        found = _pattern(message).fullmatch(text)
        if found is not None:
            values = {name: _value(name, value, words, seconds=seconds) for name, value in found.groupdict().items()}
            return words.translate(message) % values
    return None


def _value(name: str, text: str, words: Words, *, seconds: bool) -> str:
    if name == "cause":
        return words.cause(text.replace(" ", "_"))
    at = read_instant(text) if name == "at" else None
    return words.times.instant(at, seconds=seconds) if at is not None else text


@cache
def _pattern(message: str) -> re.Pattern[str]:
    """Turn a message into what its texts look like."""
    texts = [re.escape(part) for part in _PLACE.split(message)[::2]]
    names = [f"(?P<{name}>{_INSTANT if name == 'at' else '[^;]+?'})" for name in _PLACE.findall(message)]
    return re.compile("".join(part for pair in zip(texts, [*names, ""], strict=True) for part in pair))
