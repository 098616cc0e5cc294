"""Since when an agent's chain can't be read, and how many stored rows its institution's newest evaluation couldn't read."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("agent", sa.Column("chain_lost_at", sa.BigInteger(), nullable=True))
    op.add_column("institution", sa.Column("unreadable", sa.BigInteger(), server_default="0", nullable=False))


def downgrade() -> None:
    op.drop_column("institution", "unreadable")
    op.drop_column("agent", "chain_lost_at")
