"""Boards: the buttons of a digest's card, the accounts behind them, and how far their withdrawals are."""

import secrets
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.domain.delivery import DeliveryState
from notifier.domain.digest import Digest, Holder
from notifier.domain.digest_panel import Action, Board, LeftOut, Lever, Option, Result
from notifier.domain.ledger import read_content
from notifier.domain.money import Amounts
from notifier.domain.payout import PayoutState
from notifier.domain.route import AddressBook
from notifier.domain.withdrawal import WithdrawalState
from notifier.store.cards import batches
from notifier.store.engine.sql import insert_ignoring
from notifier.store.schema.tables import accounts, boards, buttons, deliveries, payouts, withdrawals

Row = sa.Row[*tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class _Line:
    """A listed account: its button on this card, all that was ever asked for it, and why a batch of this card left it
    out.
    """

    ref: str
    epoch: int
    delivery_id: int
    holder: Holder
    orders: tuple[Row, ...]
    skip: batches.Skip | None

    @property
    def newest(self) -> Row | None:
        """The last one begun on this card, at the epoch that it shows. What failed on another is no result of this."""
        own = [row for row in self.orders if (row.delivery_id, row.epoch) == (self.delivery_id, self.epoch)]
        return own[-1] if own else None

    @property
    def left_out(self) -> LeftOut | None:
        """None also where it was asked for later."""
        newest = self.newest
        if self.skip is None or (newest is not None and newest.requested_at >= self.skip.asked_at):
            return None
        return self.skip.why

    @property
    def is_open(self) -> bool:
        """Nothing stands against asking for it."""
        taken = sum(row.state == WithdrawalState.WITHDRAWN for row in self.orders)
        busy = any(row.state == WithdrawalState.REQUESTED for row in self.orders)
        newest = self.newest
        ended_empty = newest is not None and newest.state == WithdrawalState.NOTHING
        ended_empty = ended_empty or self.left_out is LeftOut.EMPTY
        return taken == self.epoch and not busy and not ended_empty

    @property
    def failed(self) -> bool:
        """To be asked for again by the retry, not by the select."""
        if self.left_out is not None:
            return self.left_out.may_pass and self.is_open
        return self.newest is not None and self.newest.state == WithdrawalState.REFUSED and self.is_open


def hang(connection: Connection, delivery_id: int, listed: Iterable[Holder], *, now: Millis) -> None:
    """A button for each account that can be withdrawn now; once per card, however often it is asked for. What is being
    withdrawn, or was and is still in the balance that Feishu last told, is not on offer.
    """
    listed = list(listed)
    orders = _orders(connection, [each.account_ref for each in listed])
    rows: list[dict[str, object]] = []
    for each in listed:
        of_it = orders.get(each.account_ref, ())
        epoch = sum(row.state == WithdrawalState.WITHDRAWN for row in of_it)
        if not any(_is_in_the_way(row) for row in of_it):
            rows.append(
                {
                    "ref": secrets.token_hex(8),
                    "delivery_id": delivery_id,
                    "account_ref": each.account_ref,
                    "epoch": epoch,
                    "drawn_at": now,
                }
            )
    insert_ignoring(connection, buttons, rows)


def _is_in_the_way(row: Row) -> bool:
    unseen = row.state == WithdrawalState.WITHDRAWN and not row.seen_in_ledger
    return bool(unseen or row.state == WithdrawalState.REQUESTED)


def _orders(connection: Connection, refs: Collection[int]) -> Mapping[int, tuple[Row, ...]]:
    """All withdrawals of these accounts, oldest first, each with the state of its money."""
    rows = connection.execute(
        sa.select(
            withdrawals.c.account_ref,
            withdrawals.c.order_id,
            withdrawals.c.state,
            withdrawals.c.epoch,
            withdrawals.c.expected,
            withdrawals.c.taken,
            withdrawals.c.seen_in_ledger,
            withdrawals.c.delivery_id,
            withdrawals.c.requested_at,
            withdrawals.c.code,
            withdrawals.c.reason,
            payouts.c.state.label("payout"),
        )
        .outerjoin(payouts, payouts.c.order_id == withdrawals.c.order_id)
        .where(withdrawals.c.account_ref.in_(refs))
        .order_by(withdrawals.c.id)
    ).all()
    found: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        found[row.account_ref].append(row)
    return {ref: tuple(of_it) for ref, of_it in found.items()}


def _lines(connection: Connection, delivery_id: int, digest: Digest) -> list[_Line]:
    """The accounts with a button, in the order of the digest's table."""
    drawn = {
        row.account_ref: row
        for row in connection.execute(
            sa.select(buttons).where(buttons.c.delivery_id == delivery_id).order_by(buttons.c.epoch)
        ).all()
    }
    orders = _orders(connection, list(drawn))
    skips = batches.left_out(connection, delivery_id)
    return [
        _Line(drawn[ref].ref, drawn[ref].epoch, delivery_id, holder, orders.get(ref, ()), skips.get(ref))
        for holder in digest.holders
        if (ref := holder.account_ref) in drawn
    ]


def board(connection: Connection, delivery_id: int, digest: Digest, *, now: Millis) -> Board:
    """As the card should look now."""
    lines = _lines(connection, delivery_id, digest)
    if not lines:
        return Board()
    progress = batches.progress(connection, delivery_id)
    free = progress is None or not progress.running
    options = tuple(
        Option(
            ref=line.ref,
            account_ref=line.holder.account_ref,
            account_id=line.holder.account_id,
            referrer=line.holder.referrer,
            amounts=line.holder.amounts,
        )
        for line in lines
        if line.is_open and not line.failed
    )
    failed = any(line.failed for line in lines)

    def lever(action: Action, *, wanted: bool) -> str:
        return draw(connection, delivery_id, action, now=now) if wanted else ""

    return Board(
        one=lever(Action.ONE, wanted=bool(options) and free),
        all=lever(Action.ALL, wanted=len(options) > 1 and free),
        retry=lever(Action.RETRY, wanted=failed and free),
        options=options if free else (),
        results=tuple(result for line in lines if (result := _result(line)) is not None),
        progress=progress,
    )


def _result(line: _Line) -> Result | None:
    """None where nothing was asked for on this card."""
    order = line.newest
    if line.left_out is not None:
        return Result(
            account_id=line.holder.account_id,
            referrer=line.holder.referrer,
            state=None,
            order_id="",
            amounts=line.holder.amounts,
            left_out=line.left_out,
            again=line.failed,
        )
    if order is None:
        return None
    return Result(
        account_id=line.holder.account_id,
        referrer=line.holder.referrer,
        state=WithdrawalState(order.state),
        order_id=order.order_id,
        amounts=_amounts(order, line.holder.amounts),
        payout=PayoutState(order.payout) if order.payout else None,
        code=order.code,
        reason=order.reason or "",
        again=line.failed,
    )


def _amounts(order: Row, listed: Amounts) -> Amounts:
    """What was taken; before that what will be, as far as anybody knows."""
    if order.state == WithdrawalState.NOTHING:
        return {}
    text = order.taken or order.expected
    return read_content(text) if text else listed


def candidates(connection: Connection, delivery_id: int, digest: Digest, action: Action) -> dict[int, str]:
    """Account -> button: what this lever would ask for."""
    return {
        line.holder.account_ref: line.ref
        for line in _lines(connection, delivery_id, digest)
        if (line.failed if action is Action.RETRY else line.is_open and not line.failed)
    }


def draw(connection: Connection, delivery_id: int, action: Action, *, now: Millis) -> str:
    """The id of this lever in this round; the same one for every drawing."""
    turn = batches.rounds(connection, delivery_id)
    insert_ignoring(
        connection,
        boards,
        [
            {
                "ref": secrets.token_hex(16),
                "delivery_id": delivery_id,
                "action": action,
                "round": turn,
                "drawn_at": now,
            }
        ],
    )
    return connection.execute(
        sa.select(boards.c.ref).where(
            boards.c.delivery_id == delivery_id, boards.c.action == action, boards.c.round == turn
        )
    ).scalar_one()


def pulled(connection: Connection, ref: str, *, book: AddressBook) -> Lever | None:
    """None when we never drew it."""
    row = connection.execute(
        sa.select(
            boards,
            deliveries.c.message_id,
            deliveries.c.state,
            deliveries.c.updated_at,
            deliveries.c.receive_id_type,
            deliveries.c.receive_id,
        )
        .join(deliveries, deliveries.c.id == boards.c.delivery_id)
        .where(boards.c.ref == ref)
    ).first()
    if row is None:
        return None
    key = connection.execute(
        sa.select(accounts.c.tenant_key, accounts.c.app_id)
        .join(buttons, buttons.c.account_ref == accounts.c.id)
        .where(buttons.c.delivery_id == row.delivery_id)
        .limit(1)
    ).first()
    return Lever(
        action=Action(row.action),
        delivery_id=row.delivery_id,
        round=row.round,
        tenant_key=key.tenant_key if key else "",
        app_id=key.app_id if key else "",
        group=book.group_at(row.receive_id) if row.receive_id_type == "chat_id" else None,
        hung_at=row.updated_at if row.state == DeliveryState.SENT else row.drawn_at,
        message_id=row.message_id,
    )
