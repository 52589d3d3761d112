"""Every account's owner is asked for, and not only where a card waits for it: which ones are left."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_index(
        "ix_accounts_referrer_unknown",
        "accounts",
        ["lookup_due_at"],
        unique=False,
        sqlite_where=sa.text("looked_up_at IS NULL"),
        postgresql_where=sa.text("looked_up_at IS NULL"),
    )
