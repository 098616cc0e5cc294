"""Packs as they were when findings were judged by them, by the digest of their content."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from monitor.model.regulation import Regulation, pack_json
from monitor.model.span import Millis
from monitor.store.tables import PackRow
from monitor.store.upsert import insert_new, table_of

_PACK = table_of(PackRow)
_KEPT = select(_PACK.c.digest).where(_PACK.c.digest == bindparam("wanted"))


def keep_pack(session: Session, pack: Regulation, digest: str, now: Millis) -> None:
    """Keep a pack as it is now, by its digest, unless it is kept."""
    if session.execute(_KEPT, {"wanted": digest}).first() is not None:
        return  # as after nearly every evaluation
    body = json.dumps(pack_json(pack), ensure_ascii=False)
    row = {"digest": digest, "id": pack.id, "version": pack.version, "kept_at": now, "body": body}
    insert_new(session, PackRow, [row])


def kept_pack(session: Session, digest: str) -> Any:
    """Return a pack as it was kept, in the form in which it travels; None where it is not there. Raises ValueError where somebody edited it."""
    row = session.get(PackRow, digest)
    return None if row is None else json.loads(row.body)
