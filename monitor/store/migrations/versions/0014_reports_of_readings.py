"""Which reports a reading of a finding had: the collector's clock may be set back, and their times don't tell it then."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("finding_change", sa.Column("reports", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("finding_change", "reports")
