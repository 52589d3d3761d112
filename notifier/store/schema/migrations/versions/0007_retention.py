"""What pruning looks rows up by: SQLite asks every table that points at a row before the row may go."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    for name, table, column, where in (
        ("ix_deliveries_rerouted", "deliveries", "rerouted_from", "rerouted_from IS NOT NULL"),
        ("ix_deliveries_file", "deliveries", "file_id", "file_id IS NOT NULL"),
        ("ix_delivery_notices_notice", "delivery_notices", "notice_id", None),
        ("ix_withdrawals_delivery", "withdrawals", "delivery_id", None),
        ("ix_digest_runs_content", "digest_runs", "created_at", "content IS NOT NULL"),
        ("ix_batch_items_button_ref", "batch_items", "button", None),
    ):
        condition = None if where is None else sa.text(where)
        op.create_index(name, table, [column], sqlite_where=condition, postgresql_where=condition)
