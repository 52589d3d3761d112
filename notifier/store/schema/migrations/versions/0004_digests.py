"""Digests, and withdrawing for many accounts at once.

A delivery may now tell of no single account, and a card may carry the buttons of many: both tables are made anew, as
SQLite cannot change a column or a key. A withdrawal learns which balance report showed it; for those from before, the
first decrease at or after it stands in.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
OPEN = sa.text("state IN ('waiting', 'ready', 'sending')")

DELIVERY_COLUMNS = (
    "id, delivery_key, account_ref, target, receive_id_type, receive_id, state, rung, msg_type, body, degraded_reason, "
    "due_at, attempts, created_at, updated_at, first_tried_at, unknown_since, owner, reroute_reason, rerouted_from, "
    "message_id, chat_id, last_error, last_code, log_id, order_id"
)


def upgrade() -> None:
    _digests()
    _deliveries()
    _buttons()
    _withdrawals()
    _batches()


def _digests() -> None:
    op.create_table(
        "digest_schedules",
        sa.Column("digest", sa.String(length=32), nullable=False),
        sa.Column("known_since", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_digest_clocks")),
    )
    op.create_table(
        "digest_runs",
        sa.Column("id", ID, nullable=False),
        sa.Column("digest", sa.String(length=32), nullable=False),
        sa.Column("period", sa.String(length=64), nullable=False),
        sa.Column("recipient", sa.String(length=64), nullable=False),
        sa.Column("edition", sa.Integer(), server_default="0", nullable=False),
        sa.Column("from_at", sa.BigInteger(), nullable=False),
        sa.Column("to_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("content", sa.Text(), nullable=True),
        sa.Column("last_account_ref", ID, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_digest_runs")),
        sa.UniqueConstraint(
            "digest",
            "period",
            "recipient",
            "edition",
            name=op.f("uq_digest_runs_digest_period_recipient_edition"),
        ),
    )
    op.create_index("ix_digest_runs_created", "digest_runs", ["created_at"], unique=False)
    op.create_table(
        "digest_files",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("packed", sa.LargeBinary(), nullable=True),
        sa.Column("file_key", sa.String(length=128), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_digest_files")),
    )


def _deliveries() -> None:
    op.create_table(
        "deliveries_anew",
        sa.Column("id", ID, nullable=False),
        sa.Column("delivery_key", sa.String(length=40), nullable=False),
        sa.Column("account_ref", ID, nullable=True),
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
        sa.Column("order_id", sa.String(length=64), nullable=True),
        sa.Column("run_id", ID, nullable=True),
        sa.Column("file_id", ID, nullable=True),
        sa.ForeignKeyConstraint(["account_ref"], ["accounts.id"], name=op.f("fk_deliveries_account_ref")),
        sa.ForeignKeyConstraint(
            ["rerouted_from"], ["deliveries.id"], name=op.f("fk_deliveries_rerouted_from")
        ),
        sa.ForeignKeyConstraint(["run_id"], ["digest_runs.id"], name=op.f("fk_deliveries_run_id")),
        sa.ForeignKeyConstraint(["file_id"], ["digest_files.id"], name=op.f("fk_deliveries_file_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
        sa.UniqueConstraint("delivery_key", name=op.f("uq_deliveries_delivery_key")),
    )
    _take_over("deliveries", DELIVERY_COLUMNS)
    for name, columns, where in (
        ("ix_deliveries_account_target", ["account_ref", "target"], OPEN),
        ("ix_deliveries_recipient_queue", ["receive_id", "id"], OPEN),
        ("ix_deliveries_open", ["state", "id"], OPEN),
        ("ix_deliveries_order", ["order_id"], sa.text("order_id IS NOT NULL")),
        ("ix_deliveries_run", ["run_id"], sa.text("run_id IS NOT NULL")),
        ("ix_deliveries_degraded", ["updated_at"], sa.text("degraded_reason IS NOT NULL")),
    ):
        op.create_index(name, "deliveries", columns, unique=False, sqlite_where=where, postgresql_where=where)
    op.create_index("ix_deliveries_state", "deliveries", ["state", "updated_at"], unique=False)


def _buttons() -> None:
    op.create_table(
        "buttons_anew",
        sa.Column("ref", sa.String(length=40), nullable=False),
        sa.Column("delivery_id", ID, nullable=False),
        sa.Column("account_ref", ID, nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("drawn_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_ref"], ["accounts.id"], name=op.f("fk_buttons_account_ref")),
        sa.ForeignKeyConstraint(["delivery_id"], ["deliveries.id"], name=op.f("fk_buttons_delivery_id")),
        sa.PrimaryKeyConstraint("ref", name=op.f("pk_buttons")),
        sa.UniqueConstraint(
            "delivery_id",
            "account_ref",
            "epoch",
            name=op.f("uq_buttons_delivery_id_account_ref_epoch"),
        ),
    )
    _take_over("buttons", "ref, delivery_id, account_ref, epoch, drawn_at")
    op.create_index("ix_buttons_account", "buttons", ["account_ref", "epoch"], unique=False)


def _take_over(table: str, columns: str) -> None:
    op.execute(f"INSERT INTO {table}_anew ({columns}) SELECT {columns} FROM {table}")  # noqa: S608 - our own names
    op.drop_table(table)
    op.rename_table(f"{table}_anew", table)


def _withdrawals() -> None:
    op.add_column("withdrawals", sa.Column("ledger_modified_at", sa.BigInteger(), nullable=True))
    op.create_index("ix_withdrawals_in_ledger", "withdrawals", ["ledger_modified_at"], unique=False)
    op.execute(
        "UPDATE withdrawals SET ledger_modified_at = (SELECT MIN(changes.modified_at) FROM changes"
        " WHERE changes.account_ref = withdrawals.account_ref AND changes.after < changes.before"
        " AND changes.modified_at >= COALESCE(withdrawals.withdrawn_at, withdrawals.requested_at) - 5000)"
        " WHERE is_in_ledger = 1"
    )


def _batches() -> None:
    op.create_table(
        "boards",
        sa.Column("ref", sa.String(length=40), nullable=False),
        sa.Column("delivery_id", ID, nullable=False),
        sa.Column("action", sa.String(length=8), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("drawn_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["delivery_id"], ["deliveries.id"], name=op.f("fk_boards_delivery_id")),
        sa.PrimaryKeyConstraint("ref", name=op.f("pk_boards")),
        sa.UniqueConstraint(
            "delivery_id", "action", "round", name=op.f("uq_boards_delivery_id_action_round")
        ),
    )
    op.create_table(
        "batches",
        sa.Column("id", ID, nullable=False),
        sa.Column("delivery_id", ID, nullable=False),
        sa.Column("click_key", sa.String(length=128), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("requested_by", sa.String(length=64), nullable=False),
        sa.Column("requested_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["delivery_id"], ["deliveries.id"], name=op.f("fk_batches_delivery_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batches")),
        sa.UniqueConstraint("click_key", name=op.f("uq_batches_click_key")),
        sa.UniqueConstraint("delivery_id", "round", name=op.f("uq_batches_delivery_id_round")),
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
        "batch_items",
        sa.Column("id", ID, nullable=False),
        sa.Column("batch_id", ID, nullable=False),
        sa.Column("account_ref", ID, nullable=False),
        sa.Column("button", sa.String(length=40), nullable=False),
        sa.Column("order_id", sa.String(length=64), nullable=True),
        sa.Column("left_out", sa.String(length=32), nullable=True),
        sa.ForeignKeyConstraint(["account_ref"], ["accounts.id"], name=op.f("fk_batch_items_account_ref")),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name=op.f("fk_batch_items_batch_id")),
        sa.ForeignKeyConstraint(["button"], ["buttons.ref"], name=op.f("fk_batch_items_button")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batch_items")),
        sa.UniqueConstraint("batch_id", "account_ref", name=op.f("uq_batch_items_batch_id_account_ref")),
    )
    op.create_index(
        "ix_batch_items_pending",
        "batch_items",
        ["id"],
        unique=False,
        sqlite_where=sa.text("order_id IS NULL AND left_out IS NULL"),
        postgresql_where=sa.text("order_id IS NULL AND left_out IS NULL"),
    )
