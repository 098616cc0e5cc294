"""Packs as they were when findings were judged by them, by the digest of their content."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from monitor.model.regulation import Regulation, pack_digest, pack_json
from monitor.model.span import Millis
from monitor.store.tables import PackRow
from monitor.store.upsert import insert_new


def keep_pack(session: Session, pack: Regulation, now: Millis) -> str:
    """Keep a pack as it is now, unless it is kept; return its digest."""
    value = pack_json(pack)
    digest = pack_digest(value)
    if session.execute(select(PackRow.digest).where(PackRow.digest == digest)).first() is not None:
        return digest  # as after nearly every evaluation
    body = json.dumps(value, ensure_ascii=False)
    row = {"digest": digest, "id": pack.id, "version": pack.version, "kept_at": now, "body": body}
    insert_new(session, PackRow, [row])
    return digest


def kept_pack(session: Session, digest: str) -> Any:
    """Return a pack as it was kept, in the form in which it travels; None where it is not there. Raises ValueError where somebody edited it."""
    row = session.get(PackRow, digest)
    return None if row is None else json.loads(row.body)
