"""Since when reports wait until it can be told whose clock is right: no report waits for ever."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "clock_wait",
        sa.Column("since_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("until_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("since_at", name="pk_clock_wait"),
    )


def downgrade() -> None:
    op.drop_table("clock_wait")
