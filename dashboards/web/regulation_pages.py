"""The packs of rules in use, and one pack's page."""

from __future__ import annotations

import structlog
from starlette.exceptions import HTTPException
from starlette.responses import Response

from dashboards.web.rules import pack_view
from dashboards.web.visit import Visit
from monitor.model.regulation import Regulation
from monitor.regulations.problem import PackError
from monitor.store.browse import packs_in_use
from monitor.store.engine import reading

log = structlog.get_logger(__name__)


def pack_of(visit: Visit, pack_id: str) -> Regulation:
    """Return a pack. Raises HTTPException 404 when there is none that can be read; the log says why."""
    try:
        return visit.context.packs.get(pack_id)
    except PackError as error:
        log.warning("a pack can't be shown", pack=pack_id, problems=[str(item) for item in error.problems])
        raise HTTPException(404) from None


def show_regulations(visit: Visit) -> Response:
    """GET /regulations: the packs by which institutions are judged."""
    with reading(visit.context.engine) as session:
        ids = packs_in_use(session)
    found = []
    for pack_id in ids:
        try:
            found.append(visit.context.packs.get(pack_id))
        except PackError as error:
            log.warning("a pack can't be shown", pack=pack_id, problems=[str(item) for item in error.problems])
    words = visit.words("UTC")
    return visit.page("regulations.html", {"packs": [pack_view(pack, words) for pack in found]}, section="regulations")


def show_regulation(visit: Visit) -> Response:
    """GET /regulations/ID."""
    pack = pack_of(visit, visit.request.path_params["id"])
    return visit.page("regulation.html", {"pack": pack_view(pack, visit.words("UTC"))}, section="regulations")
