"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "jurisdiction",
        sa.Column("code", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("level", sa.String(length=40), nullable=False),
        sa.Column("parent", sa.String(length=16), nullable=True),
        sa.ForeignKeyConstraint(["parent"], ["jurisdiction.code"], name="fk_jurisdiction_parent_jurisdiction"),
        sa.PrimaryKeyConstraint("code", name="pk_jurisdiction"),
    )
    op.create_index("ix_jurisdiction_parent", "jurisdiction", ["parent"], unique=False)
    op.create_table(
        "listening",
        sa.Column("since_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("until_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("since_at", name="pk_listening"),
    )
    op.create_table(
        "user_account",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("password_hash", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_user_account"),
    )
    op.create_table(
        "api_token",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("user_name", sa.String(length=64), nullable=False),
        sa.Column("label", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["user_name"], ["user_account.name"], name="fk_api_token_user_name_user_account"),
        sa.PrimaryKeyConstraint("token_hash", name="pk_api_token"),
    )
    op.create_index("ix_api_token_user_name", "api_token", ["user_name"], unique=False)
    op.create_table(
        "institution",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("timezone", sa.String(length=64), nullable=False),
        sa.Column("jurisdiction", sa.String(length=16), nullable=True),
        sa.Column("regulation", sa.String(length=64), nullable=False),
        sa.Column("approved_inventory", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("last_report_at", sa.BigInteger(), nullable=True),
        sa.Column("evaluate_due_at", sa.BigInteger(), nullable=True),
        sa.Column("evaluated_at", sa.BigInteger(), nullable=True),
        sa.Column("evaluation", sa.Integer(), nullable=False),
        sa.Column("open_findings", sa.Integer(), nullable=False),
        sa.Column("breached", sa.Integer(), nullable=False),
        sa.Column("undetermined", sa.Integer(), nullable=False),
        sa.Column("met", sa.Integer(), nullable=False),
        sa.Column("silent", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["jurisdiction"], ["jurisdiction.code"], name="fk_institution_jurisdiction_jurisdiction"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_institution"),
    )
    op.create_index(
        "ix_institution_due",
        "institution",
        ["evaluate_due_at"],
        unique=False,
        sqlite_where=sa.text("evaluate_due_at IS NOT NULL"),
        postgresql_where=sa.text("evaluate_due_at IS NOT NULL"),
    )
    op.create_index("ix_institution_jurisdiction", "institution", ["jurisdiction"], unique=False)
    op.create_index(
        "ix_institution_worst",
        "institution",
        [
            sa.literal_column("open_findings DESC"),
            sa.literal_column("breached DESC"),
            sa.literal_column("undetermined DESC"),
            "id",
        ],
        unique=False,
    )
    op.create_table(
        "user_session",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("user_name", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["user_name"], ["user_account.name"], name="fk_user_session_user_name_user_account"),
        sa.PrimaryKeyConstraint("token_hash", name="pk_user_session"),
    )
    op.create_index("ix_user_session_expires_at", "user_session", ["expires_at"], unique=False)
    op.create_index("ix_user_session_user_name", "user_session", ["user_name"], unique=False)
    op.create_table(
        "agent",
        sa.Column("institution_id", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("enrolled_at", sa.BigInteger(), nullable=False),
        sa.Column("last_report_at", sa.BigInteger(), nullable=True),
        sa.Column("reports", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.String(length=40), nullable=True),
        sa.Column("silent_due_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["institution_id"], ["institution.id"], name="fk_agent_institution_id_institution"),
        sa.PrimaryKeyConstraint("institution_id", "id", name="pk_agent"),
    )
    op.create_index(
        "ix_agent_silent_due",
        "agent",
        ["silent_due_at"],
        unique=False,
        sqlite_where=sa.text("silent_due_at IS NOT NULL"),
        postgresql_where=sa.text("silent_due_at IS NOT NULL"),
    )
    op.create_table(
        "enrolment",
        sa.Column("code_hash", sa.String(length=64), nullable=False),
        sa.Column("institution_id", sa.String(length=64), nullable=False),
        sa.Column("agent_id", sa.String(length=64), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["institution_id"], ["institution.id"], name="fk_enrolment_institution_id_institution"),
        sa.PrimaryKeyConstraint("code_hash", name="pk_enrolment"),
    )
    op.create_index("ix_enrolment_institution_id", "enrolment", ["institution_id"], unique=False)
    op.create_table(
        "finding",
        sa.Column("institution_id", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("requirement", sa.String(length=40), nullable=False),
        sa.Column("subject_kind", sa.String(length=40), nullable=False),
        sa.Column("subject_id", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("stage", sa.String(length=40), nullable=False),
        sa.Column("began_at", sa.BigInteger(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("citation", sa.Text(), nullable=False),
        sa.Column("citation_zh", sa.Text(), nullable=False),
        sa.Column("measured", sa.Text(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("regulation", sa.String(length=64), nullable=False),
        sa.Column("regulation_version", sa.Integer(), nullable=False),
        sa.Column("changes", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["institution_id"], ["institution.id"], name="fk_finding_institution_id_institution"),
        sa.PrimaryKeyConstraint("institution_id", "id", name="pk_finding"),
    )
    op.create_index("ix_finding_id", "finding", ["id"], unique=False)
    op.create_index(
        "ix_finding_open",
        "finding",
        ["requirement"],
        unique=False,
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_index("ix_finding_opened_at_id", "finding", ["opened_at", "id"], unique=False)
    op.create_table(
        "footage",
        sa.Column("institution_id", sa.String(length=64), nullable=False),
        sa.Column("camera_id", sa.String(length=64), nullable=False),
        sa.Column("upto_at", sa.BigInteger(), nullable=False),
        sa.Column("since_at", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["institution_id"], ["institution.id"], name="fk_footage_institution_id_institution"),
        sa.PrimaryKeyConstraint("institution_id", "camera_id", name="pk_footage"),
    )
    op.create_table(
        "instant",
        sa.Column("institution_id", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=71), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("subject_kind", sa.String(length=40), nullable=False),
        sa.Column("subject_id", sa.String(length=64), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["institution_id"], ["institution.id"], name="fk_instant_institution_id_institution"),
        sa.PrimaryKeyConstraint("institution_id", "digest", name="pk_instant"),
    )
    op.create_index(
        "ix_instant_subject", "instant", ["institution_id", "kind", "subject_kind", "subject_id", "at"], unique=False
    )
    op.create_index("ix_instant_time", "instant", ["institution_id", "at", "digest"], unique=False)
    op.create_table(
        "run",
        sa.Column("institution_id", sa.String(length=64), nullable=False),
        sa.Column("requirement", sa.String(length=40), nullable=False),
        sa.Column("subject_kind", sa.String(length=40), nullable=False),
        sa.Column("subject_id", sa.String(length=64), nullable=False),
        sa.Column("first_at", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("began_at", sa.BigInteger(), nullable=True),
        sa.Column("because_of", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["institution_id"], ["institution.id"], name="fk_run_institution_id_institution"),
        sa.PrimaryKeyConstraint(
            "institution_id", "requirement", "subject_kind", "subject_id", "first_at", name="pk_run"
        ),
    )
    op.create_table(
        "span",
        sa.Column("institution_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("subject_kind", sa.String(length=40), nullable=False),
        sa.Column("subject_id", sa.String(length=64), nullable=False),
        sa.Column("lane", sa.String(length=160), nullable=False),
        sa.Column("start_at", sa.BigInteger(), nullable=False),
        sa.Column("end_at", sa.BigInteger(), nullable=False),
        sa.Column("newest", sa.Text(), nullable=False),
        sa.Column("lasting", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["institution_id"], ["institution.id"], name="fk_span_institution_id_institution"),
        sa.PrimaryKeyConstraint(
            "institution_id", "kind", "subject_kind", "subject_id", "lane", "start_at", name="pk_span"
        ),
    )
    op.create_index("ix_span_institution_id_end_at", "span", ["institution_id", "end_at"], unique=False)
    op.create_table(
        "verdict",
        sa.Column("institution_id", sa.String(length=64), nullable=False),
        sa.Column("requirement", sa.String(length=40), nullable=False),
        sa.Column("subject_kind", sa.String(length=40), nullable=False),
        sa.Column("subject_id", sa.String(length=64), nullable=False),
        sa.Column("outcome", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("citation_zh", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["institution_id"], ["institution.id"], name="fk_verdict_institution_id_institution"),
        sa.PrimaryKeyConstraint("institution_id", "requirement", "subject_kind", "subject_id", name="pk_verdict"),
    )
    op.create_index("ix_verdict_requirement", "verdict", ["requirement"], unique=False)
    op.create_table(
        "waiver",
        sa.Column("institution_id", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["institution_id"], ["institution.id"], name="fk_waiver_institution_id_institution"),
        sa.PrimaryKeyConstraint("institution_id", "id", name="pk_waiver"),
    )
    op.create_table(
        "finding_change",
        sa.Column("institution_id", sa.String(length=64), nullable=False),
        sa.Column("finding_id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("began_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("measured", sa.Text(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["institution_id", "finding_id"],
            ["finding.institution_id", "finding.id"],
            name="fk_finding_change_institution_id_finding_id_finding",
        ),
        sa.PrimaryKeyConstraint("institution_id", "finding_id", "number", name="pk_finding_change"),
    )
    op.create_table(
        "notice",
        sa.Column("institution_id", sa.String(length=64), nullable=False),
        sa.Column("finding_id", sa.String(length=32), nullable=False),
        sa.Column("occasion", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.Column("taken_by", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["institution_id", "finding_id"],
            ["finding.institution_id", "finding.id"],
            name="fk_notice_institution_id_finding_id_finding",
        ),
        sa.PrimaryKeyConstraint("institution_id", "finding_id", "occasion", name="pk_notice"),
    )
    op.create_index(
        "ix_notice_due",
        "notice",
        ["due_at"],
        unique=False,
        sqlite_where=sa.text("due_at IS NOT NULL"),
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
    op.create_table(
        "report",
        sa.Column("institution_id", sa.String(length=64), nullable=False),
        sa.Column("agent_id", sa.String(length=64), nullable=False),
        sa.Column("boot", sa.String(length=32), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.String(length=71), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("written_at", sa.BigInteger(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["institution_id", "agent_id"],
            ["agent.institution_id", "agent.id"],
            name="fk_report_institution_id_agent_id_agent",
        ),
        sa.PrimaryKeyConstraint("institution_id", "agent_id", "boot", "sequence", name="pk_report"),
    )
    op.create_index("ix_report_institution_id_received_at", "report", ["institution_id", "received_at"], unique=False)


def downgrade() -> None:
    for table in (
        "report",
        "notice",
        "finding_change",
        "waiver",
        "verdict",
        "span",
        "run",
        "instant",
        "footage",
        "finding",
        "enrolment",
        "agent",
        "user_session",
        "institution",
        "api_token",
        "user_account",
        "listening",
        "jurisdiction",
    ):
        op.drop_table(table)  # its indexes go with it
