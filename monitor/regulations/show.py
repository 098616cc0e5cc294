"""A pack as a page of plain text, in Chinese or English."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Any

from monitor.model.inventory import Room
from monitor.model.regulation import Citation, Reference, Regulation, Requirement, Status, Strength, Text
from monitor.regulations.columns import indented, table

_COMMON = frozenset({"title", "citation", "effective_from", "effective_to"})
"""Fields of a requirement that are shown in words, not as numbers."""


class Language(StrEnum):
    """The languages of the packs."""

    ZH = "zh"
    EN = "en"


ROOMS_ZH: dict[Room, str] = {
    Room.ENTRANCE: "出入口",
    Room.CORRIDOR: "走廊",
    Room.PLAY: "活动室",
    Room.NAP: "睡眠区",
    Room.DINING: "就餐区",
    Room.WASH: "盥洗区",
    Room.CHANGING: "更衣室",
    Room.TOILET: "卫生间",
    Room.NURSING: "哺乳室",
    Room.KITCHEN: "厨房",
    Room.RECEPTION: "接待区",
    Room.OUTDOOR_PLAY: "室外活动场地",
    Room.OFFICE: "办公室",
    Room.STAFF_REST: "员工休息室",
    Room.OTHER: "其他",
}

_STRENGTH_ZH: dict[Strength, str] = {
    Strength.LAW: "法律法规",
    Strength.NORMATIVE_DOCUMENT: "规范性文件",
    Strength.LOCAL_STANDARD: "地方标准",
    Strength.RECOMMENDED: "推荐性",
    Strength.INTERNAL: "内部设定",
}

_STATUS: dict[Status, dict[Language, str]] = {
    Status.PRIMARY: {Language.ZH: "已核原文", Language.EN: "read in the primary text"},
    Status.SECONDARY: {Language.ZH: "据二手资料", Language.EN: "read in a secondary source"},
    Status.UNVERIFIED: {Language.ZH: "未核实", Language.EN: "not verified"},
}

_WORDS: dict[str, str] = {
    "pack": "规则包",
    "version": "版本",
    "title": "名称",
    "in force": "生效",
    "jurisdiction": "行政区划",
    "from": "自",
    "until": "至",
    "rooms": "房间",
    "required": "必须覆盖",
    "must exist": "至少有一处",
    "forbidden": "禁止安装",
    "district decides": "由主管部门决定",
    "free": "不作要求",
    "requirements": "要求",
    "references": "依据文件",
    "note": "注",
    "none": "无",
}


def word(text: str, language: Language) -> str:
    """Return a word of the page in `language`."""
    return _WORDS[text] if language is Language.ZH else text


def say(text: Text, language: Language) -> str:
    """Return a pack's text in `language`."""
    return text.zh if language is Language.ZH else text.en


def list_page(packs: Sequence[Regulation], language: Language, columns: int) -> Iterator[str]:
    """Yield the lines of the list of packs."""
    head = tuple(word(name, language) for name in ("pack", "version", "in force", "title"))
    rows = [(pack.id, str(pack.version), _dates(pack, language), say(pack.title, language)) for pack in packs]
    yield from table([head, *rows], columns)


def pack_page(pack: Regulation, language: Language, columns: int) -> Iterator[str]:
    """Yield the lines of one pack: rooms, every requirement with its citation and numbers, the texts behind it."""
    yield from indented(say(pack.title, language), 0, columns)
    facts = [("pack", pack.id), ("version", str(pack.version)), ("in force", _dates(pack, language))]
    facts += [("jurisdiction", pack.jurisdiction)] if pack.jurisdiction else []
    yield from table([(word(name, language), value) for name, value in facts], columns, indent=2)
    yield ""
    yield word("rooms", language)
    yield from table(_rooms(pack, language), columns, indent=2)
    yield ""
    yield word("requirements", language)
    for requirement in pack.requirements.all():
        yield from _requirement(requirement, language, columns)
    if pack.references:
        yield ""
        yield word("references", language)
        for reference in pack.references:
            yield from _reference(reference, language, columns)


def _dates(item: Regulation | Requirement, language: Language) -> str:
    parts = [("from", item.effective_from), ("until", item.effective_to)]
    return " ".join(f"{word(name, language)} {day}" for name, day in parts if day is not None)


def _rooms(pack: Regulation, language: Language) -> list[tuple[str, str]]:
    rooms = pack.rooms
    lists = (
        ("required", rooms.required),
        ("must exist", rooms.must_exist),
        ("forbidden", rooms.forbidden),
        ("district decides", rooms.district_decides),
        ("free", rooms.free),
    )
    return [(word(name, language), _names(items, language)) for name, items in lists]


def _names(rooms: Sequence[Room], language: Language) -> str:
    if not rooms:
        return word("none", language)
    if language is Language.ZH:
        return "、".join(ROOMS_ZH[room] for room in rooms)
    return ", ".join(room.value for room in rooms)


def _requirement(requirement: Requirement, language: Language, columns: int) -> Iterator[str]:
    yield f"  {requirement.kind}"
    yield from indented(say(requirement.title, language), 4, columns)
    yield from _citation(requirement.citation, language, columns)
    dates = _dates(requirement, language)
    yield from indented(f"{word('in force', language)} {dates}", 4, columns) if dates else ()
    yield from table(list(_numbers(requirement)), columns, indent=6)


def _citation(citation: Citation, language: Language, columns: int) -> Iterator[str]:
    marks = _marks(citation.strength, citation.status, language)
    yield from indented(f"{say(citation.title, language)} {say(citation.clause, language)} [{marks}]", 4, columns)
    if citation.url:
        yield f"    {citation.url}"
    if citation.note:
        yield from indented(f"{word('note', language)}: {say(citation.note, language)}", 4, columns)


def _marks(strength: Strength, status: Status, language: Language) -> str:
    """An internal setting is our own: there is no text whose wording could be verified."""
    name = _STRENGTH_ZH[strength] if language is Language.ZH else strength.value
    return name if strength is Strength.INTERNAL else f"{name}; {_STATUS[status][language]}"


def _numbers(requirement: Requirement) -> Iterator[tuple[str, str]]:
    """Yield a requirement's own keys as they are written in the pack."""
    values = requirement.model_dump(mode="json", exclude=set(_COMMON), exclude_none=True)
    yield from _flat(values)


def _flat(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        elif isinstance(value, list):
            if value:
                yield f"{prefix}{name}", ", ".join(map(str, value))
        else:
            yield f"{prefix}{name}", str(value)


def _reference(reference: Reference, language: Language, columns: int) -> Iterator[str]:
    clause = f" {say(reference.clause, language)}" if reference.clause else ""
    marks = _marks(reference.strength, reference.status, language)
    yield from indented(f"{say(reference.title, language)}{clause} [{marks}]", 2, columns)
    yield from indented(say(reference.says, language), 4, columns)
    if reference.url:
        yield f"    {reference.url}"
