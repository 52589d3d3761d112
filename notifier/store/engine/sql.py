"""SQL helpers: inserts that both dialects support, and constants that partial indexes need.

Statements that run often are built once: building one costs more than running it.
"""

import functools
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection
from sqlalchemy.ext.compiler import compiles


def insert_or_ignore(connection: Connection, table: sa.Table, rows: Sequence[Mapping[str, object]]) -> int:
    """Insert rows, and return their number. A row that conflicts with any unique key is skipped."""
    if not rows:
        return 0
    return connection.execute(_insert_or_ignore(connection.dialect.name, table), list(rows)).rowcount


def insert_returning(
    connection: Connection, table: sa.Table, rows: Sequence[Mapping[str, object]]
) -> Sequence[sa.Row[*tuple[Any, ...]]]:
    """Insert rows and return them as stored, in any order. A row that conflicts with a unique key is skipped."""
    statement = _insert_or_ignore(connection.dialect.name, table, is_returning=True)
    found: Sequence[sa.Row[*tuple[Any, ...]]] = connection.execute(statement, list(rows)).all()
    return found


def upsert_returning(
    connection: Connection,
    table: sa.Table,
    rows: Sequence[Mapping[str, object]],
    *,
    key: Sequence[str],
    update: Sequence[str],
) -> Sequence[sa.Row[*tuple[Any, ...]]]:
    """Insert rows and return them as stored, in any order. In a row whose unique key exists, only the columns `update`
    change.
    """
    statement = _upsert(connection.dialect.name, table, tuple(key), tuple(update), is_returning=True)
    found: Sequence[sa.Row[*tuple[Any, ...]]] = connection.execute(statement, list(rows)).all()
    return found


def upsert(connection: Connection, table: sa.Table, rows: Sequence[Mapping[str, object]]) -> None:
    """Insert rows. If the primary key exists, update the other given columns."""
    if not rows:
        return
    key = tuple(column.name for column in table.primary_key)
    others = tuple(name for name in rows[0] if name not in key)
    connection.execute(_upsert(connection.dialect.name, table, key, others), list(rows))


@functools.cache
def _insert_or_ignore(dialect: str, table: sa.Table, *, is_returning: bool = False) -> sa.Insert:
    statement: sa.Insert = insert_into(dialect, table).on_conflict_do_nothing()
    if is_returning:
        return statement.returning(table)
    return statement.execution_options(preserve_rowcount=True)


@functools.cache
def _upsert(
    dialect: str,
    table: sa.Table,
    key: tuple[str, ...],
    update: tuple[str, ...],
    *,
    is_returning: bool = False,
) -> sa.Insert:
    insert = insert_into(dialect, table)
    changed = {name: insert.excluded[name] for name in update}
    statement: sa.Insert = insert.on_conflict_do_update(index_elements=list(key), set_=changed)
    return statement.returning(table) if is_returning else statement


def insert_into(dialect: str, table: sa.Table) -> Any:  # noqa: ANN401 - sqlite.Insert or postgresql.Insert, which are alike
    """The insert of this dialect, which knows ON CONFLICT."""
    return (sqlite if dialect == "sqlite" else postgresql).insert(table)


def lock_rows(connection: Connection, column: sa.Column[Any], values: Collection[Any]) -> None:
    """Lock the rows with these values of a unique column until the transaction ends, in one order.

    What is read after it is the newest state. SQLite needs no locks: one transaction writes at a time.
    """
    if values and connection.dialect.name != "sqlite":
        connection.execute(_lock_statement(column), {"locked": sorted(set(values))}).close()


@functools.cache
def _lock_statement(column: sa.Column[Any]) -> sa.Select[Any]:
    chosen = column.in_(sa.bindparam("locked", expanding=True))
    return sa.select(column).where(chosen).order_by(column).with_for_update(key_share=True)


def literal(value: str) -> sa.ColumnElement[str]:
    """A constant inside the SQL text. A partial index is used only if the query repeats its condition literally."""
    return sa.literal_column(f"'{value}'", sa.String())


class database_time(sa.sql.functions.FunctionElement[int]):  # noqa: N801 - used like a function
    """The present time by the clock of the database, in ms. It goes on during a transaction."""

    inherit_cache = True
    type = sa.BigInteger()


@compiles(database_time, "sqlite")
def _sqlite_time(_element: database_time, _compiler: object, **_options: object) -> str:
    return "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"


@compiles(database_time, "postgresql")
def _postgresql_time(_element: database_time, _compiler: object, **_options: object) -> str:
    return "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"


def read_database_time(connection: Connection) -> int:
    """The present time by the clock of the database, in ms."""
    return int(connection.execute(sa.select(database_time())).scalar_one())
