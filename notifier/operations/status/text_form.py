"""The lines of `notifier status`, and its one line for monitoring."""

import textwrap
from collections.abc import Iterable, Mapping

from notifier.domain.card import Bilingual
from notifier.domain.payout import PayoutState
from notifier.domain.reconciliation import REDELIVERY_MS
from notifier.operations.formatting import format_ago, format_counts, format_duration, label
from notifier.operations.language import Language, get_language, localized, say
from notifier.operations.status.attention import find_attention
from notifier.operations.status.report import PROBLEM_STATES, Status
from notifier.operations.stored_texts import (
    DELIVERY_STATES,
    PAYOUT_STATES,
    name_state,
    name_variant,
    show_stored,
)

LINE_LENGTH = 120
"""Longest line of the English report, in characters."""
ATTENTION = Bilingual(zh="需处理", en="attention")
"""Label of what needs attention."""
REMEDIES = {
    "dead": Bilingual(
        zh="排除原因后运行 `notifier deliveries retry ID`；编号见 `notifier deliveries list --state dead`",
        en="correct the cause, then `notifier deliveries retry ID`; `deliveries list --state dead` has the ids",
    ),
    "unknown": Bilingual(
        zh="先确认卡片是否送达，再运行 `notifier deliveries retry ID` 或 `drop ID`",
        en="look whether the card arrived, then `notifier deliveries retry ID` or `drop ID`",
    ),
}
"""What to do, by state of a delivery."""
REROUTE_REMEDY = Bilingual(
    zh="排除原因；相关人员见 `notifier deliveries list --state rerouted`",
    en="correct the cause; `notifier deliveries list --state rerouted` has the people",
)
"""What to do about cards that went to the fallback group."""
PAYOUT_REMEDIES = {
    PayoutState.DEAD: Bilingual(
        zh="排除原因后运行 `notifier payouts retry {}`",
        en="correct the cause, then `notifier payouts retry {}`",
    ),
    PayoutState.UNKNOWN: Bilingual(
        zh="先向薪酬团队确认是否已付款，再运行 `notifier payouts mark {} paid` 或 `retry`",
        en="ask the payroll team whether it was paid, then `notifier payouts mark {} paid` or `retry`",
    ),
    PayoutState.UNCONFIRMED: Bilingual(
        zh="与飞书招聘核对金额后运行 `notifier payouts confirm {}`",
        en="compare with Feishu Hire, then `notifier payouts confirm {}`",
    ),
}
"""What to do, by state of a payout."""
CONNECTION_STATES: Mapping[str, str] = {
    "connected": "已连接",
    "connecting": "连接中",
    "listening": "监听中",
    "disconnected": "已断开",
    "refused": "被拒绝",
    "none": "无",
}
"""Chinese names of the states of the connection."""


def format_status(status: Status) -> str:
    """Return the report in the language of the locale."""
    lines = _lines(status)
    if get_language() is Language.ZH:  # Chinese lines have no blanks to break at: the terminal wraps them
        return "\n".join(lines)
    return "\n".join(
        textwrap.fill(line, LINE_LENGTH, subsequent_indent=" " * 16, break_on_hyphens=False) for line in lines
    )


def summarize_status(status: Status) -> str:
    """Return one line for monitoring. Like JSON, it is always English."""
    found = list_attention(status, Language.EN)
    if found:
        return f"ATTENTION: {'; '.join(found)}"
    return f"OK: {_process_text(status, Language.EN)}, {status.connection}, {status.waiting} waiting"


def list_attention(status: Status, language: Language | None = None) -> list[str]:
    """Return what needs attention, most urgent first; empty if all is well. language: None for that of the locale."""
    found = []
    if status.process != "running":
        process = _process_text(status, language)
        found.append(localized(f"process {process}", f"进程{process}", language))
    elif status.connection not in {"connected", "listening"}:
        state = _connection_state(status.connection, language)
        found.append(localized(f"connection {state}", f"连接{state}", language))
    if status.store_problem is not None:
        found.append(localized(f"store {status.store_problem}", f"数据库：{status.store_problem}", language))
    found += status.replicas.attention(language)
    counts = (
        (status.deliveries.get("dead", 0), "dead deliveries", "个投递失败（dead）"),
        (status.deliveries.get("unknown", 0), "unknown deliveries", "个投递结果不明（unknown）"),
        (status.inbox.get("quarantined", 0), "quarantined events", "个事件无法处理（quarantined）"),
        (
            sum(status.payouts.get(state, 0) for state in PROBLEM_STATES),
            "payouts with a problem",
            "笔付款有问题",
        ),
        (len(status.missed_digests), "digests not sent", "份摘要未发送"),
        (len(status.failing_lookups), "referrers that cannot be looked up", "位内推人查询失败"),
    )
    found += [localized(f"{count} {en}", f"{count} {zh}", language) for count, en, zh in counts if count]
    return [*found, *_find_more_attention(status, language)]


def _find_more_attention(status: Status, language: Language | None = None) -> Iterable[str]:
    """What needs attention and no other line of the report shows."""
    return find_attention(
        status.figures,
        status.digests,
        status.waiting_since,
        now=status.now,
        seconds_to_drain=status.seconds_to_drain,
        language=language,
    )


def _questions_text(status: Status) -> str:
    day = localized("last day: ", "近一天：")
    waiting = localized(f"; {status.unanswered} without an answer", f"；{status.unanswered} 个未回答")
    return f"{day}{format_counts(status.questions)}{waiting if status.unanswered else ''}"


def _lines(status: Status) -> Iterable[str]:
    yield f"{label('process', '进程')}{_process_text(status)}"
    if status.store_problem is not None:
        yield f"{label('store', '数据库')}{status.store_problem}"
    for each in _find_more_attention(status):
        yield f"{label(ATTENTION.en, ATTENTION.zh)}{each}"
    yield from status.replicas.lines(status.now)
    yield f"{label('connection', '连接')}{_connection_text(status)}"
    yield from _other_connection_lines(status)
    yield f"{label('last event', '最近事件')}{format_ago(status.last_event_at, status.now)}"
    yield f"{label('balances', '余额核对')}{_reconciliation_text(status)}"
    yield f"{label('events', '事件')}{format_counts(status.inbox)}"
    if status.questions or status.unanswered:
        yield f"{label('questions', '提问')}{_questions_text(status)}"
    yield f"{label('deliveries', '投递')}{format_counts(status.deliveries)}"
    yield f"{label('waiting', '排队')}{_waiting_text(status)}"
    if held := status.deliveries.get("held", 0):
        yield label("held", "暂缓") + localized(
            f"{held}, by the settings of their recipients", f"{held}，按收件人的通知设置"
        )
    yield f"{label('dead', '失败')}{status.deliveries.get('dead', 0)}"
    yield f"{label('unknown', '结果不明')}{status.deliveries.get('unknown', 0)}"
    if status.payouts:
        yield f"{label('payouts', '付款')}{format_counts(status.payouts)}"
    for run in status.missed_digests:
        yield localized(
            f"  digest {run.digest} of {run.period} was due too long ago and was not sent to {run.recipient}",
            f"  摘要 {run.digest}（{run.period}）过期太久，没有发送给 {run.recipient}",
        )
    for name, until, reason in status.rate_limited:
        wait = format_duration(until - status.now)
        yield label("on hold", "暂停发送") + localized(
            f"{name} for {wait}: {reason}", f"{name}，{wait}：{reason}"
        )
    yield from _delivery_lines(status)
    yield from _payout_lines(status)
    yield from _other_problem_lines(status)


def _waiting_text(status: Status) -> str:
    oldest, drain = "", ""
    if status.oldest_waiting_ms is not None:
        age = format_duration(status.oldest_waiting_ms)
        oldest = localized(f", oldest for {age}", f"，最早的已等待 {age}")
    if status.waiting:
        needed = format_duration(round(status.seconds_to_drain * 1000))
        drain = localized(f", {needed} to drain", f"，发完需要 {needed}")
    return f"{status.waiting}{oldest}{drain}"


def _delivery_lines(status: Status) -> Iterable[str]:
    for state, code, reason, count in status.stalled:
        yield localized(
            f"  {count} {state}{f' (code {code})' if code else ''}: {reason}",
            f"  {name_state(state, DELIVERY_STATES)} {count} 个{f'（错误码 {code}）' if code else ''}："
            f"{show_stored(reason, code)}",
        )
        yield f"    -> {say(REMEDIES[state])}"
    for reason, count in status.rerouted:
        yield localized(
            f"  {count} rerouted to the fallback group: {reason}",
            f"  {count} 个改发到兜底群：{show_stored(reason)}",
        )
    if status.rerouted:
        yield f"    -> {say(REROUTE_REMEDY)}"


def _payout_lines(status: Status) -> Iterable[str]:
    for order_id, state, reason in status.payout_problems:
        yield localized(
            f"  payout {order_id} {state}: {reason or 'no reason given'}",
            f"  付款 {order_id} {name_state(state, PAYOUT_STATES)}：{show_stored(reason) or '没有给出原因'}",
        )
        yield f"    -> {say(PAYOUT_REMEDIES[state]).format(order_id)}"


def _other_problem_lines(status: Status) -> Iterable[str]:
    for account, tries, reason in status.failing_lookups:
        yield localized(
            f"  look-up of account {account} failed {tries} times: {reason}",
            f"  账户 {account} 的内推人查询失败 {tries} 次：{show_stored(reason)}",
        )
    if status.degraded:
        yield label("degraded", "降级") + localized(
            "cards of the last 7 days that were sent in a lower variant:", "最近 7 天以降级版本发送的卡片："
        )
    for variant, reason, count in status.degraded:
        yield localized(
            f"  {count} as {variant}: {reason}",
            f"  {name_variant(variant)} {count} 张：{show_stored(reason)}",
        )
    if status.quarantined:
        count = status.inbox.get("quarantined", 0)
        yield label("quarantined", "隔离") + localized(
            f"{count} events that cannot be processed, newest first:", f"{count} 个事件无法处理，新的在前："
        )
    for entry in status.quarantined:
        received = format_ago(entry.received_at, status.now)
        yield localized(
            f"  #{entry.id} {entry.event_type} {entry.event_key}, {received}: {entry.reason}",
            f"  #{entry.id} {entry.event_type} {entry.event_key}，{received}：{show_stored(entry.reason)}",
        )


def _other_connection_lines(status: Status) -> Iterable[str]:
    if foreign := status.figures.foreign_connections:
        yield localized(
            f"  {foreign} connections of this app are not ours: another program receives our events",
            f"  本应用有 {foreign} 个连接不属于本服务：其他程序在接收事件",
        )


def _reconciliation_text(status: Status) -> str:
    run = status.reconciliation
    if run is None:
        return localized("never read", "从未核对")
    when = (
        localized("being read", "正在核对")
        if run.ended_at is None
        else localized(
            f"read {format_ago(run.ended_at, status.now)}", f"{format_ago(run.ended_at, status.now)}核对"
        )
    )
    found = localized(
        f"{run.read} accounts, {run.failed} failed, {run.recovered} recovered",
        f"{run.read} 个账户，失败 {run.failed}，补回 {run.recovered}",
    )
    if run.missed:
        may_still_come = status.now - run.started_at < REDELIVERY_MS
        found += (
            localized(f", {run.missed} without an event so far", f"，{run.missed} 个变动暂未收到事件")
            if may_still_come
            else localized(f", {run.missed} MISSED while connected", f"，连接期间漏收 {run.missed} 个事件")
        )
    return localized(f"{when}: {found}", f"{when}：{found}")


def _process_text(status: Status, language: Language | None = None) -> str:
    worker = status.worker
    match status.process:
        case "never":
            return localized("has never run on this database", "从未在此数据库上运行", language)
        case "stopped":
            ago = format_ago(worker.stopped_at if worker else None, status.now, language)
            return localized(f"stopped {ago}", f"已停止（{ago}）", language)
        case "not_responding":
            age = format_duration(status.now - (worker.heartbeat_at if worker else 0), language)
            if status.is_store_blocked:
                return localized(
                    f"running, but it has written nothing for {age}",
                    f"在运行，但已有 {age}没有写入数据",
                    language,
                )
            return localized(
                f"no heartbeat for {age}; is it running?", f"已有 {age}没有心跳，请确认是否在运行", language
            )
        case _:
            duration = format_duration(status.now - (worker.started_at if worker else 0), language)
            return localized(f"running for {duration}", f"已运行 {duration}", language)


def _connection_text(status: Status) -> str:
    worker = status.worker
    if worker is None:
        return _connection_state("none")
    detail = f": {worker.connection_detail}" if worker.connection_detail else ""
    if status.process != "running":
        if status.process == "stopped" and worker.connection_state == "refused":
            return _connection_state("refused") + detail
        if status.is_store_blocked:
            state = _connection_state(worker.connection_state)
            return localized(f"was {state}", f"此前{state}") + detail
        return _connection_state("none")
    state, age = (
        _connection_state(worker.connection_state),
        format_duration(status.now - worker.connection_since),
    )
    return localized(f"{state} for {age}", f"{state} {age}") + detail


def _connection_state(state: str, language: Language | None = None) -> str:
    return localized(state, CONNECTION_STATES.get(state, state), language)
