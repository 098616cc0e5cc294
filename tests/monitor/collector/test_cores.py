"""How many workers there are by default: as many as get a core, in a container as well."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.collector.cores import parse_quota, usable_cores
from monitor.collector.settings import Settings


@pytest.fixture
def groups(tmp_path: Path) -> Path:
    """A place for control groups, without any limit."""
    (tmp_path / "cgroup" / "system.slice" / "collector.service").mkdir(parents=True)
    return tmp_path / "cgroup"


def limit(group: Path, text: str) -> None:
    (group / "cpu.max").write_text(text)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Says that the process is in a service's group."""
    path = tmp_path / "own"
    path.write_text("12:cpu:/elsewhere\n0::/system.slice/collector.service\n")
    return path


@pytest.fixture
def given_cores() -> int:
    return len(os.sched_getaffinity(0))


def test_a_containers_quota_counts(groups: Path, tmp_path: Path, given_cores: int) -> None:
    nowhere = tmp_path / "nowhere"
    assert usable_cores(groups, nowhere) == given_cores
    limit(groups, "max 100000\n")
    assert usable_cores(groups, nowhere) == given_cores
    for text, cores in (("100000 100000\n", 1), ("20000 100000", 1), ("150000 100000", 2), ("9900000 100000", 99)):
        limit(groups, text)
        assert usable_cores(groups, nowhere) == min(cores, given_cores)


def test_the_least_of_the_groups_above_counts(groups: Path, own: Path, given_cores: int) -> None:
    limit(groups / "system.slice" / "collector.service", "9900000 100000")
    assert usable_cores(groups, own) == given_cores
    limit(groups / "system.slice", "50000 50000")
    assert usable_cores(groups, own) == 1
    own.write_text("0::/../../other\n")
    assert usable_cores(groups, own) == given_cores, "of others nothing is read"


def test_a_process_that_was_given_one_core_has_one_worker() -> None:
    settings, before = Settings(database_url="postgresql://nobody@127.0.0.1:1/none"), os.sched_getaffinity(0)
    assert settings.processes() == min(4, usable_cores())
    os.sched_setaffinity(0, {min(before)})
    try:
        assert settings.processes() == 1
    finally:
        os.sched_setaffinity(0, before)


@given(st.text() | st.from_regex(r"[0-9]{1,30} [0-9]{1,30}", fullmatch=True))
def test_whatever_stands_there_is_a_number_of_cores_or_nothing(text: str) -> None:
    found = parse_quota(text)
    assert found is None or found > 0
