"""The work of `notifier copy`: moves a store to another database, for a company that grows from SQLite to PostgreSQL.

Everything is copied in one transaction of the target. If it is interrupted, the target stays empty.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.domain.card import Bilingual
from notifier.errors import ConfigError, StoreBusy, StoreFailing
from notifier.store.engine.backend import Backend, get_reason
from notifier.store.engine.backends import find_backend
from notifier.store.engine.database import Database
from notifier.store.engine.outage import get_next_step
from notifier.store.schema.tables import leadership, metadata, schema_info

_PRIME = 1_000_003
BATCH = 2_000
"""Rows that are read and written at once."""
OWN_OF_A_DATABASE = {leadership.name, schema_info.name}
"""Tables that describe the database itself, or who uses it now."""
TABLES = [table for table in metadata.sorted_tables if table.name not in OWN_OF_A_DATABASE]
"""In the order in which their rows refer to each other."""

Progress = Callable[[str, int, int], None]
"""Called with a table, the rows copied so far, and all its rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CopiedTable:
    """A table that was copied and compared."""

    name: str
    rows: int


def copy_store(source_url: str, target_url: str, *, progress: Progress) -> list[CopiedTable]:
    """Copy all rows, and compare the number of rows and the sums of all numbers of each table.

    Raises ConfigError if an address cannot be used, if a notifier runs on one of the databases, if the target has rows,
    or if the copy differs.
    """
    try:
        with ExitStack() as stack:
            source = stack.enter_context(_open_idle(source_url, "--from", must_exist=True))
            target = stack.enter_context(_open_idle(target_url, "--to", must_exist=False))
            reading = stack.enter_context(source.read_snapshot())
            writing = stack.enter_context(target.begin_long())
            _require_empty(writing)
            copied = [_copy_table(reading, writing, table, progress) for table in TABLES]
            for table in TABLES:
                _compare(reading, writing, table)
            _continue_numbers(writing)
    except sa.exc.DBAPIError as error:
        reason = get_reason(error)
        step = get_next_step(error) or Bilingual(zh=f"“{reason}”", en=reason)
        raise StoreFailing(
            f"The copy failed, and nothing of it was kept: {step.en}.",
            zh=f"复制失败，没有保留任何内容：{step.zh}。",
        ) from error
    return copied


@contextmanager
def _open_idle(url: str, option: str, *, must_exist: bool) -> Iterator[Database]:
    """The database, which no notifier may use meanwhile."""
    with ExitStack() as stack:
        try:
            backend = find_backend(url)
            if must_exist:
                backend.require_existing(url)
            database = stack.enter_context(_open_alone(backend, url, must_exist=must_exist))
        except (ConfigError, StoreBusy) as error:
            raise ConfigError(
                f"{option}: {str(error).removeprefix('store.url: ')}",
                zh=f"{option}：{error.zh.removeprefix('store.url：')}",
            ) from error
        yield database


@contextmanager
def _open_alone(backend: Backend, url: str, *, must_exist: bool) -> Iterator[Database]:
    if not backend.is_shared:
        with backend.hold_process_lock(url), closing(Database.open(url, must_exist=must_exist)) as database:
            yield database
        return
    with closing(Database.open(url, must_exist=must_exist)) as database, backend.exclude_processes(url):
        yield database


def _require_empty(connection: Connection) -> None:
    for table in TABLES:
        if connection.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first() is not None:
            raise ConfigError(
                f"--to: the table {table.name} has rows. Name a database that no notifier has used.",
                zh=f"--to：表 {table.name} 中已有数据。请指定从未使用过的数据库。",
            )


def _copy_table(reading: Connection, writing: Connection, table: sa.Table, progress: Progress) -> CopiedTable:
    total = reading.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
    order = list(table.primary_key.columns)
    done = 0
    progress(table.name, done, total)
    rows = reading.execution_options(yield_per=BATCH).execute(sa.select(table).order_by(*order))
    for batch in rows.mappings().partitions(BATCH):
        writing.execute(sa.insert(table), [dict(row) for row in batch])
        done += len(batch)
        progress(table.name, done, total)
    return CopiedTable(name=table.name, rows=done)


def _compare(reading: Connection, writing: Connection, table: sa.Table) -> None:
    numbers = [column for column in table.columns if isinstance(column.type, sa.Integer)]
    texts = [column for column in table.columns if isinstance(column.type, sa.String | sa.LargeBinary)]
    query = sa.select(
        sa.func.count(),
        *(sa.func.sum(column % _PRIME) for column in numbers),  # sums of all digits would be too large
        *(sa.func.sum(sa.func.length(column)) for column in texts),
    ).select_from(table)
    if _totals(reading, query) != _totals(writing, query):
        raise ConfigError(
            f"the copy of the table {table.name} differs. Nothing was kept; please report this.",
            zh=f"表 {table.name} 的副本不一致。没有保留任何内容，请报告此问题。",
        )


def _totals(connection: Connection, query: sa.Select[*tuple[Any, ...]]) -> Sequence[int]:
    return [int(value or 0) for value in connection.execute(query).one()]


def _continue_numbers(connection: Connection) -> None:
    """Let PostgreSQL number new rows after the copied ones. SQLite does so without help."""
    if connection.dialect.name != "postgresql":
        return
    for table in TABLES:
        if "id" in table.columns and table.columns["id"].autoincrement is not False:
            newest = sa.select(sa.func.max(table.columns["id"])).scalar_subquery()
            sequence = sa.func.pg_get_serial_sequence(table.name, "id")
            if connection.execute(sa.select(sequence)).scalar() is not None:
                connection.execute(
                    sa.select(sa.func.setval(sequence, sa.func.coalesce(newest, 1), newest.is_not(None)))
                )
