"""The initial schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create all tables."""
    op.create_table(
        "accounts",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("tenant_key", sa.String(length=64), nullable=False),
        sa.Column("app_id", sa.String(length=64), nullable=False),
        sa.Column("account_id", sa.String(length=64), nullable=False),
        sa.Column("modified_at", sa.BigInteger(), nullable=True),
        sa.Column("reported_at", sa.BigInteger(), nullable=True),
        sa.Column("referrer_open_id", sa.String(length=64), nullable=True),
        sa.Column("referrer_name_zh", sa.Text(), server_default="", nullable=False),
        sa.Column("referrer_name_en", sa.Text(), server_default="", nullable=False),
        sa.Column("looked_up_at", sa.BigInteger(), nullable=True),
        sa.Column("lookup_due_at", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("waits_since", sa.BigInteger(), nullable=True),
        sa.Column("lookup_attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lookup_error", sa.Text(), nullable=True),
        sa.Column("deactivated_at", sa.BigInteger(), nullable=True),
        sa.Column("confirmed_at", sa.BigInteger(), nullable=True),
        sa.Column("mismatch_modified_at", sa.BigInteger(), nullable=True),
        sa.Column("recheck_at", sa.BigInteger(), nullable=True),
        sa.Column("recovered_modified_at", sa.BigInteger(), nullable=True),
        sa.Column("missed_run_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts")),
        sa.UniqueConstraint(
            "tenant_key", "app_id", "account_id", name=op.f("uq_accounts_tenant_key_app_id_account_id")
        ),
    )
    op.create_index(
        "ix_accounts_confirmed",
        "accounts",
        ["confirmed_at"],
        unique=False,
        sqlite_where=sa.text("confirmed_at IS NOT NULL"),
        postgresql_where=sa.text("confirmed_at IS NOT NULL"),
    )
    op.create_index("ix_accounts_modified", "accounts", ["modified_at", "id"], unique=False)
    op.create_index(
        "ix_accounts_recheck",
        "accounts",
        ["recheck_at"],
        unique=False,
        sqlite_where=sa.text("recheck_at IS NOT NULL"),
        postgresql_where=sa.text("recheck_at IS NOT NULL"),
    )
    op.create_index(
        "ix_accounts_referrer_unknown",
        "accounts",
        ["lookup_due_at"],
        unique=False,
        sqlite_where=sa.text("looked_up_at IS NULL"),
        postgresql_where=sa.text("looked_up_at IS NULL"),
    )
    op.create_index(
        "ix_accounts_waits",
        "accounts",
        ["lookup_due_at", "waits_since"],
        unique=False,
        sqlite_where=sa.text("waits_since IS NOT NULL"),
        postgresql_where=sa.text("waits_since IS NOT NULL"),
    )
    op.create_index("ix_accounts_referrer", "accounts", ["referrer_open_id"], unique=False)
    op.create_table(
        "answers",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("question_key", sa.String(length=160), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_answers")),
    )
    op.create_table(
        "questions",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("app_id", sa.String(length=64), nullable=False),
        sa.Column("question_key", sa.String(length=160), nullable=False),
        sa.Column("tenant_key", sa.String(length=64), nullable=False),
        sa.Column("open_id", sa.String(length=64), nullable=False),
        sa.Column("command", sa.String(length=16), nullable=False),
        sa.Column("treatment", sa.String(length=16), nullable=False),
        sa.Column("message_id", sa.String(length=64), server_default="", nullable=False),
        sa.Column("group_chat_id", sa.String(length=64), server_default="", nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("event_key", sa.String(length=128), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_questions")),
        sa.UniqueConstraint("question_key", "app_id", name=op.f("uq_questions_question_key_app_id")),
    )
    op.create_index(
        "ix_questions_new",
        "questions",
        ["due_at", "id"],
        unique=False,
        sqlite_where=sa.text("state = 'new'"),
        postgresql_where=sa.text("state = 'new'"),
    )
    op.create_index("ix_questions_person", "questions", ["open_id", "received_at"], unique=False)
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("action", sa.String(length=32), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("account_ref", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("order_id", sa.String(length=64), nullable=True),
        sa.Column("delivery_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("message_id", sa.String(length=64), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_index("ix_audit_account", "audit", ["account_ref", "id"], unique=False)
    op.create_index("ix_audit_order", "audit", ["order_id"], unique=False)
    op.create_table(
        "digest_files",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("compressed", sa.LargeBinary(), nullable=True),
        sa.Column("file_key", sa.String(length=128), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_digest_files")),
    )
    op.create_table(
        "digest_runs",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("digest", sa.String(length=32), nullable=False),
        sa.Column("period", sa.String(length=64), nullable=False),
        sa.Column("recipient", sa.String(length=64), nullable=False),
        sa.Column("correction_number", sa.Integer(), server_default="0", nullable=False),
        sa.Column("from_at", sa.BigInteger(), nullable=False),
        sa.Column("to_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("content", sa.Text(), nullable=True),
        sa.Column("last_account_ref", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_digest_runs")),
        sa.UniqueConstraint(
            "digest",
            "period",
            "recipient",
            "correction_number",
            name=op.f("uq_digest_runs_digest_period_recipient_correction_number"),
        ),
    )
    op.create_index(
        "ix_digest_runs_content",
        "digest_runs",
        ["created_at"],
        unique=False,
        sqlite_where=sa.text("content IS NOT NULL"),
        postgresql_where=sa.text("content IS NOT NULL"),
    )
    op.create_index("ix_digest_runs_created", "digest_runs", ["created_at"], unique=False)
    op.create_index("ix_digest_runs_recipient", "digest_runs", ["digest", "recipient", "to_at"], unique=False)
    op.create_table(
        "digest_schedules",
        sa.Column("digest", sa.String(length=32), nullable=False),
        sa.Column("registered_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_digest_schedules")),
    )
    op.create_table(
        "inbox",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("app_id", sa.String(length=64), nullable=False),
        sa.Column("event_key", sa.String(length=128), nullable=False),
        sa.Column("event_type", sa.String(length=128), nullable=False),
        sa.Column("tenant_key", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbox")),
        sa.UniqueConstraint("app_id", "event_key", name=op.f("uq_inbox_app_id_event_key")),
    )
    op.create_index(
        "ix_inbox_new",
        "inbox",
        ["id"],
        unique=False,
        sqlite_where=sa.text("state = 'new'"),
        postgresql_where=sa.text("state = 'new'"),
    )
    op.create_index(
        "ix_inbox_quarantined",
        "inbox",
        ["id"],
        unique=False,
        sqlite_where=sa.text("state = 'quarantined'"),
        postgresql_where=sa.text("state = 'quarantined'"),
    )
    op.create_table(
        "preferences",
        sa.Column("open_id", sa.String(length=64), nullable=False),
        sa.Column("frequency", sa.String(length=16), server_default="instant", nullable=False),
        sa.Column("quiet_begin", sa.Integer(), nullable=True),
        sa.Column("quiet_end", sa.Integer(), nullable=True),
        sa.Column("zone", sa.String(length=64), server_default="", nullable=False),
        sa.Column("language", sa.String(length=16), server_default="feishu", nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("open_id", name=op.f("pk_preferences")),
    )
    op.create_table(
        "rate_limits",
        sa.Column("name", sa.String(length=160), nullable=False),
        sa.Column("due_at_ms", sa.Float(), nullable=False),
        sa.Column("blocked_until", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_rate_limits")),
    )
    op.create_table(
        "recipients",
        sa.Column("receive_id", sa.String(length=128), nullable=False),
        sa.Column("next_delivery_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("next_at", sa.BigInteger(), nullable=True),
        sa.Column("not_before", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("receive_id", name=op.f("pk_recipients")),
    )
    op.create_index(
        "ix_recipients_next",
        "recipients",
        ["next_at", "next_delivery_id"],
        unique=False,
        sqlite_where=sa.text("next_at IS NOT NULL"),
        postgresql_where=sa.text("next_at IS NOT NULL"),
    )
    op.create_table(
        "reconciliation_runs",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("trigger", sa.String(length=16), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("cursor_modified_at", sa.BigInteger(), nullable=True),
        sa.Column("cursor_account_ref", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("is_rerun_requested", sa.Integer(), server_default="0", nullable=False),
        sa.Column("read", sa.Integer(), server_default="0", nullable=False),
        sa.Column("failed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("recovered", sa.Integer(), server_default="0", nullable=False),
        sa.Column("missed", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reconciliation_runs")),
    )
    op.create_table(
        "workers",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("worker_id", sa.String(length=40), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("heartbeat_at", sa.BigInteger(), nullable=False),
        sa.Column("trusted_at", sa.BigInteger(), nullable=True),
        sa.Column("stopped_at", sa.BigInteger(), nullable=True),
        sa.Column("connection_state", sa.String(length=24), nullable=False),
        sa.Column("connection_since", sa.BigInteger(), nullable=False),
        sa.Column("connection_detail", sa.Text(), nullable=True),
        sa.Column("last_event_at", sa.BigInteger(), nullable=True),
        sa.Column("foreign_connections", sa.Integer(), nullable=True),
        sa.Column("submits_payouts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("name", sa.String(length=255), server_default="", nullable=False),
        sa.Column("version", sa.String(length=40), server_default="", nullable=False),
        sa.Column("config_fingerprint", sa.String(length=64), server_default="", nullable=False),
        sa.Column("refused_event_at", sa.BigInteger(), nullable=True),
        sa.Column("reconnect_requested_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workers")),
        sa.UniqueConstraint("worker_id", name=op.f("uq_workers_worker_id")),
    )
    op.create_table(
        "leadership",
        sa.Column("name", sa.String(length=16), nullable=False),
        sa.Column("worker_id", sa.String(length=40), nullable=False),
        sa.Column("term", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leadership")),
    )
    op.create_table(
        "schema_info",
        sa.Column("version", sa.String(length=16), nullable=False),
        sa.Column("oldest_program", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_schema_info")),
    )
    op.create_table(
        "balances",
        sa.Column("account_ref", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("currency", sa.String(length=16), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_ref"], ["accounts.id"], name=op.f("fk_balances_account_ref")),
        sa.PrimaryKeyConstraint("account_ref", "kind", "currency", name=op.f("pk_balances")),
    )
    op.create_table(
        "deliveries",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("delivery_key", sa.String(length=40), nullable=False),
        sa.Column("account_ref", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("target", sa.String(length=64), nullable=False),
        sa.Column("receive_id_type", sa.String(length=16), server_default="", nullable=False),
        sa.Column("receive_id", sa.String(length=128), server_default="", nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("variant", sa.String(length=16), nullable=False),
        sa.Column("msg_type", sa.String(length=16), nullable=True),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("degraded_reason", sa.Text(), nullable=True),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("hold_reason", sa.String(length=16), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("first_tried_at", sa.BigInteger(), nullable=True),
        sa.Column("unknown_since", sa.BigInteger(), nullable=True),
        sa.Column("worker_id", sa.String(length=40), nullable=True),
        sa.Column("reroute_reason", sa.Text(), nullable=True),
        sa.Column("rerouted_from", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("message_id", sa.String(length=64), nullable=True),
        sa.Column("chat_id", sa.String(length=64), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("last_code", sa.Integer(), nullable=True),
        sa.Column("log_id", sa.String(length=128), nullable=True),
        sa.Column("order_id", sa.String(length=64), nullable=True),
        sa.Column("run_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("file_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("event_key", sa.String(length=128), nullable=True),
        sa.Column("event_at", sa.BigInteger(), nullable=True),
        sa.Column("corrects", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("answer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.ForeignKeyConstraint(["account_ref"], ["accounts.id"], name=op.f("fk_deliveries_account_ref")),
        sa.ForeignKeyConstraint(["answer_id"], ["answers.id"], name=op.f("fk_deliveries_answer_id")),
        sa.ForeignKeyConstraint(["file_id"], ["digest_files.id"], name=op.f("fk_deliveries_file_id")),
        sa.ForeignKeyConstraint(
            ["rerouted_from"], ["deliveries.id"], name=op.f("fk_deliveries_rerouted_from")
        ),
        sa.ForeignKeyConstraint(["run_id"], ["digest_runs.id"], name=op.f("fk_deliveries_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
        sa.UniqueConstraint("delivery_key", name=op.f("uq_deliveries_delivery_key")),
    )
    op.create_index(
        "ix_deliveries_account_target",
        "deliveries",
        ["account_ref", "target"],
        unique=False,
        sqlite_where=sa.text("state IN ('waiting', 'held', 'ready', 'sending')"),
        postgresql_where=sa.text("state IN ('waiting', 'held', 'ready', 'sending')"),
    )
    op.create_index(
        "ix_deliveries_answer",
        "deliveries",
        ["answer_id"],
        unique=False,
        sqlite_where=sa.text("answer_id IS NOT NULL"),
        postgresql_where=sa.text("answer_id IS NOT NULL"),
    )
    op.create_index(
        "ix_deliveries_corrects",
        "deliveries",
        ["corrects"],
        unique=False,
        sqlite_where=sa.text("corrects IS NOT NULL"),
        postgresql_where=sa.text("corrects IS NOT NULL"),
    )
    op.create_index(
        "ix_deliveries_degraded",
        "deliveries",
        ["updated_at"],
        unique=False,
        sqlite_where=sa.text("degraded_reason IS NOT NULL"),
        postgresql_where=sa.text("degraded_reason IS NOT NULL"),
    )
    op.create_index(
        "ix_deliveries_ended",
        "deliveries",
        ["state", "updated_at"],
        unique=False,
        sqlite_where=sa.text("state NOT IN ('waiting', 'held', 'ready', 'sending')"),
        postgresql_where=sa.text("state NOT IN ('waiting', 'held', 'ready', 'sending')"),
    )
    op.create_index(
        "ix_deliveries_file",
        "deliveries",
        ["file_id"],
        unique=False,
        sqlite_where=sa.text("file_id IS NOT NULL"),
        postgresql_where=sa.text("file_id IS NOT NULL"),
    )
    op.create_index(
        "ix_deliveries_held",
        "deliveries",
        ["due_at"],
        unique=False,
        sqlite_where=sa.text("state = 'held'"),
        postgresql_where=sa.text("state = 'held'"),
    )
    op.create_index(
        "ix_deliveries_held_for",
        "deliveries",
        ["receive_id", "id"],
        unique=False,
        sqlite_where=sa.text("state = 'held'"),
        postgresql_where=sa.text("state = 'held'"),
    )
    op.create_index(
        "ix_deliveries_order",
        "deliveries",
        ["order_id"],
        unique=False,
        sqlite_where=sa.text("order_id IS NOT NULL"),
        postgresql_where=sa.text("order_id IS NOT NULL"),
    )
    op.create_index(
        "ix_deliveries_ready",
        "deliveries",
        ["receive_id", "id"],
        unique=False,
        sqlite_where=sa.text("state = 'ready'"),
        postgresql_where=sa.text("state = 'ready'"),
    )
    op.create_index(
        "ix_deliveries_rerouted",
        "deliveries",
        ["rerouted_from"],
        unique=False,
        sqlite_where=sa.text("rerouted_from IS NOT NULL"),
        postgresql_where=sa.text("rerouted_from IS NOT NULL"),
    )
    op.create_index(
        "ix_deliveries_run",
        "deliveries",
        ["run_id"],
        unique=False,
        sqlite_where=sa.text("run_id IS NOT NULL"),
        postgresql_where=sa.text("run_id IS NOT NULL"),
    )
    op.create_index(
        "ix_deliveries_sending",
        "deliveries",
        ["receive_id"],
        unique=False,
        sqlite_where=sa.text("state = 'sending'"),
        postgresql_where=sa.text("state = 'sending'"),
    )
    op.create_table(
        "notices",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("notice_key", sa.String(length=64), nullable=False),
        sa.Column("account_ref", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("reason", sa.String(length=24), nullable=False),
        sa.Column("occurred_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("changes", sa.Text(), nullable=False),
        sa.Column("recovered", sa.Integer(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["account_ref"], ["accounts.id"], name=op.f("fk_notices_account_ref")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notices")),
        sa.UniqueConstraint("notice_key", name=op.f("uq_notices_notice_key")),
    )
    op.create_table(
        "snapshots",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("account_ref", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("modified_at", sa.BigInteger(), nullable=False),
        sa.Column("reported_at", sa.BigInteger(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("inbox_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.ForeignKeyConstraint(["account_ref"], ["accounts.id"], name=op.f("fk_snapshots_account_ref")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_snapshots")),
        sa.UniqueConstraint(
            "account_ref", "modified_at", "content", name=op.f("uq_snapshots_account_ref_modified_at_content")
        ),
    )
    op.create_table(
        "attempts",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("delivery_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("uuid", sa.String(length=50), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("outcome", sa.String(length=16), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("code", sa.Integer(), nullable=True),
        sa.Column("log_id", sa.String(length=128), nullable=True),
        sa.ForeignKeyConstraint(["delivery_id"], ["deliveries.id"], name=op.f("fk_attempts_delivery_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attempts")),
    )
    op.create_index("ix_attempts_delivery", "attempts", ["delivery_id"], unique=False)
    op.create_index("ix_attempts_started", "attempts", ["started_at", "ended_at"], unique=False)
    op.create_table(
        "batches",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("delivery_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("click_key", sa.String(length=128), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("requested_by", sa.String(length=64), nullable=False),
        sa.Column("requested_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["delivery_id"], ["deliveries.id"], name=op.f("fk_batches_delivery_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batches")),
        sa.UniqueConstraint("click_key", name=op.f("uq_batches_click_key")),
        sa.UniqueConstraint("delivery_id", "revision", name=op.f("uq_batches_delivery_id_revision")),
    )
    op.create_index(
        "ix_batches_running",
        "batches",
        ["delivery_id"],
        unique=True,
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_table(
        "buttons",
        sa.Column("ref", sa.String(length=40), nullable=False),
        sa.Column("delivery_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("account_ref", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("withdrawal_count", sa.Integer(), nullable=False),
        sa.Column("amounts", sa.Text(), nullable=False),
        sa.Column("offered_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_ref"], ["accounts.id"], name=op.f("fk_buttons_account_ref")),
        sa.ForeignKeyConstraint(["delivery_id"], ["deliveries.id"], name=op.f("fk_buttons_delivery_id")),
        sa.PrimaryKeyConstraint("ref", name=op.f("pk_buttons")),
        sa.UniqueConstraint(
            "delivery_id",
            "account_ref",
            "withdrawal_count",
            "amounts",
            name=op.f("uq_buttons_delivery_id_account_ref_withdrawal_count_amounts"),
        ),
    )
    op.create_index("ix_buttons_account", "buttons", ["account_ref", "withdrawal_count"], unique=False)
    op.create_table(
        "card_updates",
        sa.Column("delivery_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("requested_version", sa.Integer(), nullable=False),
        sa.Column("applied_version", sa.Integer(), server_default="0", nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("abandoned_reason", sa.Text(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["delivery_id"], ["deliveries.id"], name=op.f("fk_card_updates_delivery_id")),
        sa.PrimaryKeyConstraint("delivery_id", name=op.f("pk_card_updates")),
    )
    op.create_index(
        "ix_card_updates_pending",
        "card_updates",
        ["due_at"],
        unique=False,
        sqlite_where=sa.text("applied_version < requested_version AND abandoned_reason IS NULL"),
        postgresql_where=sa.text("applied_version < requested_version AND abandoned_reason IS NULL"),
    )
    op.create_table(
        "changes",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("snapshot_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("account_ref", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("currency", sa.String(length=16), nullable=False),
        sa.Column("before", sa.BigInteger(), nullable=False),
        sa.Column("after", sa.BigInteger(), nullable=False),
        sa.Column("modified_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_ref"], ["accounts.id"], name=op.f("fk_changes_account_ref")),
        sa.ForeignKeyConstraint(["snapshot_id"], ["snapshots.id"], name=op.f("fk_changes_snapshot_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_changes")),
        sa.UniqueConstraint(
            "snapshot_id", "kind", "currency", name=op.f("uq_changes_snapshot_id_kind_currency")
        ),
    )
    op.create_index("ix_changes_period", "changes", ["modified_at", "account_ref"], unique=False)
    op.create_table(
        "delivery_notices",
        sa.Column("delivery_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("notice_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["deliveries.id"], name=op.f("fk_delivery_notices_delivery_id")
        ),
        sa.ForeignKeyConstraint(["notice_id"], ["notices.id"], name=op.f("fk_delivery_notices_notice_id")),
        sa.PrimaryKeyConstraint("delivery_id", "notice_id", name=op.f("pk_delivery_notices")),
    )
    op.create_index("ix_delivery_notices_notice", "delivery_notices", ["notice_id"], unique=False)
    op.create_table(
        "panel_buttons",
        sa.Column("ref", sa.String(length=40), nullable=False),
        sa.Column("delivery_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("action", sa.String(length=8), nullable=False),
        sa.Column("revision", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["deliveries.id"], name=op.f("fk_panel_buttons_delivery_id")
        ),
        sa.PrimaryKeyConstraint("ref", name=op.f("pk_panel_buttons")),
        sa.UniqueConstraint(
            "delivery_id", "action", "revision", name=op.f("uq_panel_buttons_delivery_id_action_revision")
        ),
    )
    op.create_table(
        "withdrawals",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("order_id", sa.String(length=64), nullable=False),
        sa.Column("account_ref", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kinds", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("withdrawal_count", sa.Integer(), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("requested_by", sa.String(length=64), nullable=False),
        sa.Column("requested_at", sa.BigInteger(), nullable=False),
        sa.Column("agreed", sa.Text(), nullable=False),
        sa.Column("click_key", sa.String(length=128), nullable=False),
        sa.Column("delivery_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("worker_id", sa.String(length=40), nullable=True),
        sa.Column("expected", sa.Text(), nullable=True),
        sa.Column("withdrawn", sa.Text(), nullable=True),
        sa.Column("withdrawn_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("unknown_since", sa.BigInteger(), nullable=True),
        sa.Column("stuck_notified_at", sa.BigInteger(), nullable=True),
        sa.Column("is_in_ledger", sa.Integer(), server_default="0", nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("code", sa.Integer(), nullable=True),
        sa.Column("log_id", sa.String(length=128), nullable=True),
        sa.Column("ledger_modified_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["account_ref"], ["accounts.id"], name=op.f("fk_withdrawals_account_ref")),
        sa.ForeignKeyConstraint(["delivery_id"], ["deliveries.id"], name=op.f("fk_withdrawals_delivery_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_withdrawals")),
        sa.UniqueConstraint("click_key", name=op.f("uq_withdrawals_click_key")),
        sa.UniqueConstraint("order_id", name=op.f("uq_withdrawals_order_id")),
    )
    op.create_index("ix_withdrawals_account", "withdrawals", ["account_ref", "id"], unique=False)
    op.create_index("ix_withdrawals_delivery", "withdrawals", ["delivery_id"], unique=False)
    op.create_index("ix_withdrawals_in_ledger", "withdrawals", ["ledger_modified_at"], unique=False)
    op.create_index(
        "ix_withdrawals_unfinished",
        "withdrawals",
        ["account_ref"],
        unique=True,
        sqlite_where=sa.text("state = 'requested'"),
        postgresql_where=sa.text("state = 'requested'"),
    )
    op.create_table(
        "batch_items",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("batch_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("account_ref", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("button_ref", sa.String(length=40), nullable=False),
        sa.Column("order_id", sa.String(length=64), nullable=True),
        sa.Column("skip_reason", sa.String(length=32), nullable=True),
        sa.ForeignKeyConstraint(["account_ref"], ["accounts.id"], name=op.f("fk_batch_items_account_ref")),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name=op.f("fk_batch_items_batch_id")),
        sa.ForeignKeyConstraint(["button_ref"], ["buttons.ref"], name=op.f("fk_batch_items_button_ref")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batch_items")),
        sa.UniqueConstraint("batch_id", "account_ref", name=op.f("uq_batch_items_batch_id_account_ref")),
    )
    op.create_index("ix_batch_items_button_ref", "batch_items", ["button_ref"], unique=False)
    op.create_index(
        "ix_batch_items_pending",
        "batch_items",
        ["id"],
        unique=False,
        sqlite_where=sa.text("order_id IS NULL AND skip_reason IS NULL"),
        postgresql_where=sa.text("order_id IS NULL AND skip_reason IS NULL"),
    )
    op.create_table(
        "payouts",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("order_id", sa.String(length=64), nullable=False),
        sa.Column("account_ref", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("first_tried_at", sa.BigInteger(), nullable=True),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.Column("exported_at", sa.BigInteger(), nullable=True),
        sa.Column("settled_at", sa.BigInteger(), nullable=True),
        sa.Column("unknown_since", sa.BigInteger(), nullable=True),
        sa.Column("reported_at", sa.BigInteger(), nullable=True),
        sa.Column("paid_reports", sa.Text(), nullable=True),
        sa.Column("reference", sa.String(length=128), server_default="", nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("late_notified_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["account_ref"], ["accounts.id"], name=op.f("fk_payouts_account_ref")),
        sa.ForeignKeyConstraint(["order_id"], ["withdrawals.order_id"], name=op.f("fk_payouts_order_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payouts")),
        sa.UniqueConstraint("order_id", name=op.f("uq_payouts_order_id")),
    )
    op.create_index("ix_payouts_created", "payouts", ["created_at"], unique=False)
    op.create_index("ix_payouts_state", "payouts", ["state", "due_at"], unique=False)
    op.create_table(
        "registrations",
        sa.Column("app_id", sa.String(length=64), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("account_ref", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("code", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["account_ref"], ["accounts.id"], name=op.f("fk_registrations_account_ref")),
        sa.PrimaryKeyConstraint("app_id", "fingerprint", name=op.f("pk_registrations")),
    )
