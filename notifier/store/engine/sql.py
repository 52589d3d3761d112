"""SQL helpers: inserts that both dialects support."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection


def insert_or_ignore(connection: Connection, table: sa.Table, rows: Sequence[Mapping[str, object]]) -> None:
    """Insert rows. A row that conflicts with any unique key is skipped."""
    dialect: Any = sqlite if connection.dialect.name == "sqlite" else postgresql
    if rows:
        connection.execute(dialect.insert(table).on_conflict_do_nothing(), list(rows))


def insert_returning(
    connection: Connection, table: sa.Table, row: Mapping[str, object]
) -> sa.Row[*tuple[Any, ...]] | None:
    """Insert a row and return it as stored. None if it conflicts with a unique key; then nothing changes."""
    dialect: Any = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(table).values(**row).on_conflict_do_nothing().returning(table)
    found: sa.Row[*tuple[Any, ...]] | None = connection.execute(statement).first()
    return found


def upsert_returning(
    connection: Connection,
    table: sa.Table,
    row: Mapping[str, object],
    *,
    key: Sequence[str],
    update: Sequence[str],
) -> sa.Row[*tuple[Any, ...]]:
    """Insert a row and return it as stored. If a row with this unique key exists, only the columns `update` change."""
    dialect: Any = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(table).values(**row)
    changed = {name: statement.excluded[name] for name in update}
    statement = statement.on_conflict_do_update(index_elements=list(key), set_=changed).returning(table)
    found: sa.Row[*tuple[Any, ...]] = connection.execute(statement).one()
    return found


def upsert(connection: Connection, table: sa.Table, rows: Sequence[Mapping[str, object]]) -> None:
    """Insert rows. If the primary key exists, update the other given columns."""
    if not rows:
        return
    dialect: Any = sqlite if connection.dialect.name == "sqlite" else postgresql
    keys = [column.name for column in table.primary_key]
    statement = dialect.insert(table)
    others = {name: statement.excluded[name] for name in rows[0] if name not in keys}
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=others), list(rows))
