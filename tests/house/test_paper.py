"""What is written about the project is true: links lead somewhere, commands exist, versions agree, the locks are locks."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from monitor.command import main

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))


def tracked() -> list[Path]:
    """Return the project's own files; those of a checkout when git is there."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True
        ).stdout.split("\0")
        return [ROOT / name for name in listed if name and (ROOT / name).is_file()]
    except (OSError, subprocess.CalledProcessError):
        parts = ("monitor", "agents", "dashboards", "config", "tests")
        return [*ROOT.glob("*.*"), *(path for part in parts for path in (ROOT / part).rglob("*") if path.is_file())]


PAPERS = [path for path in tracked() if path.suffix == ".md"]


def identify(path: Path) -> str:
    return str(path.relative_to(ROOT))


# --- links and commands ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("paper", PAPERS, ids=identify)
def test_links_lead_to_a_file(paper: Path) -> None:
    prose = re.sub(r"(?ms)^```.*?^```|^    .*?$|`[^`\n]*`", "", paper.read_text(encoding="utf-8"))
    targets = re.findall(r"\]\(([^)#\s]+)", prose)
    local = [target for target in targets if "://" not in target and not target.startswith("mailto:")]
    assert [target for target in local if not (paper.parent / target).exists()] == []


DEPTH = {("version",): 0, ("demo",): 0, ("agent",): 1, ("collector",): 1, ("regulation",): 1} | {
    ("collector", group): 2 for group in ("user", "institution", "jurisdiction", "enrolment")
}
"""How many words after the group's own make a command; what follows is an argument, or prose."""


def commands() -> list[str]:
    """Return the commands that the papers name, such as "agent check"."""
    found = set()
    for paper in PAPERS:
        text = paper.read_text(encoding="utf-8")
        for words in re.findall(r"(?<![\w/.-])cradlewatch ([a-z][a-z-]*(?: [a-z][a-z-]*){0,2})", text):
            group, *rest = words.split(" ")
            depth = DEPTH.get((group, *rest[:1]), DEPTH.get((group,), 0))
            if (group,) in DEPTH:
                found.add(" ".join([group, *rest[:depth]]))
    return sorted(found)


@pytest.mark.parametrize("words", commands())
def test_a_command_that_is_written_about_exists(
    words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["cradlewatch", *words.split(), "--help"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert f"cradlewatch {words}" in capsys.readouterr().out


def test_targets_of_make_that_are_written_about_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    named = {
        name
        for paper in PAPERS
        for name in re.findall(r"(?:`|^    )make ([a-z][a-z-]*)", paper.read_text(encoding="utf-8"), flags=re.MULTILINE)
    }
    assert named <= targets


# --- versions --------------------------------------------------------------------------------------------------------


def test_the_changelog_begins_with_this_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.findall(r"^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d{2}-\d{2}$", text, flags=re.MULTILINE)
    assert "## [Unreleased]" in text
    assert released[0] == PROJECT["project"]["version"] == version("cradlewatch")


def test_the_changelog_uses_the_sections_of_its_form() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    for release in re.split(r"(?m)^## ", text)[1:]:
        sections = re.findall(r"(?m)^### (.*)$", release)
        if sections[:1] == ["Before you update"]:  # what somebody has to do is read first, or too late
            del sections[0]
        assert set(sections) <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
        assert len(sections) == len(set(sections))


# --- locks -----------------------------------------------------------------------------------------------------------


def pins(path: Path) -> dict[str, set[str]]:
    """Return the versions that a lock allows for each distribution (more than one where Python's version decides)."""
    found: dict[str, set[str]] = {}
    for name, pinned in re.findall(r"^([\w.-]+)==([\w.!+]+)", path.read_text(encoding="utf-8"), flags=re.MULTILINE):
        found.setdefault(canonicalize_name(name), set()).add(pinned)
    return found


@pytest.mark.parametrize("lock", LOCKS, ids=identify)
def test_a_lock_has_a_hash_for_everything_and_names_no_host(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")
    entries = re.split(r"^(?=\S)", text, flags=re.MULTILINE)[1:]
    assert all(re.match(r"[\w.-]+==\S+", entry) and "--hash=sha256:" in entry for entry in entries)
    assert "://" not in text
    assert "\n--" not in text


@pytest.mark.parametrize("lock", LOCKS, ids=identify)
def test_every_lock_holds_the_versions_that_are_tested(lock: Path) -> None:
    tested = pins(ROOT / "requirements" / "dev.txt")
    here = pins(lock)
    if lock.stem == "audit":  # its tools are no part of what is tested, but what both have is the same
        here = {name: found for name, found in here.items() if name in tested}
    assert {name: found for name, found in here.items() if tested.get(name) != found} == {}


def wanted(lock: str) -> list[str]:
    project, groups = PROJECT["project"], PROJECT["dependency-groups"]
    extras = project["optional-dependencies"]
    everything = project["dependencies"] + extras["agent"] + extras["collector"]
    lists: dict[str, list[str]] = {
        "agent": project["dependencies"] + extras["agent"],
        "collector": project["dependencies"] + extras["collector"],
        "all": everything,
        "build": groups["build"],
        "audit": groups["audit"],
        "dev": everything + groups["build"] + [item for item in groups["dev"] if isinstance(item, str)],
    }
    return lists[lock]


@pytest.mark.parametrize("lock", LOCKS, ids=identify)
def test_every_lock_satisfies_pyproject(lock: Path) -> None:
    found = pins(lock)
    missing = []
    for text in wanted(lock.stem):
        requirement = Requirement(text)
        versions = found.get(canonicalize_name(requirement.name), set())
        if not versions or not all(requirement.specifier.contains(pinned) for pinned in versions):
            missing.append(text)
    assert missing == [], f"run `make lock`: {lock.name} does not hold {missing}"
