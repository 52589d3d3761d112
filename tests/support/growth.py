"""Makes a filled PostgreSQL store large: copies every row many times, each time an hour older and with other keys."""

import sqlalchemy as sa

from notifier.clock import HOUR_MS
from notifier.store.engine.database import Database
from notifier.store.schema.tables import deliveries, metadata, withdrawals

ID_STEP = 1_000_000
"""Added to each row number per copy."""
_TIMES = ("_at", "_since")
_LOOSE_IDS = {"inbox_id", "next_delivery_id", "missed_run_id", "last_account_ref"}
_LOOSE_KEYS = {"receive_id", "message_id"}
"""Columns that name rows of other tables without a foreign key, or that identify something outside."""


def multiply_rows(database: Database, copies: int) -> None:
    """Copy all rows, with the references among them, and let the server count what there is."""
    with database.engine.begin() as connection:
        for table in metadata.sorted_tables:
            columns = ", ".join(f'"{column.name}"' for column in table.columns)
            values = ", ".join(_copied(table, column) for column in table.columns)
            connection.exec_driver_sql(
                f'INSERT INTO "{table.name}" ({columns})'  # noqa: S608 - our own names
                f' SELECT {values} FROM "{table.name}", generate_series(1, {copies}) AS copy'
            )
        connection.exec_driver_sql("ANALYZE")


def settle_withdrawals(database: Database, *, now: int) -> None:
    """Makes one finished withdrawal for each account that has a card."""
    source = (
        sa.select(
            sa.cast(deliveries.c.account_ref, sa.String),
            deliveries.c.account_ref,
            sa.literal("cash"),
            sa.literal("withdrawn"),
            sa.literal(0),
            sa.literal("referrer"),
            sa.literal("ou"),
            sa.literal(now),
            sa.literal("[]"),
            sa.cast(deliveries.c.account_ref, sa.String),
            sa.func.min(deliveries.c.id),
            sa.literal(now),
            sa.literal(1),
            sa.literal(1),
        )
        .where(deliveries.c.account_ref.is_not(None))
        .group_by(deliveries.c.account_ref)
    )
    columns = (
        *("order_id", "account_ref", "kinds", "state", "withdrawal_count", "role", "requested_by"),
        *("requested_at", "agreed", "click_key", "delivery_id", "due_at", "attempts", "is_in_ledger"),
    )
    database.write(lambda c: c.execute(withdrawals.insert().from_select(columns, source)).close()).result()


def _copied(table: sa.Table, column: sa.Column[object]) -> str:
    unique = {
        each for key in table.constraints if isinstance(key, sa.UniqueConstraint) for each in key.columns
    }
    is_number = isinstance(column.type, sa.BigInteger | sa.Integer)
    name = f'"{column.name}"'
    if column.name.endswith(_TIMES):
        return f"{name} - copy * {HOUR_MS}"
    if is_number and (
        column.foreign_keys or column.name in _LOOSE_IDS or (column.primary_key and column.name == "id")
    ):
        return f"{name} + copy * {ID_STEP}"
    is_key = (
        column.foreign_keys
        or column.primary_key
        or column.unique
        or column in unique
        or column.name in _LOOSE_KEYS
    )
    if is_key and isinstance(column.type, sa.String) and column.name not in ("kind", "currency"):
        return f"{name} || '-' || copy"
    return name
