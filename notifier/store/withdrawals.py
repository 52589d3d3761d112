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
from notifier.domain.withdrawal import Button, Role, Withdrawal, WithdrawalRetry, WithdrawalState
from notifier.store import accounts, card_updates, ledger
from notifier.store.engine.sql import insert_returning
from notifier.store.schema.tables import accounts as accounts_table
from notifier.store.schema.tables import withdrawals


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalOrder:
    """What a permitted click asks for. order_id: new, ours. wait_ms: before Feishu is asked."""

    order_id: str
    button: Button
    kinds: tuple[Kind, ...]
    role: Role
    requested_by: str
    click_key: str
    now: Millis
    wait_ms: int = 0


def count_withdrawn(connection: Connection, account_ref: int) -> int:
    """How many withdrawals of the account are over and took something."""
    return connection.execute(
        sa.select(sa.func.count())
        .select_from(withdrawals)
        .where(withdrawals.c.account_ref == account_ref, withdrawals.c.state == WithdrawalState.WITHDRAWN)
    ).scalar_one()


class WithdrawalHistory:
    """All withdrawals of one account, read at once: what a click must know."""

    def __init__(self, connection: Connection, account_ref: int, account: AccountKey) -> None:
        query = sa.select(withdrawals).where(withdrawals.c.account_ref == account_ref)
        self._rows = connection.execute(query.order_by(withdrawals.c.id)).all()
        self._account = account

    @property
    def withdrawal_count(self) -> int:
        """As epoch_of."""
        return sum(row.state == WithdrawalState.WITHDRAWN for row in self._rows)

    @property
    def unfinished(self) -> Withdrawal | None:
        open_ones = (row for row in self._rows if row.state == WithdrawalState.REQUESTED)
        row = next(open_ones, None)
        return _to_withdrawal(row, self._account) if row else None

    @property
    def not_in_ledger(self) -> list[Withdrawal]:
        """As unseen."""
        return [
            _to_withdrawal(row, self._account)
            for row in self._rows
            if not row.is_in_ledger
            and row.attempts > 0
            and row.state in {WithdrawalState.REQUESTED, WithdrawalState.WITHDRAWN}
        ]


def get_holdings(connection: Connection, account_ref: int) -> Amounts:
    """What the account holds as far as we know: the ledger, less what was withdrawn since its newest report."""
    reported_at = connection.execute(
        sa.select(accounts_table.c.modified_at).where(accounts_table.c.id == account_ref)
    ).scalar()
    not_in_ledger = list_not_in_ledger(connection, account_ref)
    return compute_holdings(connection, account_ref, reported_at=reported_at, not_in_ledger=not_in_ledger)


def compute_holdings(
    connection: Connection,
    account_ref: int,
    *,
    reported_at: Millis | None,
    not_in_ledger: Sequence[Withdrawal],
) -> Amounts:
    """The same for who knows the rest already. since: the withdrawals whose balance event has not come."""
    held = dict(ledger.load_balances(connection, [account_ref]).get(account_ref, {}))
    for each in not_in_ledger:
        if each.withdrawn is not None and (each.withdrawn_at or each.requested_at) > (reported_at or 0):
            for asset, amount in each.withdrawn.items():
                held[asset] = max(held.get(asset, Decimal(0)) - amount, Decimal(0))
    return {asset: amount for asset, amount in held.items() if amount}


def find_unfinished(connection: Connection, account_ref: int) -> Withdrawal | None:
    row = connection.execute(
        sa.select(withdrawals).where(
            withdrawals.c.account_ref == account_ref, withdrawals.c.state == WithdrawalState.REQUESTED
        )
    ).first()
    return _load_withdrawal(connection, row) if row else None


def find_by_click(connection: Connection, click_key: str) -> Withdrawal | None:
    row = connection.execute(sa.select(withdrawals).where(withdrawals.c.click_key == click_key)).first()
    return _load_withdrawal(connection, row) if row else None


def find_newest(connection: Connection, account_ref: int, withdrawal_count: int) -> Withdrawal | None:
    """The withdrawal that a card of this epoch tells about: the last one begun in it."""
    row = connection.execute(
        sa.select(withdrawals)
        .where(withdrawals.c.account_ref == account_ref, withdrawals.c.withdrawal_count == withdrawal_count)
        .order_by(withdrawals.c.id.desc())
        .limit(1)
    ).first()
    return _load_withdrawal(connection, row) if row else None


def create_order(connection: Connection, order: WithdrawalOrder) -> Withdrawal | None:
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
            "withdrawal_count": button.withdrawal_count,
            "role": order.role,
            "requested_by": order.requested_by,
            "requested_at": order.now,
            "click_key": order.click_key,
            "delivery_id": button.delivery_id,
            "due_at": order.now + order.wait_ms,
        },
    )
    if row is None:
        known = find_unfinished(connection, button.account_ref) or find_by_click(connection, order.click_key)
        if known is None:
            raise LookupError(f"order {order.order_id} was not taken, and nothing stands against it")
        return None
    card_updates.request_updates(
        connection,
        button.account_ref,
        withdrawal_count=button.withdrawal_count,
        order_id=order.order_id,
        now=order.now,
    )
    return _to_withdrawal(row, button.account)


def claim_due(
    connection: Connection, *, worker_id: str, now: Millis, limit: int, in_flight_ids: Collection[int]
) -> list[Withdrawal]:
    """Due orders that nobody is asking about. held: those that we are asking about right now."""
    if limit <= 0:
        return []
    rows = connection.execute(
        sa.select(withdrawals)
        .where(
            withdrawals.c.state == WithdrawalState.REQUESTED,
            withdrawals.c.due_at <= now,
            withdrawals.c.id.not_in(in_flight_ids),
        )
        .order_by(withdrawals.c.due_at, withdrawals.c.id)
        .limit(limit)
        .with_for_update()
    ).all()
    if rows:
        connection.execute(
            sa.update(withdrawals)
            .where(withdrawals.c.id.in_([row.id for row in rows]))
            .values(worker_id=worker_id)
        )
    return [_load_withdrawal(connection, row) for row in rows]


def get_next_due_at(connection: Connection, *, in_flight_ids: Collection[int]) -> Millis | None:
    return connection.execute(
        sa.select(sa.func.min(withdrawals.c.due_at)).where(
            withdrawals.c.state == WithdrawalState.REQUESTED, withdrawals.c.id.not_in(in_flight_ids)
        )
    ).scalar()


def mark_call_started(
    connection: Connection, withdrawal: Withdrawal, *, worker_id: str, expected: Amounts | None, now: Millis
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
            withdrawals.c.worker_id == worker_id,
            withdrawals.c.state == WithdrawalState.REQUESTED,
        )
        .values(**values)
    )
    return changed.rowcount == 1


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalResult:
    """taken: for WITHDRAWN. at: Feishu's trans_time, or None."""

    state: WithdrawalState
    now: Millis
    withdrawn: Amounts | None = None
    at: Millis | None = None
    reason: str | None = None
    code: int | None = None
    log_id: str | None = None


def finish(connection: Connection, withdrawal: Withdrawal, result: WithdrawalResult) -> bool:
    """Once: False where it had ended before. All live cards of the account are to show it."""
    changed = connection.execute(
        sa.update(withdrawals)
        .where(withdrawals.c.id == withdrawal.id, withdrawals.c.state == WithdrawalState.REQUESTED)
        .values(
            state=result.state,
            withdrawn=content_of(result.withdrawn) if result.withdrawn is not None else None,
            withdrawn_at=result.at,
            ended_at=result.now,
            reason=result.reason,
            code=result.code,
            log_id=result.log_id,
            worker_id=None,
        )
    )
    if changed.rowcount != 1:
        return False
    card_updates.request_updates(
        connection,
        withdrawal.account_ref,
        withdrawal_count=withdrawal.withdrawal_count,
        order_id=withdrawal.order_id,
        now=result.now,
    )
    return True


def postpone(connection: Connection, withdrawal: Withdrawal, outcome: WithdrawalRetry) -> None:
    """To be asked again, with the same order id."""
    connection.execute(
        sa.update(withdrawals)
        .where(withdrawals.c.id == withdrawal.id, withdrawals.c.state == WithdrawalState.REQUESTED)
        .values(
            due_at=outcome.due_at,
            unknown_since=outcome.unknown_since,
            reason=outcome.reason,
            code=outcome.code,
            log_id=outcome.log_id,
            worker_id=None,
        )
    )


def make_due(connection: Connection, order_id: str, *, now: Millis) -> bool:
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
        .where(withdrawals.c.state == WithdrawalState.REQUESTED, withdrawals.c.worker_id.is_not(None))
        .values(worker_id=None, due_at=now)
    ).rowcount


def list_not_in_ledger(connection: Connection, account_ref: int) -> list[Withdrawal]:
    """Those that took something, or may have, and whose balance event has not come yet; oldest first."""
    rows = connection.execute(
        sa.select(withdrawals)
        .where(
            withdrawals.c.account_ref == account_ref,
            withdrawals.c.is_in_ledger == 0,
            withdrawals.c.attempts > 0,
            withdrawals.c.state.in_((WithdrawalState.REQUESTED, WithdrawalState.WITHDRAWN)),
        )
        .order_by(withdrawals.c.id)
    )
    return [_load_withdrawal(connection, row) for row in rows]


def list_in_ledger_after(
    connection: Connection, account_ref: int, *, modified_at: Millis
) -> list[Withdrawal]:
    """Those that a balance report after this moment was taken to show first."""
    rows = connection.execute(
        sa.select(withdrawals).where(
            withdrawals.c.account_ref == account_ref, withdrawals.c.ledger_modified_at > modified_at
        )
    )
    return [_load_withdrawal(connection, row) for row in rows]


def mark_in_ledger(connection: Connection, ids: Sequence[int], *, modified_at: Millis) -> None:
    """modified_at: of the balance report that shows them."""
    connection.execute(
        sa.update(withdrawals)
        .where(withdrawals.c.id.in_(ids))
        .values(is_in_ledger=1, ledger_modified_at=modified_at)
    )


def list_withdrawals(connection: Connection, *, states: Collection[str], limit: int) -> list[Withdrawal]:
    """Newest first; all states when none are named."""
    query = sa.select(withdrawals)
    if states:
        query = query.where(withdrawals.c.state.in_(states))
    rows = connection.execute(query.order_by(withdrawals.c.id.desc()).limit(limit)).all()
    return [_load_withdrawal(connection, row) for row in rows]


def find_by_order(connection: Connection, order_id: str) -> Withdrawal | None:
    row = connection.execute(sa.select(withdrawals).where(withdrawals.c.order_id == order_id)).first()
    return _load_withdrawal(connection, row) if row else None


def _load_withdrawal(connection: Connection, row: sa.Row[*tuple[Any, ...]]) -> Withdrawal:
    return _to_withdrawal(row, accounts.get_account_key(connection, row.account_ref))


def _to_withdrawal(row: sa.Row[*tuple[Any, ...]], account: AccountKey) -> Withdrawal:
    return Withdrawal(
        id=row.id,
        order_id=row.order_id,
        account_ref=row.account_ref,
        account=account,
        kinds=tuple(Kind(kind) for kind in row.kinds.split(",")),
        state=WithdrawalState(row.state),
        withdrawal_count=row.withdrawal_count,
        requested_by=row.requested_by,
        role=Role(row.role),
        requested_at=row.requested_at,
        attempts=row.attempts,
        due_at=row.due_at,
        expected=read_content(row.expected) if row.expected is not None else None,
        withdrawn=read_content(row.withdrawn) if row.withdrawn is not None else None,
        withdrawn_at=row.withdrawn_at,
        ended_at=row.ended_at,
        unknown_since=row.unknown_since,
        reason=row.reason,
        code=row.code,
        log_id=row.log_id,
    )
