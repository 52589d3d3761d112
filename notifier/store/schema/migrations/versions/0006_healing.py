"""Reads of balances that find what no event told: what was read, when, and what came of it."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    for name in ("confirmed_at", "mismatch_modified_at", "recheck_at", "recovered_at"):
        op.add_column("accounts", sa.Column(name, sa.BigInteger(), nullable=True))
    op.create_index("ix_accounts_modified", "accounts", ["modified_at", "id"], unique=False)
    op.create_index(
        "ix_accounts_recheck",
        "accounts",
        ["recheck_at"],
        unique=False,
        sqlite_where=sa.text("recheck_at IS NOT NULL"),
        postgresql_where=sa.text("recheck_at IS NOT NULL"),
    )
    op.add_column("notices", sa.Column("recovered", sa.Integer(), server_default="0", nullable=False))
    op.add_column("workers", sa.Column("live_connections", sa.Integer(), nullable=True))
    op.create_table(
        "sweeps",
        sa.Column("id", ID, nullable=False),
        sa.Column("why", sa.String(length=16), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("cursor_modified_at", sa.BigInteger(), nullable=True),
        sa.Column("cursor_account_ref", ID, nullable=True),
        sa.Column("again", sa.Integer(), server_default="0", nullable=False),
        sa.Column("read", sa.Integer(), server_default="0", nullable=False),
        sa.Column("failed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("recovered", sa.Integer(), server_default="0", nullable=False),
        sa.Column("unheard", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sweeps")),
    )
