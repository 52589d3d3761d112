"""Payouts: the functions behind `notifier payouts`. They show no names and no contact data."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy.engine import Connection

from notifier.clock import Clock, Millis, to_millis
from notifier.config.settings import Config
from notifier.domain.contact_data import one_line
from notifier.domain.money import Amounts, Asset, Kind, describe_amounts
from notifier.domain.payout import Payout, PayoutReport, PayoutReportOutcome, PayoutState
from notifier.errors import ConfigError
from notifier.flow.withdrawals.apply_payout_report import apply_payout_report
from notifier.operations.formatting import format_ago, format_amounts, format_iso, format_table, label
from notifier.operations.language import Language, get_language, localized
from notifier.operations.stored_texts import PAYOUT_STATES, name_state, show_stored
from notifier.operations.withdrawals import format_trail_line
from notifier.runtime import factories
from notifier.store import audit, payouts
from notifier.store.audit import AuditAction
from notifier.store.engine.database import Database

MAX_REFERENCE_LENGTH, MAX_REASON_LENGTH = 128, 500
TIME_FIELDS = ("created_at", "due_at", "sent_at", "exported_at", "settled_at", "late_notified_at")


def list_payouts(
    database: Database, clock: Clock, *, states: Sequence[str], limit: int, as_json: bool
) -> str:
    """List payouts in these states, newest first, as a table or JSON."""
    with database.read() as connection:
        found = payouts.list_payouts(connection, states=states, limit=limit)
    if as_json:
        return _json([_as_json(each) for each in found])
    if not found:
        return localized("No payouts.", "没有付款。")
    heads = (
        ("order id", "state", "account", "amounts", "withdrawn", "tries", "reference", "reason")
        if get_language() is Language.EN
        else ("订单号", "状态", "账户", "金额", "提现时间", "次数", "流水号", "原因")
    )
    now = to_millis(clock.now())
    return format_table(heads, [_cells(each, now) for each in found])


def show_payout(database: Database, order_id: str, *, as_json: bool) -> str | None:
    """Return one payout with its audit trail, or None if there is no such payout."""
    with database.read() as connection:
        found = payouts.find_by_order(connection, order_id)
        if found is None:
            return None
        trail = audit.list_entries(connection, order_id=order_id, limit=1000)[::-1]
    if as_json:
        rows = [asdict(row) | {"at": format_iso(row.at)} for row in trail]
        return _json(_as_json(found) | {"audit": rows})
    lines = [
        f"{label('payout', '付款')}{found.order_id}, {name_state(found.state, PAYOUT_STATES)}",
        f"{label('account', '账户')}{found.account.account_id}",
        f"{label('amounts', '金额')}{format_amounts(get_amounts(found))}",
        f"{label('withdrawn', '提现时间')}{json.loads(found.body)['withdrawn_at']}",
        f"{label('tries', '次数')}{found.attempts}",
    ]
    for name, name_zh, at in (
        ("submitted", "提交", found.sent_at),
        ("exported", "导出", found.exported_at),
        ("settled", "完成", found.settled_at),
        ("alarm sent", "已告警", found.late_notified_at),
    ):
        lines += [f"{label(name, name_zh)}{format_iso(at)}"] if at is not None else []
    lines += [f"{label('reference', '流水号')}{found.reference}"] if found.reference else []
    lines += [f"{label('reason', '原因')}{show_stored(found.reason)}"] if found.reason else []
    lines += [
        "",
        *(format_trail_line(row) for row in trail),
    ]
    return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class MarkResult:
    """Whether a report was applied, and the answer in words."""

    is_ok: bool
    text: str


def mark_payout(
    database: Database,
    config: Config,
    clock: Clock,
    *,
    order_id: str,
    status: str,
    reference: str,
    reason: str,
) -> MarkResult | None:
    """Apply a report as if the payroll system had sent it. Returns None if there is no such payout."""
    for name, value, max_length in (
        ("--reference", reference, MAX_REFERENCE_LENGTH),
        ("--reason", reason, MAX_REASON_LENGTH),
    ):
        if len(value) > max_length:
            raise ConfigError(
                localized(
                    f"{name} is longer than {max_length} characters.",
                    f"{name} 不能超过 {max_length} 个字符。",
                )
            )
    now = to_millis(clock.now())
    report = PayoutReport(
        order_id=order_id,
        status=PayoutState(status),
        reference=one_line(reference),
        reason=one_line(reason),
        at=now,
    )
    notices = factories.make_notice_writer(config)

    def write(connection: Connection) -> tuple[PayoutReportOutcome, str]:
        """Return the outcome, and the reference that is stored now."""
        outcome = apply_payout_report(
            connection, report, notices, actor=audit.COMMAND_LINE, action=AuditAction.MANUAL, now=now
        )
        known = payouts.find_by_order(connection, order_id)
        return outcome, known.reference if known else ""

    outcome, reference_known = database.write(write).result()
    return _describe_mark(outcome, order_id, status, reference_known)


def _describe_mark(
    outcome: PayoutReportOutcome, order_id: str, status: str, reference_known: str
) -> MarkResult | None:
    match outcome:
        case PayoutReportOutcome.NEW:
            text = localized(
                f"{order_id} is {status}; the referrer is notified.",
                f"{order_id} 已记为{name_state(status, PAYOUT_STATES)}，会通知内推人。",
            )
            return MarkResult(is_ok=True, text=text)
        case PayoutReportOutcome.SAME:
            text = localized(
                f"{order_id} was {status} already; nothing changed.",
                f"{order_id} 已经是{name_state(status, PAYOUT_STATES)}，没有变化。",
            )
            return MarkResult(is_ok=True, text=text)
        case PayoutReportOutcome.CONFLICT:
            text = localized(
                f"{order_id} was paid already, under another reference, {reference_known}. Was it paid twice? Nothing "
                "changed.",
                f"{order_id} 此前已付款，流水号为 {reference_known}。请确认是否重复付款。没有做任何修改。",
            )
            return MarkResult(is_ok=False, text=text)
        case PayoutReportOutcome.OLDER:
            text = localized(
                f"{order_id}: a newer report is known; is this machine's clock right?",
                f"{order_id}：已有更新的结果，请检查本机时钟。",
            )
            return MarkResult(is_ok=False, text=text)
        case PayoutReportOutcome.UNKNOWN:
            return None


def confirm_payout(database: Database, clock: Clock, order_id: str) -> bool:
    """Release a payout whose amounts Feishu did not name. Returns False if it is in another state."""
    now = to_millis(clock.now())

    def write(connection: Connection) -> bool:
        payout = payouts.find_by_order(connection, order_id)
        if payout is None or not payouts.confirm(connection, order_id, now=now):
            return False
        audit.add_manual_entry(
            connection,
            order_id,
            payout.account_ref,
            f"amounts confirmed: {describe_amounts(get_amounts(payout))}",
            now=now,
        )
        return True

    return database.write(write).result()


def retry_payouts(database: Database, clock: Clock, ids: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """Retry dead and unknown payouts. ids: None for all dead ones. Returns the ids retried, and the others."""
    now = to_millis(clock.now())
    if ids is None:
        with database.read() as connection:
            dead = payouts.list_payouts(connection, states=(PayoutState.DEAD,), limit=100_000)
        ids = [each.order_id for each in dead]

    def retry_one(connection: Connection, order_id: str) -> bool:
        payout = payouts.find_by_order(connection, order_id)
        if payout is None or not payouts.retry(connection, order_id, now=now):
            return False
        audit.add_manual_entry(connection, order_id, payout.account_ref, "to be submitted again", now=now)
        return True

    done = [one for one in ids if database.write(lambda c, one=one: retry_one(c, one)).result()]  # type: ignore[misc]
    return done, [one for one in ids if one not in done]


def get_amounts(payout: Payout) -> Amounts:
    """Return the amounts of a payout."""
    return {
        Asset(Kind(each["kind"]), each["currency"] or ""): Decimal(each["amount"])
        for each in json.loads(payout.body).get("amounts", [])
    }


def _cells(payout: Payout, now: Millis) -> tuple[str, ...]:
    return (
        payout.order_id,
        name_state(payout.state, PAYOUT_STATES),
        payout.account.account_id,
        format_amounts(get_amounts(payout)),
        format_ago(payout.created_at, now),
        str(payout.attempts),
        payout.reference,
        show_stored(payout.reason),
    )


def _as_json(payout: Payout) -> dict[str, Any]:
    plain = {name: getattr(payout, name) for name in ("order_id", "state", "attempts", "reference", "reason")}
    times = {name: format_iso(getattr(payout, name)) for name in TIME_FIELDS}
    return plain | times | {"body": json.loads(payout.body)}


def _json(document: object) -> str:
    return json.dumps(document, ensure_ascii=False, indent=2)
