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
from notifier.cards.templating.texts import side_by_side, text
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

_REFUSED = {
    1002553: "digest.refused.account_not_found",
    1002555: "digest.refused.account_deactivated",
    99991672: "digest.refused.permission",
}
"""Reasons by Feishu's error code, shorter than those of a panel because a table cell is small."""
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


def longest_refusal_code() -> int:
    """Return the code with the longest text in a result table, for an estimate of a card's size."""
    return max(_REFUSED, key=lambda code: len(side_by_side(text(_REFUSED[code])).encode()))


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
    return text("digest.period", first=first, last=last, count=days)


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
    points = side_by_side(text("digest.table.points"), "/")
    texts = [
        f"{write(asset, amount)} {points}" if asset == POINTS else write(asset, amount)
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
    problem = text(f"digest.stalled.problem.{each.state}")
    order_id = short_order_id(each.order_id)
    return text("digest.stalled.payout", problem=problem, account=each.account_id, order=order_id)


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
        return side_by_side(text(f"digest.skipped.{result.skipped}"), " ")
    if result.state is not WithdrawalState.REFUSED:
        return ""
    number = "" if result.code is None else f" {result.code}"
    key = _REFUSED.get(result.code, "digest.refused.other") if result.code else "digest.refused.other"
    return f"{side_by_side(text(key), ' ')}{number}"  # Feishu's own message is for operators


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
        return text("digest.progress.seconds", count=seconds)
    return text("digest.progress.minutes", count=math.ceil(seconds / 60))


def _skipped_count(reason: SkipReason, count: int) -> Bilingual:
    return text("digest.skipped.count", reason=text(f"digest.skipped.{reason}"), count=count)
