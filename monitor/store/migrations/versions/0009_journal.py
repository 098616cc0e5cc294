"""What the centre alone says is written down in a chain of digests: what stands there now is taken as it stands."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_KEY = ("institution_id", "id")
_TABLES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "institution": (("id",), ("name", "timezone", "jurisdiction", "regulation", "approved_inventory", "created_at")),
    "agent": (_KEY, ("enrolled_at",)),
    "agent_key": (("institution_id", "agent_id", "id"), ("jwk", "registered_at", "replaced_at", "revoked_at")),
    "enrolment": (("code_hash",), ("institution_id", "agent_id", "created_at", "expires_at", "used_at")),
    "waiver": (_KEY, ("created_at", "body")),
    "view_decision": (
        ("institution_id", "proposal"),
        ("camera_id", "light", "view", "confirmed", "decided_at", "decided_by", "settled_at", "settled_by"),
    ),
    "finding": (
        _KEY,
        (
            "requirement", "subject_kind", "subject_id", "state", "stage", "began_at", "opened_at", "ended_at", "reason",
            "citation", "citation_zh", "measured", "evidence", "regulation", "regulation_version", "changes",
        ),
    ),
    "finding_change": (
        ("institution_id", "finding_id", "number"),
        ("at", "state", "began_at", "ended_at", "reason", "measured", "evidence", "pack"),
    ),
    "notice": (("institution_id", "finding_id", "occasion"), ()),
}  # fmt: skip
"""Each table's key, and its further columns, as they were when this was written."""


def upgrade() -> None:
    op.add_column("institution", sa.Column("journal", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("institution", sa.Column("journal_head", sa.String(length=71), nullable=True))
    journal = op.create_table(
        "journal",
        sa.Column("institution_id", sa.String(length=64), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("of_table", sa.String(length=40), nullable=False),
        sa.Column("of_row", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=71), nullable=False),
        sa.PrimaryKeyConstraint("institution_id", "number", name="pk_journal"),
        sa.ForeignKeyConstraint(["institution_id"], ["institution.id"], name="fk_journal_institution_id_institution"),
    )
    connection = op.get_bind()
    for institution in list(connection.scalars(sa.text("SELECT id FROM institution ORDER BY id"))):
        number, digest, page = 0, None, []
        for table, key, body in _rows(connection, institution):
            number += 1
            digest = _digest(json.dumps([institution, number, digest, table, key, body]))
            row = {"institution_id": institution, "number": number, "of_table": table, "of_row": key}
            page.append({**row, "body": body, "digest": digest})
            if len(page) == 200:
                connection.execute(journal.insert(), page)
                page = []
        if page:
            connection.execute(journal.insert(), page)
        head = sa.text("UPDATE institution SET journal = :number, journal_head = :head WHERE id = :id")
        connection.execute(head, {"number": number, "head": digest, "id": institution})


def _rows(connection: sa.Connection, institution: str) -> Iterator[tuple[str, str, str]]:
    for name, (key, rest) in _TABLES.items():
        columns = [sa.column(item, sa.Boolean() if item == "confirmed" else None) for item in (*key, *rest)]
        table = sa.table(name, *columns, *([] if "institution_id" in (*key, *rest) else [sa.column("institution_id")]))
        own = table.c["id" if name == "institution" else "institution_id"]
        query = sa.select(*columns).where(own == institution).order_by(*(table.c[item] for item in key))
        for row in connection.execute(query).mappings():
            body = {item: _short(value) for item, value in row.items()}
            yield name, json.dumps([row[item] for item in key]), json.dumps(body)


def _short(value: Any) -> Any:
    return _digest(value) if isinstance(value, str) and len(value) > 200 else value


def _digest(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def downgrade() -> None:
    op.drop_table("journal")
    op.drop_column("institution", "journal_head")
    op.drop_column("institution", "journal")
