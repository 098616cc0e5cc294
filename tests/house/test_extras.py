"""Each extra works alone: an environment with what its lock names, the wheel, and nothing of the other extra."""

import subprocess
import sys
import sysconfig
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

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


def locked(name: str) -> dict[str, str]:
    """Return the packages of a lock as they stand there (with marker and hashes), by name."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text().replace("\\\n", " ")
    lines = (" ".join(line.split()) for line in text.splitlines() if line and not line.startswith("#"))
    return {line.partition(" --hash")[0]: line for line in lines}


def install(extra: str, wheel: Path, venv: Path) -> Path:
    """Make an environment with `extra` alone; return its directory of programs.

    What the lock names is linked from the environment that the tests run in, which has the same by the same hashes.
    """
    run(sys.executable, "-m", "venv", "--without-pip", venv)
    site = Path(run(venv / "bin" / "python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    for requirement in map(Requirement, locked(extra)):
        if requirement.marker is None or requirement.marker.evaluate():
            link(requirement, site)
    run(*PIP, "--python", venv / "bin" / "python", "install", "--no-compile", "--no-deps", "--no-index", wheel)
    return venv / "bin"


def link(requirement: Requirement, site: Path) -> None:
    """Link what a package has installed into another environment; each of its files, where others have some beside."""
    found, here = distribution(requirement.name), Path(sysconfig.get_path("purelib"))
    assert requirement.specifier.contains(found.version), f"{requirement}: {found.version} is installed"
    files = {Path(file) for file in found.files or () if "__pycache__" not in file.parts and file.parts[0] != ".."}
    compiled = {file.parent / "__pycache__" for file in files if len(file.parts) > 1 and file.suffix == ".py"}
    for file in files | {folder for folder in compiled if (here / folder).is_dir()}:
        (site / file).parent.mkdir(parents=True, exist_ok=True)
        if not (site / file).is_symlink():
            (site / file).symlink_to(here / file)


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


@pytest.mark.parametrize("extra", ["agent", "collector"])
def test_an_extra_s_lock_is_a_part_of_the_one_that_was_installed_by_its_hashes(extra: str) -> None:
    whole, part = locked("dev"), locked(extra)
    assert len(part) > 10
    assert part.items() <= whole.items()


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
