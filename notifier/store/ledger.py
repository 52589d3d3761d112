"""The ledger: snapshots, the changes between them, and the balance each account has now."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.domain.event import AccountKey, BalanceReport
from notifier.domain.ledger import BalanceChange, LedgerUpdate, Snapshot, content_of, place_report
from notifier.domain.money import Amounts, Asset, Kind, from_units, to_units
from notifier.store.engine.sql import insert_or_ignore, upsert
from notifier.store.schema.tables import accounts, balances, changes, snapshots


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedReport:
    """The result of a balance report. rewrite: the ledger change; None if the report contains nothing new."""

    account_ref: int
    rewrite: LedgerUpdate | None


@dataclass(slots=True)
class _Account:
    """An account while a batch is applied.

    window: its newest snapshots, in order: all from the predecessor of the earliest report of the batch.
    stored_assets: the assets of its stored balance.
    """

    account_ref: int
    window: list[Snapshot]
    stored_assets: frozenset[Asset]
    is_dirty: bool = False

    def apply(self, report: Snapshot) -> LedgerUpdate | None:
        """Insert the report into the window; None if it contains nothing new."""
        earlier = [known for known in self.window if known.modified_at < report.modified_at]
        same_time = [known for known in self.window if known.modified_at == report.modified_at]
        later = [known for known in self.window if known.modified_at > report.modified_at]
        rewrite = place_report(
            report,
            earlier=earlier[-1] if earlier else None,
            same_time=same_time,
            later=later[0] if later else None,
        )
        if rewrite is not None:
            self.window = [*earlier, *rewrite.kept, *later]
            self.is_dirty = self.is_dirty or rewrite.newest is not None
        return rewrite


_SnapshotKey = tuple[int, int, str]
"""account_ref, modified_at, content."""


class _Rewrites:
    """The snapshots and changes that a batch writes."""

    def __init__(self) -> None:
        self.inbox_ids: dict[_SnapshotKey, int | None] = {}
        """The event of each report that changed the history."""
        self.snapshots: dict[_SnapshotKey, Snapshot] = {}
        """Those reports."""
        self.changes: dict[_SnapshotKey, tuple[BalanceChange, ...]] = {}
        """All changes of each snapshot whose changes are new or different."""

    def add(self, ref: int, inbox_id: int | None, report: Snapshot, rewrite: LedgerUpdate) -> None:
        """Record what a report changed. A later rewrite of the same snapshot replaces an earlier one."""
        key = (ref, report.modified_at, report.content)
        self.inbox_ids.setdefault(key, inbox_id)
        self.snapshots[key] = report
        for snapshot, each in rewrite.changes:
            self.changes[ref, snapshot.modified_at, snapshot.content] = each


def apply_reports(
    connection: Connection, reports: Sequence[tuple[int | None, BalanceReport]]
) -> list[AppliedReport]:
    """Apply (inbox id, report) pairs to the ledger in the given order, and return one result for each.

    The inbox id is None for a balance that no event reported. The number of statements does not depend on the number
    of reports.
    """
    known, snapshot_ids = _load_accounts(connection, [report for _, report in reports])
    rewrites = _Rewrites()
    applied: list[AppliedReport] = []
    for inbox_id, report in reports:
        account = known[report.account]
        snapshot = Snapshot(
            modified_at=report.modified_at, reported_at=report.reported_at, content=content_of(report.amounts)
        )
        rewrite = account.apply(snapshot)
        if rewrite is not None:
            rewrites.add(account.account_ref, inbox_id, snapshot, rewrite)
        applied.append(AppliedReport(account_ref=account.account_ref, rewrite=rewrite))
    _write_history(connection, rewrites, snapshot_ids)
    _write_newest(connection, [account for account in known.values() if account.is_dirty])
    return applied


_LIST_ACCOUNTS = (
    sa.select(
        accounts.c.id,
        accounts.c.tenant_key,
        accounts.c.app_id,
        accounts.c.account_id,
        accounts.c.modified_at,
        accounts.c.reported_at,
    )
    .where(
        accounts.c.tenant_key.in_(sa.bindparam("tenants", expanding=True)),
        accounts.c.app_id.in_(sa.bindparam("apps", expanding=True)),
        accounts.c.account_id.in_(sa.bindparam("account_ids", expanding=True)),
    )
    .order_by(accounts.c.id)
    .with_for_update(key_share=True)
)
_earlier = snapshots.alias("earlier")
_LIST_WINDOW = sa.select(snapshots).where(
    snapshots.c.account_ref.in_(sa.bindparam("refs", expanding=True)),
    snapshots.c.modified_at
    >= sa.func.coalesce(
        sa.select(sa.func.max(_earlier.c.modified_at))
        .where(
            _earlier.c.account_ref == snapshots.c.account_ref,
            _earlier.c.modified_at < sa.bindparam("earliest"),
        )
        .scalar_subquery(),
        0,
    ),
)


def _load_accounts(
    connection: Connection, reports: Sequence[BalanceReport]
) -> tuple[dict[AccountKey, _Account], dict[_SnapshotKey, int]]:
    """Load and lock the accounts, and create missing ones; and the ids of the snapshots in their windows.

    The fixed order prevents deadlocks of two writers.
    """
    ordered = sorted(
        {report.account for report in reports}, key=lambda key: (key.tenant_key, key.app_id, key.account_id)
    )
    rows = _list_accounts(connection, ordered)
    missing = [key for key in ordered if key not in rows]
    if missing:
        _adopt_accounts(connection, missing)
        insert_or_ignore(connection, accounts, [asdict(key) for key in missing])
        rows |= _list_accounts(connection, missing)
    late = [
        report
        for report in reports
        if (newest_at := rows[report.account].modified_at) is not None and report.modified_at <= newest_at
    ]
    windows, snapshot_ids = _load_windows(connection, {rows[report.account].id for report in late}, late)
    in_order = [row.id for row in rows.values() if row.modified_at is not None and row.id not in windows]
    amounts = load_balances(connection, in_order)
    for row in rows.values():
        if row.modified_at is not None and row.id not in windows:
            newest = Snapshot(
                modified_at=row.modified_at,
                reported_at=row.reported_at,
                content=content_of(amounts.get(row.id, {})),
            )
            windows[row.id] = [newest]
    known = {}
    for key, row in rows.items():
        window = windows.get(row.id, [])
        stored_assets = frozenset(window[-1].amounts if window else ())
        known[key] = _Account(account_ref=row.id, window=window, stored_assets=stored_assets)
    return known, snapshot_ids


_ADOPT = (
    sa.update(accounts)
    .where(
        accounts.c.tenant_key == "",
        accounts.c.app_id == sa.bindparam("app"),
        accounts.c.account_id == sa.bindparam("account"),
    )
    .values(tenant_key=sa.bindparam("tenant"))
)


def _adopt_accounts(connection: Connection, missing: Sequence[AccountKey]) -> None:
    """Set the tenant of accounts that were registered before any event named it."""
    rows = [
        {"app": key.app_id, "account": key.account_id, "tenant": key.tenant_key}
        for key in missing
        if key.tenant_key
    ]
    if rows:
        connection.execute(_ADOPT, rows)


def _list_accounts(
    connection: Connection, keys: Sequence[AccountKey]
) -> dict[AccountKey, sa.Row[*tuple[Any, ...]]]:
    """The rows of these accounts. Rows of other accounts are locked too if an id exists in several tenants."""
    if not keys:
        return {}
    wanted = {
        "tenants": sorted({key.tenant_key for key in keys}),
        "apps": sorted({key.app_id for key in keys}),
        "account_ids": [key.account_id for key in keys],
    }
    found = {
        AccountKey(tenant_key=row.tenant_key, app_id=row.app_id, account_id=row.account_id): row
        for row in connection.execute(_LIST_ACCOUNTS, wanted)
    }
    return {key: found[key] for key in keys if key in found}


def _load_windows(
    connection: Connection, refs: Collection[int], late: Sequence[BalanceReport]
) -> tuple[dict[int, list[Snapshot]], dict[_SnapshotKey, int]]:
    """The snapshots of these accounts, from the predecessor of the earliest late report on; and their ids."""
    windows: dict[int, list[Snapshot]] = {}
    ids: dict[_SnapshotKey, int] = {}
    if not refs:
        return windows, ids
    earliest = min(report.modified_at for report in late)
    for row in connection.execute(_LIST_WINDOW, {"refs": sorted(refs), "earliest": earliest}):
        windows.setdefault(row.account_ref, []).append(_to_snapshot(row))
        ids[row.account_ref, row.modified_at, row.content] = row.id
    for window in windows.values():
        window.sort(key=lambda snapshot: snapshot.order)
    return windows, ids


_LOAD_BALANCES = sa.select(balances).where(balances.c.account_ref.in_(sa.bindparam("refs", expanding=True)))


def load_balances(connection: Connection, account_refs: Sequence[int]) -> dict[int, Amounts]:
    """Current balances by account. Accounts without a balance are missing."""
    found: dict[int, dict[Asset, object]] = {}
    rows = connection.execute(_LOAD_BALANCES, {"refs": account_refs}) if account_refs else ()
    for row in rows:
        found.setdefault(row.account_ref, {})[Asset(Kind(row.kind), row.currency)] = from_units(row.amount)
    return found  # type: ignore[return-value]


def _to_snapshot(row: sa.Row[*tuple[Any, ...]]) -> Snapshot:
    return Snapshot(modified_at=row.modified_at, reported_at=row.reported_at, content=row.content)


_ADD_SNAPSHOTS = sa.insert(snapshots).returning(
    snapshots.c.id, snapshots.c.account_ref, snapshots.c.modified_at, snapshots.c.content
)
_SET_REPORTED_AT = (
    sa.update(snapshots)
    .where(snapshots.c.id == sa.bindparam("snapshot_id"))
    .values(reported_at=sa.bindparam("earliest"))
)


def _write_history(
    connection: Connection, rewrites: _Rewrites, stored_ids: Mapping[_SnapshotKey, int]
) -> None:
    """stored_ids: of the snapshots that existed before the batch."""
    ids = dict(stored_ids)
    new = [
        {
            "account_ref": ref,
            "modified_at": modified_at,
            "reported_at": report.reported_at,
            "content": content,
            "inbox_id": rewrites.inbox_ids[ref, modified_at, content],
        }
        for (ref, modified_at, content), report in rewrites.snapshots.items()
        if (ref, modified_at, content) not in ids
    ]
    if new:
        for row in connection.execute(_ADD_SNAPSHOTS, new):
            ids[row.account_ref, row.modified_at, row.content] = row.id
    earlier_copies = [
        {"snapshot_id": stored_ids[key], "earliest": report.reported_at}
        for key, report in rewrites.snapshots.items()
        if key in stored_ids
    ]
    if earlier_copies:
        connection.execute(_SET_REPORTED_AT, earlier_copies)
    replaced = [ids[key] for key in rewrites.changes if key in stored_ids]
    if replaced:
        connection.execute(sa.delete(changes).where(changes.c.snapshot_id.in_(replaced)))
    rows = [
        _to_change_row(key[0], ids[key], key[1], change)
        for key, each in rewrites.changes.items()
        for change in each
    ]
    if rows:
        connection.execute(_ADD_CHANGES, rows)


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


_ADD_CHANGES = sa.insert(changes)
_SET_NEWEST = (
    sa.update(accounts)
    .where(accounts.c.id == sa.bindparam("account_ref"))
    .values(modified_at=sa.bindparam("newest_at"), reported_at=sa.bindparam("newest_reported_at"))
)
_DELETE_BALANCES = sa.delete(balances).where(balances.c.account_ref.in_(sa.bindparam("refs", expanding=True)))


def _write_newest(connection: Connection, changed: Sequence[_Account]) -> None:
    """Store the newest snapshots of these accounts as their balances."""
    if not changed:
        return
    newest = {account.account_ref: account.window[-1] for account in changed}
    connection.execute(
        _SET_NEWEST,
        [
            {"account_ref": ref, "newest_at": each.modified_at, "newest_reported_at": each.reported_at}
            for ref, each in newest.items()
        ],
    )
    vanished = [
        account.account_ref
        for account in changed
        if account.stored_assets - set(newest[account.account_ref].amounts)
    ]
    if vanished:
        connection.execute(_DELETE_BALANCES, {"refs": vanished})
    rows = [
        {"account_ref": ref, "kind": asset.kind, "currency": asset.currency, "amount": to_units(amount)}
        for ref, each in newest.items()
        for asset, amount in each.amounts.items()
    ]
    upsert(connection, balances, rows)


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
