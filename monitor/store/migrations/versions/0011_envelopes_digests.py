"""An envelope's digest is of whichever algorithm it names, and may be longer than one of SHA-256."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_TABLES = ("report", "disputed_report")


def upgrade() -> None:
    _change(71, 160)


def downgrade() -> None:
    _change(160, 71)


def _change(before: int, after: int) -> None:
    if op.get_bind().dialect.name == "sqlite":
        return  # it holds no text to its length, and would copy all reports for it
    for table in _TABLES:
        op.alter_column(
            table, "digest", type_=sa.String(after), existing_type=sa.String(before), existing_nullable=False
        )
