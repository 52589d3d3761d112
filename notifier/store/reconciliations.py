"""Reconciliation runs: which accounts are read next, and the results of their reads."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.domain.event import AccountKey
from notifier.domain.reconciliation import KnownBalance
from notifier.store import withdrawal_history, withdrawals
from notifier.store.ledger import load_balances
from notifier.store.schema.tables import accounts, reconciliation_runs

MAX_FINISHED_RUNS = 100
"""Finished runs that are kept."""


class ReconciliationTrigger(StrEnum):
    """Why a run started."""

    CONNECTED = "connected"
    SCHEDULE = "schedule"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingRead:
    """An account to read.

    account_ref: its row id. modified_at: time of its newest balance, Unix milliseconds. is_scheduled: the cursor of
    the run reached it; otherwise it is a recheck or a probe.
    """

    account_ref: int
    account: AccountKey
    modified_at: Millis
    is_scheduled: bool


def get_running(connection: Connection) -> ReconciliationRun | None:
    """Returns the run that has not ended, or None."""
    return _first(
        connection,
        sa.select(reconciliation_runs)
        .where(reconciliation_runs.c.ended_at.is_(None))
        .order_by(reconciliation_runs.c.id),
    )


def get_newest(connection: Connection) -> ReconciliationRun | None:
    """Returns the newest run, running or ended, or None."""
    return _first(connection, sa.select(reconciliation_runs).order_by(reconciliation_runs.c.id.desc()))


def _first(connection: Connection, query: sa.Select[*tuple[object, ...]]) -> ReconciliationRun | None:
    row = connection.execute(query.limit(1)).first()
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
    """Starts a run. If one is running, a connect requests another that follows it.

    A running run never starts again from the top: with a connection that breaks often, the last accounts would
    never be read.
    """
    current = get_running(connection)
    if current is None:
        connection.execute(sa.insert(reconciliation_runs).values(trigger=trigger, started_at=now))
    elif trigger is ReconciliationTrigger.CONNECTED:
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


def claim_reads(
    connection: Connection, due: Sequence[PendingRead], *, run: ReconciliationRun | None, until: Millis
) -> None:
    """Marks accounts as being read and moves the run's cursor behind them.

    until: end of the lease, Unix milliseconds. An account without a stored result is due again then.
    """
    connection.execute(
        sa.update(accounts)
        .where(accounts.c.id.in_([each.account_ref for each in due]))
        .values(recheck_at=until)
    )
    cursor = min(((each.modified_at, each.account_ref) for each in due if each.is_scheduled), default=None)
    if run is not None and cursor is not None:
        connection.execute(
            sa.update(reconciliation_runs)
            .where(reconciliation_runs.c.id == run.id)
            .values(cursor_modified_at=cursor[0], cursor_account_ref=cursor[1])
        )


def list_next_page(
    connection: Connection,
    run: ReconciliationRun,
    *,
    app_id: str,
    limit: int,
    in_flight_refs: Collection[int] = (),
) -> list[PendingRead]:
    """Returns the accounts behind the run's cursor, newest change first, without those that are being read."""
    newest_first = sa.select(accounts).where(accounts.c.modified_at.is_not(None))
    if run.cursor is not None:
        newest_first = newest_first.where(
            sa.tuple_(accounts.c.modified_at, accounts.c.id) < sa.tuple_(*run.cursor)
        )
    rows = connection.execute(
        newest_first.where(accounts.c.app_id == app_id, accounts.c.id.not_in(in_flight_refs))
        .order_by(accounts.c.modified_at.desc(), accounts.c.id.desc())
        .limit(limit)
    )
    return [_to_pending_read(row, is_scheduled=True) for row in rows]


def list_due_rechecks(
    connection: Connection,
    *,
    app_id: str,
    now: Millis,
    limit: int,
    in_flight_refs: Collection[int] = (),
    only_mismatches: bool = False,
) -> list[PendingRead]:
    """Returns accounts whose recheck time has come, except those that are being read.

    only_mismatches: only accounts that may have a missed change, or a late event after a recovered balance.
    """
    is_mismatch = sa.or_(
        accounts.c.mismatch_modified_at.is_not(None),
        accounts.c.recovered_modified_at == accounts.c.modified_at,
    )
    rows = connection.execute(
        sa.select(accounts)
        .where(
            accounts.c.recheck_at <= now,
            accounts.c.app_id == app_id,
            accounts.c.modified_at.is_not(None),
            accounts.c.id.not_in(in_flight_refs),
            is_mismatch if only_mismatches else sa.true(),
        )
        .order_by(accounts.c.recheck_at)
        .limit(limit)
    )
    return [_to_pending_read(row, is_scheduled=False) for row in rows]


def pick_probe_account(connection: Connection, *, app_id: str) -> PendingRead | None:
    """Returns the account that a read confirmed last; if none was confirmed, any account; None if there is none.

    Accounts with a recheck time are no candidates: they are being read, differ, or failed.
    """
    row = connection.execute(
        sa.select(accounts)
        .where(
            accounts.c.modified_at.is_not(None), accounts.c.app_id == app_id, accounts.c.recheck_at.is_(None)
        )
        .order_by(accounts.c.confirmed_at.is_(None), accounts.c.confirmed_at.desc(), sa.func.random())
        .limit(1)
    ).first()
    return None if row is None else _to_pending_read(row, is_scheduled=False)


def get_next_recheck_at(connection: Connection, *, app_id: str) -> Millis | None:
    """Returns the earliest recheck time, Unix milliseconds, or None."""
    return connection.execute(
        sa.select(sa.func.min(accounts.c.recheck_at)).where(
            accounts.c.recheck_at.is_not(None), accounts.c.app_id == app_id
        )
    ).scalar()


def _to_pending_read(row: sa.Row[*tuple[object, ...]], *, is_scheduled: bool) -> PendingRead:
    account = AccountKey(tenant_key=row.tenant_key, app_id=row.app_id, account_id=row.account_id)
    return PendingRead(
        account_ref=row.id, account=account, modified_at=row.modified_at, is_scheduled=is_scheduled
    )


def load_known_balances(connection: Connection, account_refs: Sequence[int]) -> dict[int, KnownBalance]:
    """Returns what the database holds of these accounts now, by row id.

    An event may have changed it since the read was claimed.
    """
    balances = load_balances(connection, account_refs)
    rows = connection.execute(sa.select(accounts).where(accounts.c.id.in_(account_refs)))
    return {
        row.id: KnownBalance(
            account_ref=row.id,
            account=AccountKey(tenant_key=row.tenant_key, app_id=row.app_id, account_id=row.account_id),
            modified_at=row.modified_at,
            amounts=balances.get(row.id, {}),
            confirmed_at=row.confirmed_at,
            mismatch_modified_at=row.mismatch_modified_at,
            has_open_withdrawal=withdrawals.find_unfinished(connection, row.id) is not None,
            own_not_in_ledger=bool(withdrawal_history.list_not_in_ledger(connection, row.id)),
        )
        for row in rows
    }


def mark_confirmed(
    connection: Connection, account_ref: int, *, at: Millis | None, claimed_until: Millis
) -> None:
    """Marks an account whose reading equalled the ledger.

    at: when the read was claimed, Unix milliseconds; None: the reading cannot prove a missed event later.
    claimed_until: end of the read's lease. If an event requested another read meanwhile, the recheck time differs
    from it and the account stays due.
    """
    connection.execute(
        sa.update(accounts)
        .where(accounts.c.id == account_ref, accounts.c.recheck_at == claimed_until)
        .values(confirmed_at=at, mismatch_modified_at=None, recheck_at=None)
    )


def clear_confirmed(connection: Connection, account_refs: Collection[int]) -> None:
    """Removes the confirmation of accounts after an event: a later difference does not prove a missed event."""
    connection.execute(
        sa.update(accounts)
        .where(accounts.c.id.in_(sorted(account_refs)), accounts.c.confirmed_at.is_not(None))
        .values(confirmed_at=None)
    )


def count_missed(connection: Connection, run_id: int, account_ref: int) -> None:
    """Counts a recovered balance as missed, until its event arrives after all."""
    add_counts(connection, run_id, missed=1)
    _update_account(connection, account_ref, missed_run_id=run_id)


_LIST_NOTED = sa.select(accounts.c.id, accounts.c.missed_run_id).where(
    accounts.c.id.in_(sa.bindparam("refs", expanding=True)),
    sa.or_(accounts.c.confirmed_at.is_not(None), accounts.c.missed_run_id.is_not(None)),
)
_CLEAR_NOTED = (
    sa.update(accounts)
    .where(accounts.c.id.in_(sa.bindparam("refs", expanding=True)))
    .values(confirmed_at=None, missed_run_id=None)
)


def note_events(connection: Connection, account_refs: Collection[int]) -> None:
    """Notes that Feishu's events about these accounts arrived. A balance that was counted as missed is not any more."""
    if not account_refs:
        return
    noted = connection.execute(_LIST_NOTED, {"refs": sorted(account_refs)}).all()
    if not noted:
        return
    connection.execute(_CLEAR_NOTED, {"refs": [row.id for row in noted]})
    counts = Counter(row.missed_run_id for row in noted if row.missed_run_id is not None)
    for run_id, count in counts.items():
        add_counts(connection, run_id, missed=-count)


def mark_mismatch(
    connection: Connection, account_ref: int, *, modified_at: Millis, recheck_at: Millis
) -> None:
    """Marks an account whose reading differed. modified_at: the balance it differed from. recheck_at: second read."""
    _update_account(connection, account_ref, mismatch_modified_at=modified_at, recheck_at=recheck_at)


def mark_recovered(connection: Connection, account_ref: int, *, modified_at: Millis) -> None:
    """Marks an account whose newest balance comes from a reading. modified_at: time of that balance.

    Its confirmation is removed, because the event of this change may still come. The next read that equals the
    ledger confirms it again.
    """
    _update_account(
        connection,
        account_ref,
        recovered_modified_at=modified_at,
        confirmed_at=None,
        mismatch_modified_at=None,
        recheck_at=None,
    )


def schedule_recheck(connection: Connection, account_ref: int, *, at: Millis | None) -> None:
    """Sets when an account is read again, apart from runs; Unix milliseconds. None: it waits for the next run."""
    _update_account(connection, account_ref, recheck_at=at)


def recheck_recovered(connection: Connection, account_refs: Collection[int], *, at: Millis) -> None:
    """Requests reads after late events, for accounts whose newest balance comes from a reading.

    The times do not show which of the two is newer; another read does.
    """
    if not account_refs:
        return
    connection.execute(
        sa.update(accounts)
        .where(
            accounts.c.id.in_(sorted(account_refs)),
            accounts.c.recovered_modified_at == accounts.c.modified_at,
        )
        .values(recheck_at=at)
    )


def _update_account(connection: Connection, account_ref: int, **values: object) -> None:
    connection.execute(sa.update(accounts).where(accounts.c.id == account_ref).values(**values))
