"""The packs by which findings were judged are kept: the installed ones change with each update."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "pack",
        sa.Column("digest", sa.String(length=71), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("kept_at", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_pack"),
    )
    op.add_column("finding_change", sa.Column("pack", sa.String(length=71), nullable=True))


def downgrade() -> None:
    op.drop_column("finding_change", "pack")
    op.drop_table("pack")
