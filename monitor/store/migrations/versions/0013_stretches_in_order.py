"""In which order stretches of listening began: the collector's clock may be set back between two."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("listening", sa.Column("number", sa.BigInteger(), server_default="0", nullable=False))


def downgrade() -> None:
    op.drop_column("listening", "number")
