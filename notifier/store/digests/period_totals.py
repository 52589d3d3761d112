"""Period totals: opening balances, changes and closing balances of a period.

The database computes the sums, so that memory use does not grow with the number of changes. All functions only read.
For consistent results, call them within one transaction.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.domain.account import Referrer
from notifier.domain.digest import ZERO, AssetFlow
from notifier.domain.ledger import read_content
from notifier.domain.money import Amounts, Asset, Kind, from_units
from notifier.store.schema.tables import accounts, balances, changes, snapshots, withdrawals

CHANGE_AMOUNT = changes.c.after - changes.c.before
"""SQL expression: amount of a change, in ten-thousandths."""
_INCREASE = sa.case((CHANGE_AMOUNT > 0, CHANGE_AMOUNT), else_=0)
STREAM_ROWS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeRange:
    """A half-open time range [from_at, to_at), in ms."""

    from_at: Millis
    to_at: Millis

    def contains(self, column: sa.ColumnElement[int]) -> sa.ColumnElement[bool]:
        """SQL condition: the time column is within the range."""
        return sa.and_(column >= self.from_at, column < self.to_at)


@dataclass(frozen=True, slots=True)
class _WithdrawalTotals:
    """The part of our own withdrawals in the changes of one asset, and the rewards that they hide."""

    withdrawn: Decimal = ZERO
    hidden_rewards: Decimal = ZERO


def compute_flows(connection: Connection, time_range: TimeRange) -> dict[Asset, AssetFlow]:
    """Flows of all accounts in the period, with opening and closing balance and later changes, by asset."""
    opening = _sum_by_asset(connection, changes.c.modified_at < time_range.from_at)
    moved = compute_movements(connection, time_range)
    since = _sum_by_asset(connection, changes.c.modified_at >= time_range.to_at)
    held = _current_balances(connection)
    return {
        asset: replace(
            moved.get(asset, AssetFlow()),
            opening=opening.get(asset, ZERO),
            closing=held.get(asset, ZERO) - since.get(asset, ZERO),
            later=since.get(asset, ZERO),
        )
        for asset in sorted({*opening, *moved, *held, *since})
    }


def compute_movements(connection: Connection, time_range: TimeRange) -> dict[Asset, AssetFlow]:
    """Flows of all accounts in the period by asset, without opening and closing balance. Faster than compute_flows."""
    first = _is_first_change()
    rows = connection.execute(
        sa.select(
            changes.c.kind,
            changes.c.currency,
            sa.func.sum(CHANGE_AMOUNT).label("net"),
            sa.func.sum(_INCREASE).label("up"),
            sa.func.sum(sa.case((first, CHANGE_AMOUNT), else_=0)).label("first"),
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
    """sums: net, up, first and first_up in ten-thousandths, and the number of changes; None: no change."""
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
    """The sum of the matching changes by asset."""
    rows = connection.execute(
        sa.select(changes.c.kind, changes.c.currency, sa.func.sum(CHANGE_AMOUNT).label("units"))
        .where(where)
        .group_by(changes.c.kind, changes.c.currency)
    )
    return {Asset(Kind(row.kind), row.currency): from_units(int(row.units)) for row in rows}


def _current_balances(connection: Connection) -> dict[Asset, Decimal]:
    query = sa.select(balances.c.kind, balances.c.currency, sa.func.sum(balances.c.amount).label("units"))
    rows = connection.execute(query.group_by(balances.c.kind, balances.c.currency))
    return {Asset(Kind(row.kind), row.currency): from_units(int(row.units)) for row in rows}


def _is_first_change() -> sa.ColumnElement[bool]:
    """Whether a change comes from the first report of an account."""
    earlier = sa.exists().where(
        snapshots.c.account_ref == changes.c.account_ref, snapshots.c.modified_at < changes.c.modified_at
    )
    return sa.and_(changes.c.before == 0, ~earlier)


@dataclass(frozen=True, slots=True, kw_only=True)
class _WithdrawalEffect:
    """Withdrawn amounts that one balance report of one account includes. deltas: all changes of that report."""

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
    """Separate rewards from withdrawals. A reward in the same report makes the decrease smaller."""
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
            CHANGE_AMOUNT.label("delta"),
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
    rows = connection.execute(query.execution_options(yield_per=STREAM_ROWS))
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


def to_referrer(row: sa.Row[*tuple[Any, ...]]) -> Referrer | None:
    """The referrer in a row with the columns of `accounts`; None if unknown."""
    if row.referrer_open_id is None:
        return None
    return Referrer(open_id=row.referrer_open_id, name_zh=row.referrer_name_zh, name_en=row.referrer_name_en)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountTotals:
    """The flow of one asset of one account in a period."""

    account_ref: int
    """Row id of the account."""
    account_id: str
    """Feishu's account id."""
    referrer: Referrer | None
    """None: not known."""
    asset: Asset
    """The asset of these totals."""
    flow: AssetFlow
    """Opening, changes and closing in the period."""


_AssetKey = tuple[int, str, str]


def iter_account_totals(
    connection: Connection, time_range: TimeRange, *, account_refs: Collection[int] | None = None
) -> Iterator[AccountTotals]:
    """Stream the totals of accounts with a change in the period, or with a balance at its end or now.

    account_refs: only these accounts; None: all.
    """
    shares = _withdrawal_totals_by_account(connection, time_range, account_refs)
    query = _account_totals_query(time_range, account_refs).execution_options(yield_per=STREAM_ROWS)
    for row in connection.execute(query):
        asset = Asset(Kind(row.kind), row.currency)
        share = shares.get((row.account_ref, row.kind, row.currency), _WithdrawalTotals())
        moved = _to_flow(row, share)
        later = from_units(int(row.since))
        closing = from_units(int(row.held)) - later
        yield AccountTotals(
            account_ref=row.account_ref,
            account_id=row.account_id,
            referrer=to_referrer(row),
            asset=asset,
            flow=replace(moved, opening=closing - moved.net, closing=closing, later=later),
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
    """Join changes since the start of the period with current balances, by account and asset."""
    zero = sa.literal(0)
    within = time_range.contains(changes.c.modified_at)
    first = sa.and_(within, _is_first_change())
    moved = sa.select(
        changes.c.account_ref,
        changes.c.kind,
        changes.c.currency,
        sa.case((within, CHANGE_AMOUNT), else_=0).label("net"),
        sa.case((within, _INCREASE), else_=0).label("up"),
        sa.case((first, CHANGE_AMOUNT), else_=0).label("first"),
        sa.case((first, _INCREASE), else_=0).label("first_up"),
        sa.case((within, zero), else_=CHANGE_AMOUNT).label("since"),
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
    if account_refs is not None:  # changes are indexed by account only through snapshots
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
        .where(sa.or_(summed.c.moved > 0, summed.c.held - summed.c.since != 0, summed.c.held != 0))
        .order_by(summed.c.account_ref, summed.c.kind, summed.c.currency)
    )


def list_account_refs(connection: Connection, *, after_ref: int, limit: int) -> list[int]:
    """accounts.id in ascending order, greater than after_ref."""
    return list(
        connection.execute(
            sa.select(accounts.c.id).where(accounts.c.id > after_ref).order_by(accounts.c.id).limit(limit)
        ).scalars()
    )
