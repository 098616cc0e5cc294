"""The Dockerfile: linted, two images that do not run as root, each with its own extra alone."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.parts import require

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def stages() -> dict[str, str]:
    """Return the text of each stage by its name."""
    parts = re.split(r"^FROM (?:\S+) AS (\S+)$", TEXT, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_hadolint_finds_nothing() -> None:
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    require("hadolint (requirements/dev.txt)", present=hadolint is not None)
    done = subprocess.run([str(hadolint), "Dockerfile"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["agent", "collector"])
def test_an_image_runs_without_rights(name: str) -> None:
    assert "\nUSER 10001:10001\n" in stages()[name]
    assert "RUN" not in stages()[name]


@pytest.mark.parametrize(("name", "lock"), [("agent", "agent"), ("collector", "collector")])
def test_an_image_holds_its_own_extra(name: str, lock: str) -> None:
    assert f"COPY --from=build-{name} " in stages()[name]
    assert re.findall(r"-r requirements/(\w+)\.txt", stages()[f"build-{name}"]) == [lock]


def test_every_download_by_pip_is_checked_by_its_hash() -> None:
    for install in re.findall(r"pip install ([^\\\n&]*)", TEXT):
        assert "--require-hashes" in install or "--no-index" in install
