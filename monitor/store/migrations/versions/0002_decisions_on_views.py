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
    op.add_column("institution", sa.Column("views_waiting", sa.Integer(), server_default="0", nullable=False))
    op.create_index(
        "ix_institution_views",
        "institution",
        ["views_waiting"],
        unique=False,
        sqlite_where=sa.text("views_waiting > 0"),
        postgresql_where=sa.text("views_waiting > 0"),
    )


def downgrade() -> None:
    op.drop_index("ix_institution_views", table_name="institution")
    op.drop_column("institution", "views_waiting")
    op.drop_table("view_decision")
