"""Payouts, and deliveries that tell of a withdrawal.

Withdrawals from before have no payout: somebody has paid them by hand, and handing them over now could pay twice.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "payouts",
        sa.Column("id", ID, nullable=False),
        sa.Column("order_id", sa.String(length=64), nullable=False),
        sa.Column("account_ref", ID, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("first_tried_at", sa.BigInteger(), nullable=True),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.Column("exported_at", sa.BigInteger(), nullable=True),
        sa.Column("settled_at", sa.BigInteger(), nullable=True),
        sa.Column("reported_at", sa.BigInteger(), nullable=True),
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
    op.create_index("ix_buttons_account", "buttons", ["account_ref", "epoch"], unique=False)
    op.add_column("deliveries", sa.Column("order_id", sa.String(length=64), nullable=True))
    op.create_index(
        "ix_deliveries_order",
        "deliveries",
        ["order_id"],
        unique=False,
        sqlite_where=sa.text("order_id IS NOT NULL"),
        postgresql_where=sa.text("order_id IS NOT NULL"),
    )
