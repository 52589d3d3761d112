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
from notifier.domain.digest import ZERO, Flow, Holder
from notifier.domain.ledger import read_content
from notifier.domain.money import Amounts, Asset, Kind, from_units
from notifier.store.schema.tables import accounts, balances, changes, snapshots, withdrawals

_DELTA = changes.c.after - changes.c.before
_UP = sa.case((_DELTA > 0, _DELTA), else_=0)
STREAM = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """[from_at, to_at)"""

    from_at: Millis
    to_at: Millis

    def holds(self, column: sa.ColumnElement[int]) -> sa.ColumnElement[bool]:
        return sa.and_(column >= self.from_at, column < self.to_at)


@dataclass(frozen=True, slots=True)
class _Shares:
    """Of the changes of one asset: what our own withdrawals took, and how much of it hid a reward."""

    withdrawn: Decimal = ZERO
    hidden: Decimal = ZERO


def flows(connection: Connection, stretch: Stretch) -> dict[Asset, Flow]:
    """Of every asset that anybody has or had."""
    opening = _by_asset(connection, changes.c.modified_at < stretch.from_at)
    moved = moves(connection, stretch)
    since = _by_asset(connection, changes.c.modified_at >= stretch.to_at)
    held = _held(connection)
    return {
        asset: replace(
            moved.get(asset, Flow()),
            opening=opening.get(asset, ZERO),
            closing=held.get(asset, ZERO) - since.get(asset, ZERO),
        )
        for asset in sorted({*opening, *moved, *held, *since})
    }


def moves(connection: Connection, stretch: Stretch) -> dict[Asset, Flow]:
    """What came in and what went, without the balances around it. One pass over the changes."""
    first = _is_first()
    rows = connection.execute(
        sa.select(
            changes.c.kind,
            changes.c.currency,
            sa.func.sum(_DELTA).label("net"),
            sa.func.sum(_UP).label("up"),
            sa.func.sum(sa.case((first, _DELTA), else_=0)).label("first"),
            sa.func.sum(sa.case((first, _UP), else_=0)).label("first_up"),
            sa.func.count().label("moved"),
        )
        .where(stretch.holds(changes.c.modified_at))
        .group_by(changes.c.kind, changes.c.currency)
    ).all()
    sums = {Asset(Kind(row.kind), row.currency): row for row in rows}
    shares = _shares(connection, stretch)
    return {asset: _flow(sums.get(asset), shares.get(asset, _Shares())) for asset in sorted({*sums, *shares})}


def _flow(sums: sa.Row[*tuple[Any, ...]] | None, share: "_Shares") -> Flow:
    """sums: of net, up, first, first_up in units, and how many moved; None for an asset without a change."""
    net, up, first, first_up = (
        (from_units(int(getattr(sums, name))) for name in ("net", "up", "first", "first_up"))
        if sums is not None
        else (ZERO, ZERO, ZERO, ZERO)
    )
    rewards = up - first_up + share.hidden
    return Flow(
        first_seen=first,
        rewards=rewards,
        withdrawn=share.withdrawn,
        corrections=net - first - rewards + share.withdrawn,
        net=net,
        steps=int(sums.moved) if sums is not None else 0,
    )


def _by_asset(connection: Connection, where: sa.ColumnElement[bool]) -> dict[Asset, Decimal]:
    """The sum of these changes."""
    rows = connection.execute(
        sa.select(changes.c.kind, changes.c.currency, sa.func.sum(_DELTA).label("units"))
        .where(where)
        .group_by(changes.c.kind, changes.c.currency)
    )
    return {Asset(Kind(row.kind), row.currency): from_units(int(row.units)) for row in rows}


def _held(connection: Connection) -> dict[Asset, Decimal]:
    query = sa.select(balances.c.kind, balances.c.currency, sa.func.sum(balances.c.amount).label("units"))
    rows = connection.execute(query.group_by(balances.c.kind, balances.c.currency))
    return {Asset(Kind(row.kind), row.currency): from_units(int(row.units)) for row in rows}


def _is_first() -> sa.ColumnElement[bool]:
    """The change from nothing that an account's first report makes."""
    earlier = sa.exists().where(
        snapshots.c.account_ref == changes.c.account_ref, snapshots.c.modified_at < changes.c.modified_at
    )
    return sa.and_(changes.c.before == 0, ~earlier)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Own:
    """What our withdrawals took, as one balance report of one account showed it. deltas: of that report."""

    account_ref: int
    took: Amounts
    deltas: Amounts


def _shares(connection: Connection, stretch: Stretch) -> dict[Asset, _Shares]:
    found: dict[Asset, _Shares] = defaultdict(_Shares)
    for own in _own(connection, stretch, None):
        for asset, share in _split(own).items():
            known = found[asset]
            found[asset] = _Shares(known.withdrawn + share.withdrawn, known.hidden + share.hidden)
    return dict(found)


def _split(own: _Own) -> dict[Asset, _Shares]:
    """A reward that came along with a withdrawal makes the decrease smaller; it is counted as what it is."""
    shares = {}
    for asset, took in own.took.items():
        delta = own.deltas.get(asset, ZERO)
        shares[asset] = _Shares(took, max(delta + took, ZERO) - max(delta, ZERO))
    return shares


def _own(connection: Connection, stretch: Stretch, refs: Collection[int] | None) -> Iterator[_Own]:
    query = (
        sa.select(
            withdrawals.c.account_ref,
            withdrawals.c.seen_modified_at,
            withdrawals.c.id,
            withdrawals.c.taken,
            changes.c.id.label("change_id"),
            changes.c.kind,
            changes.c.currency,
            _DELTA.label("delta"),
        )
        .outerjoin(
            changes,
            sa.and_(
                changes.c.modified_at == withdrawals.c.seen_modified_at,
                changes.c.account_ref == withdrawals.c.account_ref,
            ),
        )
        .where(stretch.holds(withdrawals.c.seen_modified_at), withdrawals.c.taken.is_not(None))
        .order_by(withdrawals.c.account_ref, withdrawals.c.seen_modified_at)
    )
    if refs is not None:
        query = query.where(withdrawals.c.account_ref.in_(refs))
    rows = connection.execution_options(yield_per=STREAM).execute(query)
    for (ref, _), same in groupby(rows, key=lambda row: (row.account_ref, row.seen_modified_at)):
        taken: dict[int, str] = {}
        steps: dict[int, tuple[tuple[str, str], int]] = {}
        for row in same:
            taken[row.id] = row.taken
            if row.kind is not None:
                steps[row.change_id] = (row.kind, row.currency), row.delta
        deltas: dict[tuple[str, str], int] = defaultdict(int)
        for asset_key, delta in steps.values():  # several reports may share one modify_time
            deltas[asset_key] += delta
        took: dict[Asset, Decimal] = defaultdict(Decimal)
        for text in taken.values():
            for asset, amount in read_content(text).items():
                took[asset] += amount
        yield _Own(
            account_ref=ref,
            took=dict(took),
            deltas={Asset(Kind(kind), code): from_units(units) for (kind, code), units in deltas.items()},
        )


def people(connection: Connection, stretch: Stretch) -> int:
    """How many accounts changed."""
    return connection.execute(
        sa.select(sa.func.count(changes.c.account_ref.distinct())).where(stretch.holds(changes.c.modified_at))
    ).scalar_one()


def most_changed(connection: Connection, stretch: Stretch, *, limit: int) -> tuple[Holder, ...]:
    """The largest net changes of each asset, taken in turns, as there is no common measure of currencies."""
    net = sa.func.sum(_DELTA)
    ranked = (
        sa.select(changes.c.account_ref, changes.c.kind, changes.c.currency, net.label("units"))
        .where(stretch.holds(changes.c.modified_at))
        .group_by(changes.c.account_ref, changes.c.kind, changes.c.currency)
        .having(net != 0)
        .subquery()
    )
    refs = _in_turns(connection, ranked, limit)
    chosen = sa.select(changes.c.account_ref, changes.c.kind, changes.c.currency, net.label("units")).where(
        stretch.holds(changes.c.modified_at), changes.c.account_ref.in_(refs)
    )
    rows = connection.execute(
        chosen.group_by(changes.c.account_ref, changes.c.kind, changes.c.currency).having(net != 0)
    )
    return _holders(connection, refs, rows)


def largest_holders(connection: Connection, *, kinds: Collection[Kind], limit: int) -> tuple[Holder, ...]:
    """The largest balances of each asset as they are now, taken in turns."""
    wanted = sa.and_(balances.c.kind.in_(kinds), balances.c.amount > 0)
    ranked = (
        sa.select(
            balances.c.account_ref, balances.c.kind, balances.c.currency, balances.c.amount.label("units")
        )
        .where(wanted)
        .subquery()
    )
    refs = _in_turns(connection, ranked, limit)
    rows = connection.execute(
        sa.select(
            balances.c.account_ref, balances.c.kind, balances.c.currency, balances.c.amount.label("units")
        ).where(wanted, balances.c.account_ref.in_(refs))
    )
    return _holders(connection, refs, rows)


def count_holders(connection: Connection, *, kinds: Collection[Kind]) -> int:
    return connection.execute(
        sa.select(sa.func.count(balances.c.account_ref.distinct())).where(
            balances.c.kind.in_(kinds), balances.c.amount > 0
        )
    ).scalar_one()


def _in_turns(connection: Connection, ranked: sa.Subquery, limit: int) -> list[int]:
    """The account with most of the first asset, then of the second, ..., then the seconds. Cash comes before points,
    the currency of most people first.
    """
    place = sa.func.row_number().over(
        partition_by=(ranked.c.kind, ranked.c.currency),
        order_by=(sa.func.abs(ranked.c.units).desc(), ranked.c.account_ref),
    )
    crowd = sa.func.count().over(partition_by=(ranked.c.kind, ranked.c.currency))
    placed = sa.select(ranked, place.label("place"), crowd.label("crowd")).subquery()
    rows = connection.execute(
        sa.select(placed.c.account_ref, placed.c.kind, placed.c.currency)
        .where(placed.c.place <= limit)
        .order_by(placed.c.kind, placed.c.crowd.desc(), placed.c.currency, placed.c.place)
    ).all()
    columns = [
        [row.account_ref for row in same]
        for _, same in groupby(rows, key=lambda row: (row.kind, row.currency))
    ]
    turns = (ref for turn in zip_longest(*columns) for ref in turn if ref is not None)
    return list(dict.fromkeys(turns))[:limit]


def _holders(
    connection: Connection, refs: Sequence[int], rows: sa.CursorResult[*tuple[Any, ...]]
) -> tuple[Holder, ...]:
    amounts: dict[int, dict[Asset, Decimal]] = defaultdict(dict)
    for row in rows:
        amounts[row.account_ref][Asset(Kind(row.kind), row.currency)] = from_units(int(row.units))
    known = {
        row.id: row for row in connection.execute(sa.select(accounts).where(accounts.c.id.in_(refs))).all()
    }
    return tuple(
        Holder(
            account_ref=ref,
            account_id=known[ref].account_id,
            referrer=_referrer(known[ref]),
            amounts=dict(sorted(amounts[ref].items())),
        )
        for ref in refs
    )


def _referrer(row: sa.Row[*tuple[Any, ...]]) -> Referrer | None:
    if row.referrer_open_id is None:
        return None
    return Referrer(open_id=row.referrer_open_id, name_zh=row.referrer_name_zh, name_en=row.referrer_name_en)


@dataclass(frozen=True, slots=True, kw_only=True)
class BookRow:
    """One asset of one account over a period."""

    account_ref: int
    account_id: str
    referrer: Referrer | None
    asset: Asset
    flow: Flow


_Key = tuple[int, str, str]


def book_rows(
    connection: Connection, stretch: Stretch, *, refs: Collection[int] | None = None
) -> Iterator[BookRow]:
    """Every account with a balance at the end of the period or a change in it. Streams. refs: only these accounts."""
    shares = _shares_by_account(connection, stretch, refs)
    for row in connection.execution_options(yield_per=STREAM).execute(_book_query(stretch, refs)):
        asset = Asset(Kind(row.kind), row.currency)
        share = shares.get((row.account_ref, row.kind, row.currency), _Shares())
        moved = _flow(row, share)
        closing = from_units(int(row.held) - int(row.since))
        yield BookRow(
            account_ref=row.account_ref,
            account_id=row.account_id,
            referrer=_referrer(row),
            asset=asset,
            flow=replace(moved, opening=closing - moved.net, closing=closing),
        )


def _shares_by_account(
    connection: Connection, stretch: Stretch, refs: Collection[int] | None
) -> Mapping[_Key, _Shares]:
    found: dict[_Key, _Shares] = defaultdict(_Shares)
    for own in _own(connection, stretch, refs):
        for asset, share in _split(own).items():
            key = (own.account_ref, asset.kind.value, asset.currency)
            known = found[key]
            found[key] = _Shares(known.withdrawn + share.withdrawn, known.hidden + share.hidden)
    return found


def _book_query(stretch: Stretch, refs: Collection[int] | None) -> sa.Select[*tuple[Any, ...]]:
    """Changes from the period's start on, and balances, brought together by account and asset."""
    zero = sa.literal(0)
    within = stretch.holds(changes.c.modified_at)
    first = sa.and_(within, _is_first())
    moved = sa.select(
        changes.c.account_ref,
        changes.c.kind,
        changes.c.currency,
        sa.case((within, _DELTA), else_=0).label("net"),
        sa.case((within, _UP), else_=0).label("up"),
        sa.case((first, _DELTA), else_=0).label("first"),
        sa.case((first, _UP), else_=0).label("first_up"),
        sa.case((within, zero), else_=_DELTA).label("since"),
        zero.label("held"),
        sa.case((within, 1), else_=0).label("moved"),
    ).where(changes.c.modified_at >= stretch.from_at)
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
    if refs is not None:  # there is no index from an account to its changes but by its snapshots
        of_theirs = sa.select(snapshots.c.id).where(snapshots.c.account_ref.in_(refs))
        moved = moved.where(changes.c.snapshot_id.in_(of_theirs))
        held = held.where(balances.c.account_ref.in_(refs))
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


def accounts_from(connection: Connection, *, after_ref: int, limit: int) -> list[int]:
    """Accounts by number, from the one after this."""
    return list(
        connection.execute(
            sa.select(accounts.c.id).where(accounts.c.id > after_ref).order_by(accounts.c.id).limit(limit)
        ).scalars()
    )
