"""A collector with its pages for tests, and a browser that can sign in to it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from httpx2 import Response
from sqlalchemy import Engine
from starlette.testclient import TestClient

from dashboards.serve import create_app
from monitor.api.auth import SESSION_COOKIE
from monitor.collector.context import Context
from monitor.model.clock import ManualClock
from monitor.store.accounts import create_session, create_user
from monitor.store.engine import open_engine, writing
from monitor.store.schema import migrate
from support.seeded import manual_clock

USER, PASSWORD = "inspector", "correct horse battery"


@dataclass(frozen=True)
class District:
    """A collector, and the hand on its clock."""

    context: Context
    clock: ManualClock

    @classmethod
    def at_noon(cls, engine: Engine) -> Self:
        """Return the collector of a database as it is."""
        clock = manual_clock()
        return cls(Context(engine, clock), clock)

    def client(self) -> TestClient:
        """Return a browser that nobody has signed in with."""
        return TestClient(create_app(self.context), base_url="http://testserver", follow_redirects=False)

    def signed_in(self) -> TestClient:
        """Return a browser that somebody has signed in with."""
        client = self.client()
        with writing(self.context.engine) as session:
            client.cookies.set(SESSION_COOKIE, create_session(session, USER, self.context.now()))
        return client


def token_in(page: str) -> str:
    """Return the form's token."""
    found = re.search(r'name="csrf" value="([^"]+)"', page)
    assert found is not None
    return found[1]


def sign_in(client: TestClient, password: str = PASSWORD, **fields: str) -> Response:
    """Fill the form in and send it."""
    token = token_in(client.get("/sign-in").text)
    return client.post("/sign-in", data={"name": USER, "password": password, "csrf": token, **fields})


def new_district(directory: Path) -> District:
    """Return an empty collector with one user."""
    engine = open_engine(f"sqlite:///{directory}/cradlewatch.db")
    migrate(engine)
    return district_over(engine)


def district_over(engine: Engine) -> District:
    """Return a collector over a migrated, empty database, with one user."""
    found = District.at_noon(engine)
    with writing(engine) as session:
        create_user(session, USER, PASSWORD, found.context.now())
    return found
