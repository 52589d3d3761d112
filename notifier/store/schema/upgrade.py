"""Schema upgrade: migrates a database to the current schema. Alembic is imported only if it is needed."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from notifier.errors import StoreOutdated

LATEST_REVISION = "0001"
"""The revision that schema/tables.py describes. A test compares the two."""

MIGRATIONS = Path(__file__).parent / "migrations"


def stored_version(engine: Engine) -> str | None:
    """The schema revision of the database; None for an empty database."""
    with engine.connect().execution_options(read_only=True) as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()


def ensure_schema(engine: Engine) -> None:
    """Migrate the database if needed. Raises StoreOutdated if its schema is newer than this program."""
    version = stored_version(engine)
    if version == LATEST_REVISION:
        return
    if version is not None and version > LATEST_REVISION:
        raise StoreOutdated(
            f"The database has schema {version}; this program knows {LATEST_REVISION}. Install the newer notifier."
        )
    upgrade(engine)


def upgrade(engine: Engine) -> None:
    """Run all migrations in one transaction. Raises StoreOutdated if a reference is broken afterwards."""
    from alembic import command  # noqa: PLC0415 - costs 0.3 s, needed once per release
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.connect() as connection, _foreign_keys_disabled(connection), connection.begin():
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        broken = _find_broken_reference(connection)
        if broken is not None:
            raise StoreOutdated(
                f"The migration failed: a row of {broken[0]} references a missing row. Nothing was changed."
            )


def _find_broken_reference(connection: Connection) -> sa.Row[*tuple[Any, ...]] | None:
    """A row that references a missing row. Only SQLite needs the check; other databases enforce it always."""
    if connection.dialect.name != "sqlite":
        return None
    return connection.exec_driver_sql("PRAGMA foreign_key_check").first()


@contextmanager
def _foreign_keys_disabled(connection: Connection) -> Iterator[None]:
    """Disable foreign keys during a migration, because SQLite changes a column by recreating its table.

    References are checked before the commit.
    """
    if connection.dialect.name != "sqlite":
        yield
        return
    driver = connection.connection.driver_connection
    driver.execute("PRAGMA foreign_keys=OFF")  # type: ignore[union-attr]
    try:
        yield
    finally:
        driver.execute("PRAGMA foreign_keys=ON")  # type: ignore[union-attr]
