"""What officers decided on the views that sites propose."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "view_decision",
        sa.Column("institution_id", sa.String(length=64), nullable=False),
        sa.Column("proposal", sa.String(length=71), nullable=False),
        sa.Column("camera_id", sa.String(length=64), nullable=False),
        sa.Column("light", sa.String(length=40), nullable=False),
        sa.Column("view", sa.String(length=40), nullable=False),
        sa.Column("confirmed", sa.Boolean(), nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=False),
        sa.Column("decided_by", sa.String(length=64), nullable=False),
        sa.Column("settled_at", sa.BigInteger(), nullable=True),
        sa.Column("settled_by", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(
            ["institution_id"], ["institution.id"], name="fk_view_decision_institution_id_institution"
        ),
        sa.PrimaryKeyConstraint("institution_id", "proposal", name="pk_view_decision"),
    )


def downgrade() -> None:
    op.drop_table("view_decision")
