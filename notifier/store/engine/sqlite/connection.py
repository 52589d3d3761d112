"""Connections to SQLite: the address, the folder of the file, and the settings of each connection."""

import errno
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine, make_url

from notifier.errors import ConfigError
from notifier.store.engine.sqlite import init_marker

LOCK_WAIT_MS = 10_000
WAL_LIMIT_BYTES = 16 * 1024 * 1024
"""SQLite truncates the -wal file to this size after a long read let it grow."""
CACHED_STATEMENTS = 1_000
"""Prepared statements that each connection keeps. The driver's 128 are fewer than the hot path uses."""
CACHE_KIB = 16 * 1024
"""Pages that each connection keeps in memory. SQLite's 2 MB are too few for the indexes of 100,000 deliveries."""


def make_engine(url: str) -> Engine:
    """An SQLAlchemy engine with our pragmas. Raises ConfigError for an invalid address."""
    parsed = parse_url(url)
    file = init_marker.get_database_path(url)
    if file is not None:
        create_folder(file)
    engine = sa.create_engine(
        parsed,
        connect_args={
            "timeout": LOCK_WAIT_MS / 1000,
            "check_same_thread": False,
            "cached_statements": CACHED_STATEMENTS,
        },
    )
    sa.event.listen(engine, "connect", _prepare_sqlite)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def parse_url(url: str) -> URL:
    """Parse store.url. Raises ConfigError if it is not a file that can exist."""
    parsed = make_url(url)
    if parsed.query:
        raise ConfigError(
            "store.url: options after a ? are not supported. Remove them.",
            zh="store.url：不支持 ? 之后的参数，请删除。",
        )
    try:
        Path(f"{parsed.database or ''}.lock").stat()
    except ValueError as error:
        raise ConfigError(
            f"store.url: this is not a valid file name: {error}. Use another name.",
            zh=f"store.url：文件名无效（“{error}”），请换一个。",
        ) from error
    except OSError as error:
        if error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
            raise ConfigError(
                f"store.url: this is not a valid file name: {error.strerror}. Use another name.",
                zh=f"store.url：文件名无效（{error.strerror}），请换一个。",
            ) from error
    return parsed


def create_folder(path: Path) -> None:
    """Create the folder of this file. Raises ConfigError if it cannot be created."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"store.url: the folder of {path} cannot be created: {error.strerror}. Use another folder.",
            zh=f"store.url：无法创建 {path} 所在的目录（{error.strerror}），请换一个目录。",
        ) from error


def _prepare_sqlite(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's own connection
    connection.isolation_level = None  # _begin_sqlite sends BEGIN, so the driver must not
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        f"busy_timeout={LOCK_WAIT_MS}",
        f"journal_size_limit={WAL_LIMIT_BYTES}",
        f"cache_size=-{CACHE_KIB}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    """A writer locks at once. A transaction that reads first and writes later can fail with SQLITE_BUSY."""
    read_only = connection.get_execution_options().get("read_only", False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")
