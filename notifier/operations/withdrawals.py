"""Withdrawals: the functions behind `notifier withdrawals` and `notifier audit`. No names, no contact data."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy.engine import Connection

from notifier.clock import HOUR_MS, Clock, Millis, to_millis
from notifier.config.settings import Config
from notifier.domain.money import Amounts, describe_amounts
from notifier.domain.notice import NoticeReason
from notifier.domain.payout import body_of
from notifier.domain.withdrawal import STUCK_AFTER_MS, Withdrawal, WithdrawalState
from notifier.flow.notices import NoticeWriter
from notifier.operations.formatting import format_ago, format_iso, format_table
from notifier.runtime import factories
from notifier.store import accounts, audit, payouts, withdrawals
from notifier.store.audit import AuditAction, AuditEntry, AuditRow
from notifier.store.engine.database import Database
from notifier.store.withdrawals import WithdrawalResult


def list_withdrawals(
    database: Database, clock: Clock, *, states: Sequence[str], limit: int, as_json: bool
) -> str:
    """List withdrawals in these states, newest first, as a table or JSON."""
    with database.read() as connection:
        orders = withdrawals.list_withdrawals(connection, states=states, limit=limit)
    if as_json:
        return _json([_order_json(order) for order in orders])
    if not orders:
        return "No withdrawals."
    heads = ("order id", "state", "account", "by", "requested", "tries", "amounts", "reason")
    now = to_millis(clock.now())
    return format_table(heads, [_cells(order, now) for order in orders])


def show_withdrawal(database: Database, order_id: str, *, as_json: bool) -> str | None:
    """Return one withdrawal with its audit trail, or None if there is no such order."""
    with database.read() as connection:
        order = withdrawals.find_by_order(connection, order_id)
        if order is None:
            return None
        trail_rows = audit.list_entries(connection, order_id=order_id, limit=1000)[::-1]
        payout = payouts.find_by_order(connection, order_id)
    if as_json:
        money = {"state": payout.state, "reference": payout.reference} if payout else None
        return _json(_order_json(order) | {"payout": money, "audit": [_row_json(row) for row in trail_rows]})
    lines = [
        f"withdrawal    {order.order_id}, {order.state}",
        f"account       {order.account.account_id}",
        f"requested by  {order.requested_by} as {order.role}, {format_iso(order.requested_at)}",
        f"kinds         {', '.join(order.kinds)}",
        f"agreed        {_amounts(order.agreed)}",
        f"at Feishu     {_amounts(order.expected)}",
        f"withdrawn     {_amounts(order.withdrawn)}",
        f"tries         {order.attempts}" + (", the outcome is not known" if _is_unknown(order) else ""),
    ]
    if order.withdrawn_at is not None:
        lines.append(f"withdrawn at  {format_iso(order.withdrawn_at)} by Feishu's clock")
    if payout is not None:
        lines.append(f"payout        {payout.state}" + (f", {payout.reference}" if payout.reference else ""))
    if order.reason:
        lines.append(f"reason        {order.reason}" + (f" (code {order.code})" if order.code else ""))
    lines += [
        "",
        *(f"  {format_iso(row.at)}  {row.action}  {row.actor or '-'}  {row.outcome}" for row in trail_rows),
    ]
    return "\n".join(lines)


def resume_withdrawal(database: Database, clock: Clock, order_id: str) -> bool:
    """Make an open withdrawal due now. Returns False if it is not waiting."""
    now = to_millis(clock.now())

    def write(connection: Any) -> bool:  # noqa: ANN401 - the store's own connection
        if not withdrawals.make_due(connection, order_id, now=now):
            return False
        entry = AuditEntry(
            at=now,
            action=AuditAction.MANUAL,
            actor=audit.COMMAND_LINE,
            outcome="to be retried now",
            order_id=order_id,
        )
        audit.add_entries(connection, entry)
        return True

    return database.write(write).result()


@dataclasses.dataclass(frozen=True, slots=True)
class EndResult:
    """Whether the order was ended, and the answer in words."""

    is_ok: bool
    text: str


def end_withdrawal(
    database: Database, config: Config, clock: Clock, order_id: str, *, is_withdrawn: bool = False
) -> EndResult:
    """End an order without a result. Only an order that had no clear answer for hours can be ended.

    Before that the answer may still come; the running notifier repeats the call. is_withdrawn: the operator has seen
    that Feishu withdrew the agreed amounts, so they become a payout. Otherwise nothing was withdrawn.
    """
    now = to_millis(clock.now())
    notices = factories.make_notice_writer(config)

    def write(connection: Any) -> EndResult:  # noqa: ANN401 - the store's own connection
        order = withdrawals.find_by_order(connection, order_id)
        if order is None or order.state is not WithdrawalState.REQUESTED:
            listed = "`notifier withdrawals list --state requested` shows those that have none"
            return EndResult(is_ok=False, text=f"{order_id} has a result, or does not exist; {listed}.")
        if withdrawals.is_claimed(connection, order):
            return EndResult(
                is_ok=False, text=f"{order_id} is being called right now; try again in a minute."
            )
        hours_left = (order.requested_at + STUCK_AFTER_MS - now) / HOUR_MS
        if hours_left > 0:
            return EndResult(
                is_ok=False,
                text=f"{order_id} is being retried; it can be ended in {hours_left:.1f} h if it still has no result.",
            )
        if is_withdrawn and not order.called:
            return EndResult(
                is_ok=False, text=f"Feishu was never called for {order_id}: nothing was withdrawn."
            )
        if is_withdrawn:
            _finish_as_withdrawn(connection, order, notices, now=now)
            text = f"{order_id} is withdrawn: {describe_amounts(order.agreed)}; its payout is created."
            return EndResult(is_ok=True, text=text)
        result = WithdrawalResult(
            state=WithdrawalState.ENDED, now=now, reason="ended by an operator: nothing was withdrawn"
        )
        withdrawals.finish(connection, order, result)
        notices.write_where_cards_expired(connection, order, NoticeReason.ENDED, now=now)
        audit.add_manual_entry(
            connection, order_id, order.account_ref, "ended: nothing was withdrawn", now=now
        )
        return EndResult(is_ok=True, text=f"{order_id} is ended; its cards offer the balance again.")

    return database.write(write).result()


def _finish_as_withdrawn(
    connection: Connection, order: Withdrawal, notices: NoticeWriter, *, now: Millis
) -> None:
    result = WithdrawalResult(
        state=WithdrawalState.WITHDRAWN,
        now=now,
        withdrawn=order.agreed,
        reason="ended by an operator: the agreed amounts were withdrawn",
    )
    withdrawals.finish(connection, order, result)
    ownership = accounts.get_ownership(connection, order.account_ref)
    referrer = ownership.referrer if ownership else None
    body = body_of(order, withdrawn=order.agreed, at=now, referrer=referrer)
    payouts.create_payout(connection, order, body=body, now=now)
    notices.write_result(connection, order, NoticeReason.WITHDRAWN, now=now)
    outcome = f"ended: {describe_amounts(order.agreed)} were withdrawn"
    audit.add_manual_entry(connection, order.order_id, order.account_ref, outcome, now=now)


def list_audit_entries(
    database: Database, *, account_id: str | None, order_id: str | None, limit: int, as_json: bool
) -> str:
    """List audit entries of an account or order, newest first, as a table or JSON."""
    with database.read() as connection:
        found = audit.list_entries(connection, account_id=account_id, order_id=order_id, limit=limit)
    if as_json:
        return _json([_row_json(row) for row in found])
    if not found:
        return "Nothing in the audit trail."
    heads = ("at", "what", "who", "account", "order", "message", "outcome")
    return format_table(heads, [_trail_cells(row) for row in found])


def _cells(order: Withdrawal, now: Millis) -> tuple[str, ...]:
    return (
        order.order_id,
        order.state,
        order.account.account_id,
        order.requested_by,
        format_ago(order.requested_at, now),
        str(order.attempts),
        _amounts(order.withdrawn if order.withdrawn is not None else order.agreed),
        order.reason or "",
    )


def _trail_cells(row: AuditRow) -> tuple[str, ...]:
    return (
        str(format_iso(row.at)),
        row.action,
        row.actor or "-",
        row.account_id or "-",
        row.order_id or "-",
        row.message_id or "-",
        row.outcome,
    )


def _is_unknown(order: Withdrawal) -> bool:
    return order.state == "requested" and order.unknown_since is not None


def _amounts(amounts: Amounts | None) -> str:
    return "-" if amounts is None else describe_amounts(amounts)


def _order_json(order: Withdrawal) -> dict[str, Any]:
    plain = {
        name: getattr(order, name)
        for name in ("order_id", "state", "role", "requested_by", "attempts", "reason", "code", "log_id")
    }
    times = {
        name: format_iso(getattr(order, name))
        for name in ("requested_at", "due_at", "withdrawn_at", "ended_at", "unknown_since")
    }
    amounts = {name: _amounts_json(getattr(order, name)) for name in ("agreed", "expected", "withdrawn")}
    return {"account_id": order.account.account_id, "kinds": list(order.kinds), **plain, **times, **amounts}


def _amounts_json(amounts: Amounts | None) -> list[dict[str, str]] | None:
    if amounts is None:
        return None
    return [
        {"kind": asset.kind, "currency": asset.currency, "amount": f"{amount:f}"}
        for asset, amount in amounts.items()
    ]


def _row_json(row: AuditRow) -> dict[str, Any]:
    return dataclasses.asdict(row) | {"at": format_iso(row.at)}


def _json(document: object) -> str:
    return json.dumps(document, ensure_ascii=False, indent=2)
