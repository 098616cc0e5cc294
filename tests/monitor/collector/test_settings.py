"""collector.yaml: read, checked, relative to itself; wrong ones are sentences without secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.collector.settings import DATABASE_URL, Settings, SettingsError, load_settings, open_secrets
from monitor.model.span import HOUR, MINUTE, SECOND
from monitor.store.engine import DatabaseUrlError, open_engine, parse_url


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "collector.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_without_a_file_there_are_defaults() -> None:
    settings = load_settings(environ={})
    assert settings == Settings()
    assert settings.database_url == "sqlite:///cradlewatch.db"
    assert settings.evaluate_every == MINUTE
    assert settings.notice_urls({}) == ()


def test_a_whole_file(tmp_path: Path) -> None:
    for name in ("packs", "more"):
        (tmp_path / name).mkdir()
    path = write(
        tmp_path,
        "database_url: sqlite:///data/centre.db\n"
        "listen: 0.0.0.0:9000\n"
        "evaluate_every: 1s\n"
        "session_lifetime: 8h\n"
        "metrics: token\n"
        "public_url: https://watch.example\n"
        f"pack_dirs: [packs, {tmp_path / 'more'}]\n"
        "notices:\n  urls_file: secrets/urls\n  language: en\n",
    )
    settings = load_settings(path, {})
    assert settings.database_url == f"sqlite:///{tmp_path}/data/centre.db"
    assert (settings.evaluate_every, settings.session_lifetime) == (SECOND, 8 * HOUR)
    assert settings.pack_dirs == (tmp_path / "packs", tmp_path / "more")
    assert settings.notices.urls_file == tmp_path / "secrets/urls"
    assert (settings.notices.language, settings.metrics) == ("en", "token")


def test_the_environment_wins(tmp_path: Path) -> None:
    path = write(tmp_path, "database_url: sqlite:///a.db\n")
    settings = load_settings(path, {DATABASE_URL: "postgresql://u:secret@h/d"})
    assert settings.database_url == "postgresql://u:secret@h/d"
    assert "secret" not in repr(settings)


def test_addresses_from_the_environment(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, "notices: {urls_env: NOTICE_URLS}\n"), {})
    assert settings.notice_urls({"NOTICE_URLS": "json://a\n\n json://b \n# no\n"}) == ("json://a", "json://b")
    with pytest.raises(SettingsError, match=r"NOTICE_URLS: notices.urls_env names this variable, and it is not set"):
        settings.notice_urls({})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("databse_url: x\n", r"collector.yaml:1: databse_url: unknown key; did you mean database_url\?"),
        ("listen: 9000\n", r"collector.yaml:1: listen: 9000 is not a text"),
        ("evaluate_every: 60\n", r"collector.yaml:1: evaluate_every: 60 is no duration"),
        ("evaluate_every: 1ms\n", r"collector.yaml:1: evaluate_every: .* at least 100ms$"),
        ("session_lifetime: 0s\n", r"session_lifetime: '0s' is out of range; it must be at least 1m$"),
        ("notices: {urls_file: a, urls_env: B}\n", r"write one of urls_file, urls_env and urls_credential"),
        ("notices:\n  url: json://x\n", r"collector.yaml:2: notices.url: unknown key"),
        (
            "metrics: open\npack_dirs: [nope]\n",
            r"collector.yaml:2: pack_dirs\[0\]: .*/nope: .*can't be read: No such .*take it out of pack_dirs$",
        ),
        (
            "pack_dirs:\n  - .\n  - collector.yaml\n",
            r"collector.yaml:3: pack_dirs\[1\]: .*can't be read: Not a directory",
        ),
        ("metrics: closed\n", r"metrics: 'closed' is not known here; write 'open' or 'token'"),
        ("database_url: mysql://someone:topsecret@h/d\n", r"database_url: the database 'mysql' is not supported"),
        ("database_url: '//someone:topsecret@h'\n", r"database_url: the database URL can't be read"),
        ("database_url: 'postgresql://u:topsecret@h:port/d'\n", r"database_url: the database URL can't be read"),
        ("database_url: 'postgresql://u:topsecret@@@:x/d'\n", r"database_url: the database URL can't be read"),
        (
            "notices:\n  urls_env: mailto://someone:topsecret@h\n",
            r"yaml:2: notices.urls_env: is no name of a variable;",
        ),
        ("database_url: [topsecret]\n", r"database_url: is no database URL"),
        ("database_url: 'sqlite://'\n", r"a database in memory forgets"),
        ("", r"collector.yaml: is empty; leave the file away"),
        ("- 1\n", r"collector.yaml:1"),
        ("a: [\n", r"collector.yaml:"),
    ],
)
def test_wrong_files_are_sentences(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence) as caught:
        load_settings(write(tmp_path, text), {})
    assert "topsecret" not in str(caught.value)
    assert "Traceback" not in str(caught.value)


def test_a_missing_file_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"collector.yaml"):
        load_settings(tmp_path / "collector.yaml", {})


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("mysql://u:topsecret@h/d", "the database 'mysql' is not supported"),
        ("postgresql://u:topsecret@h:port/d", "the database URL can't be read; write"),
        ("postgresql://u:topsecret@@@:x/d", "the database URL can't be read; write"),
    ],
)
def test_a_wrong_environment_is_a_sentence(url: str, sentence: str) -> None:
    with pytest.raises(SettingsError, match=f"CRADLEWATCH_DATABASE_URL: {sentence}") as caught:
        load_settings(None, {DATABASE_URL: url})
    assert "topsecret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "driver"),
    [
        ("postgres://u@h/d", "postgresql+psycopg"),
        ("postgresql://u@h/d", "postgresql+psycopg"),
        ("sqlite:///a", "sqlite"),
    ],
)
def test_urls_get_our_driver(text: str, driver: str) -> None:
    assert parse_url(text).drivername == driver


def test_an_engine_never_shows_its_password() -> None:
    assert "topsecret" not in repr(open_engine("postgresql://u:topsecret@h/d"))
    with pytest.raises(DatabaseUrlError) as caught:
        open_engine("oracle://u:topsecret@h/d")
    assert "topsecret" not in str(caught.value)


URL = "postgresql://watch:hunter2@192.0.2.1/watch"


def test_the_database_from_a_file_or_a_credential(tmp_path: Path) -> None:
    (tmp_path / "db").write_text(URL + "\n")
    credentials = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    for text, environ in (("database_url_file: db\n", {}), ("database_url_credential: db\n", credentials)):
        settings = load_settings(write(tmp_path, text), environ)
        assert settings.database_url == URL
        assert "hunter2" not in repr(settings)
        assert load_settings(write(tmp_path, text), {DATABASE_URL: "sqlite:///a.db"}).database_url == "sqlite:///a.db"


def test_notices_from_a_credential(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, "notices: {urls_credential: urls}\n"), {})
    assert settings.notices.configured
    (tmp_path / "urls").write_text("json://a\n")
    assert settings.notice_urls({"CREDENTIALS_DIRECTORY": str(tmp_path)}) == ("json://a",)
    with pytest.raises(
        SettingsError, match=r"notices.urls_credential urls: systemd handed no .* LoadCredential=urls:FILE"
    ):
        settings.notice_urls({})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("database_url_file: none\n", "none: database_url_file can't be read: No such file or directory"),
        ("database_url_credential: db\n", "database_url_credential db: systemd handed no credentials to this process"),
        ("database_url_credential: ../db\n", "collector.yaml:1: database_url_credential: .*is no name of a credential"),
        ("database_url: sqlite:///a.db\ndatabase_url_file: db\n", "write one of database_url, database_url_file and"),
        ("notices: {urls_env: A, urls_credential: b}\n", "write one of urls_file, urls_env and urls_credential"),
        ("database_url_file: wrong\n", "wrong: database_url_file: "),
    ],
)
def test_references_that_lead_nowhere_are_sentences(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "wrong").write_text("hunter2")
    with pytest.raises(SettingsError, match=sentence) as caught:
        load_settings(write(tmp_path, text), {})
    assert "hunter2" not in str(caught.value)


def test_secrets_that_others_may_read_are_warned_of(tmp_path: Path) -> None:
    path = write(tmp_path, f"database_url: {URL}\nnotices: {{urls_file: urls}}\n")
    (tmp_path / "urls").write_text("json://a\n")
    path.chmod(0o644)
    (tmp_path / "urls").chmod(0o640)
    by_url, by_notices = open_secrets(path, {})
    others = "other users of this machine can open the file; run chmod 600 on it"
    instead = "or write database_url_file or database_url_credential"
    assert by_url == f"{path}: database_url holds a password, and {others}, {instead}"
    assert by_notices == f"{tmp_path}/urls: notices.urls_file holds secrets, and {others}"
    for file in (path, tmp_path / "urls"):
        file.chmod(0o600)
    assert list(open_secrets(path, {})) == []
    path = write(tmp_path, "database_url: postgresql://watch@192.0.2.1/watch\n")
    path.chmod(0o644)
    assert list(open_secrets(path, {})) == [], "without a password it is no secret"
    assert list(open_secrets(None, {})) == []
