"""Clocks: those of agents beside the centre's, and reports whose time can't be."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "clock_dispute",
        sa.Column("since_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("until_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("since_at", name="pk_clock_dispute"),
    )
    op.add_column("agent", sa.Column("clock_offset", sa.BigInteger(), nullable=True))
    op.add_column("agent", sa.Column("clock_at", sa.BigInteger(), nullable=True))
    op.add_column("agent", sa.Column("misdated", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("report", sa.Column("doubt", sa.String(length=40), nullable=True))


def downgrade() -> None:
    """Go back. What was kept apart for its time is dropped: a version without the mark would take it for good."""
    op.execute("DELETE FROM report WHERE doubt IS NOT NULL")
    op.drop_column("report", "doubt")
    for name in ("misdated", "clock_at", "clock_offset"):
        op.drop_column("agent", name)
    op.drop_table("clock_dispute")
