"""Withdrawal wording: what a card says about withdrawing, and the short answers to a press of its button.

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
)
from notifier.clock import Millis
from notifier.domain.account import Referrer
from notifier.domain.card import AmountFigure, Bilingual, WithdrawalCard, WithdrawalPanel
from notifier.domain.failure_reasons import find_failure_reason
from notifier.domain.money import Amounts, Kind, without_zeros
from notifier.domain.notice import Notice, NoticeReason
from notifier.domain.payout import SETTLED, Payout, PayoutState
from notifier.domain.withdrawal import DenialReason, PressOutcome, Withdrawal, WithdrawalState, withdrawable

MAX_REASON_LENGTH = 160

KNOWN_REASONS = {
    1002553: Bilingual(zh="飞书查不到该内推账户", en="Feishu knows no such referral account"),
    1002555: Bilingual(zh="内推账户已停用", en="The referral account is deactivated"),
    99991672: Bilingual(
        zh="应用缺少提现权限，请联系管理员",
        en="The app lacks the permission to withdraw; tell the administrator",
    ),
}
"""By Feishu's code."""

NOT_THE_REQUESTERS = Bilingual(
    zh="内推账户不属于申请提现的人",
    en="The account does not belong to the person who requested the withdrawal",
)
NO_REASON = Bilingual(zh="飞书没有说明原因", en="Feishu gave no reason")
NO_PAYOUT_REASON = Bilingual(zh="打款系统没有说明原因", en="The paying system gave no reason")
MAX_REFERENCE_LENGTH = 64
DAY_MS = 86_400_000

_DENIED = {
    DenialReason.NOBODY: (
        "error",
        Bilingual(
            zh="无法确认你的身份，请在飞书客户端里打开这张卡片再试。",
            en="We cannot tell who you are. Open this card in the Feishu app and try again.",
        ),
    ),
    DenialReason.FOREIGN: (
        "error",
        Bilingual(
            zh="只有本企业的成员可以提现，请换用企业内的账号。",
            en="Only members of this organisation can withdraw. Use your account there.",
        ),
    ),
    DenialReason.UNKNOWN_BUTTON: (
        "error",
        Bilingual(
            zh="这个按钮已失效，请使用最新的内推奖励卡片。",
            en="This button no longer works. Use your latest referral reward card.",
        ),
    ),
    DenialReason.OTHER_MESSAGE: (
        "error",
        Bilingual(
            zh="请在机器人发给你的原卡片上操作，转发的卡片不能提现。",
            en="Use the original card from the bot. A forwarded card cannot withdraw.",
        ),
    ),
    DenialReason.EXPIRED: (
        "warning",
        Bilingual(
            zh="这张卡片已过期，请使用更新的内推奖励卡片。",
            en="This card has expired. Use a newer referral reward card.",
        ),
    ),
    DenialReason.OWNER_UNKNOWN: (
        "warning",
        Bilingual(
            zh="暂时无法确认账户归属，请稍后再试；若一直如此，请联系管理员。",
            en="We cannot yet tell whose account this is. Try again later; if it persists, tell the administrator.",
        ),
    ),
    DenialReason.NOT_YOURS: (
        "error",
        Bilingual(
            zh="只有内推人本人或本群的授权人员可以提现，请联系他们操作。",
            en="Only the referrer or an authorised member of this group can withdraw. Ask one of them.",
        ),
    ),
    DenialReason.DEACTIVATED: (
        "warning",
        Bilingual(
            zh="内推账户已停用，不能提现，请联系招聘管理员。",
            en="The referral account is deactivated and cannot withdraw. Ask your recruiting administrator.",
        ),
    ),
}

_MEANING = {
    PressOutcome.BEGIN: ("info", Bilingual(zh="提现处理中…", en="Withdrawal in progress…")),
    PressOutcome.BUSY: (
        "info",
        Bilingual(
            zh="提现已在处理中，无需重复点击，结果会显示在卡片上。",
            en="A withdrawal is already under way. No need to press again; the card will show the result.",
        ),
    ),
    PressOutcome.STALE: (
        "warning",
        Bilingual(
            zh="余额已有变化，请核对更新后的金额，再点一次提现。",
            en="The balance has changed. Check the updated amounts, then press Withdraw again.",
        ),
    ),
    PressOutcome.DONE: (
        "success",
        Bilingual(
            zh="此前的余额已经提现，目前没有新的可提现余额，无需再操作。",
            en="That balance has been withdrawn already and nothing new has come in. Nothing left to do.",
        ),
    ),
    PressOutcome.EMPTY: (
        "info",
        Bilingual(
            zh="目前没有可提现的余额，有新奖励到账后再试。",
            en="There is nothing to withdraw now. Try again when a new reward has arrived.",
        ),
    ),
}


class PressReply(StrEnum):
    """What a press on a digest's card comes to, besides what a press on any card does."""

    BEGUN = "begun"
    BUSY = "busy"
    OVER = "over"
    NOTHING = "nothing"
    CHOOSE = "choose"


_PRESS_REPLIES = {
    PressReply.BEGUN: (
        "info",
        Bilingual(zh="批量提现已开始，进度显示在卡片上。", en="Withdrawals begun; progress shows here."),
    ),
    PressReply.BUSY: (
        "info",
        Bilingual(
            zh="批量提现正在进行，请等它结束后再操作。",
            en="Withdrawals are running on this card. Wait until they are over.",
        ),
    ),
    PressReply.OVER: (
        "warning",
        Bilingual(
            zh="卡片内容已更新，请核对后再操作。",
            en="The card has changed. Look at it again, then press once more.",
        ),
    ),
    PressReply.NOTHING: (
        "info",
        Bilingual(
            zh="没有可处理的账户，无需再操作。", en="There is no account left to do this for. Nothing to do."
        ),
    ),
    PressReply.CHOOSE: (
        "warning",
        Bilingual(zh="请先选择一个账户，再点提现。", en="Choose an account first, then press Withdraw."),
    ),
}


def panel(
    *,
    ref: str,
    holdings: Amounts,
    kinds: Collection[Kind],
    withdrawal: Withdrawal | None,
    payout: Payout | None = None,
    zone: tzinfo,
) -> WithdrawalPanel | None:
    """What the card says; None where there is nothing to say.

    ref: the button's id, "" where no button may be. holdings: the balance as the ledger knows it. withdrawal: the
    one this card tells about, None for a card that offers one. payout: of that withdrawal, None before there is one.
    """
    available = withdrawable(holdings, kinds)
    if withdrawal is None:
        return (
            WithdrawalPanel(state="offered", ref=ref, amounts=_figures(available))
            if ref and available
            else None
        )
    order_id, by = withdrawal.order_id, withdrawal.requested_by
    match withdrawal.state:
        case WithdrawalState.REQUESTED:
            asked = withdrawable(withdrawal.expected or holdings, withdrawal.kinds)
            return WithdrawalPanel(state="processing", amounts=_figures(asked), order_id=order_id, by=by)
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
        case WithdrawalState.REFUSED:
            again = ref if available else ""
            return WithdrawalPanel(
                state="refused",
                ref=again,
                amounts=_figures(available) if again else (),
                order_id=order_id,
                by=by,
                reason=_reason(withdrawal),
            )


def _paying(booked: WithdrawalPanel, payout: Payout, zone: tzinfo) -> WithdrawalPanel:
    """Where the money is. A payout that nobody takes is ours to mend: to its owner it is still on its way."""
    if payout.state is PayoutState.SENT:
        return replace(booked, state="sent")
    if payout.state not in SETTLED:
        return booked
    said = clean(payout.reason or "", MAX_REASON_LENGTH)
    why = Bilingual(zh=said, en=said) if said else NO_PAYOUT_REASON
    return replace(
        booked,
        state=payout.state.value,
        settled_at=payout.settled_at,
        settled_at_text="" if payout.settled_at is None else moment(payout.settled_at, zone),
        reference=reference(payout.reference),
        reason=why if payout.state is PayoutState.FAILED else None,
    )


def not_yours_any_more() -> WithdrawalPanel:
    """For the private chat of somebody who owned the account once: no amount, order or name is theirs to read."""
    gone = Bilingual(
        zh="该内推账户现已不归你所有，后续变动不再显示。",
        en="This referral account is no longer yours; what happens to it since is not shown here.",
    )
    return WithdrawalPanel(state="nothing", reason=gone)


def reference(text: str) -> str:
    """The other system's own words, as one short line. Long digits are what it is made of: they are no phone here."""
    shown = "".join(char for char in text if char.isprintable())[:MAX_REFERENCE_LENGTH]
    return " ".join(shown.split())


def withdrawal_card(
    notices: Sequence[Notice],
    *,
    now_shown: WithdrawalPanel,
    audience: str,
    referrer: Referrer | None,
    reroute: str | None,
    asked_at: Millis,
) -> WithdrawalCard:
    """told: at least one notice of one order. asked_at: when this is drawn, to count the days of a late one."""
    last = notices[-1]
    alarm = {NoticeReason.PAYOUT_LATE: "late", NoticeReason.PAYOUT_DEAD: "dead"}.get(last.reason, "")
    open_still = now_shown.state not in {"paid", "failed"}
    since = now_shown.at if now_shown.at is not None else last.occurred_at
    return WithdrawalCard(
        alarm=alarm if open_still and not (alarm == "dead" and now_shown.state == "sent") else "",
        days=max(0, asked_at - since) // DAY_MS,
        audience=audience,
        account_id=account_id(last.account),
        referrer=person(referrer) if referrer else None,
        withdrawal=now_shown,
        reroute_reason=reroute_reason(reroute) if reroute else None,
    )


def panel_toast(said: PressReply) -> dict[str, Any]:
    return _toast(*_PRESS_REPLIES[said])


def denied_toast(denied: DenialReason) -> dict[str, Any]:
    """What to do instead. The same for everybody: no amount, name or id is told to who may not act."""
    return _toast(*_DENIED[denied])


def meaning_toast(meaning: PressOutcome) -> dict[str, Any]:
    return _toast(*_MEANING[meaning])


def _toast(kind: str, words: Bilingual) -> dict[str, Any]:
    return {"type": kind, "content": words.zh, "i18n": {"zh_cn": words.zh, "en_us": words.en}}


def _figures(amounts: Amounts) -> tuple[AmountFigure, ...]:
    """Cash before points. Of very many currencies the last figure says how many more there are."""
    shown = tuple(
        AmountFigure(label=label(asset), text=money(asset, amount))
        for asset, amount in without_zeros(amounts).items()
    )
    if len(shown) <= MAX_AMOUNT_LINES:
        return shown
    kept = shown[: MAX_AMOUNT_LINES - 1]
    return (
        *kept,
        AmountFigure(label=Bilingual(zh="其余项目", en="Others"), text=f"× {len(shown) - len(kept)}"),
    )


def _reason(withdrawal: Withdrawal) -> Bilingual:
    """Return the reason of a refusal. Feishu's own message is for operators; a card never shows it."""
    code = withdrawal.code
    if code is None:  # the service itself refuses for one reason only: the account has another referrer
        return NOT_THE_REQUESTERS if clean(withdrawal.reason or "", MAX_REASON_LENGTH) else NO_REASON
    known = KNOWN_REASONS.get(code) or find_failure_reason(code)
    return known or Bilingual(
        zh=f"飞书拒绝了提现（错误码 {code}）", en=f"Feishu refused the withdrawal (code {code})"
    )
