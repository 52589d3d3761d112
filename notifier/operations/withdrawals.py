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
from notifier.operations.formatting import format_ago, format_amounts, format_iso, format_table, label
from notifier.operations.language import Language, get_language, localized
from notifier.operations.stored_texts import (
    PAYOUT_STATES,
    WITHDRAWAL_STATES,
    name_action,
    name_actor,
    name_kind,
    name_role,
    name_state,
    show_stored,
)
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
        return localized("No withdrawals.", "没有提现。")
    heads = (
        ("order id", "state", "account", "by", "requested", "tries", "amounts", "reason")
        if get_language() is Language.EN
        else ("订单号", "状态", "账户", "发起人", "发起时间", "次数", "金额", "原因")
    )
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
    lines = _detail_lines(order)
    if payout is not None:
        reference = f", {payout.reference}" if payout.reference else ""
        state = name_state(payout.state, PAYOUT_STATES)
        lines.append(f"{label('payout', '付款')}{state}{reference}")
    if order.reason:
        code = localized(f" (code {order.code})", f"（错误码 {order.code}）") if order.code else ""
        lines.append(f"{label('reason', '原因')}{show_stored(order.reason, order.code)}{code}")
    lines += [
        "",
        *(format_trail_line(row) for row in trail_rows),
    ]
    return "\n".join(lines)


def _detail_lines(order: Withdrawal) -> list[str]:
    role = name_role(order.role)
    by = localized(f"{order.requested_by} as {role}", f"{order.requested_by}（{role}）")
    unknown = localized(", the outcome is not known", "，结果不明") if _is_unknown(order) else ""
    lines = [
        f"{label('withdrawal', '提现')}{order.order_id}, {name_state(order.state, WITHDRAWAL_STATES)}",
        f"{label('account', '账户')}{order.account.account_id}",
        f"{label('requested by', '发起人')}{by}, {format_iso(order.requested_at)}",
        f"{label('kinds', '类型')}{localized(', ', '、').join(map(name_kind, order.kinds))}",
        f"{label('agreed', '确认金额')}{_amounts(order.agreed)}",
        f"{label('at Feishu', '飞书余额')}{_amounts(order.expected)}",
        f"{label('withdrawn', '已提现')}{_amounts(order.withdrawn)}",
        f"{label('tries', '次数')}{order.attempts}{unknown}",
    ]
    if order.withdrawn_at is not None:
        at = format_iso(order.withdrawn_at)
        lines.append(
            label("withdrawn at", "提现时间") + localized(f"{at} by Feishu's clock", f"{at}（飞书时间）")
        )
    return lines


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
            listed = "notifier withdrawals list --state requested"
            return EndResult(
                is_ok=False,
                text=localized(
                    f"{order_id} has a result, or does not exist; `{listed}` shows those that have none.",
                    f"{order_id} 已有结果，或不存在；没有结果的见 `{listed}`。",
                ),
            )
        obstacle = _find_obstacle(connection, order, now=now, is_withdrawn=is_withdrawn)
        if obstacle is not None:
            return EndResult(is_ok=False, text=obstacle)
        if is_withdrawn:
            _finish_as_withdrawn(connection, order, notices, now=now)
            amounts = format_amounts(order.agreed)
            text = localized(
                f"{order_id} is withdrawn: {amounts}; its payout is created.",
                f"{order_id} 已提现：{amounts}；已创建付款。",
            )
            return EndResult(is_ok=True, text=text)
        result = WithdrawalResult(
            state=WithdrawalState.ENDED, now=now, reason="ended by an operator: nothing was withdrawn"
        )
        withdrawals.finish(connection, order, result)
        notices.write_where_cards_expired(connection, order, NoticeReason.ENDED, now=now)
        audit.add_manual_entry(
            connection, order_id, order.account_ref, "ended: nothing was withdrawn", now=now
        )
        text = localized(
            f"{order_id} is ended; its cards offer the balance again.",
            f"{order_id} 已结束；卡片上可以重新提现。",
        )
        return EndResult(is_ok=True, text=text)

    return database.write(write).result()


def _find_obstacle(
    connection: Connection, order: Withdrawal, *, now: Millis, is_withdrawn: bool
) -> str | None:
    """Why the order cannot be ended now; None if it can."""
    order_id = order.order_id
    if withdrawals.is_claimed(connection, order):
        return localized(
            f"{order_id} is being called right now; try again in a minute.",
            f"{order_id} 正在调用中，请一分钟后再试。",
        )
    hours_left = (order.requested_at + STUCK_AFTER_MS - now) / HOUR_MS
    if hours_left > 0:
        return localized(
            f"{order_id} is being retried; it can be ended in {hours_left:.1f} h if it still has no result.",
            f"{order_id} 正在重试；如果 {hours_left:.1f} 小时后仍没有结果，才可以结束。",
        )
    if is_withdrawn and not order.called:
        return localized(
            f"Feishu was never called for {order_id}: nothing was withdrawn.",
            f"从未为 {order_id} 调用过飞书：没有提现。",
        )
    return None


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
        return localized("Nothing in the audit trail.", "没有审计记录。")
    heads = (
        ("at", "what", "who", "account", "order", "message", "outcome")
        if get_language() is Language.EN
        else ("时间", "操作", "操作人", "账户", "订单", "消息", "结果")
    )
    return format_table(heads, [_trail_cells(row) for row in found])


def _cells(order: Withdrawal, now: Millis) -> tuple[str, ...]:
    return (
        order.order_id,
        name_state(order.state, WITHDRAWAL_STATES),
        order.account.account_id,
        order.requested_by,
        format_ago(order.requested_at, now),
        str(order.attempts),
        _amounts(order.withdrawn if order.withdrawn is not None else order.agreed),
        show_stored(order.reason, order.code),
    )


def format_trail_line(row: AuditRow) -> str:
    """Format an audit entry as a line under the thing that it is about."""
    outcome = show_stored(row.outcome)
    return f"  {format_iso(row.at)}  {name_action(row.action)}  {name_actor(row.actor)}  {outcome}"


def _trail_cells(row: AuditRow) -> tuple[str, ...]:
    return (
        str(format_iso(row.at)),
        name_action(row.action),
        name_actor(row.actor),
        row.account_id or "-",
        row.order_id or "-",
        row.message_id or "-",
        show_stored(row.outcome),
    )


def _is_unknown(order: Withdrawal) -> bool:
    return order.state == "requested" and order.unknown_since is not None


def _amounts(amounts: Amounts | None) -> str:
    return "-" if amounts is None else format_amounts(amounts)


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
