"""The packs that come with the installation: both languages, honest sources, and the numbers that their texts state."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from monitor.model.inventory import Camera, Institution, Inventory, Room, Zone
from monitor.model.regulation import Due, Regulation, Requirement, Status, Strength, Text, Uptime
from monitor.model.span import DAY, HOUR, MINUTE, SECOND
from monitor.regulations import load, load_all, packs_directory

CONFIG = packs_directory().parent
PACKS = {pack.id: pack for pack in load_all()}
REAL = [pack for pack in PACKS.values() if pack.id != "demo-nursery"]

CHINESE = re.compile(r"[\u4e00-\u9fff]")


def requirements() -> Iterator[tuple[str, Requirement]]:
    for pack in PACKS.values():
        for requirement in pack.requirements.all():
            yield f"{pack.id} {requirement.kind}", requirement


def texts(value: Any, where: str = "") -> Iterator[tuple[str, Text]]:
    if isinstance(value, Text):
        yield where, value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from texts(getattr(value, name), f"{where}.{name}")
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from texts(item, f"{where}[{index}]")


def test_the_packs_are_these() -> None:
    assert list(PACKS) == [
        "cn-nursery-wujiang-2021", "demo-nursery", "kr-daycare-60", "sg-preschool-30", "us-md-comar-90",
    ]  # fmt: skip


@pytest.mark.parametrize("pack", PACKS.values(), ids=list(PACKS))
def test_every_text_is_there_in_both_languages(pack: Regulation) -> None:
    found = dict(texts(pack, pack.id))
    assert len(found) > 20
    bare = {"9.4.3", "A(1)", "A(2)", "A(3)", "E(4)、G(2)", "C、D", "F"}  # clause numbers are the same in any language
    for where, text in found.items():
        assert CHINESE.search(text.zh) or text.zh in bare, where
        assert not CHINESE.search(text.en), where
        assert "\n" not in text.zh + text.en, where


@pytest.mark.parametrize("pack", PACKS.values(), ids=list(PACKS))
def test_a_pack_comes_back_from_its_json(pack: Regulation) -> None:
    assert Regulation.model_validate_json(pack.model_dump_json(by_alias=True), strict=True) == pack


@pytest.mark.parametrize("requirement", [pytest.param(r, id=name) for name, r in requirements()])
def test_no_unverified_citation_is_law_without_a_note(requirement: Requirement) -> None:
    citation = requirement.citation
    if citation.status is Status.UNVERIFIED and citation.strength is Strength.LAW:
        assert citation.note is not None


@pytest.mark.parametrize("requirement", [pytest.param(r, id=name) for name, r in requirements()])
def test_a_binding_citation_with_numbers_says_in_its_note_which_are_ours(requirement: Requirement) -> None:
    numbers = set(type(requirement).model_fields) - set(Requirement.model_fields) - {"proof", "due"}
    if numbers and requirement.citation.strength is not Strength.INTERNAL:
        note = requirement.citation.note
        assert note is not None
        assert "内部设定" in note.zh
        assert "of ours" in note.en


@pytest.mark.parametrize("pack", REAL, ids=lambda pack: str(pack.id))
def test_what_no_text_states_is_internal(pack: Regulation) -> None:
    silence, measurability = pack.requirements.agent_silence, pack.requirements.measurability
    assert silence is not None
    assert measurability is not None
    assert silence.citation.strength is measurability.citation.strength is Strength.INTERNAL


def uptime(pack: Regulation) -> Uptime:
    assert pack.requirements.uptime is not None
    return pack.requirements.uptime


@pytest.mark.parametrize(
    ("pack_id", "days"),
    [("cn-nursery-wujiang-2021", 90), ("kr-daycare-60", 60), ("sg-preschool-30", 30), ("us-md-comar-90", 90)],
)
def test_the_days_are_the_texts(pack_id: str, days: int) -> None:
    retention = PACKS[pack_id].requirements.retention
    assert retention is not None
    assert retention.required_days == days
    assert retention.confirm_after == 6 * HOUR


def test_wujiang_asks_round_the_clock_of_every_room() -> None:
    pack = PACKS["cn-nursery-wujiang-2021"]
    assert uptime(pack).due.default is Due.ALWAYS
    assert uptime(pack).due.rooms == {}
    assert uptime(pack).deadlines.repair == DAY
    assert pack.rooms.must_exist == (Room.ENTRANCE, Room.PLAY)
    assert set(pack.rooms.forbidden) == {Room.TOILET, Room.CHANGING, Room.NURSING, Room.STAFF_REST}
    assert len(pack.requirements.all()) == 12


def test_the_notice_that_nobody_has_found_is_nowhere_called_verified() -> None:
    pack = PACKS["cn-nursery-wujiang-2021"]
    cited = [(r.citation.title.en, r.citation.status) for r in pack.requirements.all()]
    cited += [(reference.title.en, reference.status) for reference in pack.references]
    named = [status for title, status in cited if "Wujiang notice" in title]
    assert len(named) == 5
    assert Status.PRIMARY not in named


def test_singapore_asks_round_the_clock_of_entrances_only() -> None:
    due = uptime(PACKS["sg-preschool-30"]).due
    inventory = Inventory(
        institution=Institution(id="i"),
        zones=(Zone(id="gate", room=Room.ENTRANCE), Zone(id="play", room=Room.PLAY)),
        cameras=(
            Camera(id="a", zones=("gate",)), Camera(id="b", zones=("play",)), Camera(id="c", zones=("gate", "play")),
        ),
    )  # fmt: skip
    assert [due.of(camera, inventory) for camera in inventory.cameras] == [Due.ALWAYS, Due.OPENING_HOURS, Due.ALWAYS]


def test_one_camera_in_a_room_is_enough_in_korea_and_not_in_wujiang() -> None:
    korea, wujiang = (
        PACKS["kr-daycare-60"].requirements.zone_coverage,
        PACKS["cn-nursery-wujiang-2021"].requirements.zone_coverage,
    )
    assert korea is not None
    assert wujiang is not None
    assert "camera" in korea.proof
    assert wujiang.proof == ("attested", "planned")


def test_a_motion_activated_system_is_not_asked_for_complete_recordings() -> None:
    requirements = PACKS["us-md-comar-90"].requirements
    assert requirements.recording_completeness is None
    assert requirements.retention is not None
    assert requirements.retention.gap_tolerance == 36 * HOUR


def test_the_demo_is_wujiang_with_shortened_timings() -> None:
    demo, real = PACKS["demo-nursery"], PACKS["cn-nursery-wujiang-2021"]
    assert demo.rooms == real.rooms
    assert [r.kind for r in demo.requirements.all()] == [r.kind for r in real.requirements.all()]
    assert {r.citation.strength for r in demo.requirements.all()} == {Strength.INTERNAL}
    assert "演示" in demo.title.zh
    assert "Demonstration" in demo.title.en
    assert demo.requirements.retention is not None
    changed: dict[str, Any] = {}
    for mine, its in zip(demo.requirements.all(), real.requirements.all(), strict=True):
        for name in sorted(set(type(mine).model_fields) - {"title", "citation", "effective_from", "effective_to"}):
            if getattr(mine, name) != getattr(its, name):
                changed[f"{mine.kind}.{name}"] = getattr(mine, name)
    confirmed = {
        f"{kind}.confirm_after": 3 * SECOND
        for kind in (
            "zone_coverage", "undeclared_channel", "retention", "recording_completeness", "recorder_clock", "storage_health",
            "alarm_system",
        )
    }  # fmt: skip
    assert changed == confirmed | {
        "uptime.window": DAY,
        "uptime.minimum_ratio": 0.0,
        "uptime.minimum_known_ratio": 0.0,
        "uptime.grace": 3 * SECOND,
        "uptime.longest_outage_in_hours": 8 * SECOND,
        "uptime.longest_outage_out_of_hours": 8 * SECOND,
        "measurability.max_undetermined_hours": 0.0111,
        "retention.proof_failures_apart": 5 * SECOND,
        "agent_silence.silent_after": 20 * SECOND,
    }


@pytest.mark.parametrize("pack", REAL, ids=lambda pack: str(pack.id))
def test_real_packs_forgive_no_more_than_minutes_in_hours(pack: Regulation) -> None:
    assert uptime(pack).grace <= uptime(pack).longest_outage_in_hours <= 30 * MINUTE


def test_yamllint_passes() -> None:
    rules = CONFIG.parent / ".yamllint"
    command = [sys.executable, "-m", "yamllint", "--strict", "-c", str(rules), str(CONFIG)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=50)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_example_site_names_a_pack_and_rooms_that_there_are() -> None:
    site = yaml.safe_load((CONFIG / "examples" / "site.yaml").read_text(encoding="utf-8"))
    pack = load(site["regulation"])
    rooms = {Room(zone["room"]) for zone in site["zones"]}
    zones = {zone["id"] for zone in site["zones"]}
    assert set(pack.rooms.must_exist) <= rooms
    assert all(set(camera["zones"]) <= zones for camera in site["cameras"])


def test_the_readme_names_every_pack() -> None:
    readme = (CONFIG / "README.md").read_text(encoding="utf-8")
    assert [pack_id for pack_id in PACKS if f"| `{pack_id}` |" not in readme] == []
