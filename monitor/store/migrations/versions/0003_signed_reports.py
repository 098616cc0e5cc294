"""Agents have keys instead of tokens, and reports are envelopes: agents enrol again."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "agent_key",
        sa.Column("institution_id", sa.String(length=64), nullable=False),
        sa.Column("agent_id", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("jwk", sa.Text(), nullable=False),
        sa.Column("registered_at", sa.BigInteger(), nullable=False),
        sa.Column("replaced_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["institution_id", "agent_id"],
            ["agent.institution_id", "agent.id"],
            name="fk_agent_key_institution_id_agent_id_agent",
        ),
        sa.PrimaryKeyConstraint("institution_id", "agent_id", "id", name="pk_agent_key"),
    )
    op.create_table(
        "collector_key",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_collector_key"),
    )
    op.create_table(
        "disputed_report",
        sa.Column("institution_id", sa.String(length=64), nullable=False),
        sa.Column("agent_id", sa.String(length=64), nullable=False),
        sa.Column("boot", sa.String(length=32), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.String(length=71), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["institution_id", "agent_id"],
            ["agent.institution_id", "agent.id"],
            name="fk_disputed_report_institution_id_agent_id_agent",
        ),
        sa.PrimaryKeyConstraint("institution_id", "agent_id", "boot", "sequence", "digest", name="pk_disputed_report"),
    )
    op.drop_column("agent", "token_hash")
    op.add_column("agent", sa.Column("chain", sa.Text(), nullable=True))
    op.add_column("agent", sa.Column("missing", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("agent", sa.Column("forked_at", sa.BigInteger(), nullable=True))
    op.add_column("agent", sa.Column("disputed", sa.BigInteger(), server_default="0", nullable=False))
    op.execute("ALTER TABLE report RENAME COLUMN payload TO envelope")
    op.add_column("report", sa.Column("key_id", sa.String(length=64), nullable=True))
    op.add_column("report", sa.Column("nonce_at", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    """Go back. What was received signed is dropped: a version without envelopes can't read it."""
    op.execute("DELETE FROM report WHERE key_id IS NOT NULL")
    op.drop_column("report", "nonce_at")
    op.drop_column("report", "key_id")
    op.execute("ALTER TABLE report RENAME COLUMN envelope TO payload")
    for name in ("disputed", "forked_at", "missing", "chain"):
        op.drop_column("agent", name)
    op.add_column("agent", sa.Column("token_hash", sa.String(length=64), server_default="", nullable=False))
    op.drop_table("disputed_report")
    op.drop_table("collector_key")
    op.drop_table("agent_key")
