"""What the centre tells an agent: by which pack, hours, closures and waivers it is judged, and what is approved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from monitor.collector.arrival import Identity
from monitor.collector.context import Context
from monitor.collector.packs import digest_of_json
from monitor.model.regulation import pack_json
from monitor.store import registry, views
from monitor.store.engine import reading

MINIMUM_VERSION = "0.1.0"
"""The oldest agent that this centre understands."""


@dataclass(frozen=True)
class Assignment:
    """The assignment's JSON, and its ETag."""

    body: dict[str, Any]
    etag: str


def assignment(context: Context, identity: Identity) -> Assignment:
    """Return an agent's assignment. Raises PackError when the pack can't be read, RegisterError without institution."""
    with reading(context.engine) as session:
        summary = registry.known_institution(session, identity.institution)
        approved = registry.approved_inventory(session, identity.institution)
        waivers = registry.waivers(session, identity.institution)
        confirmed = views.assigned(session, identity.institution)
    inventory = None if approved is None else approved.model_dump(mode="json", by_alias=True)
    body = {
        "schema": "cradlewatch.assignment/1",
        "institution": summary.id,
        "regulation": pack_json(context.packs.get(summary.regulation)),
        "hours": None if inventory is None else inventory["hours"],
        "closures": [] if inventory is None else inventory["closures"],
        "waivers": [item.model_dump(mode="json") for item in waivers],
        "inventory": inventory,
        "views": confirmed,
        "challenges": [],
        "minimum_version": MINIMUM_VERSION,
    }
    return Assignment(body, f'"{digest_of_json(body)}"')
