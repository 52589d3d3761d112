"""Rankings for digests: accounts with the largest changes or balances. All functions only read."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from decimal import Decimal
from itertools import groupby, zip_longest
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.domain.digest import Holder
from notifier.domain.money import Asset, Kind, from_units
from notifier.store.digests.period_totals import CHANGE_AMOUNT, TimeRange, to_referrer
from notifier.store.schema.tables import accounts, balances, changes


def count_changed_accounts(connection: Connection, time_range: TimeRange) -> int:
    """Number of accounts with a change in the period."""
    return connection.execute(
        sa.select(sa.func.count(changes.c.account_ref.distinct())).where(
            time_range.contains(changes.c.modified_at)
        )
    ).scalar_one()


def count_cancelled_out(connection: Connection, time_range: TimeRange) -> int:
    """Number of accounts with changes in the period whose net change is zero in every asset."""
    nets = (
        sa.select(changes.c.account_ref, sa.func.sum(CHANGE_AMOUNT).label("net"))
        .where(time_range.contains(changes.c.modified_at))
        .group_by(changes.c.account_ref, changes.c.kind, changes.c.currency)
        .subquery()
    )
    cancelled = (
        sa.select(nets.c.account_ref)
        .group_by(nets.c.account_ref)
        .having(sa.func.max(sa.func.abs(nets.c.net)) == 0)
        .subquery()
    )
    return connection.execute(sa.select(sa.func.count()).select_from(cancelled)).scalar_one()


def list_most_changed(connection: Connection, time_range: TimeRange, *, limit: int) -> tuple[Holder, ...]:
    """Accounts with the largest net changes in the period, at most `limit`.

    Assets take turns, because amounts of different currencies cannot be compared.
    """
    net = sa.func.sum(CHANGE_AMOUNT)
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
    """Accounts with the largest current balances, at most `limit`. Assets take turns, as in list_most_changed."""
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
    """Number of accounts with a positive balance of these kinds."""
    return connection.execute(
        sa.select(sa.func.count(balances.c.account_ref.distinct())).where(
            balances.c.kind.in_(kinds), balances.c.amount > 0
        )
    ).scalar_one()


def _pick_round_robin(connection: Connection, ranked: sa.Subquery, limit: int) -> list[int]:
    """The first account of each asset, then the second of each, and so on, without duplicates.

    Cash comes before points. The currency with most accounts comes first.
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
    picked = (ref for row_refs in zip_longest(*columns) for ref in row_refs if ref is not None)
    return list(dict.fromkeys(picked))[:limit]


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
            referrer=to_referrer(known[ref]),
            amounts=dict(sorted(amounts[ref].items())),
        )
        for ref in account_refs
    )
