"""Texts about withdrawals: the withdrawal part of a card, and the toasts that answer a press of its button.

A toast is {"type": "info" | "success" | "warning" | "error", "content": zh, "i18n": {"zh_cn": zh, "en_us": en}}.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import tzinfo
from enum import StrEnum
from typing import Any

from notifier.cards.balance_text import (
    MAX_AMOUNT_LINES,
    account_id,
    clean,
    label,
    moment,
    money,
    person,
    reroute_reason,
    short_order_id,
)
from notifier.clock import DAY_MS, Millis
from notifier.domain.account import Referrer
from notifier.domain.card import AmountFigure, Bilingual, WithdrawalCard, WithdrawalPanel
from notifier.domain.contact_data import HIDDEN, one_line
from notifier.domain.failure_reasons import find_failure_reason
from notifier.domain.money import Amounts, Kind, without_zeros
from notifier.domain.notice import Notice, NoticeReason
from notifier.domain.payout import SETTLED, Payout, PayoutState
from notifier.domain.withdrawal import (
    STILL_THERE,
    DenialReason,
    PressOutcome,
    Withdrawal,
    WithdrawalState,
    withdrawable,
)

MAX_REASON_LENGTH = 160

NOT_THE_REQUESTERS = Bilingual(
    zh="内推账户不属于申请提现的人",
    en="The account does not belong to the person who requested the withdrawal",
)
NOTHING_MOVED = Bilingual(
    zh="飞书未返回提现金额，余额未变。可以再次提现。",
    en="Feishu named no withdrawn amounts, and the balance is unchanged. You can withdraw again.",
)
BALANCE_CHANGED_SINCE = Bilingual(
    zh="余额与确认时的金额不同，未提现。请核对后再次点击提现。",
    en="The balance is not the amount you confirmed, so nothing was withdrawn. Check it, then click Withdraw again.",
)
ENDED_BY_OPERATOR = Bilingual(
    zh="飞书未返回结果，管理员已确认没有提现。可以再次提现。",
    en="Feishu gave no result. Your administrator confirmed that nothing was withdrawn. You can withdraw again.",
)
_WHY_NOTHING = {
    WithdrawalState.AMOUNT_CHANGED: BALANCE_CHANGED_SINCE,
    WithdrawalState.ENDED: ENDED_BY_OPERATOR,
}
SEE_NEWER_CARD = Bilingual(
    zh="请查看本会话中更新的卡片。", en="See the newer card in this chat for the current state."
)
NO_REASON = Bilingual(zh="飞书未说明原因", en="Feishu gave no reason")
NO_PAYOUT_REASON = Bilingual(zh="原因请向薪酬团队核实", en="Ask the payroll team for the reason")
MAX_REFERENCE_LENGTH = 64
_ALARMS = {
    NoticeReason.PAYOUT_LATE: "late",
    NoticeReason.PAYOUT_DEAD: "dead",
    NoticeReason.PAYOUT_UNKNOWN: "unknown",
    NoticeReason.PAYOUT_UNCONFIRMED: "unconfirmed",
    NoticeReason.STUCK: "stuck",
}

_DENIED = {
    DenialReason.NOBODY: (
        "error",
        Bilingual(
            zh="无法确认你的身份，请在飞书客户端中打开这张卡片后重试。",
            en="We couldn't verify your identity. Open this card in the Feishu app and try again.",
        ),
    ),
    DenialReason.FOREIGN: (
        "error",
        Bilingual(
            zh="仅本企业成员可以提现，请切换到企业内的账号。",
            en="Only members of this organization can withdraw. Switch to your account there.",
        ),
    ),
    DenialReason.UNKNOWN_BUTTON: (
        "error",
        Bilingual(
            zh="该按钮已失效，请使用最新的内推奖励卡片。",
            en="This button no longer works. Use your latest referral reward card.",
        ),
    ),
    DenialReason.UNCONFIRMED: (
        "warning",
        Bilingual(
            zh="正在确认这张卡片，请几秒后再点一次。",
            en="We're confirming this card with Feishu. Click again in a few seconds.",
        ),
    ),
    DenialReason.OTHER_MESSAGE: (
        "error",
        Bilingual(
            zh="转发的卡片不支持提现，请在机器人发送的原卡片上操作。",
            en="You can't withdraw from a forwarded card. Use the original card from the bot.",
        ),
    ),
    DenialReason.EXPIRED: (
        "warning",
        Bilingual(
            zh="该卡片已过期，请使用最新的内推奖励卡片。",
            en="This card has expired. Use your latest referral reward card.",
        ),
    ),
    DenialReason.REFERRER_UNKNOWN: (
        "warning",
        Bilingual(
            zh="暂时无法确认该账户的内推人，请稍后重试。如仍有问题，请联系管理员。",
            en="We can't confirm the referrer of this account yet. Try again later, or contact your administrator.",
        ),
    ),
    DenialReason.NOT_YOURS: (
        "error",
        Bilingual(
            zh="仅内推人本人或本群的授权人员可以提现，请联系他们操作。",
            en="Only the referrer or an authorized member of this group can withdraw. Contact one of them.",
        ),
    ),
    DenialReason.DEACTIVATED: (
        "warning",
        Bilingual(
            zh="内推账户已停用，无法提现，请联系招聘管理员。",
            en="This referral account is deactivated. Contact your recruiting administrator.",
        ),
    ),
}

_MEANING = {
    PressOutcome.BEGIN: ("info", Bilingual(zh="提现处理中…", en="Withdrawal in progress…")),
    PressOutcome.BUSY: (
        "info",
        Bilingual(
            zh="提现正在处理，无需重复点击，结果会显示在卡片上。",
            en="A withdrawal is already in progress. This card will show the result.",
        ),
    ),
    PressOutcome.STALE: (
        "warning",
        Bilingual(
            zh="余额已变动，未提现。请核对更新后的金额，再次点击提现。",
            en="The balance has changed, so nothing was withdrawn. Check the new amounts, then click Withdraw again.",
        ),
    ),
    PressOutcome.DONE: (
        "success",
        Bilingual(
            zh="该余额已提现，目前没有新的可提现余额，无需操作。",
            en="This balance is already withdrawn, and there are no new rewards. No action needed.",
        ),
    ),
    PressOutcome.EMPTY: (
        "info",
        Bilingual(
            zh="目前没有可提现的余额，请在新奖励到账后再试。",
            en="You have no balance to withdraw. Try again after your next reward.",
        ),
    ),
}


class PressReply(StrEnum):
    """Replies to a press on a digest card, besides those of any card."""

    BEGUN = "begun"
    BUSY = "busy"
    OVER = "over"
    NOTHING = "nothing"
    CHOOSE = "choose"


_PRESS_REPLIES = {
    PressReply.BEGUN: (
        "info",
        Bilingual(
            zh="批量提现已开始，进度会显示在卡片上。", en="Withdrawals started. This card shows the progress."
        ),
    ),
    PressReply.BUSY: (
        "info",
        Bilingual(
            zh="批量提现正在进行，请在结束后再操作。",
            en="Withdrawals from this card are in progress. Wait until they finish.",
        ),
    ),
    PressReply.OVER: (
        "warning",
        Bilingual(
            zh="卡片内容已更新，请核对后再操作。",
            en="This card has changed. Check it, then try again.",
        ),
    ),
    PressReply.NOTHING: (
        "info",
        Bilingual(
            zh="没有可处理的账户，无需操作。",
            en="There are no accounts to process. No action needed.",
        ),
    ),
    PressReply.CHOOSE: (
        "warning",
        Bilingual(zh="请先选择一个账户，再点击提现。", en="Choose an account, then click Withdraw."),
    ),
}


def panel(
    *,
    ref: str,
    holdings: Amounts,
    kinds: Collection[Kind],
    withdrawal: Withdrawal | None,
    payout: Payout | None = None,
    is_superseded: bool = False,
    zone: tzinfo,
) -> WithdrawalPanel | None:
    """Return the withdrawal part of a card, or None if the card has none.

    ref: the button's id, or "" for a card without a button. holdings: the balance in the ledger. kinds: what a
    withdrawal covers. withdrawal: the order that the card shows, or None for a card that offers one. payout: the
    payout of that order, or None. is_superseded: whether a newer card in the chat shows all this. zone: for times as
    text.
    """
    if is_superseded:
        return WithdrawalPanel(state="superseded", reason=SEE_NEWER_CARD)
    available = withdrawable(holdings, kinds)
    if withdrawal is None:
        return (
            WithdrawalPanel(state="offered", ref=ref, amounts=_figures(available))
            if ref and available
            else None
        )
    order_id, by = short_order_id(withdrawal.order_id), withdrawal.requested_by
    match withdrawal.state:
        case WithdrawalState.REQUESTED:
            agreed = _figures(withdrawal.agreed)
            return WithdrawalPanel(state="processing", amounts=agreed, order_id=order_id, by=by)
        case WithdrawalState.WITHDRAWN:
            at = withdrawal.withdrawn_at if withdrawal.withdrawn_at is not None else withdrawal.ended_at
            booked = WithdrawalPanel(
                state="withdrawn",
                amounts=_figures(withdrawal.withdrawn or {}),
                order_id=order_id,
                by=by,
                at=at,
                at_text="" if at is None else moment(at, zone),
            )
            return booked if payout is None else _paying(booked, payout, zone)
        case WithdrawalState.NOTHING:
            return WithdrawalPanel(state="nothing", order_id=order_id, by=by)
        case WithdrawalState.REFUSED | WithdrawalState.AMOUNT_CHANGED | WithdrawalState.ENDED:
            again = ref if available else ""
            return WithdrawalPanel(
                state=withdrawal.state.value,
                ref=again,
                amounts=_figures(available) if again else (),
                order_id=order_id,
                by=by,
                reason=_WHY_NOTHING.get(withdrawal.state) or _reason(withdrawal),
            )


def _paying(booked: WithdrawalPanel, payout: Payout, zone: tzinfo) -> WithdrawalPanel:
    """Show the state of the payout. A pending or dead payout looks like "withdrawn": only an operator can repair it."""
    if payout.state is PayoutState.SENT:
        return replace(booked, state="sent")
    if payout.state not in SETTLED:
        return booked
    given = clean(payout.reason or "", MAX_REASON_LENGTH)
    reason = Bilingual(zh=given, en=given) if given else NO_PAYOUT_REASON
    return replace(
        booked,
        state=payout.state.value,
        settled_at=payout.settled_at,
        settled_at_text="" if payout.settled_at is None else moment(payout.settled_at, zone),
        reference=reference(payout.reference),
        reason=reason if payout.state is PayoutState.FAILED else None,
    )


def not_yours_any_more() -> WithdrawalPanel:
    """Return the panel for a former referrer of the account: without amounts, order or names."""
    reason = Bilingual(
        zh="你已不是该内推账户的内推人，此处不再显示后续变动。",
        en="You are no longer the referrer of this account. Later changes are not shown here.",
    )
    return WithdrawalPanel(state="nothing", reason=reason)


def reference(text: str) -> str:
    """Return the payment reference as one short line. It keeps long digits, which are no phone number here."""
    return one_line(HIDDEN.sub("", text))[:MAX_REFERENCE_LENGTH]


def withdrawal_card(
    notices: Sequence[Notice],
    *,
    now_shown: WithdrawalPanel,
    audience: str,
    referrer: Referrer | None,
    reroute: str | None,
    asked_at: Millis,
) -> WithdrawalCard:
    """Return what a withdrawal card shows.

    notices: at least one, all of one order. now_shown: the current state. asked_at: the time of rendering, in
    milliseconds since the epoch, to count the days of a late payment. reroute: as for balance_change_card.
    """
    last = notices[-1]
    alarm = _ALARMS.get(last.reason, "")
    is_open = now_shown.state not in {"paid", "failed", "superseded"}
    since = now_shown.at if now_shown.at is not None else last.occurred_at
    return WithdrawalCard(
        alarm=alarm if is_open and not (alarm == "dead" and now_shown.state == "sent") else "",
        days=max(0, asked_at - since) // DAY_MS,
        audience=audience,
        account_id=account_id(last.account),
        referrer=person(referrer) if referrer else None,
        withdrawal=now_shown,
        reroute_reason=reroute_reason(reroute) if reroute else None,
    )


def panel_toast(reply: PressReply) -> dict[str, Any]:
    """Return the toast that answers a press on a digest card."""
    return _toast(*_PRESS_REPLIES[reply])


def denied_toast(denied: DenialReason) -> dict[str, Any]:
    """Return the toast for a press that is not allowed. It shows no amount, name or id."""
    return _toast(*_DENIED[denied])


def press_toast(
    outcome: PressOutcome, *, offered: Amounts | None = None, available: Amounts | None = None
) -> dict[str, Any]:
    """Return the toast that answers an allowed press.

    offered: what the pressed card offered. available: what can be withdrawn now.
    """
    if outcome is PressOutcome.STALE and offered and available and offered != available:
        before, now = _listed(offered), _listed(available)
        changed = Bilingual(
            zh=f"余额已由 {before.zh} 变为 {now.zh}，未提现。请核对卡片后再次点击提现。",
            en=f"The balance changed from {before.en} to {now.en}. Nothing was withdrawn. "
            "Check the card, then click Withdraw again.",
        )
        return _toast("warning", changed)
    return _toast(*_MEANING[outcome])


def _listed(amounts: Amounts) -> Bilingual:
    """The amounts on one line."""
    figures = _figures(amounts)
    return Bilingual(
        zh="、".join(f"{each.label.zh} {each.text}" for each in figures),
        en=", ".join(f"{each.label.en} {each.text}" for each in figures),
    )


def _toast(kind: str, text: Bilingual) -> dict[str, Any]:
    return {"type": kind, "content": text.zh, "i18n": {"zh_cn": text.zh, "en_us": text.en}}


def _figures(amounts: Amounts) -> tuple[AmountFigure, ...]:
    """Cash comes before points. With too many currencies the last figure counts the rest."""
    shown = tuple(
        AmountFigure(label=label(asset), text=money(asset, amount))
        for asset, amount in without_zeros(amounts).items()
    )
    if len(shown) <= MAX_AMOUNT_LINES:
        return shown
    kept = shown[: MAX_AMOUNT_LINES - 1]
    return (
        *kept,
        AmountFigure(label=Bilingual(zh="其他", en="Others"), text=f"× {len(shown) - len(kept)}"),
    )


def _reason(withdrawal: Withdrawal) -> Bilingual:
    """Return the reason of a refusal. Feishu's own message is for operators; a card never shows it."""
    code = withdrawal.code
    if code is None:  # the service itself refuses, mostly because the account has another referrer
        if withdrawal.reason == STILL_THERE:
            return NOTHING_MOVED
        return NOT_THE_REQUESTERS if clean(withdrawal.reason or "", MAX_REASON_LENGTH) else NO_REASON
    known = find_failure_reason(code)
    return known or Bilingual(
        zh=f"飞书拒绝了提现（错误码 {code}）", en=f"Feishu refused the withdrawal (code {code})"
    )
