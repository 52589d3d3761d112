"""Schema upgrade: migrates a database to the current schema. Alembic is imported only if it is needed."""

import logging
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from notifier import __version__
from notifier.errors import ConfigError, StoreOutdated
from notifier.store.schema.tables import schema_info

log = logging.getLogger(__name__)

LATEST_REVISION = "0001"
"""The revision that schema/tables.py describes. A test compares the two."""
OLDEST_PROGRAM = "0.1.0"
"""The oldest version of the program that works on LATEST_REVISION. A migration first adds what the new version needs;
a later release removes what only old versions used, and raises this.
"""

BeginMigration = Callable[[Engine], AbstractContextManager[Connection]]
"""Opens a connection with a transaction for the migrations, and commits it at the end."""

MIGRATIONS = Path(__file__).parent / "migrations"


def stored_version(engine: Engine) -> str | None:
    """The schema revision of the database; None for an empty database."""
    with engine.connect().execution_options(read_only=True) as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()


def ensure_schema(engine: Engine, begin: BeginMigration, *, may_create: bool = True) -> None:
    """Migrate the database if needed.

    may_create: an empty database gets its tables. Raises ConfigError if it may not, and StoreOutdated if the schema is
    newer than this program and does not support it.
    """
    version = stored_version(engine)
    if version is None and not may_create:
        raise ConfigError(
            "store.url: the database has no tables of the notifier. Start `notifier run` with this configuration "
            "first, or correct the address.",
            zh="store.url：数据库中没有服务的表。请先用此配置运行 `notifier run`，或改正地址。",
        )
    if version == LATEST_REVISION:
        return
    if version is not None and version > LATEST_REVISION:
        require_supported(engine)
        log.info("store.schema_newer", extra={"schema": version, "known": LATEST_REVISION})
        return
    upgrade(engine, begin)


def require_supported(engine: Engine) -> None:
    """Raises StoreOutdated if the schema is newer than this program and does not support it."""
    version = stored_version(engine)
    if version is None or version <= LATEST_REVISION:
        return
    oldest = _read_oldest_program(engine, version)
    if oldest is None or _numbers(oldest) > _numbers(__version__):
        raise StoreOutdated(
            f"The database has schema {version}; this program knows {LATEST_REVISION}. Install the newer notifier"
            f"{f', {oldest} at least' if oldest else ''}.",
            zh=f"数据库结构为 {version}，本程序只支持到 {LATEST_REVISION}。请安装更新的版本"
            f"{f'（至少 {oldest}）' if oldest else ''}。",
        )


def _read_oldest_program(engine: Engine, version: str) -> str | None:
    """The oldest version of the program that works on this schema. None: the schema does not say it."""
    with engine.connect().execution_options(read_only=True) as connection:
        if not sa.inspect(connection).has_table(schema_info.name):
            return None
        query = sa.select(schema_info.c.oldest_program).where(schema_info.c.version == version)
        return connection.execute(query).scalar()


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


def upgrade(engine: Engine, begin: BeginMigration) -> None:
    """Run all migrations in one transaction. Raises StoreOutdated if its result is invalid."""
    from alembic import command  # noqa: PLC0415 - costs 0.3 s, needed once per release
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with begin(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        _write_schema_info(connection)


def _write_schema_info(connection: Connection) -> None:
    version = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar_one()
    connection.execute(sa.delete(schema_info))
    connection.execute(sa.insert(schema_info).values(version=version, oldest_program=OLDEST_PROGRAM))
