"""Each extra works alone: a fresh environment from its lock, the wheel, and nothing of the other extra."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]  # the first run downloads

PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]


def run(*command: str | Path) -> str:
    """Return what a command prints; show all of it when it fails."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel with what the lock brought: no download."""
    directory = tmp_path_factory.mktemp("wheel")
    run(*PIP, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", directory, ROOT)
    (built,) = directory.glob("cradlewatch-*.whl")
    return built


def install(extra: str, wheel: Path, venv: Path) -> Path:
    """Make an environment with `extra` alone; return its directory of programs."""
    run(sys.executable, "-m", "venv", "--without-pip", venv)
    into: list[str | Path] = [*PIP, "--python", venv / "bin" / "python", "install", "--no-compile"]
    run(*into, "--require-hashes", "-r", ROOT / "requirements" / f"{extra}.txt")
    run(*into, "--no-deps", "--no-index", wheel)
    return venv / "bin"


def importable(python: Path, *modules: str) -> list[str]:
    """Return those of `modules` that this Python finds."""
    code = "import importlib.util, sys; print(*[m for m in sys.argv[1:] if importlib.util.find_spec(m)])"
    return run(python, "-c", code, *modules).split()


IMPORT_ALL = """
import importlib, pkgutil, sys
for room in sys.argv[1:]:
    for module in pkgutil.walk_packages(importlib.import_module(room).__path__, room + "."):
        if not module.name.startswith(("agents.demo", "monitor.store.migrations")) and ".__main__" not in module.name:
            importlib.import_module(module.name)
"""


@pytest.mark.parametrize(
    ("extra", "other", "rooms", "foreign"),
    [
        (
            "agent",
            "collector",
            ("agents", "monitor.model", "monitor.evaluation", "monitor.regulations"),
            ("fastapi", "starlette", "uvicorn", "sqlalchemy", "jinja2", "psycopg"),
        ),
        ("collector", "agent", ("monitor", "dashboards"), ("cv2", "av")),
    ],
)
def test_an_extra_works_alone(
    extra: str, other: str, rooms: tuple[str, ...], foreign: tuple[str, ...], wheel: Path, tmp_path: Path
) -> None:
    programs = install(extra, wheel, tmp_path / extra)

    assert importable(programs / "python", *foreign) == []
    run(programs / "python", "-c", IMPORT_ALL, *rooms)
    assert f"cradlewatch {extra}" in run(programs / "cradlewatch", extra, "--help")
    assert "cn-nursery-wujiang-2021" in run(programs / "cradlewatch", "regulation", "list")

    refused = subprocess.run([programs / "cradlewatch", other], capture_output=True, text=True, check=False, cwd="/")
    assert refused.returncode == 2
    assert f"pip install 'cradlewatch[{other}]'" in refused.stderr
    assert "Traceback" not in refused.stderr
