"""Chains know by number what came in of each boot: what is missing is counted by that, and no more by where segments end."""

import json
from collections.abc import Iterator
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_MOST = 2**53
_AGENT = sa.table(
    "agent", sa.column("institution_id"), sa.column("id"), sa.column("chain"), sa.column("missing", sa.BigInteger)
)
_REPORT = sa.table(
    "report", sa.column("institution_id"), sa.column("agent_id"), sa.column("boot"), sa.column("sequence"),
    sa.column("received_at"), sa.column("key_id"),
)  # fmt: skip


def upgrade() -> None:
    for who, chain in _chains():
        boots = _boots(who, chain)
        told = chain.pop("told", None) or []
        for item in told:
            if item["boot"] in boots:
                boots[item["boot"]]["told"].append((item["first"], item["last"]))
        missing = sum(boot["upto"] - sum(last - first + 1 for first, last in boot["seen"]) for boot in boots.values())
        chain["boots"] = {
            name: {"seen": _text(boot["seen"]), "upto": boot["upto"], "told": _text(sorted(boot["told"]))}
            for name, boot in boots.items()
        }
        # What lies between segments that are told apart no more is known by number again.
        chain |= {"settled": 0, "settled_told": 0, "joined": int(chain.get("settled", 0))}
        _write(who, chain, min(_MOST, missing))


def downgrade() -> None:
    """Go back. Counts of what is missing are right again with each agent's next report."""
    for who, chain in _chains():
        boots = chain.pop("boots", {})
        for name in ("joined", "earlier_forks", "earlier_beginnings"):
            chain.pop(name, None)
        chain["told"] = [
            {"boot": name, "first": first, "last": last}
            for name, boot in sorted(boots.items())
            for first, last in _ranges(boot.get("told", ""))
        ]
        _write(who, chain, None)


def _chains() -> list[tuple[tuple[str, str], dict[str, Any]]]:
    rows = op.get_bind().execute(sa.select(_AGENT.c.institution_id, _AGENT.c.id, _AGENT.c.chain))
    return [((institution, agent), found) for institution, agent, text in rows if (found := _read(text)) is not None]


def _read(text: str | None) -> dict[str, Any] | None:
    """Read a chain; None where there is none, or somebody edited it: `collector verify` says so."""
    try:
        found = json.loads(text or "null")
    except ValueError:
        return None
    return found if isinstance(found, dict) and isinstance(found.get("segments"), list) else None


def _write(who: tuple[str, str], chain: dict[str, Any], missing: int | None) -> None:
    values = {"chain": json.dumps(chain, separators=(",", ":"))} | ({} if missing is None else {"missing": missing})
    here = (_AGENT.c.institution_id == who[0]) & (_AGENT.c.id == who[1])
    op.get_bind().execute(sa.update(_AGENT).where(here).values(**values))


def _boots(who: tuple[str, str], chain: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what came in of each boot, that first of which something came in longest ago."""
    found: dict[str, tuple[int, dict[str, Any]]] = {}
    for boot, rows in groupby(_numbers(who), key=lambda row: row[0]):
        seen: list[tuple[int, int]] = []
        newest = 0
        for _, number, at in rows:
            newest = max(newest, at)
            if seen and number == seen[-1][1] + 1:
                seen[-1] = (seen[-1][0], number)
            else:
                seen.append((number, number))
        found[boot] = newest, {"seen": seen, "upto": seen[-1][1], "told": []}
    for segment in chain["segments"]:
        if (after := segment.get("after")) is not None:
            _, boot = found.setdefault(after["boot"], (0, {"seen": [], "upto": 0, "told": []}))
            boot["upto"] = max(boot["upto"], after["sequence"])
    return {name: boot for name, (_, boot) in sorted(found.items(), key=lambda item: item[1][0])}


def _numbers(who: tuple[str, str]) -> Iterator[tuple[str, int, int]]:
    columns = (_REPORT.c.boot, _REPORT.c.sequence, _REPORT.c.received_at)
    here = (_REPORT.c.institution_id == who[0]) & (_REPORT.c.agent_id == who[1]) & _REPORT.c.key_id.is_not(None)
    for row in op.get_bind().execute(sa.select(*columns).where(here).order_by(_REPORT.c.boot, _REPORT.c.sequence)):
        yield row[0], row[1], row[2]


def _text(ranges: list[tuple[int, int]]) -> str:
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)


def _ranges(text: str) -> Iterator[tuple[int, int]]:
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        yield int(first), int(last or first)
