"""Guards: tokens belong to one visitor, a sign-in leads nowhere else, guessing passwords is slow."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.web.guard import (
    TRIES_PER_ADDRESS,
    TRIES_PER_NAME,
    WINDOW_SECONDS,
    Attempts,
    form_token,
    local_path,
    token_fits,
)
from support.seeded import manual_clock


def test_a_token_fits_its_owner_only() -> None:
    token = form_token("secret")
    assert token_fits("secret", token)
    assert not token_fits("other", token)
    assert not token_fits("", form_token(""))
    assert form_token("secret") != token


@pytest.mark.parametrize("token", ["", ".", "x", "x.", ".x", "é.é", "a.b.c", "0" * 10_000])
def test_a_token_that_is_none_does_not_fit(token: str) -> None:
    assert not token_fits("secret", token)


@pytest.mark.parametrize(
    "text",
    ["//evil.example", "https://evil.example/", "/\\evil.example", "\\/evil", "javascript:alert(1)", "evil", "", "/\t/evil",
     "/\n/evil", "///evil.example", "http:/evil", "//[evil"],
)  # fmt: skip
def test_a_sign_in_never_leads_elsewhere(text: str) -> None:
    assert local_path(text) == "/"


def test_a_sign_in_leads_back() -> None:
    assert local_path("/findings?all=1&requirement=uptime") == "/findings?all=1&requirement=uptime"


@given(st.text(alphabet="/\\:.?#@ehtpvil[]\t\n", max_size=12))
def test_a_sign_in_stays_on_this_server(text: str) -> None:
    path = local_path(text)
    assert path.startswith("/")
    assert not path.startswith(("//", "/\\"))
    assert urlsplit(path).netloc == ""


def test_guessing_one_name_is_stopped_and_others_are_not() -> None:
    clock = manual_clock()
    attempts = Attempts(clock)
    for _ in range(TRIES_PER_NAME):
        assert attempts.wait_seconds("a", "wang") == 0
        attempts.failed("a", "wang")
    assert attempts.wait_seconds("a", "wang") == WINDOW_SECONDS
    assert attempts.wait_seconds("a", "li") == 0
    assert attempts.wait_seconds("b", "wang") == 0
    clock.advance(WINDOW_SECONDS)
    assert attempts.wait_seconds("a", "wang") == 0


def test_guessing_many_names_is_stopped() -> None:
    attempts = Attempts(manual_clock())
    for number in range(TRIES_PER_ADDRESS):
        attempts.failed("a", f"name{number}")
    assert attempts.wait_seconds("a", "another") > 0


def test_a_success_forgets_the_failures() -> None:
    attempts = Attempts(manual_clock())
    for _ in range(TRIES_PER_NAME - 1):
        attempts.failed("a", "wang")
    attempts.succeeded("a", "wang")
    attempts.failed("a", "wang")
    assert attempts.wait_seconds("a", "wang") == 0


def test_the_memory_of_failures_is_bounded() -> None:
    clock = manual_clock()
    attempts = Attempts(clock)
    for number in range(45_000):
        attempts.failed(f"address{number}", "wang")
    assert len(attempts._failed) < 25_000
