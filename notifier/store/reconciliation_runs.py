"""Reconciliation runs: their start, progress and end."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.store.schema.tables import reconciliation_runs

MAX_FINISHED_RUNS = 100
"""Finished runs that are kept."""


class ReconciliationTrigger(StrEnum):
    """Why a run started."""

    CONNECTED = "connected"
    SCHEDULE = "schedule"
    COMMAND = "command"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconciliationRun:
    """A run over all known accounts, newest change first."""

    id: int
    """Row id; a newer run has a higher one."""
    trigger: ReconciliationTrigger
    """Why it started."""
    started_at: Millis
    """Unix milliseconds."""
    ended_at: Millis | None
    """Unix milliseconds; None: it is running."""
    cursor: tuple[Millis, int] | None
    """`modified_at` and row id of the last account that was claimed; None: no account yet."""
    is_rerun_requested: bool
    """Whether another run was requested while this one was running."""
    read: int = 0
    """Reads that succeeded; a second read of an account counts again."""
    failed: int = 0
    """Accounts that could not be read."""
    recovered: int = 0
    """Balances that no event had reported."""
    missed: int = 0
    """Of these, balances that changed while we were connected."""


_GET_RUNNING = (
    sa.select(reconciliation_runs)
    .where(reconciliation_runs.c.ended_at.is_(None))
    .order_by(reconciliation_runs.c.id)
    .limit(1)
)
_GET_NEWEST = sa.select(reconciliation_runs).order_by(reconciliation_runs.c.id.desc()).limit(1)


def get_running(connection: Connection) -> ReconciliationRun | None:
    """Returns the run that has not ended, or None."""
    return _first(connection, _GET_RUNNING)


def get_newest(connection: Connection) -> ReconciliationRun | None:
    """Returns the newest run, running or ended, or None."""
    return _first(connection, _GET_NEWEST)


def _first(connection: Connection, query: sa.Select[*tuple[Any, ...]]) -> ReconciliationRun | None:
    row = connection.execute(query).first()
    if row is None:
        return None
    return ReconciliationRun(
        id=row.id,
        trigger=ReconciliationTrigger(row.trigger),
        started_at=row.started_at,
        ended_at=row.ended_at,
        cursor=None if row.cursor_modified_at is None else (row.cursor_modified_at, row.cursor_account_ref),
        is_rerun_requested=bool(row.is_rerun_requested),
        read=row.read,
        failed=row.failed,
        recovered=row.recovered,
        missed=row.missed,
    )


def start_run(connection: Connection, trigger: ReconciliationTrigger, *, now: Millis) -> None:
    """Starts a run. If one is running, a connect or a command requests another that follows it.

    A running run never starts again from the top: with a connection that breaks often, the last accounts would
    never be read.
    """
    current = get_running(connection)
    if current is None:
        connection.execute(sa.insert(reconciliation_runs).values(trigger=trigger, started_at=now))
    elif trigger is not ReconciliationTrigger.SCHEDULE:
        connection.execute(
            sa.update(reconciliation_runs)
            .where(reconciliation_runs.c.id == current.id)
            .values(is_rerun_requested=1)
        )


def finish_run(connection: Connection, run: ReconciliationRun, *, now: Millis) -> None:
    """Ends a run, deletes the oldest runs, and starts the requested one."""
    connection.execute(
        sa.update(reconciliation_runs).where(reconciliation_runs.c.id == run.id).values(ended_at=now)
    )
    connection.execute(
        sa.delete(reconciliation_runs).where(reconciliation_runs.c.id <= run.id - MAX_FINISHED_RUNS)
    )
    if run.is_rerun_requested:
        start_run(connection, ReconciliationTrigger.CONNECTED, now=now)


def add_counts(
    connection: Connection,
    run_id: int,
    *,
    read: int = 0,
    failed: int = 0,
    recovered: int = 0,
    missed: int = 0,
) -> None:
    """Adds numbers of accounts to the counts of a run."""
    columns = reconciliation_runs.c
    connection.execute(
        sa.update(reconciliation_runs)
        .where(columns.id == run_id)
        .values(
            read=columns.read + read,
            failed=columns.failed + failed,
            recovered=columns.recovered + recovered,
            missed=columns.missed + missed,
        )
    )
