"""Digest wording: a digest's figures and its board as people read them."""

import math
from collections.abc import Sequence
from datetime import date, tzinfo
from decimal import Decimal
from itertools import starmap
from zoneinfo import ZoneInfo

from notifier.cards.balance_text import clean, label, moment, money, person, reroute_reason, signed
from notifier.clock import Millis
from notifier.domain.account import Referrer
from notifier.domain.card import Bilingual, WithdrawalPanel
from notifier.domain.digest import ZERO, AssetFlow, DayFlow, Digest, Holder, StalledItems, StalledPayout
from notifier.domain.digest_card import (
    AmountRow,
    DigestCard,
    FlowBlock,
    PanelView,
    ProgressView,
    ResultRow,
    StalledView,
)
from notifier.domain.digest_panel import DigestPanel, Option, Progress, Result, SkipReason
from notifier.domain.money import POINTS, Amounts, Asset
from notifier.domain.payout import PayoutState
from notifier.domain.withdrawal import WithdrawalState

MAX_FLOWS = 5
MAX_AMOUNTS = 4
POINTS_IN_A_CELL = "积分/pts"
DAY_MS = 86_400_000

_PAYOUTS = {
    "dead": Bilingual(zh="打款系统未接收", en="not accepted by the paying system"),
    "failed": Bilingual(zh="打款失败", en="payment failed"),
    "late": Bilingual(zh="提现后一直未打款", en="withdrawn and not paid for long"),
}
_SKIPPED = {
    SkipReason.BUSY: Bilingual(zh="提现已在处理中", en="already under way"),
    SkipReason.DONE: Bilingual(zh="已提现", en="withdrawn already"),
    SkipReason.EMPTY: Bilingual(zh="无可提现余额", en="nothing to withdraw"),
    SkipReason.OWNER_UNKNOWN: Bilingual(zh="归属未知", en="owner unknown"),
    SkipReason.DEACTIVATED: Bilingual(zh="账户已停用", en="account deactivated"),
    SkipReason.NOT_ALLOWED: Bilingual(zh="操作人已无权限", en="who asked may not any more"),
    SkipReason.EXPIRED: Bilingual(zh="卡片已过期", en="the card is too old"),
    SkipReason.DENIED: Bilingual(zh="未获许可", en="not allowed"),
}
_REFUSED = {
    1002553: Bilingual(zh="飞书查不到该账户", en="no such account"),
    1002555: Bilingual(zh="账户已停用", en="account deactivated"),
    99991672: Bilingual(zh="应用缺少提现权限", en="the app lacks the permission"),
}
"""By Feishu's code; a cell has less room than a panel."""
LONGEST_REFUSAL_CODE = max(_REFUSED, key=lambda code: len(f"{_REFUSED[code].zh}{_REFUSED[code].en}".encode()))
"""The code with the longest text in a result table, for an estimate of a card's size."""
_FIRST = ("refused", "skipped", "failed", "nothing", "processing")
"""Of the results: what somebody must look at stands on the first page of the table."""


def digest_card(
    digest: Digest,
    panel: DigestPanel,
    *,
    zone: tzinfo,
    per_minute: int,
    reroute: str | None = None,
    account: str = "",
    referrer: Referrer | None = None,
    withdrawal: WithdrawalPanel | None = None,
) -> DigestCard:
    """zone: where the digest has kept none of its own. account, referrer, withdrawal: for a referrer's own."""
    period = digest.period

    def named(at: Millis) -> str:
        own = ZoneInfo(digest.zone) if digest.zone else zone
        return f"{moment(at, own)} {own}"

    ordered = _ordered(digest)
    return DigestCard(
        audience="referrer" if account else "group",
        name=clean(digest.name, 32),
        span=period.label.partition(":")[0],
        period=_period(period.first, period.last),
        until_text=named(period.to_at) if period.so_far else "",
        late_text=named(digest.due_at) if digest.is_late and digest.due_at is not None else "",
        correction=digest.correction_number,
        created_at=digest.created_at,
        created_at_text=named(digest.created_at),
        changed_accounts=digest.changed_accounts,
        flows=tuple(_block(digest, asset) for asset in ordered[:MAX_FLOWS]),
        more_flows=max(0, len(ordered) - MAX_FLOWS),
        adds_up=digest.adds_up,
        quiet=digest.is_quiet,
        changed=tuple(_row(each, sign=True) for each in digest.changed),
        more_changed=digest.more_changed,
        holders=tuple(_row(each) for each in digest.holders),
        more_holders=digest.more_holders,
        chart=_chart(digest.charted, digest.chart) if digest.charted else None,
        stalled=_stuck(digest.stalled),
        file_rows=digest.file_rows,
        panel=_panel_view(panel, per_minute),
        account_id=account,
        referrer=person(referrer) if referrer else None,
        withdrawal=withdrawal,
        reroute_reason=reroute_reason(reroute) if reroute else None,
    )


def _ordered(digest: Digest) -> list[Asset]:
    """Cash before points; of the cash, what moved most comes first. Where there was nothing at all, that is shown."""
    notices = {
        asset: flow
        for asset, flow in digest.flows.items()
        if not flow.is_empty or asset in digest.previous_closing
    }
    return sorted(
        notices or digest.flows, key=lambda asset: (asset == POINTS, asset != digest.charted, asset.currency)
    )


def _period(first: date, last: date) -> Bilingual:
    days = (last - first).days + 1
    if days == 1:
        return Bilingual(zh=f"{first}", en=f"{first}")
    return Bilingual(zh=f"{first} 至 {last}（{days} 天）", en=f"{first} to {last} ({days} days)")


def _block(digest: Digest, asset: Asset) -> FlowBlock:
    flow = digest.flows.get(asset, AssetFlow())
    notices = digest.previous_closing.get(asset, ZERO)
    return FlowBlock(
        label=label(asset),
        opening=money(asset, flow.opening),
        first_seen=signed(asset, flow.first_seen) if flow.first_seen else None,
        rewards=signed(asset, flow.rewards) if flow.rewards else money(asset, ZERO),
        withdrawn=signed(asset, -flow.withdrawn) if flow.withdrawn else None,
        corrections=signed(asset, flow.corrections) if flow.corrections else None,
        net=signed(asset, flow.net) if flow.net else money(asset, ZERO),
        net_signed=f"{'−' if flow.net < 0 else '+'} {money(asset, abs(flow.net))}",
        trend="up" if flow.net > 0 else "down" if flow.net < 0 else "flat",
        closing=money(asset, flow.closing),
        previous_closing=money(asset, notices)
        if digest.previous_closing and notices != flow.opening
        else None,
        adds_up=flow.adds_up,
    )


def _row(holder: Holder, *, sign: bool = False, ref: str = "") -> AmountRow:
    shown = person(holder.referrer).name.zh if holder.referrer else ""
    return AmountRow(
        open_id=holder.referrer.open_id if holder.referrer else "",
        account_id=clean(holder.account_id, 64) if not holder.account_id.isdigit() else holder.account_id,
        name=shown,
        amounts=amounts_text(holder.amounts, sign=sign),
        ref=ref,
    )


def amounts_text(amounts: Amounts, *, sign: bool = False) -> str:
    """One cell, the same in every language: ¥1,200.00 · 120 积分/pts"""
    write = signed if sign else money
    parts = [
        f"{write(asset, amount)} {POINTS_IN_A_CELL}" if asset == POINTS else write(asset, amount)
        for asset, amount in amounts.items()
    ]
    kept = parts[:MAX_AMOUNTS]
    return " · ".join(kept) + (f" · +{len(parts) - len(kept)}" if len(parts) > len(kept) else "")


def _chart(asset: Asset, days: Sequence[DayFlow]) -> dict[str, object]:
    """VChart: for each day a bar of what came in beside one of what was withdrawn, in one asset; and one of balances
    heard of for the first time, on days with such: they are in the net, so a reader looks for them.
    """
    kinds = (
        ("新增 Rewards", "rewards"),
        ("提现 Withdrawn", "withdrawn"),
        ("首次登记 First seen", "first_seen"),
    )
    unit = POINTS_IN_A_CELL if asset == POINTS else clean(asset.currency, 16)
    return {
        "type": "bar",
        "title": {"visible": True, "text": f"每日 Daily · {unit}"},
        "data": [
            {
                "id": "days",
                "values": [
                    {"day": day.label, "kind": name, "amount": _number(getattr(day, part))}
                    for day in days
                    for name, part in kinds
                    if part != "first_seen" or day.first_seen
                ],
            }
        ],
        "xField": ["day", "kind"],
        "yField": "amount",
        "seriesField": "kind",
        "legends": {"visible": True, "orient": "bottom"},
    }


def _number(amount: Decimal) -> int | float:
    """For drawing only: a chart knows no decimals."""
    return int(amount) if amount == amount.to_integral_value() else float(amount)


def _stuck(stalled: StalledItems) -> StalledView:
    return StalledView(
        undelivered=stalled.undelivered,
        undelivered_accounts="、".join(
            clean(each, 64) if not each.isdigit() else each for each in stalled.undelivered_accounts
        ),
        payouts=stalled.payouts,
        lines=tuple(_payout_line(each) for each in stalled.payout_examples),
    )


def _payout_line(each: StalledPayout) -> Bilingual:
    said = _PAYOUTS[each.state]
    return Bilingual(
        zh=f"{said.zh}：账户 {each.account_id}，订单 {each.order_id}",
        en=f"{said.en}: account {each.account_id}, order {each.order_id}",
    )


def _panel_view(panel: DigestPanel, per_minute: int) -> PanelView:
    total: dict[Asset, Decimal] = {}
    for option in panel.options:
        for asset, amount in option.amounts.items():
            total[asset] = total.get(asset, ZERO) + amount
    return PanelView(
        one=panel.one,
        all=panel.all,
        retry=panel.retry,
        options=tuple(_option(each) for each in panel.options),
        total=amounts_text(dict(sorted(total.items()))),
        retry_count=panel.failed,
        results=tuple(sorted(map(_result, panel.results), key=_urgency)),
        progress=_progress(panel.progress, per_minute) if panel.progress else None,
    )


def _option(option: Option) -> AmountRow:
    holder = Holder(
        account_ref=option.account_ref,
        account_id=option.account_id,
        referrer=option.referrer,
        amounts=option.amounts,
    )
    return _row(holder, ref=option.button_ref)


def _urgency(row: ResultRow) -> int:
    return _FIRST.index(row.state) if row.state in _FIRST else len(_FIRST)


def _result_state(result: Result) -> str:
    if result.state is None:
        return "skipped"
    if result.state is WithdrawalState.WITHDRAWN:
        paid = {PayoutState.SENT: "sent", PayoutState.PAID: "paid", PayoutState.FAILED: "failed"}
        return paid.get(result.payout, "withdrawn") if result.payout else "withdrawn"
    return "processing" if result.state is WithdrawalState.REQUESTED else result.state.value


def _result_reason(result: Result) -> str:
    """A cell is the same in every language, so it says it in both."""
    if result.skipped is not None:
        said = _SKIPPED[result.skipped]
        return f"{said.zh} {said.en}"
    if result.state is not WithdrawalState.REFUSED:
        return ""
    number = "" if result.code is None else f" {result.code}"
    known = _REFUSED.get(result.code) if result.code is not None else None
    if known is not None:
        return f"{known.zh} {known.en}{number}"
    return f"飞书拒绝 refused{number}"  # Feishu's own message is for operators


def _result(result: Result) -> ResultRow:
    return ResultRow(
        open_id=result.referrer.open_id if result.referrer else "",
        account_id=result.account_id,
        amounts=amounts_text(result.amounts),
        state=_result_state(result),
        reason=_result_reason(result),
    )


def _progress(progress: Progress, per_minute: int) -> ProgressView:
    return ProgressView(
        total=progress.total,
        done=progress.done,
        failed=progress.failed,
        skipped=tuple(starmap(_left_out, progress.skipped.items())),
        skipped_count=sum(progress.skipped.values()),
        running=progress.running,
        nothing=progress.done - progress.withdrawn - progress.failed - sum(progress.skipped.values()),
        all_withdrawn=progress.withdrawn == progress.total,
        time_left=_time_left(math.ceil(60 * progress.remaining / per_minute)),
        by=progress.by,
    )


def _time_left(seconds: int) -> Bilingual:
    if seconds < 60:
        return Bilingual(zh=f"{seconds} 秒", en=f"{seconds} s")
    minutes = math.ceil(seconds / 60)
    return Bilingual(zh=f"{minutes} 分钟", en=f"{minutes} min")


def _left_out(why: SkipReason, count: int) -> Bilingual:
    said = _SKIPPED[why]
    return Bilingual(zh=f"{said.zh} {count} 个", en=f"{said.en}: {count}")
