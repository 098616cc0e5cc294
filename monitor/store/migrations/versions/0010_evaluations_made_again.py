"""What an evaluation stood on is kept, so that it can be made again; runs of looks are written down in the journal."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_RUN = ("institution_id", "requirement", "subject_kind", "subject_id", "first_at")
_JOURNAL = sa.table(
    "journal",
    *(sa.column(name) for name in ("institution_id", "number", "of_table", "of_row", "body", "digest")),
)
_BEFORE = json.dumps({"void": "migrated"})
"""Of evaluations of before nobody knows what they stood on: the next one tells."""


def upgrade() -> None:
    op.add_column("report", sa.Column("arrival", sa.BigInteger(), server_default="0", nullable=False))
    evaluation = op.create_table(
        "evaluation",
        sa.Column("institution_id", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=71), nullable=False),
        sa.PrimaryKeyConstraint("institution_id", name="pk_evaluation"),
        sa.ForeignKeyConstraint(
            ["institution_id"], ["institution.id"], name="fk_evaluation_institution_id_institution"
        ),
    )
    connection = op.get_bind()
    here = sa.text("SELECT id, journal, journal_head, evaluation FROM institution ORDER BY id")
    for institution, number, digest, evaluations in list(connection.execute(here)):
        if evaluations:
            made = _digest(json.dumps([institution, evaluations, _BEFORE]))
            row = {"institution_id": institution, "number": evaluations, "body": _BEFORE, "digest": made}
            connection.execute(evaluation.insert(), [row])
        _append(connection, institution, number, digest, _runs(connection, institution))


def _runs(connection: sa.Connection, institution: str) -> Iterator[tuple[str, str, str]]:
    """Give the entries of runs: the last look of the newest one of each subject isn't told."""
    names = (*_RUN, "last_at", "outcome", "state", "began_at", "because_of")
    run = sa.table("run", *(sa.column(name) for name in names))
    order = (run.c.requirement, run.c.subject_kind, run.c.subject_id, run.c.first_at)
    rows = connection.execute(sa.select(*run.c).where(run.c.institution_id == institution).order_by(*order)).mappings()
    before: dict[str, Any] | None = None
    for row in rows:
        if before is not None:
            same = all(before[name] == row[name] for name in _RUN[:-1])
            yield _entry(before if same else {**before, "last_at": None})
        before = dict(row)
    if before is not None:
        yield _entry({**before, "last_at": None})


def _entry(row: dict[str, Any]) -> tuple[str, str, str]:
    body = {name: _digest(v) if isinstance(v, str) and len(v) > 200 else v for name, v in row.items()}
    return "run", json.dumps([row[name] for name in _RUN]), json.dumps(body)


def _append(
    connection: sa.Connection, institution: str, number: int, digest: str | None, said: Iterator[tuple[str, str, str]]
) -> None:
    """Add entries to an institution's journal, and note its end."""
    page = []
    for table, key, body in said:
        number += 1
        digest = _digest(json.dumps([institution, number, digest, table, key, body]))
        row = {"institution_id": institution, "number": number, "of_table": table, "of_row": key}
        page.append({**row, "body": body, "digest": digest})
        if len(page) == 200:
            connection.execute(_JOURNAL.insert(), page)
            page = []
    if page:
        connection.execute(_JOURNAL.insert(), page)
    head = sa.text("UPDATE institution SET journal = :number, journal_head = :head WHERE id = :id")
    connection.execute(head, {"number": number, "head": digest, "id": institution})


def _digest(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def downgrade() -> None:
    connection = op.get_bind()
    rest = sa.text(
        "SELECT of_table, of_row, body FROM journal WHERE institution_id = :id AND of_table <> 'run' ORDER BY number"
    )
    for institution in list(connection.scalars(sa.text("SELECT id FROM institution ORDER BY id"))):
        kept = [(row[0], row[1], row[2]) for row in connection.execute(rest, {"id": institution})]
        connection.execute(sa.text("DELETE FROM journal WHERE institution_id = :id"), {"id": institution})
        _append(connection, institution, 0, None, iter(kept))
    op.drop_table("evaluation")
    op.drop_column("report", "arrival")
