"""The ledger: snapshots, the changes between them, and the balance each account has now."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.domain.event import AccountKey, BalanceReport
from notifier.domain.ledger import BalanceChange, LedgerUpdate, Snapshot, content_of, place_report
from notifier.domain.money import Amounts, Asset, Kind, from_units, to_units
from notifier.store.engine.sql import insert_or_ignore
from notifier.store.schema.tables import accounts, balances, changes, snapshots


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedReport:
    """The result of a balance report. rewrite: the ledger change; None if the report contains nothing new."""

    account_ref: int
    rewrite: LedgerUpdate | None


@dataclass(slots=True)
class _AccountState:
    account_ref: int
    newest: Snapshot | None
    is_dirty: bool = field(default=False)


def apply_reports(
    connection: Connection, reports: Sequence[tuple[int, BalanceReport]]
) -> list[AppliedReport]:
    """Apply (inbox id, report) pairs to the ledger in the given order, and return one result for each."""
    states = _load_accounts(connection, {report.account for _, report in reports})
    applied = [
        _apply_report(connection, states[report.account], inbox_id, report) for inbox_id, report in reports
    ]
    for state in states.values():
        if state.is_dirty and state.newest is not None:
            _write_account(connection, state.account_ref, state.newest)
    return applied


def _apply_report(
    connection: Connection, state: _AccountState, inbox_id: int, report: BalanceReport
) -> AppliedReport:
    snapshot = Snapshot(
        modified_at=report.modified_at, reported_at=report.reported_at, content=content_of(report.amounts)
    )
    newest = state.newest
    if newest is None or snapshot.modified_at > newest.modified_at:
        rewrite = place_report(snapshot, earlier=newest, same_time=(), later=None)
    else:
        rewrite = place_report(
            snapshot,
            earlier=_find_adjacent(
                connection,
                state.account_ref,
                snapshots.c.modified_at < snapshot.modified_at,
                newest_first=True,
            ),
            same_time=_find_same_time(connection, state.account_ref, snapshot.modified_at),
            later=_find_adjacent(
                connection,
                state.account_ref,
                snapshots.c.modified_at > snapshot.modified_at,
                newest_first=False,
            ),
        )
    if rewrite is not None:
        _write_snapshot(connection, state.account_ref, snapshot, rewrite, inbox_id)
        if rewrite.newest is not None:
            state.newest, state.is_dirty = rewrite.newest, True
    return AppliedReport(account_ref=state.account_ref, rewrite=rewrite)


def _load_accounts(connection: Connection, keys: Iterable[AccountKey]) -> dict[AccountKey, _AccountState]:
    """Load and lock the accounts; create missing ones. The fixed order prevents deadlocks of two writers."""
    ordered = sorted(keys, key=lambda key: (key.tenant_key, key.app_id, key.account_id))
    insert_or_ignore(
        connection,
        accounts,
        [{"tenant_key": k.tenant_key, "app_id": k.app_id, "account_id": k.account_id} for k in ordered],
    )
    rows = connection.execute(
        sa.select(
            accounts.c.id,
            accounts.c.tenant_key,
            accounts.c.app_id,
            accounts.c.account_id,
            accounts.c.modified_at,
            accounts.c.reported_at,
        )
        .where(accounts.c.account_id.in_([key.account_id for key in ordered]))
        .order_by(accounts.c.id)
        .with_for_update()
    ).all()
    amounts = load_balances(connection, [row.id for row in rows if row.modified_at is not None])
    found: dict[AccountKey, _AccountState] = {}
    for row in rows:
        key = AccountKey(tenant_key=row.tenant_key, app_id=row.app_id, account_id=row.account_id)
        newest = None
        if row.modified_at is not None:
            newest = Snapshot(
                modified_at=row.modified_at,
                reported_at=row.reported_at,
                content=content_of(amounts.get(row.id, {})),
            )
        found[key] = _AccountState(account_ref=row.id, newest=newest)
    return found


def load_balances(connection: Connection, account_refs: Sequence[int]) -> dict[int, Amounts]:
    """Current balances by account. Accounts without a balance are missing."""
    found: dict[int, dict[Asset, object]] = {}
    rows = (
        connection.execute(sa.select(balances).where(balances.c.account_ref.in_(account_refs)))
        if account_refs
        else ()
    )
    for row in rows:
        found.setdefault(row.account_ref, {})[Asset(Kind(row.kind), row.currency)] = from_units(row.amount)
    return found  # type: ignore[return-value]


def _find_adjacent(
    connection: Connection, account_ref: int, where: sa.ColumnElement[bool], *, newest_first: bool
) -> Snapshot | None:
    columns = (snapshots.c.modified_at, snapshots.c.reported_at, snapshots.c.content)
    rows = connection.execute(
        sa.select(*columns).where(
            snapshots.c.account_ref == account_ref,
            snapshots.c.modified_at
            == sa.select(
                sa.func.max(snapshots.c.modified_at) if newest_first else sa.func.min(snapshots.c.modified_at)
            )
            .where(snapshots.c.account_ref == account_ref, where)
            .scalar_subquery(),
        )
    )
    group = sorted((_to_snapshot(row) for row in rows), key=lambda s: s.order)
    return (group[-1] if newest_first else group[0]) if group else None


def _find_same_time(connection: Connection, account_ref: int, modified_at: int) -> list[Snapshot]:
    rows = connection.execute(
        sa.select(snapshots).where(
            snapshots.c.account_ref == account_ref, snapshots.c.modified_at == modified_at
        )
    )
    return [_to_snapshot(row) for row in rows]


def _to_snapshot(row: sa.Row[*tuple[Any, ...]]) -> Snapshot:
    return Snapshot(modified_at=row.modified_at, reported_at=row.reported_at, content=row.content)


def _write_snapshot(
    connection: Connection, account_ref: int, report: Snapshot, rewrite: LedgerUpdate, inbox_id: int
) -> None:
    insert_or_ignore(
        connection,
        snapshots,
        [
            {
                "account_ref": account_ref,
                "modified_at": report.modified_at,
                "reported_at": report.reported_at,
                "content": report.content,
                "inbox_id": inbox_id,
            }
        ],
    )
    ids = {
        (row.modified_at, row.content): row
        for row in connection.execute(
            sa.select(snapshots).where(
                snapshots.c.account_ref == account_ref,
                snapshots.c.modified_at.in_(
                    sorted({snapshot.modified_at for snapshot, _ in rewrite.changes})
                ),
            )
        )
    }
    stored = ids[report.modified_at, report.content]
    known_before = stored.reported_at != report.reported_at
    if known_before:
        connection.execute(
            sa.update(snapshots).where(snapshots.c.id == stored.id).values(reported_at=report.reported_at)
        )
    rewritten = [(ids[snapshot.modified_at, snapshot.content].id, each) for snapshot, each in rewrite.changes]
    if known_before or len(rewritten) > 1:
        connection.execute(
            sa.delete(changes).where(changes.c.snapshot_id.in_([snapshot_id for snapshot_id, _ in rewritten]))
        )
    rows = [
        _to_change_row(account_ref, snapshot_id, snapshot.modified_at, change)
        for (snapshot_id, each), (snapshot, _) in zip(rewritten, rewrite.changes, strict=True)
        for change in each
    ]
    if rows:
        connection.execute(sa.insert(changes), rows)


def _to_change_row(
    account_ref: int, snapshot_id: int, modified_at: int, change: BalanceChange
) -> dict[str, object]:
    return {
        "snapshot_id": snapshot_id,
        "account_ref": account_ref,
        "kind": change.asset.kind,
        "currency": change.asset.currency,
        "before": to_units(change.before),
        "after": to_units(change.after),
        "modified_at": modified_at,
    }


def _write_account(connection: Connection, account_ref: int, newest: Snapshot) -> None:
    connection.execute(
        sa.update(accounts)
        .where(accounts.c.id == account_ref)
        .values(modified_at=newest.modified_at, reported_at=newest.reported_at)
    )
    connection.execute(sa.delete(balances).where(balances.c.account_ref == account_ref))
    rows = [
        {
            "account_ref": account_ref,
            "kind": asset.kind,
            "currency": asset.currency,
            "amount": to_units(amount),
        }
        for asset, amount in newest.amounts.items()
    ]
    if rows:
        connection.execute(sa.insert(balances), rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Imbalance:
    """An asset whose changes do not sum up to its balance. Amounts are ten-thousandths."""

    account_ref: int
    """Row id of the account."""
    kind: str
    """Kind of the asset."""
    currency: str
    """"" for points."""
    changes_sum: int
    """Sum of all changes, in ten-thousandths."""
    balance: int
    """The stored balance, in ten-thousandths."""


def find_imbalances(connection: Connection) -> list[Imbalance]:
    """Check the ledger: empty if the changes of every account sum up to its balance."""
    summed = sa.select(
        changes.c.account_ref,
        changes.c.kind,
        changes.c.currency,
        sa.func.sum(changes.c.after - changes.c.before).label("total"),
    ).group_by(changes.c.account_ref, changes.c.kind, changes.c.currency)
    sums = {(row.account_ref, row.kind, row.currency): int(row.total) for row in connection.execute(summed)}
    held = {
        (row.account_ref, row.kind, row.currency): int(row.amount)
        for row in connection.execute(sa.select(balances))
    }
    wrong = [key for key in {*sums, *held} if sums.get(key, 0) != held.get(key, 0)]
    return [
        Imbalance(
            account_ref=key[0],
            kind=key[1],
            currency=key[2],
            changes_sum=sums.get(key, 0),
            balance=held.get(key, 0),
        )
        for key in sorted(wrong)
    ]


def load_history(connection: Connection, key: AccountKey) -> list[tuple[Snapshot, tuple[BalanceChange, ...]]]:
    """All snapshots of the account with their changes, oldest first."""
    ref = connection.execute(
        sa.select(accounts.c.id).where(
            accounts.c.tenant_key == key.tenant_key,
            accounts.c.app_id == key.app_id,
            accounts.c.account_id == key.account_id,
        )
    ).scalar()
    rows = connection.execute(sa.select(snapshots).where(snapshots.c.account_ref == ref)).all()
    ordered = sorted(((_to_snapshot(row), row.id) for row in rows), key=lambda pair: pair[0].order)
    change_rows = connection.execute(
        sa.select(changes).where(changes.c.account_ref == ref).order_by(changes.c.kind, changes.c.currency)
    ).all()
    return [
        (
            snapshot,
            tuple(
                BalanceChange(
                    asset=Asset(Kind(change_row.kind), change_row.currency),
                    before=from_units(change_row.before),
                    after=from_units(change_row.after),
                )
                for change_row in change_rows
                if change_row.snapshot_id == snapshot_id
            ),
        )
        for snapshot, snapshot_id in ordered
    ]
