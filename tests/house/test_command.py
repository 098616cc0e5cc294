"""The root command: finds its sub-commands, says what is missing, and never ends with a traceback or a false 1."""

import os
import pty
import subprocess
import sys
from importlib.metadata import EntryPoint, version
from pathlib import Path

import pytest

from monitor import command

PROGRAM = Path(sys.executable).with_name("cradlewatch")


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    env = {**os.environ, **environment}
    return subprocess.run([PROGRAM, *arguments], capture_output=True, check=False, env=env, timeout=30)


def run_main(monkeypatch: pytest.MonkeyPatch, *arguments: str, found: dict[str, str]) -> int:
    """Run main() in this process with the entry points `found`; return the exit code."""

    def entry_points(*, group: str, name: str | None = None) -> list[EntryPoint]:
        return [EntryPoint(n, value, group) for n, value in found.items() if name in (None, n)]

    monkeypatch.setattr(command, "entry_points", entry_points)
    monkeypatch.setattr(command, "leave_no_core", lambda: None)  # it could not be taken back
    monkeypatch.setattr(sys, "argv", ["cradlewatch", *arguments])
    with pytest.raises(SystemExit) as stopped:
        command.main()
    assert isinstance(stopped.value.code, int)
    return stopped.value.code


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Put a module with several commands on the path; return its entry points."""
    (tmp_path / "house_plugin.py").write_text(
        "import typer\n"
        "good = typer.Typer()\n"
        "@good.command()\n"
        "def look(code: int = 0) -> None:\n"
        "    typer.echo('看过')\n"
        "    raise typer.Exit(code)\n"
        "bad = typer.Typer()\n"
        "@bad.command()\n"
        "def fall() -> None:\n"
        "    raise ZeroDivisionError('a fault of ours')\n"
        "gone = typer.Typer()\n"
        "@gone.command()\n"
        "def stop() -> None:\n"
        "    raise KeyboardInterrupt\n",
        encoding="utf-8",
    )
    (tmp_path / "house_broken.py").write_text("import a_library_that_nobody_has.part\n")
    monkeypatch.syspath_prepend(tmp_path)
    return {
        "look": "house_plugin:good",
        "fall": "house_plugin:bad",
        "stop": "house_plugin:gone",
        "agent": "house_broken:app",
        "demo": "house_broken:app",
        "collector": "dashboards.no_such_room:app",
    }


@pytest.mark.parametrize("closed", [(1,), (2,), (0, 1, 2)])
def test_a_closed_standard_stream_is_nothing(tmp_path: Path, closed: tuple[int, ...]) -> None:
    """What is opened next must not get its number, and nothing falls over it."""

    def close() -> None:
        for number in closed:
            os.close(number)

    script = (
        "import os, sys; from monitor.command import open_standard_streams as o; o();"
        f"f = open({str(tmp_path / 'kept')!r}, 'w'); print('said'); print('told', file=sys.stderr); sys.stdin.read();"
        "sys.stdout.flush(); f.write(str(f.fileno()))"
    )
    commands: list[list[str | Path]] = [
        [sys.executable, "-c", script],
        [PROGRAM, "version"],
        [PROGRAM, "verify", "nowhere"],
    ]
    for command_line in commands:
        done = subprocess.run(
            command_line,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            preexec_fn=close,
            timeout=30,
        )
        assert done.returncode == (2 if "verify" in command_line else 0), done.stderr
        assert b"Traceback" not in done.stderr
    assert int((tmp_path / "kept").read_text()) > 2


def test_bytes_that_are_no_text_are_one_sentence_unless_they_name_a_file(tmp_path: Path) -> None:
    """A terminal sends GBK to a machine that speaks UTF-8: such a name could be neither kept nor sent."""
    name = "文字".encode("gbk")
    for arguments in ([b"version", name], [b"version", b"--by=" + name]):
        done = subprocess.run([os.fsencode(PROGRAM), *arguments], capture_output=True, check=False, timeout=30)
        assert (done.returncode, done.stdout) == (2, b"")
        said = os.fsencode(arguments[1]).replace(name, rb"\xce\xc4\xd7\xd6")
        assert done.stderr == b"cradlewatch: " + said + (
            b": these bytes are no UTF-8 text; set the terminal to UTF-8, or LANG to the encoding that it sends\n"
        )
    named = os.fsencode(tmp_path) + b"/" + name
    Path(os.fsdecode(named)).write_text("no evidence")
    done = subprocess.run([os.fsencode(PROGRAM), b"verify", named], capture_output=True, check=False, timeout=30)
    assert done.returncode == 2
    assert b"no UTF-8 text" not in done.stderr


def test_version() -> None:
    done = run("version")
    assert (done.returncode, done.stdout.decode()) == (0, f"cradlewatch {version('cradlewatch')}\n")


@pytest.mark.parametrize(
    "arguments", [("no-such-command",), ("version", "--no-such-option"), ("version", "surplus"), ()]
)
def test_wrong_usage_exits_2(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stdout == b""
    assert b"Usage: cradlewatch" in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_found_command_runs_and_keeps_its_exit_code(
    monkeypatch: pytest.MonkeyPatch, plugin: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main(monkeypatch, "look", "--code", "3", found=plugin) == 3
    assert capsys.readouterr().out == "看过\n"


@pytest.mark.parametrize(("name", "extra"), [("agent", "agent"), ("demo", "agent,collector")])
def test_a_missing_extra_is_one_sentence(
    name: str,
    extra: str,
    monkeypatch: pytest.MonkeyPatch,
    plugin: dict[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_main(monkeypatch, name, "check", "--config", "site.yaml", found=plugin) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        f"cradlewatch: {name} needs a_library_that_nobody_has, which is not installed: "
        f"pip install 'cradlewatch[{extra}]'\n"
    )


def test_a_missing_room_is_an_incomplete_installation(
    monkeypatch: pytest.MonkeyPatch, plugin: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main(monkeypatch, "collector", "--help", found=plugin) == 2
    assert "install cradlewatch again" in capsys.readouterr().err


def test_help_lists_what_is_not_installed_too(
    monkeypatch: pytest.MonkeyPatch, plugin: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main(monkeypatch, "--help", found=plugin) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines() if line.startswith("  a"))
    assert lines["agent"] == "(not installed)"


def test_a_fault_of_ours_exits_70_and_never_1(
    monkeypatch: pytest.MonkeyPatch, plugin: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main(monkeypatch, "fall", found=plugin) == command.EXIT_INTERNAL
    error = capsys.readouterr().err
    assert "internal error: ZeroDivisionError: a fault of ours" in error
    assert "Traceback" not in error
    monkeypatch.setenv("CRADLEWATCH_DEBUG", "1")
    assert run_main(monkeypatch, "fall", found=plugin) == command.EXIT_INTERNAL
    assert "Traceback" in capsys.readouterr().err


def test_an_interrupt_exits_130(
    monkeypatch: pytest.MonkeyPatch, plugin: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main(monkeypatch, "stop", found=plugin) == command.EXIT_INTERRUPTED
    assert "Traceback" not in capsys.readouterr().err


def test_a_reader_that_goes_away_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([PROGRAM, "--help"], stdout=writing, stderr=subprocess.PIPE, check=False, timeout=30)
    os.close(writing)
    assert (done.returncode, done.stderr) == (command.EXIT_PIPE, b"")


@pytest.fixture
def speaker(tmp_path: Path) -> dict[str, str]:
    """Install (by its metadata, on the path) a command that prints Chinese; return the environment that finds it."""
    (tmp_path / "house_speaker.py").write_text(
        "import typer\napp = typer.Typer()\n@app.command()\ndef speak() -> None:\n    typer.echo('监控 24 小时')\n",
        encoding="utf-8",
    )
    info = tmp_path / "house_speaker-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: house-speaker\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[cradlewatch.commands]\nspeak = house_speaker:app\n")
    return {"PYTHONPATH": str(tmp_path)}


LEGACY = {"PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}  # as Python is in a locale that it does not know better than


@pytest.mark.parametrize("locale", ["C", "POSIX", "zh_CN.GB18030", "C.UTF-8"])
@pytest.mark.parametrize("encoding", [{}, {"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "latin-1"}])
def test_a_pipe_gets_utf_8_whatever_the_locale(locale: str, encoding: dict[str, str], speaker: dict[str, str]) -> None:
    done = run("speak", LC_ALL=locale, **LEGACY, **speaker, **encoding)
    assert (done.returncode, done.stdout.decode("utf-8")) == (0, "监控 24 小时\n")


@pytest.mark.parametrize(
    ("encoding", "expected"), [("ascii", "utf-8"), ("utf-8", "utf-8"), ("gb18030", "gb18030"), ("latin-1", "utf-8")]
)
def test_a_terminal_keeps_an_encoding_that_knows_chinese(encoding: str, expected: str, speaker: dict[str, str]) -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, **LEGACY, **speaker, "LC_ALL": "C", "PYTHONIOENCODING": encoding}
    done = subprocess.run([PROGRAM, "speak"], stdout=theirs, check=False, env=environment, timeout=30)
    os.close(theirs)
    text = os.read(ours, 1000)
    os.close(ours)
    assert (done.returncode, text.decode(expected).strip()) == (0, "监控 24 小时")


def test_numpy_gets_one_thread_unless_somebody_says_otherwise() -> None:
    code = (
        "import os, sys, monitor.command as c\n"
        "sys.argv = ['cradlewatch', '--help']\n"
        "try: c.main()\n"
        "except SystemExit: print(*[os.environ[name] for name in c.ONE_THREAD])\n"
    )
    for given, used in (({}, "1 1"), ({"OMP_NUM_THREADS": "3"}, "1 3")):
        env = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")} | given
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
        assert done.stdout.splitlines()[-1] == used
