"""From schema 0003 to 0004 with everything in it: two tables are made anew, and nothing is lost or points nowhere."""

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from notifier.errors import StoreOutdated
from notifier.store.engine.database import Database, make_engine
from notifier.store.schema import upgrade

BEFORE = """
INSERT INTO accounts (id, tenant_key, app_id, account_id) VALUES (1, 'tk', 'cli_x', '7000000000000000001');
INSERT INTO notices (id, notice_key, account_ref, reason, occurred_at, created_at, changes)
    VALUES (1, 'n', 1, 'change', 1, 1, '[]');
INSERT INTO deliveries (id, delivery_key, account_ref, target, state, rung, due_at, created_at, updated_at, order_id,
    message_id) VALUES (5, 'first', 1, 'referrer', 'rerouted', 'full', 1, 1, 1, NULL, NULL),
    (7, 'second', 1, 'referrer', 'sent', 'compact', 2, 2, 2, 'rn-1', 'om_7');
UPDATE deliveries SET rerouted_from = 5 WHERE id = 7;
INSERT INTO delivery_notices VALUES (7, 1);
INSERT INTO attempts (delivery_id, uuid, started_at) VALUES (7, 'u', 1);
INSERT INTO card_updates (delivery_id, wanted, due_at) VALUES (7, 1, 1);
INSERT INTO buttons (ref, delivery_id, account_ref, epoch, drawn_at) VALUES ('b', 7, 1, 0, 1);
INSERT INTO withdrawals (id, order_id, account_ref, kinds, state, epoch, role, requested_by, requested_at, click_key,
    delivery_id, due_at, taken, withdrawn_at, is_in_ledger) VALUES
    (1, 'rn-1', 1, 'cash', 'withdrawn', 0, 'referrer', 'ou', 9000, 'c', 7, 1, '[["cash","CNY","5"]]', 10000, 1),
    (2, 'rn-2', 1, 'cash', 'withdrawn', 1, 'referrer', 'ou', 90000, 'd', 7, 1, '[["cash","CNY","5"]]', 99000, 0);
INSERT INTO snapshots (id, account_ref, modified_at, reported_at, content) VALUES (1, 1, 11000, 1, '[]');
INSERT INTO changes (snapshot_id, account_ref, kind, currency, before, after, modified_at)
    VALUES (1, 1, 'cash', 'CNY', 50000, 0, 11000);
"""


def at_0003(tmp_path: Path, more: str = "") -> str:
    url = f"sqlite:///{tmp_path}/old.db"
    engine = make_engine(url)
    config = Config()
    config.set_main_option("script_location", str(upgrade.MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0003")
    with engine.begin() as connection:
        for statement in (BEFORE + more).split(";"):
            if statement.strip():
                connection.exec_driver_sql(statement)
    engine.dispose()
    return url


def rows(database: Database, query: str) -> list[Any]:
    with database.read() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(query)]


def test_everything_is_there_afterwards(tmp_path: Path) -> None:
    database = Database.open(at_0003(tmp_path))
    try:
        kept = rows(database, "SELECT id, delivery_key, rerouted_from, order_id, run_id FROM deliveries")
        assert [(5, "first", None, None, None), (7, "second", 5, "rn-1", None)] == kept
        assert [("b", 7, 1, 0)] == rows(database, "SELECT ref, delivery_id, account_ref, epoch FROM buttons")
        assert [(11000,), (None,)] == rows(database, "SELECT ledger_modified_at FROM withdrawals ORDER BY id")
        assert [] == rows(database, "PRAGMA foreign_key_check")
        assert [(1,)] == rows(database, "PRAGMA foreign_keys")
    finally:
        database.close()


def test_the_tables_made_anew_still_guard_what_points_at_them(tmp_path: Path) -> None:
    database = Database.open(at_0003(tmp_path))
    try:
        for statement in (
            "DELETE FROM deliveries WHERE id = 7",
            "INSERT INTO attempts (delivery_id, uuid, started_at) VALUES (99, 'u', 1)",
            "INSERT INTO buttons (ref, delivery_id, account_ref, epoch, drawn_at) VALUES ('c', 7, 1, 0, 1)",
        ):
            with pytest.raises(sa.exc.IntegrityError):
                database.write(lambda c, s=statement: c.exec_driver_sql(s).rowcount).result()  # type: ignore[misc]
    finally:
        database.close()


def test_a_database_that_does_not_hold_together_is_left_as_it_was(tmp_path: Path) -> None:
    """Rows that point nowhere, as after somebody deleted by hand: the upgrade says so and changes nothing."""
    url = at_0003(tmp_path)
    engine = make_engine(url)
    raw = engine.raw_connection()
    raw.driver_connection.execute("PRAGMA foreign_keys=OFF")  # type: ignore[union-attr]
    raw.driver_connection.execute("DELETE FROM notices")  # type: ignore[union-attr]
    raw.close()
    engine.dispose()

    with pytest.raises(
        StoreOutdated, match="does not hold together: a row of delivery_notices points nowhere"
    ):
        Database.open(url)
    again = make_engine(url)
    assert "0003" == upgrade.stored_version(again)
    again.dispose()
