"""Sweeps: which accounts are read to see whether an event was missed, and how far a round has come."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.domain.event import AccountKey
from notifier.domain.reconciliation import KnownBalance
from notifier.store import withdrawals
from notifier.store.ledger import load_balances
from notifier.store.schema.tables import accounts, reconciliation_runs

MAX_FINISHED_RUNS = 100
"""Rounds that are over."""


class ReconciliationTrigger(StrEnum):
    CONNECTED = "connected"
    SCHEDULE = "schedule"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconciliationRun:
    """A round over all known accounts, newest first. cursor: modified_at and id of the last one asked for, None
    at the start. again: another was asked for meanwhile. read, failed, recovered, unheard: accounts.
    """

    id: int
    trigger: ReconciliationTrigger
    started_at: Millis
    ended_at: Millis | None
    cursor: tuple[Millis, int] | None
    is_rerun_requested: bool
    read: int = 0
    failed: int = 0
    recovered: int = 0
    missed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconciliationCounts:
    read: int = 0
    failed: int = 0
    recovered: int = 0
    missed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingRead:
    """in_turn: by the sweep's order, and not out of turn."""

    account_ref: int
    account: AccountKey
    modified_at: Millis
    is_scheduled: bool


def get_running(connection: Connection) -> ReconciliationRun | None:
    return _first(
        connection,
        sa.select(reconciliation_runs)
        .where(reconciliation_runs.c.ended_at.is_(None))
        .order_by(reconciliation_runs.c.id),
    )


def get_newest(connection: Connection) -> ReconciliationRun | None:
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
    """One at a time: where one runs, another follows it, so that a connection that comes and goes starves nobody."""
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
    connection.execute(
        sa.update(reconciliation_runs).where(reconciliation_runs.c.id == run.id).values(ended_at=now)
    )
    connection.execute(
        sa.delete(reconciliation_runs).where(reconciliation_runs.c.id <= run.id - MAX_FINISHED_RUNS)
    )
    if run.is_rerun_requested:
        start_run(connection, ReconciliationTrigger.CONNECTED, now=now)


def add_counts(connection: Connection, run_id: int, counts: ReconciliationCounts) -> None:
    values: dict[str, object] = {
        name: reconciliation_runs.c[name] + getattr(counts, name)
        for name in ("read", "failed", "recovered", "missed")
    }
    connection.execute(
        sa.update(reconciliation_runs).where(reconciliation_runs.c.id == run_id).values(**values)
    )


def claim_reads(
    connection: Connection, due: Sequence[PendingRead], *, run: ReconciliationRun | None, until: Millis
) -> None:
    """These are being read, and the round goes on behind them. Where no answer is kept, they are due again then."""
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
    """The next accounts of the round: newest change first. held: ids of those that are being read."""
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
    """Those whose time to be read again has come. only_mismatches: where a change may have been missed, or an event
    came late.
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


def pick_probe_account(
    connection: Connection, *, app_id: str, in_flight_refs: Collection[int]
) -> PendingRead | None:
    """The one that was read last and agreed; where none was, any. held: ids of those that will not do."""
    row = connection.execute(
        sa.select(accounts)
        .where(
            accounts.c.modified_at.is_not(None),
            accounts.c.app_id == app_id,
            accounts.c.id.not_in(in_flight_refs),
        )
        .order_by(accounts.c.confirmed_at.is_(None), accounts.c.confirmed_at.desc(), sa.func.random())
        .limit(1)
    ).first()
    return None if row is None else _to_pending_read(row, is_scheduled=False)


def get_next_recheck_at(connection: Connection, *, app_id: str) -> Millis | None:
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
    """What we know of these accounts now; it may be more than when they were chosen."""
    held = load_balances(connection, account_refs)
    rows = connection.execute(sa.select(accounts).where(accounts.c.id.in_(account_refs)))
    return {
        row.id: KnownBalance(
            account_ref=row.id,
            account=AccountKey(tenant_key=row.tenant_key, app_id=row.app_id, account_id=row.account_id),
            modified_at=row.modified_at,
            amounts=held.get(row.id, {}),
            confirmed_at=row.confirmed_at,
            mismatch_modified_at=row.mismatch_modified_at,
            has_open_withdrawal=withdrawals.find_unfinished(connection, row.id) is not None,
            own_not_in_ledger=bool(withdrawals.list_not_in_ledger(connection, row.id)),
        )
        for row in rows
    }


def mark_confirmed(
    connection: Connection, account_ref: int, *, at: Millis | None, claimed_until: Millis
) -> None:
    """at: when it was asked, None where that proves nothing later on. Not where an event came meanwhile that wants
    another read.
    """
    connection.execute(
        sa.update(accounts)
        .where(accounts.c.id == account_ref, accounts.c.recheck_at == claimed_until)
        .values(confirmed_at=at, mismatch_modified_at=None, recheck_at=None)
    )


def clear_confirmed(connection: Connection, account_refs: Collection[int]) -> None:
    """Events of these accounts came, so a change that is found later need not be an unheard one."""
    connection.execute(
        sa.update(accounts)
        .where(accounts.c.id.in_(sorted(account_refs)), accounts.c.confirmed_at.is_not(None))
        .values(confirmed_at=None)
    )


def mark_mismatch(
    connection: Connection, account_ref: int, *, modified_at: Millis, recheck_at: Millis
) -> None:
    _update_account(connection, account_ref, mismatch_modified_at=modified_at, recheck_at=recheck_at)


def mark_recovered(connection: Connection, account_ref: int, *, modified_at: Millis) -> None:
    """The next read that agrees is where unheard changes count from: an event of this one may still come."""
    _update_account(
        connection,
        account_ref,
        recovered_modified_at=modified_at,
        confirmed_at=None,
        mismatch_modified_at=None,
        recheck_at=None,
    )


def schedule_recheck(connection: Connection, account_ref: int, *, at: Millis | None) -> None:
    """None: not out of turn any more."""
    _update_account(connection, account_ref, recheck_at=at)


def recheck_recovered(connection: Connection, account_ref: int, *, at: Millis) -> None:
    """An event came late for an account whose newest balance was read: which of the two is newer, another read says."""
    connection.execute(
        sa.update(accounts)
        .where(accounts.c.id == account_ref, accounts.c.recovered_modified_at == accounts.c.modified_at)
        .values(recheck_at=at)
    )


def _update_account(connection: Connection, account_ref: int, **values: object) -> None:
    connection.execute(sa.update(accounts).where(accounts.c.id == account_ref).values(**values))
