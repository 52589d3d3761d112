"""Texts of digests: the figures and the withdraw panel as people read them."""

import math
from datetime import date, tzinfo
from decimal import Decimal
from itertools import starmap
from zoneinfo import ZoneInfo

from notifier.cards.balance_text import (
    clean,
    label,
    moment,
    money,
    person,
    reroute_reason,
    short_order_id,
    signed,
)
from notifier.cards.digest_chart import chart_note, chart_spec, chart_title
from notifier.clock import Millis
from notifier.domain.account import Referrer
from notifier.domain.card import Bilingual, WithdrawalPanel
from notifier.domain.digest import ZERO, AssetFlow, Digest, Holder, StalledItems, StalledPayout
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

_PAYOUTS = {
    "dead": Bilingual(zh="付款系统未接收", en="Not accepted by the payroll system"),
    "failed": Bilingual(zh="付款失败", en="Payment failed"),
    "unknown": Bilingual(zh="付款结果未知", en="Not known whether it was paid"),
    "unconfirmed": Bilingual(zh="提现金额待确认", en="Withdrawn amount to be confirmed"),
    "late": Bilingual(zh="提现后长时间未付款", en="Payment overdue"),
}
_SKIPPED = {
    SkipReason.BUSY: Bilingual(zh="提现正在处理", en="already in progress"),
    SkipReason.CHANGED: Bilingual(zh="余额已变动", en="balance changed"),
    SkipReason.DONE: Bilingual(zh="已提现", en="already withdrawn"),
    SkipReason.EMPTY: Bilingual(zh="无可提现余额", en="nothing to withdraw"),
    SkipReason.REFERRER_UNKNOWN: Bilingual(zh="内推人未知", en="referrer unknown"),
    SkipReason.DEACTIVATED: Bilingual(zh="账户已停用", en="account deactivated"),
    SkipReason.NOT_ALLOWED: Bilingual(zh="发起人已无权限", en="requester no longer allowed"),
    SkipReason.EXPIRED: Bilingual(zh="卡片已过期", en="card expired"),
    SkipReason.DENIED: Bilingual(zh="无权限", en="not allowed"),
}
_REFUSED = {
    1002553: Bilingual(zh="飞书查不到该账户", en="account not found"),
    1002555: Bilingual(zh="账户已停用", en="account deactivated"),
    99991672: Bilingual(zh="应用缺少提现权限", en="app has no permission"),
}
"""Reasons by Feishu's error code, shorter than those of a panel because a table cell is small."""
LONGEST_REFUSAL_CODE = max(_REFUSED, key=lambda code: len(f"{_REFUSED[code].zh}{_REFUSED[code].en}".encode()))
"""The code with the longest text in a result table, for an estimate of a card's size."""
_FIRST = ("refused", "amount_changed", "ended", "skipped", "failed", "nothing", "processing")
"""Order of the results: those that need attention are on the first page of the table."""


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
    """Return what a digest card shows.

    panel: the withdraw panel. zone: used if the digest has no time zone of its own. per_minute: withdrawals per
    minute, to estimate the remaining time. account, referrer, withdrawal: for the digest of one referrer.
    """
    period = digest.period

    def named(at: Millis) -> str:
        own = ZoneInfo(digest.zone) if digest.zone else zone
        return f"{moment(at, own)} {own}"

    ordered = shown_assets(digest)
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
        cancelled_out=digest.cancelled_out,
        holders=tuple(_row(each) for each in digest.holders),
        more_holders=digest.more_holders,
        chart=chart_spec(digest.chart) if digest.charted else None,
        chart_title=chart_title(digest.charted) if digest.charted else None,
        chart_note=chart_note(digest.charted, digest.chart) if digest.charted else None,
        stalled=_stalled_view(digest.stalled),
        file_rows=digest.file_rows,
        panel=_panel_view(panel, per_minute),
        account_id=account,
        referrer=person(referrer) if referrer else None,
        withdrawal=withdrawal,
        reroute_reason=reroute_reason(reroute) if reroute else None,
    )


def shown_assets(digest: Digest) -> list[Asset]:
    """Return the assets with a movement or a balance. Cash comes before points, the charted currency first.

    An asset whose balance in the previous digest was not zero is shown too, because its opening needs a remark.
    """
    shown = {asset for asset, flow in digest.flows.items() if not flow.is_empty}
    shown |= {asset for asset, amount in digest.previous_closing.items() if amount}
    return sorted(shown, key=lambda asset: (asset == POINTS, asset != digest.charted, asset.currency))


def _period(first: date, last: date) -> Bilingual:
    days = (last - first).days + 1
    if days == 1:
        return Bilingual(zh=f"{first}", en=f"{first}")
    return Bilingual(zh=f"{first} 至 {last}（{days} 天）", en=f"{first} to {last} ({days} days)")


def _block(digest: Digest, asset: Asset) -> FlowBlock:
    flow = digest.flows.get(asset, AssetFlow())
    previous = digest.previous_closing.get(asset, ZERO)
    return FlowBlock(
        label=label(asset),
        opening=money(asset, flow.opening),
        first_seen=signed(asset, flow.first_seen) if flow.first_seen else None,
        rewards=signed(asset, flow.rewards) if flow.rewards else money(asset, ZERO),
        withdrawn=signed(asset, -flow.withdrawn) if flow.withdrawn else None,
        corrections=signed(asset, flow.corrections) if flow.corrections else None,
        net=signed(asset, flow.net) if flow.net else money(asset, ZERO),
        net_signed=_in_a_sum(asset, flow.net),
        trend="up" if flow.net > 0 else "down" if flow.net < 0 else "flat",
        closing=money(asset, flow.closing),
        later=signed(asset, flow.later) if flow.later else None,
        later_signed=_in_a_sum(asset, flow.later) if flow.later else "",
        balance=money(asset, flow.balance),
        previous_closing=money(asset, previous)
        if digest.previous_closing and previous != flow.opening
        else None,
        adds_up=flow.adds_up,
    )


def _in_a_sum(asset: Asset, amount: Decimal) -> str:
    return f"{'-' if amount < 0 else '+'} {money(asset, abs(amount))}"


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
    """Return amounts as one table cell, the same in both languages: `¥1,200.00 · 120 积分/pts`.

    sign: whether each amount carries its sign. Amounts beyond the fourth are only counted.
    """
    write = signed if sign else money
    texts = [
        f"{write(asset, amount)} {POINTS_IN_A_CELL}" if asset == POINTS else write(asset, amount)
        for asset, amount in amounts.items()
    ]
    kept = texts[:MAX_AMOUNTS]
    return " · ".join(kept) + (f" · +{len(texts) - len(kept)}" if len(texts) > len(kept) else "")


def _stalled_view(stalled: StalledItems) -> StalledView:
    return StalledView(
        undelivered=stalled.undelivered,
        undelivered_accounts=", ".join(
            clean(each, 64) if not each.isdigit() else each for each in stalled.undelivered_accounts
        ),
        payouts=stalled.payouts,
        lines=tuple(_payout_line(each) for each in stalled.payout_examples),
    )


def _payout_line(each: StalledPayout) -> Bilingual:
    problem, order_id = _PAYOUTS[each.state], short_order_id(each.order_id)
    return Bilingual(
        zh=f"{problem.zh}：账户 {each.account_id}，订单 {order_id}",
        en=f"{problem.en}: account {each.account_id}, order {order_id}",
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
        superseded=panel.superseded,
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
    """A cell is the same in both languages, so it holds both texts."""
    if result.skipped is not None:
        reason = _SKIPPED[result.skipped]
        return f"{reason.zh} {reason.en}"
    if result.state is not WithdrawalState.REFUSED:
        return ""
    number = "" if result.code is None else f" {result.code}"
    known = _REFUSED.get(result.code) if result.code is not None else None
    if known is not None:
        return f"{known.zh} {known.en}{number}"
    return f"飞书拒绝 rejected{number}"  # Feishu's own message is for operators


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
        skipped=tuple(starmap(_skipped_count, progress.skipped.items())),
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


def _skipped_count(reason: SkipReason, count: int) -> Bilingual:
    text = _SKIPPED[reason]
    return Bilingual(zh=f"{text.zh} {count} 个", en=f"{text.en}: {count}")
