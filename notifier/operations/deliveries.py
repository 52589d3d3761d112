"""Deliveries: the functions behind `notifier deliveries`."""

import dataclasses
import json
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from notifier.cards.balance_text import reroute_reason
from notifier.clock import Clock, Millis, to_millis
from notifier.operations.formatting import format_ago, format_iso, format_table, label
from notifier.operations.language import Language, get_language, localized, say
from notifier.operations.stored_texts import (
    DELIVERY_STATES,
    HOLD_REASONS,
    name_state,
    name_variant,
    show_stored,
)
from notifier.store.deliveries import delivery_admin
from notifier.store.deliveries.delivery_admin import DeliveryDetails, DeliveryRow
from notifier.store.engine.database import Database


def list_deliveries(
    database: Database, clock: Clock, *, states: Sequence[str], limit: int, as_json: bool
) -> str:
    """List deliveries in these states, newest first, as a table or JSON."""
    with database.read() as connection:
        rows = delivery_admin.list_deliveries(connection, states=states, limit=limit)
    if as_json:
        return json.dumps([_row_json(row) for row in rows], ensure_ascii=False, indent=2)
    if not rows:
        return localized("No deliveries.", "没有投递。")
    heads = (
        ("id", "state", "to", "account", "variant", "tries", "changed", "reason")
        if get_language() is Language.EN
        else ("编号", "状态", "收件人", "账户", "版本", "次数", "变更", "原因")
    )
    now = to_millis(clock.now())
    return format_table(heads, [_row_cells(row, now) for row in rows])


def _row_json(row: DeliveryRow) -> dict[str, Any]:
    times = {name: format_iso(getattr(row, name)) for name in ("created_at", "updated_at", "due_at")}
    return dataclasses.asdict(row) | times


def _row_cells(row: DeliveryRow, now: Millis) -> tuple[str, ...]:
    reason = _hold(row) if row.state == "held" else show_stored(row.last_error, row.last_code)
    return (
        str(row.id),
        name_state(row.state, DELIVERY_STATES),
        f"{row.target} {row.receive_id}".strip(),
        row.account_id,
        name_variant(row.variant),
        str(row.attempts),
        format_ago(row.updated_at, now),
        reason if len(reason) <= 60 else f"{reason[:59]}…",
    )


def _hold(row: DeliveryRow) -> str:
    """Why a held delivery waits, and until when."""
    until = format_iso(row.due_at)
    reason = say(HOLD_REASONS[row.hold_reason]) if row.hold_reason in HOLD_REASONS else ""
    return localized(f"{reason}, until {until}", f"{reason}，直到 {until}")


def show_delivery(database: Database, delivery_id: int, *, as_json: bool) -> str | None:
    """Return one delivery with its attempts and its card, or None if there is no such delivery."""
    with database.read() as connection:
        found = delivery_admin.show_delivery(connection, delivery_id)
    if found is None:
        return None
    if as_json:
        return json.dumps(
            dataclasses.asdict(found) | {"row": _row_json(found.row)}, ensure_ascii=False, indent=2
        )
    return "\n".join(_detail_lines(found))


def _detail_lines(found: DeliveryDetails) -> Iterable[str]:
    row = found.row
    card = localized(f"{row.variant} card", f"{name_variant(row.variant)}卡片")
    state = name_state(row.state, DELIVERY_STATES)
    yield f"{label('delivery', '投递')}{row.id}, {state}, {card}"
    yield f"{label('to', '收件人')}{row.target} {row.receive_id}".rstrip()
    changes = localized(
        f"{found.notices} change{'s' if found.notices != 1 else ''}", f"{found.notices} 次变动"
    )
    yield f"{label('account', '账户')}{row.account_id}, {changes}"
    changed = localized("last changed", "最近变更")
    yield f"{label('created', '创建')}{format_iso(row.created_at)}, {changed} {format_iso(row.updated_at)}"
    if row.state == "held":
        yield f"{label('held', '暂缓')}{_hold(row)}"
    if row.state in {"waiting", "ready"}:
        yield f"{label('due', '计划发送')}{format_iso(row.due_at)}"
    if found.rerouted_from:
        original = localized(f"delivery {found.rerouted_from}", f"投递 {found.rerouted_from}")
        yield f"{label('instead of', '代替')}{original}{localized(': ', '：')}{_reroute(found.reroute_reason)}"
    elif found.reroute_reason:
        yield f"{label('rerouted', '改发')}{_reroute(found.reroute_reason)}"
    if found.corrects:
        yield label("corrects", "更正") + localized(f"delivery {found.corrects}", f"投递 {found.corrects}")
    if row.message_id:
        yield label("message", "消息") + localized(
            f"{row.message_id} in {found.chat_id}", f"{row.message_id}（{found.chat_id}）"
        )
    if found.degraded_reason:
        yield label("degraded", "降级") + localized(
            f"because {found.degraded_reason}", f"原因：{show_stored(found.degraded_reason)}"
        )
    if row.last_error:
        code = localized(f" (code {row.last_code})", f"（错误码 {row.last_code}）") if row.last_code else ""
        yield f"{label('reason', '原因')}{show_stored(row.last_error, row.last_code)}{code}"
    for number, each in enumerate(found.attempts, start=1):
        duration = (
            localized(f"{each.ended_at - each.started_at} ms", f"{each.ended_at - each.started_at} 毫秒")
            if each.ended_at is not None
            else localized("no end yet", "尚未结束")
        )
        parts = (
            each.outcome and name_state(each.outcome, DELIVERY_STATES),
            show_stored(each.reason, each.code),
            each.log_id and f"[log id {each.log_id}]",
        )
        summary = " ".join(part for part in parts if part)
        attempt = label(f"try {number}", f"第 {number} 次")
        yield f"{attempt}{format_iso(each.started_at)}, {duration}, uuid {each.uuid}: {summary}"
    if found.body:
        yield localized("content", "内容")
        yield _indented(found.body)


def _reroute(stored: str | None) -> str:
    """Why a delivery goes to the fallback group. stored: as RerouteReason.with_details returns it."""
    if stored is None:
        return ""
    return localized(stored, f"{say(reroute_reason(stored))}（“{stored}”）")


def _indented(body: str) -> str:
    """Return the content of a message as indented JSON, or as it is if it is not JSON."""
    try:
        text = json.dumps(json.loads(body), ensure_ascii=False, indent=2)
    except ValueError:
        text = body
    return "\n".join(f"  {line}" for line in text.splitlines())


def retry_deliveries(
    database: Database, clock: Clock, ids: Sequence[int] | None
) -> tuple[list[int], list[int]]:
    """Retry deliveries. ids: None for all dead ones. Returns the ids retried, and those neither dead nor unknown."""
    now = to_millis(clock.now())
    if ids is None:
        with database.read() as connection:
            ids = delivery_admin.list_dead_ids(connection)
    done = [
        one for one in ids if database.write(partial(delivery_admin.retry, delivery_id=one, now=now)).result()
    ]
    return done, [one for one in ids if one not in done]


def drop_deliveries(database: Database, clock: Clock, ids: Sequence[int]) -> tuple[list[int], list[int]]:
    """Drop deliveries. Returns the ids dropped, and the ids that are neither dead nor unknown."""
    now = to_millis(clock.now())
    done = [
        one for one in ids if database.write(partial(delivery_admin.drop, delivery_id=one, now=now)).result()
    ]
    return done, [one for one in ids if one not in done]
