"""Templates and static files: from values to the bytes of a page."""

from __future__ import annotations

import re
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from dashboards.web.i18n import Language, translations

TYPES = {".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}


@cache
def static_files() -> dict[str, tuple[bytes, str]]:
    """Return what is served as it lies there: name to (bytes, media type)."""
    found = {}
    for item in files("dashboards.web").joinpath("static").iterdir():
        suffix = "." + item.name.rpartition(".")[2]
        if suffix in TYPES:
            found[item.name] = (item.read_bytes(), TYPES[suffix])
    return found


@cache
def asset(name: str) -> str:
    """Return the path of a static file; it changes with the file, so that a browser may keep it for ever."""
    return f"/static/{name}?v={sha256(static_files()[name][0]).hexdigest()[:12]}"


_DATE = re.compile(r"\d{4}-\d\d-\d\d(?: \d\d:\d\d(?::\d\d)?)?")


def unbroken(text: str) -> Markup:
    """Keep each date in a text on one line: a line must not end in the middle of one."""
    return Markup(_DATE.sub(r'<span class="date">\g<0></span>', str(escape(text))))  # noqa: S704  (escaped before)


@cache
def environment(language: Language) -> Environment:
    """Return the templates in a language. A name that a page forgot is an error, never an empty string."""
    found = Environment(
        loader=PackageLoader("dashboards.web", "templates"),
        autoescape=True,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    found.install_gettext_translations(translations(language), newstyle=True)  # type: ignore[attr-defined]
    found.globals["asset"] = asset
    found.filters["unbroken"] = unbroken
    return found


def render(template: str, language: Language, values: dict[str, Any]) -> str:
    """Return a page as HTML."""
    return environment(language).get_template(template).render(values)
