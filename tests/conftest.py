"""What all tests share: nothing of the person who runs them, and property tests that don't depend on a busy machine."""

import gc
import logging
import os
import tempfile
from collections import Counter
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from monitor.store import accounts
from support.overheard import Overheard, listening
from support.parts import require
from support.planted import forget_planted, leaks, leaky_files

settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")

MEMORY = Path("/dev/shm")
LEAST_ROOM = 4 << 30
"""All that the suite's tests leave until it ends is a tenth of it."""

HEARD = Overheard()
"""What the running test caught itself."""


def pytest_configure(config: pytest.Config) -> None:
    """Give every process of the suite a home of its own; downloads (pip's cache) stay where they are."""
    os.environ.setdefault("XDG_CACHE_HOME", str(Path.home() / ".cache"))
    home = tempfile.TemporaryDirectory(prefix="cradlewatch-tests-", ignore_cleanup_errors=True)
    config.add_cleanup(home.cleanup)
    os.environ["HOME"] = home.name
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        os.environ.pop(name, None)
    for name in [name for name in os.environ if name.startswith("CRADLEWATCH_")]:
        del os.environ[name]
    if getattr(config.option, "numprocesses", None) and has_room(MEMORY):
        # Tens of thousands of times a SQLite file is synced, which on a disk takes milliseconds of waiting. What a failed test
        # left can be looked at when it runs alone.
        folder = tempfile.TemporaryDirectory(prefix="cradlewatch-tests-", dir=MEMORY, ignore_cleanup_errors=True)
        config.add_cleanup(folder.cleanup)
        os.environ["PYTEST_DEBUG_TEMPROOT"] = folder.name


def has_room(folder: Path) -> bool:
    """Tell whether there is a folder in memory that holds what many tests leave, and from which programs may be run."""
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        return False
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize >= LEAST_ROOM and not disk.f_flag & os.ST_NOEXEC


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose part is missing; fail it where CI=true says that nothing may be missing."""
    for mark in item.iter_markers("needs"):
        require(mark.args[0])


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with what takes long: many short tests fill up what is left, and nobody waits for one worker at the end.

    Several workers have tests of all folders at any time: in some a test mostly waits, in others it mostly computes.
    """
    if hasattr(config, "workerinput"):
        items[:] = spread(items)
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


def spread(items: list[pytest.Item]) -> list[pytest.Item]:
    """Return the tests so that each folder's are there from the beginning to the end, in their order."""
    of, gone = Counter(item.path.parent for item in items), Counter[Path]()

    def share(item: pytest.Item) -> float:
        """Of its folder's tests, those before this one and half of itself: who is alone is in the middle."""
        gone[item.path.parent] += 1
        return (gone[item.path.parent] - 0.5) / of[item.path.parent]

    return sorted(items, key=share)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Spare the garbage collector what is there to stay, all tests and modules: to look through it took a tenth of the time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def cheap_passwords() -> Iterator[None]:
    """Let passwords be hashed in no time inside the tests' own process; commands that tests start hash as they always do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(accounts, "_hasher", lambda: PasswordHash((Argon2Hasher(1, 8, 1),)))
        yield


@pytest.fixture(autouse=True, scope="session")
def overheard() -> Iterator[None]:
    """Keep what tests catch of commands and answers: pytest captures only what nobody else does."""
    with listening(HEARD):
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test that shows a planted secret.

    It may stand in what the test or a command in it printed or logged, in what it caught itself of processes, commands and
    answers, or in a file that it left.
    """
    report = yield
    if call.when != "teardown":
        return report
    heard = HEARD.take()
    if not report.passed:
        forget_planted()
        return report
    shown = [way for way, content in heard.items() if leaks(content)]
    shown += [f"{name} of {when}" for when, name, text in item._report_sections if leaks(text.encode())]
    folder = getattr(item, "funcargs", {}).get("tmp_path")
    shown += [str(path) for path in leaky_files(folder)] if isinstance(folder, Path) else []
    forget_planted()
    if shown:
        report.outcome = "failed"
        report.longrepr = f"a planted secret stands in: {', '.join(shown)}"
    return report


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Undo what a command run inside a test did to logging: it writes to a stream that ends with the test."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)
