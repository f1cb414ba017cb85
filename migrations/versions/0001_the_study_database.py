"""The study database."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0001"
down_revision: str | None = None
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "study",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("seed", sa.Integer(), nullable=False),
        sa.Column("design_hash", sa.String(length=64), nullable=False),
        sa.Column("design", sa.JSON(), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("study_file", sa.Text(), nullable=False),
        sa.Column("secret", sa.String(length=64), nullable=False),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_study")),
        sa.UniqueConstraint("name", name=op.f("uq_study_name")),
    )
    op.create_table(
        "worker",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("crowd", sa.String(length=24), nullable=False),
        sa.Column(
            "environment",
            sa.Enum(
                "sandbox",
                "production",
                "simulated",
                name=op.f("ck_worker_environment"),
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("external_id", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_worker")),
        sa.UniqueConstraint(
            "crowd",
            "environment",
            "external_id",
            name=op.f("uq_worker_crowd_environment_external_id"),
        ),
    )
    op.create_table(
        "event",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], name=op.f("fk_event_study_id_study")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event")),
    )
    op.create_index(op.f("ix_event_study_id"), "event", ["study_id"], unique=False)

    op.create_table(
        "hit",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("crowd", sa.String(length=24), nullable=False),
        sa.Column(
            "environment",
            sa.Enum(
                "sandbox",
                "production",
                "simulated",
                name=op.f("ck_hit_environment"),
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("token", sa.String(length=64), nullable=False),
        sa.Column("external_id", sa.String(length=255), nullable=True),
        sa.Column(
            "state",
            sa.Enum(
                "intended",
                "done",
                "failed",
                name=op.f("ck_hit_call_state"),
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("max_assignments", sa.Integer(), nullable=False),
        sa.Column("reward_cents", sa.Integer(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], name=op.f("fk_hit_study_id_study")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hit")),
        sa.UniqueConstraint(
            "crowd", "environment", "token", name=op.f("uq_hit_crowd_environment_token")
        ),
    )
    op.create_index(op.f("ix_hit_external_id"), "hit", ["external_id"], unique=False)

    op.create_table(
        "plan_batch",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("seed", sa.Integer(), nullable=False),
        sa.Column("rule", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["study_id"], ["study.id"], name=op.f("fk_plan_batch_study_id_study")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_plan_batch")),
        sa.UniqueConstraint("study_id", "number", name=op.f("uq_plan_batch_study_id_number")),
    )
    op.create_table(
        "question",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["study_id"], ["study.id"], name=op.f("fk_question_study_id_study")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_question")),
        sa.UniqueConstraint("study_id", "name", name=op.f("uq_question_study_id_name")),
    )
    op.create_table(
        "source",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("hidden", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], name=op.f("fk_source_study_id_study")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_source")),
        sa.UniqueConstraint("study_id", "name", name=op.f("uq_source_study_id_name")),
    )
    op.create_table(
        "assignment",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("hit_id", sa.Integer(), nullable=False),
        sa.Column("worker_id", sa.Integer(), nullable=False),
        sa.Column("crowd", sa.String(length=24), nullable=False),
        sa.Column(
            "environment",
            sa.Enum(
                "sandbox",
                "production",
                "simulated",
                name=op.f("ck_assignment_environment"),
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("external_id", sa.String(length=255), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "accepted",
                "submitted",
                "approved",
                "rejected",
                "returned",
                "withdrawn",
                name=op.f("ck_assignment_assignment_status"),
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("completion_code", sa.String(length=64), nullable=False),
        sa.Column("environment_details", sa.JSON(), nullable=False),
        sa.Column("survey", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["hit_id"], ["hit.id"], name=op.f("fk_assignment_hit_id_hit")),
        sa.ForeignKeyConstraint(
            ["study_id"], ["study.id"], name=op.f("fk_assignment_study_id_study")
        ),
        sa.ForeignKeyConstraint(
            ["worker_id"], ["worker.id"], name=op.f("fk_assignment_worker_id_worker")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assignment")),
        sa.UniqueConstraint(
            "crowd",
            "environment",
            "external_id",
            "worker_id",
            name=op.f("uq_assignment_crowd_environment_external_id_worker_id"),
        ),
    )
    op.create_index(op.f("ix_assignment_study_id"), "assignment", ["study_id"], unique=False)
    op.create_index(op.f("ix_assignment_worker_id"), "assignment", ["worker_id"], unique=False)

    op.create_table(
        "clip",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=400), nullable=False),
        sa.Column("category", sa.String(length=64), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("frames", sa.Integer(), nullable=False),
        sa.Column("fps", sa.Double(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("item", sa.String(length=400), nullable=False),
        sa.Column("prompt", sa.Text(), nullable=False),
        sa.Column("origin_video", sa.String(length=400), nullable=False),
        sa.Column("origin_frame", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["source_id"], ["source.id"], name=op.f("fk_clip_source_id_source")
        ),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], name=op.f("fk_clip_study_id_study")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clip")),
        sa.UniqueConstraint("study_id", "name", name=op.f("uq_clip_study_id_name")),
    )
    op.create_table(
        "consent",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("assignment_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.Column("text_sha256", sa.String(length=64), nullable=False),
        sa.Column("given_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["assignment_id"], ["assignment.id"], name=op.f("fk_consent_assignment_id_assignment")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent")),
        sa.UniqueConstraint(
            "assignment_id", "version", name=op.f("uq_consent_assignment_id_version")
        ),
    )
    op.create_table(
        "pair",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("clip_a_id", sa.Integer(), nullable=False),
        sa.Column("clip_b_id", sa.Integer(), nullable=False),
        sa.Column("source_a", sa.String(length=64), nullable=False),
        sa.Column("source_b", sa.String(length=64), nullable=False),
        sa.Column("category", sa.String(length=64), nullable=False),
        sa.Column("item", sa.String(length=400), nullable=False),
        sa.Column("padded_bytes", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["clip_a_id"], ["clip.id"], name=op.f("fk_pair_clip_a_id_clip")),
        sa.ForeignKeyConstraint(["clip_b_id"], ["clip.id"], name=op.f("fk_pair_clip_b_id_clip")),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], name=op.f("fk_pair_study_id_study")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pair")),
        sa.UniqueConstraint(
            "study_id", "clip_a_id", "clip_b_id", name=op.f("uq_pair_study_id_clip_a_id_clip_b_id")
        ),
    )
    op.create_table(
        "payment",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("assignment_id", sa.Integer(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "reward",
                "bonus",
                "fee",
                name=op.f("ck_payment_payment_kind"),
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("cents", sa.Integer(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("token", sa.String(length=64), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "intended",
                "done",
                "failed",
                name=op.f("ck_payment_call_state"),
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("cents >= 0", name=op.f("ck_payment_cents")),
        sa.ForeignKeyConstraint(
            ["assignment_id"], ["assignment.id"], name=op.f("fk_payment_assignment_id_assignment")
        ),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], name=op.f("fk_payment_study_id_study")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment")),
        sa.UniqueConstraint("token", name=op.f("uq_payment_token")),
    )
    op.create_table(
        "review",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("assignment_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column(
            "decision",
            sa.Enum(
                "approve",
                "reject",
                name=op.f("ck_review_review_decision"),
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "intended",
                "done",
                "failed",
                name=op.f("ck_review_call_state"),
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["assignment_id"], ["assignment.id"], name=op.f("fk_review_assignment_id_assignment")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review")),
        sa.UniqueConstraint("assignment_id", "number", name=op.f("uq_review_assignment_id_number")),
    )
    op.create_table(
        "stimulus",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("clip_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("padded_bytes", sa.Integer(), nullable=False),
        sa.Column("mime", sa.String(length=32), nullable=False),
        sa.Column("layout", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["clip_id"], ["clip.id"], name=op.f("fk_stimulus_clip_id_clip")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stimulus")),
        sa.UniqueConstraint(
            "clip_id", "padded_bytes", name=op.f("uq_stimulus_clip_id_padded_bytes")
        ),
        sa.UniqueConstraint("key", name=op.f("uq_stimulus_key")),
    )
    op.create_table(
        "trial",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("batch_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("pair_id", sa.Integer(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "test",
                "gold",
                "practice",
                "repeat",
                "identical",
                name=op.f("ck_trial_trial_kind"),
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("a_is_left", sa.Boolean(), nullable=False),
        sa.Column(
            "correct",
            sa.Enum(
                "left",
                "right",
                name=op.f("ck_trial_side"),
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=True,
        ),
        sa.Column("repeat_of_id", sa.Integer(), nullable=True),
        sa.Column("free", sa.Boolean(), nullable=False),
        sa.Column("turn", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["plan_batch.id"], name=op.f("fk_trial_batch_id_plan_batch")
        ),
        sa.ForeignKeyConstraint(["pair_id"], ["pair.id"], name=op.f("fk_trial_pair_id_pair")),
        sa.ForeignKeyConstraint(
            ["repeat_of_id"], ["trial.id"], name=op.f("fk_trial_repeat_of_id_trial")
        ),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], name=op.f("fk_trial_study_id_study")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trial")),
        sa.UniqueConstraint("batch_id", "number", name=op.f("uq_trial_batch_id_number")),
    )
    op.create_index(op.f("ix_trial_study_id_kind"), "trial", ["study_id", "kind"], unique=False)
    op.create_index(
        op.f("ix_trial_study_id_turn_free"),
        "trial",
        ["study_id", "turn"],
        unique=False,
        sqlite_where=sa.text("free = 1"),
        postgresql_where=sa.text("free"),
    )

    op.create_table(
        "showing",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("assignment_id", sa.Integer(), nullable=False),
        sa.Column("trial_id", sa.Integer(), nullable=False),
        sa.Column("worker_id", sa.Integer(), nullable=False),
        sa.Column("pair_id", sa.Integer(), nullable=False),
        sa.Column("repeat", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "leased",
                "answered",
                "expired",
                "returned",
                "withdrawn",
                name=op.f("ck_showing_showing_status"),
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("leased_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["assignment_id"], ["assignment.id"], name=op.f("fk_showing_assignment_id_assignment")
        ),
        sa.ForeignKeyConstraint(["pair_id"], ["pair.id"], name=op.f("fk_showing_pair_id_pair")),
        sa.ForeignKeyConstraint(["trial_id"], ["trial.id"], name=op.f("fk_showing_trial_id_trial")),
        sa.ForeignKeyConstraint(
            ["worker_id"], ["worker.id"], name=op.f("fk_showing_worker_id_worker")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_showing")),
        sa.UniqueConstraint(
            "assignment_id", "position", name=op.f("uq_showing_assignment_id_position")
        ),
        sa.UniqueConstraint(
            "worker_id", "pair_id", "repeat", name=op.f("uq_showing_worker_id_pair_id_repeat")
        ),
    )
    op.create_index(
        op.f("ix_showing_status_expires_at"), "showing", ["status", "expires_at"], unique=False
    )
    op.create_index(op.f("ix_showing_trial_id"), "showing", ["trial_id"], unique=False)
    op.create_index(
        op.f("uq_showing_trial_id_live"),
        "showing",
        ["trial_id"],
        unique=True,
        sqlite_where=sa.text("status = 'leased'"),
        postgresql_where=sa.text("status = 'leased'"),
    )

    op.create_table(
        "judgment",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("showing_id", sa.Integer(), nullable=False),
        sa.Column("trial_id", sa.Integer(), nullable=False),
        sa.Column("question_id", sa.Integer(), nullable=False),
        sa.Column(
            "choice",
            sa.Enum(
                "left",
                "right",
                "tie",
                name=op.f("ck_judgment_choice"),
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("rt_ms", sa.Double(), nullable=False),
        sa.Column("clip_ms", sa.Double(), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "counted",
                "late",
                "returned",
                "withdrawn",
                name=op.f("ck_judgment_judgment_status"),
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.CheckConstraint("rt_ms >= 0", name=op.f("ck_judgment_rt_ms_not_negative")),
        sa.ForeignKeyConstraint(
            ["question_id"], ["question.id"], name=op.f("fk_judgment_question_id_question")
        ),
        sa.ForeignKeyConstraint(
            ["showing_id"], ["showing.id"], name=op.f("fk_judgment_showing_id_showing")
        ),
        sa.ForeignKeyConstraint(
            ["trial_id"], ["trial.id"], name=op.f("fk_judgment_trial_id_trial")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_judgment")),
        sa.UniqueConstraint(
            "showing_id", "question_id", name=op.f("uq_judgment_showing_id_question_id")
        ),
    )
    op.create_index(
        op.f("uq_judgment_trial_id_question_id_counted"),
        "judgment",
        ["trial_id", "question_id"],
        unique=True,
        sqlite_where=sa.text("status = 'counted'"),
        postgresql_where=sa.text("status = 'counted'"),
    )


def downgrade() -> None:
    op.drop_table("judgment")
    op.drop_table("showing")
    op.drop_table("trial")
    op.drop_table("stimulus")
    op.drop_table("review")
    op.drop_table("payment")
    op.drop_table("pair")
    op.drop_table("consent")
    op.drop_table("clip")
    op.drop_table("assignment")
    op.drop_table("source")
    op.drop_table("question")
    op.drop_table("plan_batch")
    op.drop_table("hit")
    op.drop_table("event")
    op.drop_table("worker")
    op.drop_table("study")
