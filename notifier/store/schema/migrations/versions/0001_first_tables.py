"""First tables: inbox, ledger, notices, outbox, gates, workers."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", ID, nullable=False),
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
        sa.Column("lookup_attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lookup_error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts")),
        sa.UniqueConstraint(
            "tenant_key", "app_id", "account_id", name=op.f("uq_accounts_tenant_key_app_id_account_id")
        ),
    )
    op.create_table(
        "gates",
        sa.Column("name", sa.String(length=160), nullable=False),
        sa.Column("due_at_ms", sa.Float(), nullable=False),
        sa.Column("blocked_until", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_gates")),
    )
    op.create_table(
        "inbox",
        sa.Column("id", ID, nullable=False),
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
        sqlite_where=sa.text("state = 'parked'"),
        postgresql_where=sa.text("state = 'parked'"),
    )
    op.create_table(
        "workers",
        sa.Column("owner", sa.String(length=40), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("heartbeat_at", sa.BigInteger(), nullable=False),
        sa.Column("stopped_at", sa.BigInteger(), nullable=True),
        sa.Column("connection", sa.String(length=24), nullable=False),
        sa.Column("connection_since", sa.BigInteger(), nullable=False),
        sa.Column("connection_detail", sa.Text(), nullable=True),
        sa.Column("last_event_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("owner", name=op.f("pk_workers")),
    )
    op.create_table(
        "balances",
        sa.Column("account_ref", ID, nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("currency", sa.String(length=16), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_ref"], ["accounts.id"], name=op.f("fk_balances_account_ref")),
        sa.PrimaryKeyConstraint("account_ref", "kind", "currency", name=op.f("pk_balances")),
    )
    op.create_table(
        "deliveries",
        sa.Column("id", ID, nullable=False),
        sa.Column("delivery_key", sa.String(length=40), nullable=False),
        sa.Column("account_ref", ID, nullable=False),
        sa.Column("target", sa.String(length=64), nullable=False),
        sa.Column("receive_id_type", sa.String(length=16), server_default="", nullable=False),
        sa.Column("receive_id", sa.String(length=128), server_default="", nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("rung", sa.String(length=16), nullable=False),
        sa.Column("msg_type", sa.String(length=16), nullable=True),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("degraded_reason", sa.Text(), nullable=True),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("first_tried_at", sa.BigInteger(), nullable=True),
        sa.Column("unknown_since", sa.BigInteger(), nullable=True),
        sa.Column("owner", sa.String(length=40), nullable=True),
        sa.Column("reroute_reason", sa.Text(), nullable=True),
        sa.Column("rerouted_from", ID, nullable=True),
        sa.Column("message_id", sa.String(length=64), nullable=True),
        sa.Column("chat_id", sa.String(length=64), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("last_code", sa.Integer(), nullable=True),
        sa.Column("log_id", sa.String(length=128), nullable=True),
        sa.ForeignKeyConstraint(["account_ref"], ["accounts.id"], name=op.f("fk_deliveries_account_ref")),
        sa.ForeignKeyConstraint(
            ["rerouted_from"], ["deliveries.id"], name=op.f("fk_deliveries_rerouted_from")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
        sa.UniqueConstraint("delivery_key", name=op.f("uq_deliveries_delivery_key")),
    )
    op.create_index(
        "ix_deliveries_account_target",
        "deliveries",
        ["account_ref", "target"],
        unique=False,
        sqlite_where=sa.text("state IN ('waiting', 'ready', 'sending')"),
        postgresql_where=sa.text("state IN ('waiting', 'ready', 'sending')"),
    )
    op.create_index(
        "ix_deliveries_recipient_queue",
        "deliveries",
        ["receive_id", "id"],
        unique=False,
        sqlite_where=sa.text("state IN ('waiting', 'ready', 'sending')"),
        postgresql_where=sa.text("state IN ('waiting', 'ready', 'sending')"),
    )
    op.create_index(
        "ix_deliveries_open",
        "deliveries",
        ["state", "id"],
        unique=False,
        sqlite_where=sa.text("state IN ('waiting', 'ready', 'sending')"),
        postgresql_where=sa.text("state IN ('waiting', 'ready', 'sending')"),
    )
    op.create_index(
        "ix_deliveries_degraded",
        "deliveries",
        ["updated_at"],
        unique=False,
        sqlite_where=sa.text("degraded_reason IS NOT NULL"),
        postgresql_where=sa.text("degraded_reason IS NOT NULL"),
    )
    op.create_index("ix_deliveries_state", "deliveries", ["state", "updated_at"], unique=False)
    op.create_table(
        "notices",
        sa.Column("id", ID, nullable=False),
        sa.Column("notice_key", sa.String(length=64), nullable=False),
        sa.Column("account_ref", ID, nullable=False),
        sa.Column("reason", sa.String(length=16), nullable=False),
        sa.Column("occurred_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("changes", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["account_ref"], ["accounts.id"], name=op.f("fk_notices_account_ref")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notices")),
        sa.UniqueConstraint("notice_key", name=op.f("uq_notices_notice_key")),
    )
    op.create_table(
        "snapshots",
        sa.Column("id", ID, nullable=False),
        sa.Column("account_ref", ID, nullable=False),
        sa.Column("modified_at", sa.BigInteger(), nullable=False),
        sa.Column("reported_at", sa.BigInteger(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("inbox_id", ID, nullable=True),
        sa.ForeignKeyConstraint(["account_ref"], ["accounts.id"], name=op.f("fk_snapshots_account_ref")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_snapshots")),
        sa.UniqueConstraint(
            "account_ref", "modified_at", "content", name=op.f("uq_snapshots_account_ref_modified_at_content")
        ),
    )
    op.create_table(
        "attempts",
        sa.Column("id", ID, nullable=False),
        sa.Column("delivery_id", ID, nullable=False),
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
    op.create_index("ix_attempts_started", "attempts", ["started_at"], unique=False)
    op.create_table(
        "changes",
        sa.Column("id", ID, nullable=False),
        sa.Column("snapshot_id", ID, nullable=False),
        sa.Column("account_ref", ID, nullable=False),
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
        sa.Column("delivery_id", ID, nullable=False),
        sa.Column("notice_id", ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["deliveries.id"], name=op.f("fk_delivery_notices_delivery_id")
        ),
        sa.ForeignKeyConstraint(["notice_id"], ["notices.id"], name=op.f("fk_delivery_notices_notice_id")),
        sa.PrimaryKeyConstraint("delivery_id", "notice_id", name=op.f("pk_delivery_notices")),
    )
