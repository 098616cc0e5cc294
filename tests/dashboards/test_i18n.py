"""Languages: every message is in the catalogue, with the same figures in it; the browser's wish is heard."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import pytest
from babel.messages.catalog import Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from dashboards.web.i18n import Language, negotiate, parse_language, translations

ROOM = Path(str(files("dashboards.web")))
KEYWORDS = {
    "_": None,
    "_n": None,
    "gettext": None,
    "ngettext": (1, 2),
    "translate": None,
    "plural": (1, 2),
    "say": None,
}
PLACE = re.compile(r"%\((\w+)\)s")


def messages() -> set[str | tuple[str, ...]]:
    """Return every message in code and templates."""
    found = extract_from_dir(
        ROOM,
        method_map=[("**.py", "python"), ("templates/**.html", "jinja2")],
        keywords=KEYWORDS,
        options_map={"templates/**.html": {"trimmed": "true"}},
    )
    return {message for _, _, message, _, _ in found if message}


def forms(text: object) -> tuple[str, ...]:
    """Return the forms of a message or of its translation: one, or singular and plural."""
    return (text,) if isinstance(text, str) else tuple(text) if isinstance(text, list | tuple) else ()


def catalogue() -> dict[tuple[str, ...], Message]:
    with (ROOM / "translations" / "zh.po").open("rb") as file:
        return {forms(message.id): message for message in read_po(file, locale="zh") if message.id}


def test_every_message_is_translated_and_nothing_else() -> None:
    said, known = {forms(message) for message in messages()}, catalogue()
    assert said - set(known) == set()
    assert set(known) - said == set()
    assert [key for key, message in known.items() if message.fuzzy or not all(forms(message.string))] == []


def test_a_translation_names_the_same_figures() -> None:
    for key, message in catalogue().items():
        source, target = key[-1], forms(message.string)[-1]
        assert sorted(PLACE.findall(source)) == sorted(PLACE.findall(target)), source
        assert target.count("%") == source.count("%"), source


def test_the_catalogue_is_really_chinese() -> None:
    latin = [key for key, m in catalogue().items() if not re.search(r"[^\x00-\x7f]", forms(m.string)[0])]
    assert latin == [("of %(count)s",), ("%(state)s %(count)s",)]


def test_english_is_the_code_itself() -> None:
    assert translations(Language.EN).gettext("Findings") == "Findings"
    assert translations(Language.ZH).gettext("Findings") == "问题"


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", Language.ZH),
        ("zh-CN,zh;q=0.9,en;q=0.8", Language.ZH),
        ("en-GB,en;q=0.9", Language.EN),
        ("en;q=0.2, zh-TW;q=0.7", Language.ZH),
        ("fr, de;q=0.9", Language.ZH),
        ("fr, en;q=0.1", Language.EN),
        ("en;q=0", Language.ZH),
        ("en;q=nonsense", Language.ZH),
        (";;;,,,q=", Language.ZH),
    ],
)
def test_the_browsers_wish(header: str, language: Language) -> None:
    assert negotiate(header) is language


def test_unknown_languages_are_none() -> None:
    assert parse_language("zh") is Language.ZH
    assert parse_language("../../etc/passwd") is None
    assert parse_language(None) is None
