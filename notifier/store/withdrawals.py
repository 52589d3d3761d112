"""Orders to withdraw. At most one unfinished per account: a unique index says so, not a lock in memory."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.domain.event import AccountKey
from notifier.domain.ledger import content_of, read_content
from notifier.domain.money import Amounts, Kind
from notifier.domain.withdrawal import Button, Role, Step, Withdrawal, WithdrawalState
from notifier.store import accounts, card_updates, ledger
from notifier.store.engine.sql import insert_returning
from notifier.store.schema.tables import accounts as accounts_table
from notifier.store.schema.tables import withdrawals


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a permitted click asks for. order_id: new, ours. wait_ms: before Feishu is asked."""

    order_id: str
    button: Button
    kinds: tuple[Kind, ...]
    role: Role
    requested_by: str
    click_key: str
    now: Millis
    wait_ms: int = 0


def epoch_of(connection: Connection, account_ref: int) -> int:
    """How many withdrawals of the account are over and took something."""
    return connection.execute(
        sa.select(sa.func.count())
        .select_from(withdrawals)
        .where(withdrawals.c.account_ref == account_ref, withdrawals.c.state == WithdrawalState.WITHDRAWN)
    ).scalar_one()


class History:
    """All withdrawals of one account, read at once: what a click must know."""

    def __init__(self, connection: Connection, account_ref: int, account: AccountKey) -> None:
        query = sa.select(withdrawals).where(withdrawals.c.account_ref == account_ref)
        self._rows = connection.execute(query.order_by(withdrawals.c.id)).all()
        self._account = account

    @property
    def epoch(self) -> int:
        """As epoch_of."""
        return sum(row.state == WithdrawalState.WITHDRAWN for row in self._rows)

    @property
    def unfinished(self) -> Withdrawal | None:
        open_ones = (row for row in self._rows if row.state == WithdrawalState.REQUESTED)
        row = next(open_ones, None)
        return _with_account(row, self._account) if row else None

    @property
    def unseen(self) -> list[Withdrawal]:
        """As unseen."""
        return [
            _with_account(row, self._account)
            for row in self._rows
            if not row.seen_in_ledger
            and row.attempts > 0
            and row.state in {WithdrawalState.REQUESTED, WithdrawalState.WITHDRAWN}
        ]


def holdings(connection: Connection, account_ref: int) -> Amounts:
    """What the account holds as far as we know: the ledger, less what was withdrawn since its newest report."""
    reported_at = connection.execute(
        sa.select(accounts_table.c.modified_at).where(accounts_table.c.id == account_ref)
    ).scalar()
    since = unseen(connection, account_ref)
    return holdings_now(connection, account_ref, reported_at=reported_at, since=since)


def holdings_now(
    connection: Connection, account_ref: int, *, reported_at: Millis | None, since: Sequence[Withdrawal]
) -> Amounts:
    """The same for who knows the rest already. since: the withdrawals whose balance event has not come."""
    held = dict(ledger.balances_of(connection, [account_ref]).get(account_ref, {}))
    for each in since:
        if each.taken is not None and (each.withdrawn_at or each.requested_at) > (reported_at or 0):
            for asset, amount in each.taken.items():
                held[asset] = max(held.get(asset, Decimal(0)) - amount, Decimal(0))
    return {asset: amount for asset, amount in held.items() if amount}


def unfinished(connection: Connection, account_ref: int) -> Withdrawal | None:
    row = connection.execute(
        sa.select(withdrawals).where(
            withdrawals.c.account_ref == account_ref, withdrawals.c.state == WithdrawalState.REQUESTED
        )
    ).first()
    return _read(connection, row) if row else None


def by_click(connection: Connection, click_key: str) -> Withdrawal | None:
    row = connection.execute(sa.select(withdrawals).where(withdrawals.c.click_key == click_key)).first()
    return _read(connection, row) if row else None


def newest_of_epoch(connection: Connection, account_ref: int, epoch: int) -> Withdrawal | None:
    """The withdrawal that a card of this epoch tells about: the last one begun in it."""
    row = connection.execute(
        sa.select(withdrawals)
        .where(withdrawals.c.account_ref == account_ref, withdrawals.c.epoch == epoch)
        .order_by(withdrawals.c.id.desc())
        .limit(1)
    ).first()
    return _read(connection, row) if row else None


def begin(connection: Connection, order: Order) -> Withdrawal | None:
    """The order, on disk with the commit; None where another one of this account is unfinished, or this click has
    its order already.
    """
    button = order.button
    row = insert_returning(
        connection,
        withdrawals,
        {
            "order_id": order.order_id,
            "account_ref": button.account_ref,
            "kinds": ",".join(order.kinds),
            "state": WithdrawalState.REQUESTED,
            "epoch": button.epoch,
            "role": order.role,
            "requested_by": order.requested_by,
            "requested_at": order.now,
            "click_key": order.click_key,
            "delivery_id": button.delivery_id,
            "due_at": order.now + order.wait_ms,
        },
    )
    if row is None:
        known = unfinished(connection, button.account_ref) or by_click(connection, order.click_key)
        if known is None:
            raise LookupError(f"order {order.order_id} was not taken, and nothing stands against it")
        return None
    card_updates.want(
        connection, button.account_ref, epoch=button.epoch, order_id=order.order_id, now=order.now
    )
    return _with_account(row, button.account)


def claim(
    connection: Connection, *, owner: str, now: Millis, limit: int, held: Collection[int]
) -> list[Withdrawal]:
    """Due orders that nobody is asking about. held: those that we are asking about right now."""
    if limit <= 0:
        return []
    rows = connection.execute(
        sa.select(withdrawals)
        .where(
            withdrawals.c.state == WithdrawalState.REQUESTED,
            withdrawals.c.due_at <= now,
            withdrawals.c.id.not_in(held),
        )
        .order_by(withdrawals.c.due_at, withdrawals.c.id)
        .limit(limit)
        .with_for_update()
    ).all()
    if rows:
        connection.execute(
            sa.update(withdrawals).where(withdrawals.c.id.in_([row.id for row in rows])).values(owner=owner)
        )
    return [_read(connection, row) for row in rows]


def next_due(connection: Connection, *, held: Collection[int]) -> Millis | None:
    return connection.execute(
        sa.select(sa.func.min(withdrawals.c.due_at)).where(
            withdrawals.c.state == WithdrawalState.REQUESTED, withdrawals.c.id.not_in(held)
        )
    ).scalar()


def calling(
    connection: Connection, withdrawal: Withdrawal, *, owner: str, expected: Amounts | None, now: Millis
) -> bool:
    """On disk before Feishu hears the order id. False where the order is not ours any more.

    expected: None keeps what is there. From here on the outcome counts as unknown until an answer says otherwise,
    so that a crash in between cannot make a later "no" look like the whole truth.
    """
    values: dict[str, object] = {
        "attempts": withdrawals.c.attempts + 1,
        "unknown_since": sa.func.coalesce(withdrawals.c.unknown_since, now),
    }
    if expected is not None:
        values["expected"] = content_of(expected)
    changed = connection.execute(
        sa.update(withdrawals)
        .where(
            withdrawals.c.id == withdrawal.id,
            withdrawals.c.owner == owner,
            withdrawals.c.state == WithdrawalState.REQUESTED,
        )
        .values(**values)
    )
    return changed.rowcount == 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """taken: for WITHDRAWN. at: Feishu's trans_time, or None."""

    state: WithdrawalState
    now: Millis
    taken: Amounts | None = None
    at: Millis | None = None
    reason: str | None = None
    code: int | None = None
    log_id: str | None = None


def end(connection: Connection, withdrawal: Withdrawal, ending: Ending) -> bool:
    """Once: False where it had ended before. All live cards of the account are to show it."""
    changed = connection.execute(
        sa.update(withdrawals)
        .where(withdrawals.c.id == withdrawal.id, withdrawals.c.state == WithdrawalState.REQUESTED)
        .values(
            state=ending.state,
            taken=content_of(ending.taken) if ending.taken is not None else None,
            withdrawn_at=ending.at,
            ended_at=ending.now,
            reason=ending.reason,
            code=ending.code,
            log_id=ending.log_id,
            owner=None,
        )
    )
    if changed.rowcount != 1:
        return False
    card_updates.want(
        connection,
        withdrawal.account_ref,
        epoch=withdrawal.epoch,
        order_id=withdrawal.order_id,
        now=ending.now,
    )
    return True


def postpone(connection: Connection, withdrawal: Withdrawal, step: Step) -> None:
    """To be asked again, with the same order id."""
    connection.execute(
        sa.update(withdrawals)
        .where(withdrawals.c.id == withdrawal.id, withdrawals.c.state == WithdrawalState.REQUESTED)
        .values(
            due_at=step.due_at,
            unknown_since=step.unknown_since,
            reason=step.reason,
            code=step.code,
            log_id=step.log_id,
            owner=None,
        )
    )


def hurry(connection: Connection, order_id: str, *, now: Millis) -> bool:
    """A person wants it asked again now. False when it is not waiting."""
    changed = connection.execute(
        sa.update(withdrawals)
        .where(withdrawals.c.order_id == order_id, withdrawals.c.state == WithdrawalState.REQUESTED)
        .values(due_at=now)
    )
    return changed.rowcount == 1


def reclaim(connection: Connection, *, now: Millis) -> int:
    """At start: what a process before us was asking about is due at once, with its order id."""
    return connection.execute(
        sa.update(withdrawals)
        .where(withdrawals.c.state == WithdrawalState.REQUESTED, withdrawals.c.owner.is_not(None))
        .values(owner=None, due_at=now)
    ).rowcount


def unseen(connection: Connection, account_ref: int) -> list[Withdrawal]:
    """Those that took something, or may have, and whose balance event has not come yet; oldest first."""
    rows = connection.execute(
        sa.select(withdrawals)
        .where(
            withdrawals.c.account_ref == account_ref,
            withdrawals.c.seen_in_ledger == 0,
            withdrawals.c.attempts > 0,
            withdrawals.c.state.in_((WithdrawalState.REQUESTED, WithdrawalState.WITHDRAWN)),
        )
        .order_by(withdrawals.c.id)
    )
    return [_read(connection, row) for row in rows]


def seen_later(connection: Connection, account_ref: int, *, modified_at: Millis) -> list[Withdrawal]:
    """Those that a balance report after this moment was taken to show first."""
    rows = connection.execute(
        sa.select(withdrawals).where(
            withdrawals.c.account_ref == account_ref, withdrawals.c.seen_modified_at > modified_at
        )
    )
    return [_read(connection, row) for row in rows]


def mark_seen(connection: Connection, ids: Sequence[int], *, modified_at: Millis) -> None:
    """modified_at: of the balance report that shows them."""
    connection.execute(
        sa.update(withdrawals)
        .where(withdrawals.c.id.in_(ids))
        .values(seen_in_ledger=1, seen_modified_at=modified_at)
    )


def listed(connection: Connection, *, states: Collection[str], limit: int) -> list[Withdrawal]:
    """Newest first; all states when none are named."""
    query = sa.select(withdrawals)
    if states:
        query = query.where(withdrawals.c.state.in_(states))
    rows = connection.execute(query.order_by(withdrawals.c.id.desc()).limit(limit)).all()
    return [_read(connection, row) for row in rows]


def by_order(connection: Connection, order_id: str) -> Withdrawal | None:
    row = connection.execute(sa.select(withdrawals).where(withdrawals.c.order_id == order_id)).first()
    return _read(connection, row) if row else None


def _read(connection: Connection, row: sa.Row[*tuple[Any, ...]]) -> Withdrawal:
    return _with_account(row, accounts.key_of(connection, row.account_ref))


def _with_account(row: sa.Row[*tuple[Any, ...]], account: AccountKey) -> Withdrawal:
    return Withdrawal(
        id=row.id,
        order_id=row.order_id,
        account_ref=row.account_ref,
        account=account,
        kinds=tuple(Kind(kind) for kind in row.kinds.split(",")),
        state=WithdrawalState(row.state),
        epoch=row.epoch,
        requested_by=row.requested_by,
        role=Role(row.role),
        requested_at=row.requested_at,
        attempts=row.attempts,
        due_at=row.due_at,
        expected=read_content(row.expected) if row.expected is not None else None,
        taken=read_content(row.taken) if row.taken is not None else None,
        withdrawn_at=row.withdrawn_at,
        ended_at=row.ended_at,
        unknown_since=row.unknown_since,
        reason=row.reason,
        code=row.code,
        log_id=row.log_id,
    )
