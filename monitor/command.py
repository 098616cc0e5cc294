"""The root command `cradlewatch`: finds its sub-commands as entry points, so that nothing imports upwards."""

from __future__ import annotations

import errno
import gc
import os
import resource
import signal
import sys
import traceback
from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points, metadata
from types import FrameType
from typing import Any, TextIO, cast

import typer
from typer.core import TyperCommand, TyperGroup

DISTRIBUTION = "cradlewatch"
GROUP = "cradlewatch.commands"

ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")
"""What numpy computes here is small: many threads that wait for each other cost more than one. Who sets them is heard."""

EXIT_USAGE = 2
"""Wrong usage, wrong configuration, or a part that is not installed."""
EXIT_INTERNAL = 70
"""A fault of this program (EX_SOFTWARE): never 1, which says that something is breached."""
EXIT_INTERRUPTED = 130
EXIT_PIPE = 141
"""The reader of our output went away, as a shell reports it."""


Command = TyperCommand | TyperGroup


class Ended(SystemExit):
    """Somebody ended this process by a signal: what is open is closed first. A SystemExit, since asyncio lets no other pass."""

    def __init__(self, number: int) -> None:
        """Take the signal's number."""
        super().__init__(128 + number)
        self.number = number


def missing_extra(command: str, error: ModuleNotFoundError) -> str:
    """Return one sentence that says what to install so that `command` can run.

    An extra of the command's own name is what it needs; a command without one (demo) needs them all.
    """
    root = (error.name or "").partition(".")[0]
    if root in {"monitor", "agents", "dashboards"}:
        return f"{command} is not in this installation (no module {error.name}): install {DISTRIBUTION} again"
    extras = metadata(DISTRIBUTION).get_all("Provides-Extra") or []
    wanted = command if command in extras else ",".join(extras)
    return f"{command} needs {root}, which is not installed: pip install '{DISTRIBUTION}[{wanted}]'"


def _unavailable(command: str, sentence: str) -> Command:
    """Return a command that takes anything, says `sentence` and exits with EXIT_USAGE."""
    unavailable = typer.Typer(add_completion=False, rich_markup_mode=None)

    @unavailable.command(
        command,
        help=sentence,
        short_help="(not installed)",
        add_help_option=False,
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )
    def tell() -> None:
        typer.echo(f"{DISTRIBUTION}: {sentence}", err=True)
        raise typer.Exit(EXIT_USAGE)

    return cast("Command", typer.main.get_command(unavailable))


def load(entry_point: EntryPoint) -> Command:
    """Load a sub-command; one whose extra is not installed becomes a command that says so.

    What is imported stays: it is not searched for garbage, neither meanwhile (a tenth of the start) nor later.
    """
    gc.disable()
    try:
        found = entry_point.load()
    except ModuleNotFoundError as error:
        return _unavailable(entry_point.name, missing_extra(entry_point.name, error))
    finally:
        gc.freeze()
        gc.enable()
    command = cast("Command", typer.main.get_command(found))
    command.name = entry_point.name
    return command


class Commands(TyperGroup):
    """The commands defined here, and those found as entry points, imported only when asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all commands."""
        found = {entry_point.name for entry_point in entry_points(group=GROUP)}
        return sorted({*super().list_commands(ctx), *found})

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command by its name, None when there is none."""
        for entry_point in entry_points(group=GROUP, name=cmd_name):
            self.commands.setdefault(cmd_name, load(entry_point))
        return super().get_command(ctx, cmd_name)


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Cradlewatch: does the CCTV of a childcare institution run, cover and keep what the rules ask for?",
)


@app.callback()
def root() -> None:
    """Give the app its group: sub-commands come from the entry points."""


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(f"{DISTRIBUTION} {metadata(DISTRIBUTION)['Version']}")


def use_utf8(stream: TextIO) -> None:
    """Make a stream able to print Chinese.

    What goes to a pipe or a file is UTF-8 (JSON must be). A terminal keeps its own encoding if that knows Chinese
    (GB18030), else it gets UTF-8; a character that can't be shown never ends the program.
    """
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is None:
        return
    try:
        "监控".encode(stream.encoding or "ascii")
        able = stream.isatty()
    except (UnicodeEncodeError, LookupError):
        able = False
    if able:
        reconfigure(errors="backslashreplace")
    else:
        reconfigure(encoding="utf-8", errors="backslashreplace")


def open_standard_streams() -> None:
    """Let what is closed of standard input, output and error be nothing, as some services start their programs.

    The next file that is opened would else get its number: what is printed would go into a database.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            lowest = os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, os.fdopen(lowest, mode, encoding="utf-8", closefd=False))


def keep_bytes(stream: TextIO | None) -> None:
    """Let what somebody types come in whatever its bytes are, as arguments do: whoever asked says what is wrong with it."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="surrogateescape")


def unreadable(arguments: Sequence[str]) -> str | None:
    """Return one sentence where an argument's bytes are no text in the encoding of this machine, and no file's name either.

    A terminal that sends GBK to a machine that speaks UTF-8 does that: the text could be neither kept nor sent.
    """
    for argument in arguments:
        value = argument.partition("=")[2] if argument.startswith("-") else argument
        try:
            argument.encode()
        except UnicodeEncodeError:
            if not os.path.lexists(value):
                shown = str(os.fsencode(argument))[2:-1]
                return f"{shown}: these bytes are no UTF-8 text; set the terminal to UTF-8, or LANG to the encoding that it sends"
    return None


def leave_no_core() -> None:
    """Let no image of this process's memory be written where it crashes, nor of those that it starts: passwords are in it.

    One byte is less than the kernel writes, as zero is; but a pattern that pipes to a program (`core_pattern`) is handed
    the whole image at zero, and nothing at one (core(5)).
    """
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (1, 1))
    except (ValueError, OSError):  # who started us allows none at all, and no more
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def clean_up_when_ended() -> None:
    """Let SIGTERM and SIGHUP end a command as Ctrl-C does: a scratch file may be as large as the database.

    Services have their own handlers while they run. What whoever started us wants ignored (nohup) stays so, and a second
    signal ends the process at once.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _end)


def _end(number: int, _frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_DFL)
    raise Ended(number)


def _run() -> int:
    """Run the command line; return the exit code."""
    sentence = unreadable(sys.argv[1:])
    if sentence is not None:
        typer.echo(f"{DISTRIBUTION}: {sentence}", err=True)
        return EXIT_USAGE
    try:
        result = typer.main.get_command(app).main(prog_name=DISTRIBUTION, standalone_mode=False)
    except typer.TyperException as error:
        show = getattr(error, "show", None)
        if show is not None:
            show(file=sys.stderr)
        else:
            typer.echo(f"{DISTRIBUTION}: {error.format_message()}", err=True)
        return EXIT_USAGE
    except (typer.Abort, KeyboardInterrupt):
        typer.echo(f"{DISTRIBUTION}: interrupted", err=True)
        return EXIT_INTERRUPTED
    except Ended:
        raise
    except SystemExit as error:
        if isinstance(error.__context__, OSError):  # typer ends a broken pipe with 1, which would read as "breached"
            return EXIT_PIPE
        raise
    return result if type(result) is int else 0


def _fault(error: Exception) -> int:
    """Report what nobody expected: a sentence, and the traceback for those who ask for it."""
    if isinstance(error, BrokenPipeError) or (isinstance(error, OSError) and error.errno == errno.EPIPE):
        return EXIT_PIPE
    if os.environ.get("CRADLEWATCH_DEBUG"):
        traceback.print_exception(error)
    last = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{os.path.basename(last.filename)}:{last.lineno}"  # noqa: PTH119  (a name to print)
    typer.echo(
        f"{DISTRIBUTION}: internal error: {type(error).__name__}: {error} ({where}); "
        "run it again with CRADLEWATCH_DEBUG=1 for the details",
        err=True,
    )
    return EXIT_INTERNAL


def _flush() -> bool:
    """Flush standard output; False when nobody reads it any more (then it is pointed at nothing, for Python's own flush)."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    return True


def main() -> None:
    """Run `cradlewatch` and exit. A user's mistake never shows a traceback, and no fault ever exits with 1."""
    leave_no_core()
    open_standard_streams()
    use_utf8(sys.stdout)
    use_utf8(sys.stderr)
    keep_bytes(sys.stdin)
    for name in ONE_THREAD:
        os.environ.setdefault(name, "1")  # before numpy is loaded, by a sub-command
    os.environ["PYTHONSAFEPATH"] = "1"  # processes that this one starts look for no module where they stand
    clean_up_when_ended()
    try:
        code = _run()
    except Ended as ended:
        _flush()
        signal.raise_signal(ended.number)  # whoever waits for this process is told by what it ended, as ever
        code = 128 + ended.number
    except Exception as error:  # noqa: BLE001  (the last line of defence)
        code = _fault(error)
    if not _flush():
        code = EXIT_PIPE
    sys.exit(code)
