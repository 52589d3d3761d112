"""Withdrawals: buttons on cards, orders, cards to be changed, audit."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("id", ID, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("what", sa.String(length=32), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("account_ref", ID, nullable=True),
        sa.Column("order_id", sa.String(length=64), nullable=True),
        sa.Column("delivery_id", ID, nullable=True),
        sa.Column("message_id", sa.String(length=64), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_index("ix_audit_account", "audit", ["account_ref", "id"], unique=False)
    op.create_index("ix_audit_order", "audit", ["order_id"], unique=False)
    op.create_table(
        "buttons",
        sa.Column("ref", sa.String(length=40), nullable=False),
        sa.Column("delivery_id", ID, nullable=False),
        sa.Column("account_ref", ID, nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("drawn_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_ref"], ["accounts.id"], name=op.f("fk_buttons_account_ref")),
        sa.ForeignKeyConstraint(["delivery_id"], ["deliveries.id"], name=op.f("fk_buttons_delivery_id")),
        sa.PrimaryKeyConstraint("ref", name=op.f("pk_buttons")),
        sa.UniqueConstraint("delivery_id", "epoch", name=op.f("uq_buttons_delivery_id_epoch")),
    )
    op.create_table(
        "card_updates",
        sa.Column("delivery_id", ID, nullable=False),
        sa.Column("wanted", sa.Integer(), nullable=False),
        sa.Column("shown", sa.Integer(), server_default="0", nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("given_up", sa.Text(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["delivery_id"], ["deliveries.id"], name=op.f("fk_card_updates_delivery_id")),
        sa.PrimaryKeyConstraint("delivery_id", name=op.f("pk_card_updates")),
    )
    op.create_index(
        "ix_card_updates_pending",
        "card_updates",
        ["due_at"],
        unique=False,
        sqlite_where=sa.text("shown < wanted AND given_up IS NULL"),
        postgresql_where=sa.text("shown < wanted AND given_up IS NULL"),
    )
    op.create_table(
        "withdrawals",
        sa.Column("id", ID, nullable=False),
        sa.Column("order_id", sa.String(length=64), nullable=False),
        sa.Column("account_ref", ID, nullable=False),
        sa.Column("kinds", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("requested_by", sa.String(length=64), nullable=False),
        sa.Column("requested_at", sa.BigInteger(), nullable=False),
        sa.Column("click_key", sa.String(length=128), nullable=False),
        sa.Column("delivery_id", ID, nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("owner", sa.String(length=40), nullable=True),
        sa.Column("expected", sa.Text(), nullable=True),
        sa.Column("taken", sa.Text(), nullable=True),
        sa.Column("withdrawn_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("unknown_since", sa.BigInteger(), nullable=True),
        sa.Column("is_in_ledger", sa.Integer(), server_default="0", nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("code", sa.Integer(), nullable=True),
        sa.Column("log_id", sa.String(length=128), nullable=True),
        sa.ForeignKeyConstraint(["account_ref"], ["accounts.id"], name=op.f("fk_withdrawals_account_ref")),
        sa.ForeignKeyConstraint(["delivery_id"], ["deliveries.id"], name=op.f("fk_withdrawals_delivery_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_withdrawals")),
        sa.UniqueConstraint("click_key", name=op.f("uq_withdrawals_click_key")),
        sa.UniqueConstraint("order_id", name=op.f("uq_withdrawals_order_id")),
    )
    op.create_index("ix_withdrawals_account", "withdrawals", ["account_ref", "id"], unique=False)
    op.create_index(
        "ix_withdrawals_unfinished",
        "withdrawals",
        ["account_ref"],
        unique=True,
        sqlite_where=sa.text("state = 'requested'"),
        postgresql_where=sa.text("state = 'requested'"),
    )
    op.add_column("accounts", sa.Column("deactivated_at", sa.BigInteger(), nullable=True))
