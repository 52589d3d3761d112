"""Sweeps: which accounts are read to see whether an event was missed, and how far a round has come."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.domain.event import AccountKey
from notifier.domain.reconciliation import Books
from notifier.store import withdrawals
from notifier.store.ledger import balances_of
from notifier.store.schema.tables import accounts, sweeps

KEPT = 100
"""Rounds that are over."""


class Why(StrEnum):
    CONNECTED = "connected"
    SCHEDULE = "schedule"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """A round over all known accounts, newest first. cursor: modified_at and id of the last one asked for, None
    at the start. again: another was asked for meanwhile. read, failed, recovered, unheard: accounts.
    """

    id: int
    why: Why
    started_at: Millis
    ended_at: Millis | None
    cursor: tuple[Millis, int] | None
    again: bool
    read: int = 0
    failed: int = 0
    recovered: int = 0
    unheard: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    read: int = 0
    failed: int = 0
    recovered: int = 0
    unheard: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ToRead:
    """in_turn: by the sweep's order, and not out of turn."""

    ref: int
    account: AccountKey
    modified_at: Millis
    in_turn: bool


def running(connection: Connection) -> Sweep | None:
    return _first(connection, sa.select(sweeps).where(sweeps.c.ended_at.is_(None)).order_by(sweeps.c.id))


def newest(connection: Connection) -> Sweep | None:
    return _first(connection, sa.select(sweeps).order_by(sweeps.c.id.desc()))


def _first(connection: Connection, query: sa.Select[*tuple[object, ...]]) -> Sweep | None:
    row = connection.execute(query.limit(1)).first()
    if row is None:
        return None
    return Sweep(
        id=row.id,
        why=Why(row.why),
        started_at=row.started_at,
        ended_at=row.ended_at,
        cursor=None if row.cursor_at is None else (row.cursor_at, row.cursor_ref),
        again=bool(row.again),
        read=row.read,
        failed=row.failed,
        recovered=row.recovered,
        unheard=row.unheard,
    )


def begin(connection: Connection, why: Why, *, now: Millis) -> None:
    """One at a time: where one runs, another follows it, so that a connection that comes and goes starves nobody."""
    current = running(connection)
    if current is None:
        connection.execute(sa.insert(sweeps).values(why=why, started_at=now))
    elif why is Why.CONNECTED:
        connection.execute(sa.update(sweeps).where(sweeps.c.id == current.id).values(again=1))


def end(connection: Connection, sweep: Sweep, *, now: Millis) -> None:
    connection.execute(sa.update(sweeps).where(sweeps.c.id == sweep.id).values(ended_at=now))
    connection.execute(sa.delete(sweeps).where(sweeps.c.id <= sweep.id - KEPT))
    if sweep.again:
        begin(connection, Why.CONNECTED, now=now)


def count(connection: Connection, sweep_id: int, tally: Tally) -> None:
    values: dict[str, object] = {
        name: sweeps.c[name] + getattr(tally, name) for name in ("read", "failed", "recovered", "unheard")
    }
    connection.execute(sa.update(sweeps).where(sweeps.c.id == sweep_id).values(**values))


def claim(connection: Connection, due: Sequence[ToRead], *, sweep: Sweep | None, until: Millis) -> None:
    """These are being read, and the round goes on behind them. Where no answer is kept, they are due again then."""
    connection.execute(
        sa.update(accounts).where(accounts.c.id.in_([each.ref for each in due])).values(reread_at=until)
    )
    cursor = min(((each.modified_at, each.ref) for each in due if each.in_turn), default=None)
    if sweep is not None and cursor is not None:
        connection.execute(
            sa.update(sweeps).where(sweeps.c.id == sweep.id).values(cursor_at=cursor[0], cursor_ref=cursor[1])
        )


def page(
    connection: Connection, sweep: Sweep, *, app_id: str, limit: int, held: Collection[int] = ()
) -> list[ToRead]:
    """The next accounts of the round: newest change first. held: ids of those that are being read."""
    newest_first = sa.select(accounts).where(accounts.c.modified_at.is_not(None))
    if sweep.cursor is not None:
        newest_first = newest_first.where(
            sa.tuple_(accounts.c.modified_at, accounts.c.id) < sa.tuple_(*sweep.cursor)
        )
    rows = connection.execute(
        newest_first.where(accounts.c.app_id == app_id, accounts.c.id.not_in(held))
        .order_by(accounts.c.modified_at.desc(), accounts.c.id.desc())
        .limit(limit)
    )
    return [_to_read(row, in_turn=True) for row in rows]


def out_of_turn(
    connection: Connection,
    *,
    app_id: str,
    now: Millis,
    limit: int,
    held: Collection[int] = (),
    only_suspects: bool = False,
) -> list[ToRead]:
    """Those whose time to be read again has come. only_suspects: where a change may have been missed, or an event
    came late.
    """
    suspect = sa.or_(accounts.c.suspected_at.is_not(None), accounts.c.recovered_at == accounts.c.modified_at)
    rows = connection.execute(
        sa.select(accounts)
        .where(
            accounts.c.reread_at <= now,
            accounts.c.app_id == app_id,
            accounts.c.modified_at.is_not(None),
            accounts.c.id.not_in(held),
            suspect if only_suspects else sa.true(),
        )
        .order_by(accounts.c.reread_at)
        .limit(limit)
    )
    return [_to_read(row, in_turn=False) for row in rows]


def any_account(connection: Connection, *, app_id: str, held: Collection[int]) -> ToRead | None:
    """The one that was read last and agreed; where none was, any. held: ids of those that will not do."""
    row = connection.execute(
        sa.select(accounts)
        .where(accounts.c.modified_at.is_not(None), accounts.c.app_id == app_id, accounts.c.id.not_in(held))
        .order_by(accounts.c.agreed_at.is_(None), accounts.c.agreed_at.desc(), sa.func.random())
        .limit(1)
    ).first()
    return None if row is None else _to_read(row, in_turn=False)


def next_out_of_turn(connection: Connection, *, app_id: str) -> Millis | None:
    return connection.execute(
        sa.select(sa.func.min(accounts.c.reread_at)).where(
            accounts.c.reread_at.is_not(None), accounts.c.app_id == app_id
        )
    ).scalar()


def _to_read(row: sa.Row[*tuple[object, ...]], *, in_turn: bool) -> ToRead:
    account = AccountKey(tenant_key=row.tenant_key, app_id=row.app_id, account_id=row.account_id)
    return ToRead(ref=row.id, account=account, modified_at=row.modified_at, in_turn=in_turn)


def books(connection: Connection, refs: Sequence[int]) -> dict[int, Books]:
    """What we know of these accounts now; it may be more than when they were chosen."""
    held = balances_of(connection, refs)
    rows = connection.execute(sa.select(accounts).where(accounts.c.id.in_(refs)))
    return {
        row.id: Books(
            ref=row.id,
            account=AccountKey(tenant_key=row.tenant_key, app_id=row.app_id, account_id=row.account_id),
            modified_at=row.modified_at,
            amounts=held.get(row.id, {}),
            agreed_at=row.agreed_at,
            suspected_at=row.suspected_at,
            withdrawing=withdrawals.unfinished(connection, row.id) is not None,
            own_unseen=bool(withdrawals.unseen(connection, row.id)),
        )
        for row in rows
    }


def agreed(connection: Connection, ref: int, *, at: Millis | None, claimed_until: Millis) -> None:
    """at: when it was asked, None where that proves nothing later on. Not where an event came meanwhile that wants
    another read.
    """
    connection.execute(
        sa.update(accounts)
        .where(accounts.c.id == ref, accounts.c.reread_at == claimed_until)
        .values(agreed_at=at, suspected_at=None, reread_at=None)
    )


def heard(connection: Connection, refs: Collection[int]) -> None:
    """Events of these accounts came, so a change that is found later need not be an unheard one."""
    connection.execute(
        sa.update(accounts)
        .where(accounts.c.id.in_(sorted(refs)), accounts.c.agreed_at.is_not(None))
        .values(agreed_at=None)
    )


def suspected(connection: Connection, ref: int, *, modified_at: Millis, reread_at: Millis) -> None:
    _note(connection, ref, suspected_at=modified_at, reread_at=reread_at)


def recovered(connection: Connection, ref: int, *, modified_at: Millis) -> None:
    """The next read that agrees is where unheard changes count from: an event of this one may still come."""
    _note(connection, ref, recovered_at=modified_at, agreed_at=None, suspected_at=None, reread_at=None)


def read_again(connection: Connection, ref: int, *, at: Millis | None) -> None:
    """None: not out of turn any more."""
    _note(connection, ref, reread_at=at)


def doubt_recovered(connection: Connection, ref: int, *, at: Millis) -> None:
    """An event came late for an account whose newest balance was read: which of the two is newer, another read says."""
    connection.execute(
        sa.update(accounts)
        .where(accounts.c.id == ref, accounts.c.recovered_at == accounts.c.modified_at)
        .values(reread_at=at)
    )


def _note(connection: Connection, ref: int, **values: object) -> None:
    connection.execute(sa.update(accounts).where(accounts.c.id == ref).values(**values))
