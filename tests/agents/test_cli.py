"""The command `cradlewatch agent`: what it prints, where, and how it exits."""

from __future__ import annotations

import errno
import json
import os
import pty
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from agents.cli import app, fail
from agents.init import Answers, CameraAnswer, InitError, network_of, write_site
from agents.site import SiteError, load_site
from agents.state import State
from support.enrolled import COLLECTOR_KEY, NONCE

ROOT = Path(__file__).parents[2]
RUNNER = CliRunner()


def run(*arguments: str | Path) -> tuple[int, str, str]:
    result = RUNNER.invoke(app, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


INIT = ("init", "--institution", "wj-0001", "--name", '示范: "托育园" # x', "--recorder-url", "http://192.0.2.10", "--recorder-username", "compliance")  # fmt: skip


def test_the_example_that_is_shipped_is_accepted() -> None:
    site = load_site(ROOT / "config" / "examples" / "site.yaml")
    assert (site.institution.id, site.regulation) == ("wj-0001", "cn-nursery-wujiang-2021")
    assert [camera.id for camera in site.cameras] == ["gate", "room1"]


# init


def test_init_writes_by_flags_what_the_agent_accepts(tmp_path: Path) -> None:
    output = tmp_path / "site.yaml"
    code, out, err = run(*INIT, "--output", output, "--camera", "entrance=大门", "--camera", "play")
    assert (code, err) == (0, "")
    assert out == f"{output} is written; look it through, then run: cradlewatch agent check --config {output}\n"
    site = load_site(output)
    assert (site.institution.name, site.regulation) == ('示范: "托育园" # x', "cn-nursery-wujiang-2021")
    assert [str(network) for network in site.networks] == ["192.0.2.0/24"]
    assert [(camera.id, camera.zones, camera.channel) for camera in site.cameras] == [
        ("cam1", ("entrance1",), "1"),
        ("cam2", ("play2",), "2"),
    ]
    credentials = site.recorders[0].credentials
    assert credentials is not None
    assert credentials.password.file == tmp_path / "nvr.password"


def test_init_never_writes_over_a_file_without_force(tmp_path: Path) -> None:
    output = tmp_path / "site.yaml"
    output.write_text("mine")
    code, _, err = run(*INIT, "--output", output)
    assert (code, err) == (2, f"{output} is there already: give another --output, or --force to write over it\n")
    assert output.read_text() == "mine"
    assert run(*INIT, "--output", output, "--force")[0] == 0
    assert load_site(output).institution.id == "wj-0001"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("init",), "give --institution: there is nobody to ask"),
        ((*INIT, "--camera", "garage"), "'garage' names no room: write ROOM or ROOM=NAME, with a room of entrance,"),
        ((*INIT, "--regulation", "nowhere"), "there is no regulation pack 'nowhere'; there are cn-nursery-wujiang-2021,"),
        (("init", "--institution", "a", "--camera", "play"), "cameras need something to look at: give the recorder's URL, the folder of its recordings, or streams"),
        (("init", "--institution", "a", "--camera", "play", "--stream", "rtsp://u:hunter2@192.0.2.1/s"), "stream: holds a user name or password"),
        (("init", "--institution", "a", "--camera", "play", "--stream", "rtsp://u:hunter2@h/s", "--stream", "b"), "there are more --stream than --camera"),
        ((*INIT, "--timezone", "Mars"), "institution.timezone: unknown time zone 'Mars'; write an IANA name such as Asia/Shanghai"),
        ((*INIT, "--network", "198.51.100.0/24"), "recorders[0].url: 192.0.2.10 lies outside the site's networks"),
        (("init", "--institution", "a", "--recorder-url", "http://nvr.lan"), "give --network, such as 192.0.2.0/24: a name tells no network"),
        (("init", "--institution", "a", "--recorder-url", "192.0.2.10"), "url: must begin with http:// or https://"),
        (("init", "--institution", "a", "--recorder-url", "http://u:hunter2@192.0.2.1"), "url: holds a user name or password: remove it"),
    ],
)  # fmt: skip
def test_init_says_what_is_wrong_and_writes_nothing(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    code, out, err = run(*arguments, "--output", tmp_path / "site.yaml")
    assert (code, out) == (2, "")
    assert said in err
    assert "hunter2" not in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "answers",
    [
        Answers("a", "", "Asia/Shanghai", "r"),
        Answers("a", "", "Asia/Seoul", "r", url="https://nvr.lan", cameras=(CameraAnswer("nap", "x"),)),
        Answers(
            "a",
            "",
            "UTC",
            "r",
            username="u",
            password_file="p",
            cameras=(CameraAnswer("nap", stream="rtsp://192.0.2.21/s"),) * 2,
        ),
        Answers("a", "", "UTC", "r", recordings="/rec/{camera}/%Y-%m-%d/%H%M%S.mp4", cameras=(CameraAnswer("nap"),)),
    ],
)
def test_every_kind_of_answers_makes_a_file_that_is_accepted(tmp_path: Path, answers: Answers) -> None:
    write_site(answers, tmp_path / "s.yaml")
    assert len(load_site(tmp_path / "s.yaml").cameras) == len(answers.cameras)


def test_the_network_is_that_of_the_recorder() -> None:
    urls = ["http://192.0.2.10", "http://[2001:db8::1]:80", "http://127.0.0.2", "http://nvr.lan", "http://["]
    assert [network_of(url) for url in urls] == ["192.0.2.0/24", "2001:db8::/64", "127.0.0.0/8", None, None]


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InitError, match=r"nowhere/s\.yaml can't be written: No such file or directory"):
        write_site(Answers("a", "", "UTC", "r"), tmp_path / "nowhere" / "s.yaml")
    with pytest.raises(SiteError, match=r"s\.yaml:4: institution\.id"):
        write_site(Answers("", "", "UTC", "r"), tmp_path / "s.yaml")


def at_a_terminal(output: Path, replies: list[str]) -> tuple[int, str, list[str]]:
    """Let an installer answer `agent init` at a real terminal; return its status, the screen, and the replies not needed."""
    left = list(replies)
    main, terminal = pty.openpty()
    command = [
        sys.executable,
        "-c",
        "from monitor.command import main; main()",
        "agent",
        "init",
        "--output",
        str(output),
    ]
    env = {**os.environ, "LANG": "C.UTF-8", "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, stdin=terminal, stdout=terminal, stderr=terminal, cwd=ROOT, env=env, start_new_session=True
    ) as asking:
        os.close(terminal)
        screen = b""
        answered = 0
        try:
            while part := os.read(main, 1024):
                screen += part
                while len(re.findall(rb": $", screen[answered:])) == 1:
                    answered = len(screen)
                    os.write(main, os.fsencode(left.pop(0)) + b"\n")
        except OSError:
            pass  # the terminal is gone when the command has ended
        os.close(main)
    return asking.returncode, screen.decode(errors="replace"), left


def test_init_asks_on_a_terminal_and_keeps_the_password_apart(tmp_path: Path) -> None:
    """A wrong answer is told, and asked for again; the password isn't echoed and lies in a file of its own."""
    replies = [
        *("nvr 1", "http://192.0.2.10", "acme", "dahua", "wj 7", "wj-7", "小星", "Mars", "", "no-such-pack", ""),
        *("-3", "2", "kitchne", "entrance=大门", "", "viewer", "hunter2"),
    ]  # fmt: skip
    status, text, left = at_a_terminal(tmp_path / "site.yaml", replies)
    assert (status, left) == (0, []), text
    assert "hunter2" not in text
    for said in ("holds a space", "unknown driver", "is no id", "unknown time zone", "no regulation pack", "no number of cameras", "names no room"):  # fmt: skip
        assert text.count(said) == 1, said
    site = load_site(tmp_path / "site.yaml")
    assert (site.institution.id, site.institution.name, len(site.cameras)) == ("wj-7", "小星", 2)
    assert site.recorders[0].driver == "dahua"
    assert site.warnings() == ()
    credentials = site.recorders[0].credentials
    assert credentials is not None
    assert (credentials.username, credentials.password.read()) == ("viewer", "hunter2")


def test_init_at_a_terminal_of_another_encoding_asks_again(tmp_path: Path) -> None:
    replies = ["http://192.0.2.10", "dahua", "wj-7", os.fsdecode("小星".encode("gb18030")), "小星", "", "", "0", ""]
    status, text, left = at_a_terminal(tmp_path / "site.yaml", replies)
    assert (status, left) == (0, []), text
    assert text.count("this is no UTF-8 text; set the terminal to UTF-8") == 1
    assert load_site(tmp_path / "site.yaml").institution.name == "小星"


def test_init_asks_for_streams_where_there_is_no_recorder(tmp_path: Path) -> None:
    replies = [
        "",
        "",
        "wj-7",
        "",
        "",
        "",
        "1",
        "nap",
        "",
        "rtsp://cam.lan/sub",
        "viewer",
        "",
        "192.0.2.0/24",
        "hunter2",
    ]
    status, text, left = at_a_terminal(tmp_path / "site.yaml", replies)
    assert (status, left) == (0, []), text
    site = load_site(tmp_path / "site.yaml")
    assert [str(network) for network in site.networks] == ["192.0.2.0/24"]
    credentials = site.cameras[0].credentials
    assert credentials is not None
    assert (site.cameras[0].stream, credentials.password.read()) == ("rtsp://cam.lan/sub", "hunter2")


# attest and enroll


@pytest.fixture
def config(tmp_path: Path) -> Path:
    write_site(
        Answers("a", "", "UTC", "r", url="http://192.0.2.1", cameras=(CameraAnswer("play"),)), tmp_path / "site.yaml"
    )
    return tmp_path / "site.yaml"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "what is printed or kept: No space left on device\n"),
        (PermissionError(errno.EACCES, "Permission denied", "/x/y"), "/x/y: Permission denied\n"),
        (OSError("a sentence of its own"), "a sentence of its own\n"),
    ],
)
def test_an_error_of_the_system_is_told_without_its_number(
    capsys: pytest.CaptureFixture[str], error: OSError, said: str
) -> None:
    with pytest.raises(typer.Exit) as ended:
        fail(error)
    assert (ended.value.exit_code, capsys.readouterr().err) == (2, said)


def test_attest_keeps_a_statement(config: Path) -> None:
    code, out, err = run(
        "attest", "coverage_walk", "--config", config, "--subject", "zone/play1", "--by", "王芳", "--valid", "1d"
    )
    assert (code, err) == (0, "")
    assert out.startswith("coverage_walk of zone/play1 is kept; it holds until 20")
    kept = State(config.parent / "site.state", "a").journal().all(2**50)
    assert [item.facts["by"] for item in kept] == ["王芳"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"--subject": "zone/x"}, "has no zone of that id; there are play1"),
        ({"--valid": "soon"}, "--valid: 'soon' is no duration; write a whole number and a unit"),
        ({"--config": "nowhere.yaml"}, "nowhere.yaml: there is no such file"),
    ],
)
def test_attest_says_what_is_wrong(config: Path, change: dict[str, str], said: str) -> None:
    options = {"--config": str(config), "--subject": "zone/play1", "--by": "x", **change}
    code, out, err = run("attest", "coverage_walk", *(text for pair in options.items() for text in pair))
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1


def test_another_word_than_those_that_can_be_attested_is_wrong_usage(config: Path) -> None:
    assert run("attest", "everything", "--config", config, "--subject", "zone/play1", "--by", "x")[0] == 2


def test_a_state_of_another_institution_is_told(config: Path) -> None:
    State(config.parent / "site.state", "other").close()
    code, _, err = run("attest", "coverage_walk", "--config", config, "--subject", "zone/play1", "--by", "x")
    assert code == 2
    assert err.endswith("is that of institution other, and not of a: give this site a state_dir of its own\n")


@contextmanager
def enrolment_server(answer: bytes) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(201)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_enroll_keeps_the_key_and_shows_it_nowhere(config: Path) -> None:
    grant = {"institution": "a", "agent": "box", "key": COLLECTOR_KEY, "nonce": NONCE}
    with enrolment_server(json.dumps(grant).encode()) as url:
        code, out, err = run("enroll", "--config", config, "--collector", url, "--code", "the-code")
    assert (code, out, err) == (0, f"enrolled as box of a at {url}\n", "")
    identity = State(config.parent / "site.state", "a").identity()
    assert identity is not None
    assert (identity.agent, identity.nonce) == ("box", NONCE)


def test_enroll_says_what_is_wrong(config: Path) -> None:
    code, out, err = run("enroll", "--config", config, "--collector", "http://collector.example", "--code", "the-code")
    assert (code, out, err) == (
        2,
        "",
        "the collector's address must begin with https:// (http:// only on this machine)\n",
    )


def test_a_password_file_that_others_may_read_is_warned_of_on_standard_error(config: Path) -> None:
    text = config.read_text().replace("url:", "username: u\n    password_file: p\n    url:")
    config.write_text(text)
    (config.parent / "p").write_text("hunter2")
    (config.parent / "p").chmod(0o644)
    code, _, err = run("attest", "coverage_walk", "--config", config, "--subject", "zone/play1", "--by", "x")
    assert code == 0
    assert (
        err
        == f"{config}: warning: recorder nvr: password_file {config.parent}/p can be opened by other users of this machine; run chmod 600 on it\n"
    )
