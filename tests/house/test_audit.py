"""The list of what is locked names exactly that: a part that is missing, additional, of another version or file is seen."""

from __future__ import annotations

from typing import Any

import pytest

from house.audit import PRODUCT, ROOT, differences, locked

LOCK = f"""alembic==1.20.1 ; sys_platform == 'linux' \\
    --hash=sha256:{"a" * 64} \\
    --hash=sha256:{"b" * 64}
psycopg-binary==3.3.4 \\
    --hash=sha256:{"c" * 64}
"""


def component(name: str, version: str, *hashes: str) -> dict[str, Any]:
    found = [{"alg": "SHA-256", "content": item} for item in hashes]
    return {"type": "library", "name": name, "version": version, "externalReferences": [{"hashes": found}]}


WHOLE = [component("alembic", "1.20.1", "b" * 64, "a" * 64), component("psycopg-binary", "3.3.4", "c" * 64)]


def test_a_list_that_names_what_is_locked_is_right() -> None:
    assert differences({"components": WHOLE}, LOCK) == []


@pytest.mark.parametrize(
    ("components", "said"),
    [
        (WHOLE[:1], ["psycopg-binary 3.3.4 is locked, and not listed so"]),
        ([*WHOLE, component("other", "1", "d" * 64)], ["other 1 is listed, and not locked so"]),
        (
            [WHOLE[0], component("psycopg-binary", "3.3.5", "c" * 64)],
            ["psycopg-binary 3.3.4 is locked, and not listed so", "psycopg-binary 3.3.5 is listed, and not locked so"],
        ),
        (
            [component("alembic", "1.20.1", "a" * 64), WHOLE[1]],
            ["alembic 1.20.1 is locked, and not listed so", "alembic 1.20.1 is listed, and not locked so"],
        ),
    ],
)
def test_a_list_that_differs_is_seen(components: list[dict[str, Any]], said: list[str]) -> None:
    assert differences({"components": components}, LOCK) == said


def test_nothing_locked_is_no_pass() -> None:
    assert differences({"components": []}, "") == ["the lock pins nothing"]


def test_every_entry_of_the_real_lock_is_read() -> None:
    text = (ROOT / PRODUCT).read_text(encoding="utf-8")
    found = locked(text)
    assert len(found) == text.count("==") - text.count(" == ")
    assert sum(len(hashes) for _, _, hashes in found) == text.count("--hash=sha256:")
