"""What the makers' menus call what a person has to change: how to log in, and who holds the sessions.

Menus move between firmware versions; a sentence names the entry as well as the path, so that it can be searched for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Menus:
    """One make's menu entries."""

    digest: str
    """Where digest logins are chosen, to follow `choose digest`."""
    sessions: str
    """Where it shows who holds its sessions, and what limits them."""
    playback: str
    """The right without which nothing is played back, to follow `give it`."""


ANY = Menus("in its security menu", "its list of online users shows them", "that right in the recorder's user menu")

MENUS: Mapping[str, Menus] = {
    "hikvision": Menus(
        "under System > Security > Authentication > WEB Authentication (on the recorder's own screen System > System Service)",
        "System > User Management > Online Users shows them",
        "the right 'Remote: Playback' under System > User Management",
    ),
    "dahua": Menus(
        "under System > Security > System Service, and switch CGI Service on there",
        "Info > Online Users shows them, and Network > Port > Max Connection limits them",
        "the right 'Playback' of the channel under System > Account",
    ),
    "uniview": Menus(
        "in its security menu (System > Security)", ANY.sessions, "the right of playback under System > User"
    ),
    "onvif": Menus(
        ANY.digest, ANY.sessions, "the level Operator, in the recorder's list of ONVIF users where it has one"
    ),
}


def menus_of(driver: str) -> Menus:
    """Return the menus of a driver's make; for a driver of many makes what is true of any."""
    return MENUS.get(driver, ANY)


def busy(driver: str, host: str, word: str = "") -> str:
    """Return the sentence for a recorder that serves nobody more."""
    return f"{host} is busy{word}, and is asked again later; others may hold all its sessions: {menus_of(driver).sessions}."
