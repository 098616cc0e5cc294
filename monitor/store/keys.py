"""Keys: the public ones of agents, and the centre's own."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import and_, bindparam, func, select, update
from sqlalchemy.orm import Session

from monitor.model.envelope import Envelope
from monitor.model.jws import SignatureError
from monitor.model.span import Millis, isoformat
from monitor.model.suite import PublicKey, key_id_of, suite_for
from monitor.store.given import TEXT, run_given
from monitor.store.journal import note
from monitor.store.tables import AgentKeyRow, CollectorKeyRow, EnrolmentRow
from monitor.store.upsert import insert_new, table_of

_KEYS_OF = (
    "SELECT k.institution_id, k.agent_id, k.id, k.jwk, k.registered_at, k.replaced_at, k.revoked_at"
    " FROM {given} CROSS JOIN agent_key AS k WHERE k.institution_id = given.institution AND k.agent_id = given.agent"
    " ORDER BY k.registered_at"
)
_KEY = table_of(AgentKeyRow)
_REVOKED = select(_KEY.c.agent_id, _KEY.c.revoked_at).where(
    _KEY.c.institution_id == bindparam("who"), _KEY.c.registered_at <= bindparam("until")
)


@dataclass(frozen=True)
class AgentKey:
    """A public key of an agent, and whether it still counts. Instants are UTC milliseconds."""

    public: PublicKey
    registered: Millis
    replaced: Millis | None
    revoked: Millis | None

    def to_json(self) -> dict[str, str | None]:
        """Return the key as it is listed: its id and its times."""
        times = {"registered_at": self.registered, "replaced_at": self.replaced, "revoked_at": self.revoked}
        return {"id": self.public.id, **{name: None if at is None else isoformat(at) for name, at in times.items()}}


def agent_keys(session: Session, institution_id: str, agent_id: str) -> dict[str, AgentKey]:
    """Return an agent's keys by their id."""
    return keys_of_agents(session, [(institution_id, agent_id)])[institution_id, agent_id]


def readable_keys(session: Session, institution_id: str, agent_id: str) -> tuple[dict[str, AgentKey], list[str]]:
    """Return those of an agent's keys that are what their id says, by it, and the ids of the others: for a check, which goes on.

    One whose algorithm is allowed no more is neither: nothing is wrong with it, and nothing can be checked by it.
    """
    row = AgentKeyRow
    query = select(row).where(row.institution_id == institution_id, row.agent_id == agent_id)
    found, others = {}, []
    for item in session.scalars(query.order_by(row.registered_at, row.id)):
        key = None
        with suppress(ValueError, TypeError, AttributeError):
            key = _key(item.jwk, item.registered_at, item.replaced_at, item.revoked_at)
        if key is not None and key.public.id == item.id:
            found[item.id] = key
        elif key is not None or not _is_of_another_algorithm(item):
            others.append(item.id)
    return found, others


def _is_of_another_algorithm(row: AgentKeyRow) -> bool:
    try:
        jwk = json.loads(row.jwk)
    except ValueError:
        return False
    return isinstance(jwk, dict) and suite_for(jwk) is None and key_id_of(jwk) == row.id


def keys_of_agents(session: Session, agents: Iterable[tuple[str, str]]) -> dict[tuple[str, str], dict[str, AgentKey]]:
    """Return the keys of agents (institution, agent) by their id: none of one that isn't enrolled.

    Nor one that can't be read: its algorithm is allowed no more, or somebody edited it. It signs nothing that counts, and the
    agent's others do.
    """
    found: dict[tuple[str, str], dict[str, AgentKey]] = {who: {} for who in agents}
    rows = run_given(session, _KEYS_OF, {"institution": TEXT, "agent": TEXT}, list(found))
    for institution_id, agent_id, key_id, jwk, registered, replaced, revoked in rows:
        with suppress(ValueError, TypeError, AttributeError):
            found[institution_id, agent_id][key_id] = _key(jwk, registered, replaced, revoked)
    return found


def proved(data: bytes, keys: Mapping[str, AgentKey]) -> Envelope:
    """Return a stored envelope, once the signature by one of its agent's keys holds. Raises SignatureError."""
    envelope = Envelope.read(data)
    key = keys.get(envelope.protected.kid)
    if key is None:
        raise SignatureError("unknown_key", "the key that signed it is not registered any more")
    envelope.verify(key.public)
    return envelope


def key_count(session: Session, institution_id: str, agent_id: str) -> int:
    """Return how many keys of an agent were ever registered, those that can't be read too."""
    here = (AgentKeyRow.institution_id == institution_id, AgentKeyRow.agent_id == agent_id)
    return session.scalar(select(func.count()).select_from(AgentKeyRow).where(*here)) or 0


def _key(jwk: str, registered: Millis, replaced: Millis | None, revoked: Millis | None) -> AgentKey:
    """Return a row's key. Raises ValueError, TypeError or AttributeError where somebody edited it."""
    return AgentKey(PublicKey.of(json.loads(jwk)), registered, replaced, revoked)


def register_key(session: Session, institution_id: str, agent_id: str, key: PublicKey, now: Millis) -> None:
    """Make this the agent's key; those before it count as replaced. A key that is known already counts again."""
    here = (AgentKeyRow.institution_id == institution_id, AgentKeyRow.agent_id == agent_id)
    replaced = update(AgentKeyRow).where(*here, AgentKeyRow.id != key.id, AgentKeyRow.replaced_at.is_(None))
    changed = [*session.scalars(replaced.values(replaced_at=now).returning(AgentKeyRow.id)), key.id]
    row = {
        "institution_id": institution_id,
        "agent_id": agent_id,
        "id": key.id,
        "jwk": json.dumps(key.jwk, sort_keys=True),
        "registered_at": now,
    }
    insert_new(session, AgentKeyRow, [row])
    note(session, institution_id, AgentKeyRow, *here, AgentKeyRow.id.in_(changed))


def revoke_keys(session: Session, institution_id: str, agent_id: str, now: Millis) -> int:
    """Revoke all keys of an agent that aren't yet; return how many."""
    here = (
        AgentKeyRow.institution_id == institution_id, AgentKeyRow.agent_id == agent_id, AgentKeyRow.revoked_at.is_(None)
    )  # fmt: skip
    statement = update(AgentKeyRow).where(*here).values(revoked_at=now).returning(AgentKeyRow.id)
    revoked = list(session.scalars(statement))
    note(session, institution_id, AgentKeyRow, *here[:2], AgentKeyRow.id.in_(revoked))
    return len(revoked)


def revoked_agents(session: Session, institution_id: str, until: Millis) -> dict[str, Millis]:
    """Return the agents all of whose keys had been revoked by `until`, and when: nothing is expected of them any more."""
    found: dict[str, Millis | None] = {}
    for agent_id, revoked in session.execute(_REVOKED, {"who": institution_id, "until": until}).all():
        before = found.get(agent_id, 0)
        still = revoked is None or revoked > until or before is None
        found[agent_id] = None if still else max(before or 0, revoked or 0)
    return {agent_id: at for agent_id, at in found.items() if at is not None}


def enrolled_by(session: Session, institution_id: str, until: Millis) -> dict[str, Millis]:
    """Return, for each agent, when it was last enrolled by `until`: when a code was used, a key was registered at that instant."""
    by_code = and_(
        EnrolmentRow.institution_id == AgentKeyRow.institution_id, EnrolmentRow.used_at == AgentKeyRow.registered_at
    )
    query = select(AgentKeyRow.agent_id, func.max(AgentKeyRow.registered_at)).join(EnrolmentRow, by_code)
    here = (AgentKeyRow.institution_id == institution_id, AgentKeyRow.registered_at <= until)
    return dict(session.execute(query.where(*here).group_by(AgentKeyRow.agent_id)).all())


def collector_keys(session: Session) -> dict[str, str]:
    """Return the centre's own keys by name."""
    rows = session.execute(select(CollectorKeyRow.name, CollectorKeyRow.value))
    return dict(rows.all())


def hold_collector_keys(session: Session) -> dict[str, str]:
    """Return them, locked until the transaction ends: who replaces one is alone."""
    session.execute(select(CollectorKeyRow.name).with_for_update()).all()
    return collector_keys(session)  # read after the lock: another one may have added to them while this waited


def replace_collector_key(session: Session, name: str, value: str, now: Millis) -> None:
    """Put another value in the place of one of the centre's own keys."""
    here = CollectorKeyRow.name == name
    session.execute(update(CollectorKeyRow).where(here).values(value=value, created_at=now))


def add_collector_keys(session: Session, keys: dict[str, str], now: Millis) -> None:
    """Keep those of the keys whose name isn't taken."""
    rows = [{"name": name, "value": value, "created_at": now} for name, value in keys.items()]
    insert_new(session, CollectorKeyRow, rows)
