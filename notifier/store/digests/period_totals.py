"""Books: what the ledger says of a period. Sums are made by the database, so that a million changes cost no memory.

All of it reads; a caller that wants one consistent picture asks within one transaction.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import groupby, zip_longest
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.domain.account import Referrer
from notifier.domain.digest import ZERO, AssetFlow, Holder
from notifier.domain.ledger import read_content
from notifier.domain.money import Amounts, Asset, Kind, from_units
from notifier.store.schema.tables import accounts, balances, changes, snapshots, withdrawals

_DELTA = changes.c.after - changes.c.before
_INCREASE = sa.case((_DELTA > 0, _DELTA), else_=0)
STREAM_ROWS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeRange:
    """[from_at, to_at)"""

    from_at: Millis
    to_at: Millis

    def contains(self, column: sa.ColumnElement[int]) -> sa.ColumnElement[bool]:
        return sa.and_(column >= self.from_at, column < self.to_at)


@dataclass(frozen=True, slots=True)
class _WithdrawalTotals:
    """Of the changes of one asset: what our own withdrawals took, and how much of it hid a reward."""

    withdrawn: Decimal = ZERO
    hidden_rewards: Decimal = ZERO


def compute_flows(connection: Connection, time_range: TimeRange) -> dict[Asset, AssetFlow]:
    """Of every asset that anybody has or had."""
    opening = _sum_by_asset(connection, changes.c.modified_at < time_range.from_at)
    moved = compute_movements(connection, time_range)
    since = _sum_by_asset(connection, changes.c.modified_at >= time_range.to_at)
    held = _current_balances(connection)
    return {
        asset: replace(
            moved.get(asset, AssetFlow()),
            opening=opening.get(asset, ZERO),
            closing=held.get(asset, ZERO) - since.get(asset, ZERO),
        )
        for asset in sorted({*opening, *moved, *held, *since})
    }


def compute_movements(connection: Connection, time_range: TimeRange) -> dict[Asset, AssetFlow]:
    """What came in and what went, without the balances around it. One pass over the changes."""
    first = _is_first_change()
    rows = connection.execute(
        sa.select(
            changes.c.kind,
            changes.c.currency,
            sa.func.sum(_DELTA).label("net"),
            sa.func.sum(_INCREASE).label("up"),
            sa.func.sum(sa.case((first, _DELTA), else_=0)).label("first"),
            sa.func.sum(sa.case((first, _INCREASE), else_=0)).label("first_up"),
            sa.func.count().label("moved"),
        )
        .where(time_range.contains(changes.c.modified_at))
        .group_by(changes.c.kind, changes.c.currency)
    ).all()
    sums = {Asset(Kind(row.kind), row.currency): row for row in rows}
    shares = _withdrawal_totals(connection, time_range)
    return {
        asset: _to_flow(sums.get(asset), shares.get(asset, _WithdrawalTotals()))
        for asset in sorted({*sums, *shares})
    }


def _to_flow(sums: sa.Row[*tuple[Any, ...]] | None, own_totals: "_WithdrawalTotals") -> AssetFlow:
    """sums: of net, up, first, first_up in units, and how many moved; None for an asset without a change."""
    net, up, first, first_up = (
        (from_units(int(getattr(sums, name))) for name in ("net", "up", "first", "first_up"))
        if sums is not None
        else (ZERO, ZERO, ZERO, ZERO)
    )
    rewards = up - first_up + own_totals.hidden_rewards
    return AssetFlow(
        first_seen=first,
        rewards=rewards,
        withdrawn=own_totals.withdrawn,
        corrections=net - first - rewards + own_totals.withdrawn,
        net=net,
        steps=int(sums.moved) if sums is not None else 0,
    )


def _sum_by_asset(connection: Connection, where: sa.ColumnElement[bool]) -> dict[Asset, Decimal]:
    """The sum of these changes."""
    rows = connection.execute(
        sa.select(changes.c.kind, changes.c.currency, sa.func.sum(_DELTA).label("units"))
        .where(where)
        .group_by(changes.c.kind, changes.c.currency)
    )
    return {Asset(Kind(row.kind), row.currency): from_units(int(row.units)) for row in rows}


def _current_balances(connection: Connection) -> dict[Asset, Decimal]:
    query = sa.select(balances.c.kind, balances.c.currency, sa.func.sum(balances.c.amount).label("units"))
    rows = connection.execute(query.group_by(balances.c.kind, balances.c.currency))
    return {Asset(Kind(row.kind), row.currency): from_units(int(row.units)) for row in rows}


def _is_first_change() -> sa.ColumnElement[bool]:
    """The change from nothing that an account's first report makes."""
    earlier = sa.exists().where(
        snapshots.c.account_ref == changes.c.account_ref, snapshots.c.modified_at < changes.c.modified_at
    )
    return sa.and_(changes.c.before == 0, ~earlier)


@dataclass(frozen=True, slots=True, kw_only=True)
class _WithdrawalEffect:
    """What our withdrawals took, as one balance report of one account showed it. deltas: of that report."""

    account_ref: int
    withdrawn: Amounts
    deltas: Amounts


def _withdrawal_totals(connection: Connection, time_range: TimeRange) -> dict[Asset, _WithdrawalTotals]:
    found: dict[Asset, _WithdrawalTotals] = defaultdict(_WithdrawalTotals)
    for own in _withdrawal_effects(connection, time_range, None):
        for asset, share in _split_effect(own).items():
            known = found[asset]
            found[asset] = _WithdrawalTotals(
                known.withdrawn + share.withdrawn, known.hidden_rewards + share.hidden_rewards
            )
    return dict(found)


def _split_effect(effect: _WithdrawalEffect) -> dict[Asset, _WithdrawalTotals]:
    """A reward that came along with a withdrawal makes the decrease smaller; it is counted as what it is."""
    shares = {}
    for asset, withdrawn in effect.withdrawn.items():
        delta = effect.deltas.get(asset, ZERO)
        shares[asset] = _WithdrawalTotals(withdrawn, max(delta + withdrawn, ZERO) - max(delta, ZERO))
    return shares


def _withdrawal_effects(
    connection: Connection, time_range: TimeRange, account_refs: Collection[int] | None
) -> Iterator[_WithdrawalEffect]:
    query = (
        sa.select(
            withdrawals.c.account_ref,
            withdrawals.c.ledger_modified_at,
            withdrawals.c.id,
            withdrawals.c.withdrawn,
            changes.c.id.label("change_id"),
            changes.c.kind,
            changes.c.currency,
            _DELTA.label("delta"),
        )
        .outerjoin(
            changes,
            sa.and_(
                changes.c.modified_at == withdrawals.c.ledger_modified_at,
                changes.c.account_ref == withdrawals.c.account_ref,
            ),
        )
        .where(time_range.contains(withdrawals.c.ledger_modified_at), withdrawals.c.withdrawn.is_not(None))
        .order_by(withdrawals.c.account_ref, withdrawals.c.ledger_modified_at)
    )
    if account_refs is not None:
        query = query.where(withdrawals.c.account_ref.in_(account_refs))
    rows = connection.execution_options(yield_per=STREAM_ROWS).execute(query)
    for (ref, _), same in groupby(rows, key=lambda row: (row.account_ref, row.ledger_modified_at)):
        withdrawn_by_order: dict[int, str] = {}
        changes_by_id: dict[int, tuple[tuple[str, str], int]] = {}
        for row in same:
            withdrawn_by_order[row.id] = row.withdrawn
            if row.kind is not None:
                changes_by_id[row.change_id] = (row.kind, row.currency), row.delta
        deltas: dict[tuple[str, str], int] = defaultdict(int)
        for asset_key, delta in changes_by_id.values():  # several reports may share one modify_time
            deltas[asset_key] += delta
        withdrawn: dict[Asset, Decimal] = defaultdict(Decimal)
        for text in withdrawn_by_order.values():
            for asset, amount in read_content(text).items():
                withdrawn[asset] += amount
        yield _WithdrawalEffect(
            account_ref=ref,
            withdrawn=dict(withdrawn),
            deltas={Asset(Kind(kind), code): from_units(units) for (kind, code), units in deltas.items()},
        )


def count_changed_accounts(connection: Connection, time_range: TimeRange) -> int:
    """How many accounts changed."""
    return connection.execute(
        sa.select(sa.func.count(changes.c.account_ref.distinct())).where(
            time_range.contains(changes.c.modified_at)
        )
    ).scalar_one()


def list_most_changed(connection: Connection, time_range: TimeRange, *, limit: int) -> tuple[Holder, ...]:
    """The largest net changes of each asset, taken in turns, as there is no common measure of currencies."""
    net = sa.func.sum(_DELTA)
    ranked = (
        sa.select(changes.c.account_ref, changes.c.kind, changes.c.currency, net.label("units"))
        .where(time_range.contains(changes.c.modified_at))
        .group_by(changes.c.account_ref, changes.c.kind, changes.c.currency)
        .having(net != 0)
        .subquery()
    )
    refs = _pick_round_robin(connection, ranked, limit)
    chosen = sa.select(changes.c.account_ref, changes.c.kind, changes.c.currency, net.label("units")).where(
        time_range.contains(changes.c.modified_at), changes.c.account_ref.in_(refs)
    )
    rows = connection.execute(
        chosen.group_by(changes.c.account_ref, changes.c.kind, changes.c.currency).having(net != 0)
    )
    return _to_holders(connection, refs, rows)


def list_largest_holders(
    connection: Connection, *, kinds: Collection[Kind], limit: int
) -> tuple[Holder, ...]:
    """The largest balances of each asset as they are now, taken in turns."""
    wanted = sa.and_(balances.c.kind.in_(kinds), balances.c.amount > 0)
    ranked = (
        sa.select(
            balances.c.account_ref, balances.c.kind, balances.c.currency, balances.c.amount.label("units")
        )
        .where(wanted)
        .subquery()
    )
    refs = _pick_round_robin(connection, ranked, limit)
    rows = connection.execute(
        sa.select(
            balances.c.account_ref, balances.c.kind, balances.c.currency, balances.c.amount.label("units")
        ).where(wanted, balances.c.account_ref.in_(refs))
    )
    return _to_holders(connection, refs, rows)


def count_holders(connection: Connection, *, kinds: Collection[Kind]) -> int:
    return connection.execute(
        sa.select(sa.func.count(balances.c.account_ref.distinct())).where(
            balances.c.kind.in_(kinds), balances.c.amount > 0
        )
    ).scalar_one()


def _pick_round_robin(connection: Connection, ranked: sa.Subquery, limit: int) -> list[int]:
    """The account with most of the first asset, then of the second, ..., then the seconds. Cash comes before points,
    the currency of most people first.
    """
    rank = sa.func.row_number().over(
        partition_by=(ranked.c.kind, ranked.c.currency),
        order_by=(sa.func.abs(ranked.c.units).desc(), ranked.c.account_ref),
    )
    account_count = sa.func.count().over(partition_by=(ranked.c.kind, ranked.c.currency))
    ranked_accounts = sa.select(ranked, rank.label("rank"), account_count.label("account_count")).subquery()
    rows = connection.execute(
        sa.select(ranked_accounts.c.account_ref, ranked_accounts.c.kind, ranked_accounts.c.currency)
        .where(ranked_accounts.c.rank <= limit)
        .order_by(
            ranked_accounts.c.kind,
            ranked_accounts.c.account_count.desc(),
            ranked_accounts.c.currency,
            ranked_accounts.c.rank,
        )
    ).all()
    columns = [
        [row.account_ref for row in same]
        for _, same in groupby(rows, key=lambda row: (row.kind, row.currency))
    ]
    turns = (ref for turn in zip_longest(*columns) for ref in turn if ref is not None)
    return list(dict.fromkeys(turns))[:limit]


def _to_holders(
    connection: Connection, account_refs: Sequence[int], rows: sa.CursorResult[*tuple[Any, ...]]
) -> tuple[Holder, ...]:
    amounts: dict[int, dict[Asset, Decimal]] = defaultdict(dict)
    for row in rows:
        amounts[row.account_ref][Asset(Kind(row.kind), row.currency)] = from_units(int(row.units))
    known = {
        row.id: row
        for row in connection.execute(sa.select(accounts).where(accounts.c.id.in_(account_refs))).all()
    }
    return tuple(
        Holder(
            account_ref=ref,
            account_id=known[ref].account_id,
            referrer=_to_referrer(known[ref]),
            amounts=dict(sorted(amounts[ref].items())),
        )
        for ref in account_refs
    )


def _to_referrer(row: sa.Row[*tuple[Any, ...]]) -> Referrer | None:
    if row.referrer_open_id is None:
        return None
    return Referrer(open_id=row.referrer_open_id, name_zh=row.referrer_name_zh, name_en=row.referrer_name_en)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountTotals:
    """One asset of one account over a period."""

    account_ref: int
    account_id: str
    referrer: Referrer | None
    asset: Asset
    flow: AssetFlow


_AssetKey = tuple[int, str, str]


def iter_account_totals(
    connection: Connection, time_range: TimeRange, *, account_refs: Collection[int] | None = None
) -> Iterator[AccountTotals]:
    """Every account with a balance at the end of the period or a change in it. Streams. refs: only these accounts."""
    shares = _withdrawal_totals_by_account(connection, time_range, account_refs)
    for row in connection.execution_options(yield_per=STREAM_ROWS).execute(
        _account_totals_query(time_range, account_refs)
    ):
        asset = Asset(Kind(row.kind), row.currency)
        share = shares.get((row.account_ref, row.kind, row.currency), _WithdrawalTotals())
        moved = _to_flow(row, share)
        closing = from_units(int(row.held) - int(row.since))
        yield AccountTotals(
            account_ref=row.account_ref,
            account_id=row.account_id,
            referrer=_to_referrer(row),
            asset=asset,
            flow=replace(moved, opening=closing - moved.net, closing=closing),
        )


def _withdrawal_totals_by_account(
    connection: Connection, time_range: TimeRange, account_refs: Collection[int] | None
) -> Mapping[_AssetKey, _WithdrawalTotals]:
    found: dict[_AssetKey, _WithdrawalTotals] = defaultdict(_WithdrawalTotals)
    for own in _withdrawal_effects(connection, time_range, account_refs):
        for asset, share in _split_effect(own).items():
            key = (own.account_ref, asset.kind.value, asset.currency)
            known = found[key]
            found[key] = _WithdrawalTotals(
                known.withdrawn + share.withdrawn, known.hidden_rewards + share.hidden_rewards
            )
    return found


def _account_totals_query(
    time_range: TimeRange, account_refs: Collection[int] | None
) -> sa.Select[*tuple[Any, ...]]:
    """Changes from the period's start on, and balances, brought together by account and asset."""
    zero = sa.literal(0)
    within = time_range.contains(changes.c.modified_at)
    first = sa.and_(within, _is_first_change())
    moved = sa.select(
        changes.c.account_ref,
        changes.c.kind,
        changes.c.currency,
        sa.case((within, _DELTA), else_=0).label("net"),
        sa.case((within, _INCREASE), else_=0).label("up"),
        sa.case((first, _DELTA), else_=0).label("first"),
        sa.case((first, _INCREASE), else_=0).label("first_up"),
        sa.case((within, zero), else_=_DELTA).label("since"),
        zero.label("held"),
        sa.case((within, 1), else_=0).label("moved"),
    ).where(changes.c.modified_at >= time_range.from_at)
    held = sa.select(
        balances.c.account_ref,
        balances.c.kind,
        balances.c.currency,
        zero,
        zero,
        zero,
        zero,
        zero,
        balances.c.amount,
        zero,
    )
    if account_refs is not None:  # there is no index from an account to its changes but by its snapshots
        their_snapshots = sa.select(snapshots.c.id).where(snapshots.c.account_ref.in_(account_refs))
        moved = moved.where(changes.c.snapshot_id.in_(their_snapshots))
        held = held.where(balances.c.account_ref.in_(account_refs))
    both = sa.union_all(moved, held).subquery()
    sums = ("net", "up", "first", "first_up", "since", "held", "moved")
    summed = (
        sa.select(
            both.c.account_ref,
            both.c.kind,
            both.c.currency,
            *(sa.func.sum(both.c[name]).label(name) for name in sums),
        )
        .group_by(both.c.account_ref, both.c.kind, both.c.currency)
        .subquery()
    )
    return (
        sa.select(
            summed,
            accounts.c.account_id,
            accounts.c.referrer_open_id,
            accounts.c.referrer_name_zh,
            accounts.c.referrer_name_en,
        )
        .join(accounts, accounts.c.id == summed.c.account_ref)
        .where(sa.or_(summed.c.moved > 0, summed.c.held - summed.c.since != 0))
        .order_by(summed.c.account_ref, summed.c.kind, summed.c.currency)
    )


def list_account_refs(connection: Connection, *, after_ref: int, limit: int) -> list[int]:
    """Accounts by number, from the one after this."""
    return list(
        connection.execute(
            sa.select(accounts.c.id).where(accounts.c.id > after_ref).order_by(accounts.c.id).limit(limit)
        ).scalars()
    )
