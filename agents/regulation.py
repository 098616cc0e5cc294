"""What a site is judged by: the collector's word once enrolled, else the site's own."""

from __future__ import annotations

from dataclasses import dataclass

from agents.assignment import kept_assignment
from agents.site import Site
from agents.state import State
from monitor.model.calendar import Waiver
from monitor.model.inventory import Inventory
from monitor.model.regulation import Regulation
from monitor.regulations.loader import load


@dataclass(frozen=True)
class JudgedBy:
    """A pack, the inventory that counts, and the waivers granted."""

    regulation: Regulation
    inventory: Inventory
    waivers: tuple[Waiver, ...] = ()


def site_regulation(site: Site, state: State) -> JudgedBy:
    """Return what the site is judged by. Raises PackError when its pack is not there."""
    assignment = kept_assignment(state) if state.has_enrolment() else None
    if assignment is None:
        return JudgedBy(load(site.regulation), site.inventory())
    return JudgedBy(assignment.regulation, assignment.apply_to(site.inventory()), assignment.waivers)
