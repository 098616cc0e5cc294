"""What was put together of an index is found by the digest of its content; it is made again by the next evaluations."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _make_again(sa.Column("digest", sa.String(length=71), nullable=False))


def downgrade() -> None:
    _make_again()


def _make_again(*more: sa.Column[str]) -> None:
    """Make the table anew and empty: its rows are a cache of the readings, which stay."""
    op.drop_table("footage")
    op.create_table(
        "footage",
        sa.Column("institution_id", sa.String(length=64), nullable=False),
        sa.Column("camera_id", sa.String(length=64), nullable=False),
        sa.Column("upto_at", sa.BigInteger(), nullable=False),
        sa.Column("since_at", sa.BigInteger(), nullable=False),
        *more,
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["institution_id"], ["institution.id"], name="fk_footage_institution_id_institution"),
        sa.PrimaryKeyConstraint("institution_id", "camera_id", name="pk_footage"),
    )
