"""What needs attention although no row is in a state of failure: things that wait too long, fail, or repeat."""

from collections.abc import Iterable, Mapping, Sequence

from notifier.clock import HOUR_MS, MINUTE_MS, Millis
from notifier.flow.digests.progress import DigestProgress
from notifier.metrics import to_limit
from notifier.operations.formatting import format_duration
from notifier.operations.language import Language, localized
from notifier.store.processes.figures import StoreFigures
from notifier.store.processes.workers import LONGEST_WAITS

OLDEST_DELIVERY_MS = 15 * MINUTE_MS
"""A card that waits longer, also between two attempts, is shown."""
OLDEST_WITHDRAWAL_MS = 10 * MINUTE_MS
OLDEST_BATCH_MS = HOUR_MS
LATE_DIGEST_MS = 2 * MINUTE_MS
LONGEST_DRAIN_SECONDS = 600.0
MOST_STARTS = 4
"""As many starts within 15 minutes look like a process that ends again and again; three for each of several."""
FEWEST_FAILURES = 3
"""Fewer failed calls within 5 minutes are no sign of a trouble that lasts."""


KINDS_ZH = {
    "events": "事件",
    "cards": "卡片",
    "withdrawals": "提现",
    "batches": "批量提现",
    "payouts": "付款",
}
"""Chinese names of what waits."""


def find_attention(
    figures: StoreFigures,
    digests: Sequence[DigestProgress],
    waiting_since: Mapping[str, Millis],
    *,
    now: Millis,
    seconds_to_drain: float,
    language: Language | None = None,
) -> Iterable[str]:
    """Yields one text for each thing that needs attention.

    waiting_since: since when the oldest row of each kind has been ready, Unix milliseconds, as of now. language: None
    for that of the locale.
    """
    yield from _find_waiting(figures, waiting_since, now, language)
    if figures.failed_calls >= FEWEST_FAILURES and 2 * figures.failed_calls >= figures.recent_calls:
        yield localized(
            f"{figures.failed_calls} of {figures.recent_calls} calls in 5 minutes sent no message",
            f"5 分钟内 {figures.recent_calls} 次调用中有 {figures.failed_calls} 次没有发出消息",
            language,
        )
    if seconds_to_drain > LONGEST_DRAIN_SECONDS:
        drain = format_duration(round(seconds_to_drain * 1000), language)
        yield localized(
            f"{figures.queue.count} cards wait, which takes {drain}",
            f"{figures.queue.count} 张卡片在排队，发完需要 {drain}",
            language,
        )
    for name, until in figures.blocked.items():
        wait = format_duration(until - now, language)
        limit = to_limit(name)
        yield localized(f"{limit} on hold for {wait}", f"{limit} 暂停发送 {wait}", language)
    yield from _find_missed(figures, language)
    if foreign := figures.foreign_connections:
        yield localized(
            f"{foreign} connections of other programs receive our events",
            f"其他程序的 {foreign} 个连接在接收本应用的事件",
            language,
        )
    if figures.degraded:
        yield localized(
            f"{figures.degraded} cards in a lower variant within 24 h",
            f"24 小时内有 {figures.degraded} 张卡片以降级版本发送",
            language,
        )
    yield from _find_unpaid(figures, language)
    for each in digests:
        if each.late_since is not None and now - each.late_since > LATE_DIGEST_MS:
            late = format_duration(now - each.late_since, language)
            yield localized(f"digest {each.name} late for {late}", f"摘要 {each.name} 已晚 {late}", language)
    if figures.recent_starts >= max(MOST_STARTS, 3 * len(figures.live) + 1):
        yield localized(
            f"{figures.recent_starts} starts within 15 minutes",
            f"15 分钟内启动了 {figures.recent_starts} 次",
            language,
        )


def _find_missed(figures: StoreFigures, language: Language | None) -> Iterable[str]:
    if missed := figures.reconciliation.missed_in_day:
        yield localized(
            f"{missed} changes without an event within 24 h",
            f"24 小时内有 {missed} 次变动没有收到事件",
            language,
        )
    read, failed = (figures.reconciliation.accounts.get(name, 0) for name in ("read", "failed"))
    if failed >= FEWEST_FAILURES and failed > read:
        yield localized(
            f"{failed} accounts that could not be compared with Feishu",
            f"{failed} 个账户无法与飞书核对",
            language,
        )


def _find_unpaid(figures: StoreFigures, language: Language | None) -> Iterable[str]:
    if late := figures.payouts.late:
        yield localized(f"{late} late payouts", f"{late} 笔付款逾期", language)
    if failed := figures.payouts.by_state.get("failed", 0):
        yield localized(f"{failed} failed payouts", f"{failed} 笔付款失败", language)
    if failing := figures.payouts.failing:
        yield localized(
            f"{failing} payouts that the payroll system does not accept",
            f"付款系统未接受 {failing} 笔付款",
            language,
        )


def _find_waiting(
    figures: StoreFigures, waiting_since: Mapping[str, Millis], now: Millis, language: Language | None
) -> Iterable[str]:
    ready_for = {kind: now - since for kind, since in waiting_since.items()}
    too_long = {kind: age for kind, age in ready_for.items() if age > LONGEST_WAITS[kind]}
    for kind, age in too_long.items():
        duration = format_duration(age, language)
        yield localized(
            f"{kind} ready for {duration}", f"{KINDS_ZH.get(kind, kind)}等待处理 {duration}", language
        )
    oldest = (
        ("cards", figures.queue.oldest_at, OLDEST_DELIVERY_MS),
        ("withdrawals", figures.oldest_withdrawal_at, OLDEST_WITHDRAWAL_MS),
        ("batches", figures.batches.oldest_at, OLDEST_BATCH_MS),
    )
    for kind, since, longest in oldest:
        if since is not None and now - since > longest and kind not in too_long:
            duration = format_duration(now - since, language)
            yield localized(
                f"{kind} not finished for {duration}", f"{KINDS_ZH[kind]} {duration}仍未完成", language
            )
    if unclear := figures.withdrawals["unclear"]:
        yield localized(
            f"{unclear} withdrawals without a clear answer", f"{unclear} 笔提现没有明确结果", language
        )
