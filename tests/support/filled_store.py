"""Fills the tables of a store in bulk, for benchmarks at a size that events would take hours to reach."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FIRST_ACCOUNT_ID = 7_000_000_000_000_000_000
"""The account with row id n has this number plus n as its id at Feishu."""
TENANT, APP = "tk", "cli_x"
HOUR_MS = 3_600_000

_NUMBERS = "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :count) "
"""Goes before each of the statements below, which add one row for each number from 1 to `count`."""

_ACCOUNTS = """\
INSERT INTO accounts (id, tenant_key, app_id, account_id, modified_at, reported_at, referrer_open_id,
    referrer_name_zh, looked_up_at)
    SELECT n, :tenant, :app, CAST(:first_id + n AS TEXT), :end, :end, 'ou_' || n, '同事' || n, :end FROM numbers"""
_BALANCES = "INSERT INTO balances SELECT n, 'cash', 'CNY', 10000 * :each FROM numbers"
_SNAPSHOTS = """\
INSERT INTO snapshots (id, account_ref, modified_at, reported_at, content)
    SELECT n, (n - 1) / :each + 1, :end - (:each - 1 - (n - 1) % :each) * :step,
    :end - (:each - 1 - (n - 1) % :each) * :step, '[["cash","CNY","' || ((n - 1) % :each + 1) || '"]]' FROM numbers"""
_CHANGES = """\
INSERT INTO changes (id, snapshot_id, account_ref, kind, currency, before, after, modified_at)
    SELECT n, n, (n - 1) / :each + 1, 'cash', 'CNY', 10000 * ((n - 1) % :each), 10000 * ((n - 1) % :each + 1),
    :end - (:each - 1 - (n - 1) % :each) * :step FROM numbers"""
_INBOX = """\
INSERT INTO inbox (id, app_id, event_key, event_type, tenant_key, created_at, received_at, payload, state)
    SELECT n, :app, hex(randomblob(16)), 'hire.referral_account.assets_update_v1', :tenant, :end, :end, x'7b7d', 'done'
    FROM numbers"""
_NOTICES = """\
INSERT INTO notices (id, notice_key, account_ref, reason, occurred_at, created_at, changes)
    SELECT n, hex(randomblob(16)), n, 'change', :end, :end, '[["cash","CNY","0","1"]]' FROM numbers"""
_DELIVERIES = """\
INSERT INTO deliveries (id, delivery_key, account_ref, target, receive_id_type, receive_id, state, variant,
    due_at, attempts, created_at, updated_at, message_id)
    SELECT n, lower(hex(randomblob(16))), n, 'referrer', 'open_id', 'ou_' || n, :state, 'full', :end, :attempts, :end,
    :end, CASE :state WHEN 'sent' THEN 'om_' || n END FROM numbers"""
_RECIPIENTS = """\
INSERT INTO recipients (receive_id, next_delivery_id, next_at) SELECT 'ou_' || n, n, :end FROM numbers"""
_DELIVERY_NOTICES = "INSERT INTO delivery_notices SELECT n, n FROM numbers"
_ATTEMPTS = """\
INSERT INTO attempts (id, delivery_id, uuid, started_at, ended_at, outcome)
    SELECT n, n, hex(randomblob(16)), :end, :end, 'sent' FROM numbers"""


def fill_history(path: Path, *, accounts: int, changes: int, end_ms: int) -> None:
    """Accounts with changes, evenly spread, and each account's newest event, notice and sent card.

    end_ms: when the newest changes happened.
    """
    each = changes // accounts
    values = _values(each=each, end=end_ms, state="sent", attempts=1)
    with _bulk(path) as connection:
        for statement in (_ACCOUNTS, _BALANCES, _INBOX, _NOTICES, _DELIVERIES, _DELIVERY_NOTICES, _ATTEMPTS):
            connection.execute(_NUMBERS + statement, values | {"count": accounts})
        for statement in (_SNAPSHOTS, _CHANGES):
            connection.execute(_NUMBERS + statement, values | {"count": accounts * each})


def fill_waiting(path: Path, *, recipients: int, end_ms: int) -> None:
    """A card that waits for each of so many recipients, due since `end_ms`."""
    values = _values(each=1, end=end_ms, state="ready", attempts=0) | {"count": recipients}
    with _bulk(path) as connection:
        for statement in (_ACCOUNTS, _BALANCES, _NOTICES, _DELIVERIES, _RECIPIENTS, _DELIVERY_NOTICES):
            connection.execute(_NUMBERS + statement, values)


def insert_referrers(
    path: Path, referrers: Sequence[tuple[str, str]], *, tenant: str, app: str, now_ms: int
) -> None:
    """Accounts without a balance, whose referrers are known. referrers: pairs of account id and open_id."""
    with _bulk(path) as connection:
        connection.executemany(
            "INSERT INTO accounts (tenant_key, app_id, account_id, referrer_open_id, referrer_name_zh, looked_up_at)"
            " VALUES (?, ?, ?, ?, '示例', ?)",
            [(tenant, app, account_id, open_id, now_ms) for account_id, open_id in referrers],
        )


def _values(**values: object) -> dict[str, Any]:
    return {"tenant": TENANT, "app": APP, "first_id": FIRST_ACCOUNT_ID, "step": HOUR_MS, **values}


@contextmanager
def _bulk(path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(path)
    try:
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("PRAGMA cache_size=-200000")
        yield connection
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()
