"""Reconciliation: which accounts are read next, and the results of their reads."""

import random
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.domain.event import AccountKey
from notifier.domain.reconciliation import KnownBalance
from notifier.store import withdrawal_history
from notifier.store.ledger import load_balances
from notifier.store.reconciliation_runs import ReconciliationRun, add_counts
from notifier.store.schema.tables import accounts, reconciliation_runs


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


_CLAIM_READS = (
    sa.update(accounts)
    .where(accounts.c.id.in_(sa.bindparam("refs", expanding=True)))
    .values(recheck_at=sa.bindparam("until"))
)


def claim_reads(
    connection: Connection, due: Sequence[PendingRead], *, run: ReconciliationRun | None, until: Millis
) -> None:
    """Marks accounts as being read and moves the run's cursor behind them.

    until: end of the lease, Unix milliseconds. An account without a stored result is due again then.
    """
    if not due:
        return
    connection.execute(_CLAIM_READS, {"refs": [each.account_ref for each in due], "until": until})
    cursor = min(((each.modified_at, each.account_ref) for each in due if each.is_scheduled), default=None)
    if run is not None and cursor is not None:
        connection.execute(
            sa.update(reconciliation_runs)
            .where(reconciliation_runs.c.id == run.id)
            .values(cursor_modified_at=cursor[0], cursor_account_ref=cursor[1])
        )


_is_next_candidate = sa.and_(
    accounts.c.modified_at.is_not(None),
    accounts.c.app_id == sa.bindparam("app"),
    accounts.c.id.not_in(sa.bindparam("in_flight", expanding=True)),
)
_LIST_FIRST_PAGE = (
    sa.select(accounts)
    .where(_is_next_candidate)
    .order_by(accounts.c.modified_at.desc(), accounts.c.id.desc())
    .limit(sa.bindparam("limit"))
)
_LIST_NEXT_PAGE = _LIST_FIRST_PAGE.where(
    sa.tuple_(accounts.c.modified_at, accounts.c.id)
    < sa.tuple_(
        sa.bindparam("cursor_at", type_=sa.BigInteger), sa.bindparam("cursor_id", type_=sa.BigInteger)
    )
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
    values: dict[str, object] = {"app": app_id, "in_flight": sorted(in_flight_refs), "limit": limit}
    if run.cursor is None:
        rows = connection.execute(_LIST_FIRST_PAGE, values)
    else:
        cursor_at, cursor_id = run.cursor
        rows = connection.execute(_LIST_NEXT_PAGE, values | {"cursor_at": cursor_at, "cursor_id": cursor_id})
    return [_to_pending_read(row, is_scheduled=True) for row in rows]


_LIST_RECHECKS = (
    sa.select(accounts)
    .where(_is_next_candidate, accounts.c.recheck_at <= sa.bindparam("now"))
    .order_by(accounts.c.recheck_at)
    .limit(sa.bindparam("limit"))
)
_LIST_MISMATCHES = _LIST_RECHECKS.where(
    sa.or_(
        accounts.c.mismatch_modified_at.is_not(None),
        accounts.c.recovered_modified_at == accounts.c.modified_at,
    )
)


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
    rows = connection.execute(
        _LIST_MISMATCHES if only_mismatches else _LIST_RECHECKS,
        {"app": app_id, "in_flight": sorted(in_flight_refs), "now": now, "limit": limit},
    )
    return [_to_pending_read(row, is_scheduled=False) for row in rows]


_LIST_PROBES = (
    sa.select(accounts)
    .where(
        accounts.c.modified_at.is_not(None),
        accounts.c.app_id == sa.bindparam("app"),
        accounts.c.recheck_at.is_(None),
    )
    .limit(1)
)
_GET_LAST_CONFIRMED = _LIST_PROBES.where(accounts.c.confirmed_at.is_not(None)).order_by(
    accounts.c.confirmed_at.desc()
)
_GET_NEAREST = _LIST_PROBES.where(accounts.c.id >= sa.bindparam("from_id")).order_by(accounts.c.id)
_GET_MAX_ID = sa.select(sa.func.max(accounts.c.id))


def pick_probe_account(connection: Connection, *, app_id: str) -> PendingRead | None:
    """Returns the account that a read confirmed last; if none was confirmed, any account; None if there is none.

    Accounts with a recheck time are no candidates: they are being read, differ, or failed.
    """
    row = connection.execute(_GET_LAST_CONFIRMED, {"app": app_id}).first()
    if row is None:
        from_id = random.randint(0, connection.execute(_GET_MAX_ID).scalar() or 0)  # noqa: S311 - no secret
        for start in (from_id, 0):
            row = row or connection.execute(_GET_NEAREST, {"app": app_id, "from_id": start}).first()
    return None if row is None else _to_pending_read(row, is_scheduled=False)


def _to_pending_read(row: sa.Row[*tuple[object, ...]], *, is_scheduled: bool) -> PendingRead:
    account = AccountKey(tenant_key=row.tenant_key, app_id=row.app_id, account_id=row.account_id)
    return PendingRead(
        account_ref=row.id, account=account, modified_at=row.modified_at, is_scheduled=is_scheduled
    )


def load_known_balances(connection: Connection, account_refs: Sequence[int]) -> dict[int, KnownBalance]:
    """Returns what the database holds of these accounts now, by row id.

    An event may have changed it since the read was claimed.
    """
    refs = sorted(account_refs)
    balances = load_balances(connection, refs)
    rows = connection.execute(_LOAD_ACCOUNTS, {"refs": refs}).all()
    keys = {
        row.id: AccountKey(tenant_key=row.tenant_key, app_id=row.app_id, account_id=row.account_id)
        for row in rows
    }
    histories = withdrawal_history.load_histories(connection, keys)
    return {
        row.id: KnownBalance(
            account_ref=row.id,
            account=keys[row.id],
            modified_at=row.modified_at,
            amounts=balances.get(row.id, {}),
            confirmed_at=row.confirmed_at,
            mismatch_modified_at=row.mismatch_modified_at,
            has_open_withdrawal=histories[row.id].unfinished is not None,
            own_not_in_ledger=bool(histories[row.id].not_in_ledger),
        )
        for row in rows
    }


_LOAD_ACCOUNTS = sa.select(accounts).where(accounts.c.id.in_(sa.bindparam("refs", expanding=True)))
_MARK_CONFIRMED = (
    sa.update(accounts)
    .where(accounts.c.id == sa.bindparam("ref"), accounts.c.recheck_at == sa.bindparam("claimed_until"))
    .values(confirmed_at=sa.bindparam("at"), mismatch_modified_at=None, recheck_at=None)
)
_MARK_MISMATCH = (
    sa.update(accounts)
    .where(accounts.c.id == sa.bindparam("ref"))
    .values(mismatch_modified_at=sa.bindparam("differed_from"), recheck_at=sa.bindparam("at"))
)
_SCHEDULE = (
    sa.update(accounts).where(accounts.c.id == sa.bindparam("ref")).values(recheck_at=sa.bindparam("at"))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmedReading:
    """A reading that equalled the ledger."""

    account_ref: int
    """Row id of the account."""
    at: Millis | None
    """When the read was claimed, Unix milliseconds; None: the reading cannot prove a missed event later."""
    claimed_until: Millis
    """End of the read's lease."""


def mark_confirmed(connection: Connection, readings: Sequence[ConfirmedReading]) -> None:
    """Marks accounts whose readings equalled the ledger.

    If an event requested another read meanwhile, the recheck time differs from the end of the lease, and the account
    stays due.
    """
    rows = [
        {"ref": each.account_ref, "at": each.at, "claimed_until": each.claimed_until} for each in readings
    ]
    if rows:
        connection.execute(_MARK_CONFIRMED, rows)


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


def mark_mismatches(
    connection: Connection, differed_from: Mapping[int, Millis], *, recheck_at: Millis
) -> None:
    """Marks accounts whose readings differed.

    differed_from: `modified_at` of the balance in the ledger, by row id of the account. recheck_at: the second read.
    """
    rows = [{"ref": ref, "differed_from": at, "at": recheck_at} for ref, at in differed_from.items()]
    if rows:
        connection.execute(_MARK_MISMATCH, rows)


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


def schedule_rechecks(connection: Connection, account_refs: Collection[int], *, at: Millis | None) -> None:
    """Sets when accounts are read again, apart from runs; Unix milliseconds. None: they wait for the next run."""
    if account_refs:
        connection.execute(_SCHEDULE, [{"ref": ref, "at": at} for ref in account_refs])


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
