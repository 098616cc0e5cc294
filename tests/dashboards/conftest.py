"""What tests of the dashboard share: a collector with a small district."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.model.inventory import Institution
from support import seeded
from support.dashboard import District, district_over, new_district
from support.databases import Engines, engines, postgres_server, sqlite_template

__all__ = ["engines", "postgres_server", "sqlite_template"]


@pytest.fixture
def empty(tmp_path: Path, engines: Engines, sqlite_template: Path) -> Iterator[District]:
    """A collector of which nothing is known yet."""
    with engines.of_file(Path(shutil.copy(sqlite_template, tmp_path / "cradlewatch.db"))) as engine:
        yield district_over(engine)


@pytest.fixture(scope="session")
def district(tmp_path_factory: pytest.TempPathFactory) -> Iterator[District]:
    """A sound institution, a troubled one, and one whose agent has not reported. Tests only read it."""
    found = new_district(tmp_path_factory.mktemp("district"))
    seeded.troubled(found.context, found.clock)
    seeded.sound(found.context)
    seeded.enrolled(found.context, Institution(id="wj-0003", name="小星星托育中心"))
    yield found
    found.context.engine.dispose()
