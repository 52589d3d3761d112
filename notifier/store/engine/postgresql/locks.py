"""Advisory locks: one migration and one export at a time, and whether any notifier runs.

A lock ends with its connection. Its number is made of the schema, so that two notifiers can share one database.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import NullPool

from notifier.errors import ConfigError, StoreBusy
from notifier.store.engine.postgresql.connection import check_server, describe, make_engine

LOCK_PROBE_SECONDS = 2.0
"""How long a start waits for a lock. After a kill the server needs a moment to notice it."""
LOCK_PROBE_PAUSE_SECONDS = 0.1

_PROCESS = "hashtextextended('referral-notifier process ' || current_schema(), 0)"
SHARE_PROCESS_LOCK = f"SELECT pg_advisory_lock_shared({_PROCESS})"
"""Takes the lock of the session that all notifiers on the database share."""
_EXPORT = "hashtextextended('referral-notifier export ' || current_schema(), 0)"
_MIGRATION = "hashtextextended('referral-notifier migration ' || current_schema(), 0)"
_IS_PROCESS_LOCKED = sa.text(
    "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1"  # noqa: S608
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    f" AND (classid::bigint << 32) | objid::bigint = {_PROCESS})"
)
_LOCK_MIGRATION = sa.text(f"SELECT pg_advisory_xact_lock({_MIGRATION})")


def require_not_excluded(url: str) -> None:
    """Raises StoreBusy while another program excludes all notifiers."""
    engine = make_engine(url, poolclass=NullPool)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        check_server(connection)
        if not _wait_for_lock(connection, f"pg_try_advisory_lock_shared({_PROCESS})", LOCK_PROBE_SECONDS):
            raise StoreBusy(
                f"Somebody copies {describe(engine.url)}. Start again when the copy is done.",
                zh=f"正在复制 {describe(engine.url)}。请在复制完成后再启动。",
            )


@contextmanager
def exclude_processes(url: str) -> Iterator[None]:
    """Keep all notifiers from starting. Raises StoreBusy if one runs."""
    engine = make_engine(url, poolclass=NullPool)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not _wait_for_lock(connection, f"pg_try_advisory_lock({_PROCESS})", LOCK_PROBE_SECONDS):
            raise StoreBusy(
                f"A notifier runs on {describe(engine.url)}. Stop it first.",
                zh=f"有服务正在使用 {describe(engine.url)}。请先停止它。",
            )
        yield


def is_running(url: str) -> bool:
    """Whether any process holds the process lock."""
    engine = make_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        return bool(connection.execute(_IS_PROCESS_LOCKED).scalar_one())


@contextmanager
def hold_export_lock(engine: Engine, seconds: float) -> Iterator[None]:
    """Hold the lock of payout exports. seconds: maximum wait. Raises ConfigError if another export holds it."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not _wait_for_lock(connection, f"pg_try_advisory_lock({_EXPORT})", seconds):
            raise ConfigError(
                "another export is running; wait until it ends.", zh="另一次导出正在进行，请等它结束。"
            )
        try:
            yield
        finally:
            connection.execute(sa.text(f"SELECT pg_advisory_unlock({_EXPORT})"))


def _wait_for_lock(connection: Connection, attempt: str, seconds: float) -> bool:
    """Take a lock of the session. False if another session still holds it after this time."""
    ends_at = time.monotonic() + seconds
    while not connection.execute(sa.text(f"SELECT {attempt}")).scalar_one():
        if time.monotonic() > ends_at:
            return False
        time.sleep(LOCK_PROBE_PAUSE_SECONDS)
    return True


def lock_migration(connection: Connection) -> None:
    """Wait until no other process migrates. The lock ends with the transaction."""
    connection.execute(sa.text("SET LOCAL lock_timeout = 0"))
    connection.execute(_LOCK_MIGRATION)
