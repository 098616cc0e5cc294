"""The languages of the pages: which one to use, and the catalogue of its sentences."""

from __future__ import annotations

import io
from enum import StrEnum
from functools import cache
from gettext import NullTranslations
from importlib.resources import files

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import Translations

COOKIE = "cradlewatch_language"


class Language(StrEnum):
    """The languages of the pages. Chinese is the first."""

    ZH = "zh"
    EN = "en"

    @property
    def tag(self) -> str:
        """The BCP 47 tag for the page's `lang` attribute."""
        return "zh-Hans" if self is Language.ZH else "en"


def mark(message: str) -> str:
    """Mark a message of a table for translation; it is translated where it is shown."""
    return message


@cache
def translations(language: Language) -> NullTranslations:
    """Return the catalogue of a language. English is written in the code; others are read from their .po file."""
    if language is Language.EN:
        return NullTranslations()
    text = files("dashboards.web").joinpath("translations", f"{language}.po").read_bytes()
    compiled = io.BytesIO()
    write_mo(compiled, read_po(io.BytesIO(text), locale=language.value))
    compiled.seek(0)
    return Translations(compiled)


def parse_language(text: str | None) -> Language | None:
    """Return the language that a query or a cookie names, or None."""
    return next((item for item in Language if item == text), None)


def negotiate(accept_language: str) -> Language:
    """Return the language of the pages that a browser's Accept-Language prefers; Chinese when it names none of them."""
    best, weight = Language.ZH, 0.0
    for item in accept_language.split(","):
        tag, _, parameters = item.strip().partition(";")
        language = parse_language(tag.strip().lower().partition("-")[0])
        quality = _quality(parameters)
        if language is not None and quality > weight:
            best, weight = language, quality
    return best


def _quality(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0
