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
from notifier.cards.templating.sentences import list_amounts
from notifier.cards.templating.texts import text
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

_WHY_NOTHING = {
    WithdrawalState.AMOUNT_CHANGED: "withdrawal.reason.amount_changed",
    WithdrawalState.ENDED: "withdrawal.reason.ended",
}
MAX_REFERENCE_LENGTH = 64
_ALARMS = {
    NoticeReason.PAYOUT_LATE: "late",
    NoticeReason.PAYOUT_DEAD: "dead",
    NoticeReason.PAYOUT_UNKNOWN: "unknown",
    NoticeReason.PAYOUT_UNCONFIRMED: "unconfirmed",
    NoticeReason.STUCK: "stuck",
}

_DENIED_KINDS = {
    DenialReason.UNCONFIRMED: "warning",
    DenialReason.EXPIRED: "warning",
    DenialReason.REFERRER_UNKNOWN: "warning",
    DenialReason.DEACTIVATED: "warning",
}
"""Kinds of the toasts that are no errors."""
_PRESS_KINDS = {PressOutcome.STALE: "warning", PressOutcome.DONE: "success"}
"""Kinds of the toasts that are no plain information."""


class PressReply(StrEnum):
    """Replies to a press on a digest card, besides those of any card."""

    BEGUN = "begun"
    BUSY = "busy"
    OVER = "over"
    NOTHING = "nothing"
    CHOOSE = "choose"


_REPLY_KINDS = {PressReply.OVER: "warning", PressReply.CHOOSE: "warning"}


def panel(
    *,
    ref: str,
    holdings: Amounts,
    kinds: Collection[Kind],
    withdrawal: Withdrawal | None,
    payout: Payout | None = None,
    is_superseded: bool = False,
    is_deactivated: bool = False,
    zone: tzinfo,
) -> WithdrawalPanel | None:
    """Return the withdrawal part of a card, or None if the card has none.

    ref: the button's id, or "" for a card without a button. holdings: the balance in the ledger. kinds: what a
    withdrawal covers. withdrawal: the order that the card shows, or None for a card that offers one. payout: the
    payout of that order, or None. is_superseded: whether a newer card in the chat shows all this. is_deactivated:
    whether the account is deactivated, so that the card offers nothing. zone: for times as text.
    """
    if is_superseded or is_deactivated:
        state, reason = ("superseded", "newer_card") if is_superseded else ("deactivated", "deactivated")
        return WithdrawalPanel(state=state, reason=text(f"withdrawal.reason.{reason}"))
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
                reason=_reason(withdrawal),
            )


def _paying(booked: WithdrawalPanel, payout: Payout, zone: tzinfo) -> WithdrawalPanel:
    """Show the state of the payout. A pending or dead payout looks like "withdrawn": only an operator can repair it."""
    if payout.state is PayoutState.SENT:
        return replace(booked, state="sent")
    if payout.state not in SETTLED:
        return booked
    given = clean(payout.reason or "", MAX_REASON_LENGTH)
    reason = Bilingual(zh=given, en=given) if given else text("withdrawal.reason.payout_not_given")
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
    return WithdrawalPanel(state="nothing", reason=text("withdrawal.reason.other_referrer"))


def reference(given: str) -> str:
    """Return the payment reference as one short line. It keeps long digits, which are no phone number here."""
    return one_line(HIDDEN.sub("", given))[:MAX_REFERENCE_LENGTH]


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
    return _toast(_REPLY_KINDS.get(reply, "info"), text(f"toast.digest.{reply}"))


def denied_toast(denied: DenialReason) -> dict[str, Any]:
    """Return the toast for a press that is not allowed. It shows no amount, name or id."""
    return _toast(_DENIED_KINDS.get(denied, "error"), text(f"toast.denied.{denied}"))


def press_toast(
    outcome: PressOutcome, *, offered: Amounts | None = None, available: Amounts | None = None
) -> dict[str, Any]:
    """Return the toast that answers an allowed press.

    offered: what the pressed card offered. available: what can be withdrawn now.
    """
    if outcome is PressOutcome.STALE and offered and available and offered != available:
        before, now = (list_amounts(_figures(amounts)) for amounts in (offered, available))
        return _toast("warning", text("toast.press.stale_amounts", before=before, now=now))
    return _toast(_PRESS_KINDS.get(outcome, "info"), text(f"toast.press.{outcome}"))


def _toast(kind: str, shown: Bilingual) -> dict[str, Any]:
    return {"type": kind, "content": shown.zh, "i18n": {"zh_cn": shown.zh, "en_us": shown.en}}


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
        AmountFigure(label=text("amount.others"), text=f"× {len(shown) - len(kept)}"),
    )


def _reason(withdrawal: Withdrawal) -> Bilingual:
    """Return the reason of a refusal. Feishu's own message is for operators; a card never shows it."""
    if withdrawal.state in _WHY_NOTHING:
        return text(_WHY_NOTHING[withdrawal.state])
    code = withdrawal.code
    if code is None:  # the service itself refuses, mostly because the account has another referrer
        if withdrawal.reason == STILL_THERE:
            return text("withdrawal.reason.nothing_moved")
        is_given = clean(withdrawal.reason or "", MAX_REASON_LENGTH)
        return text("withdrawal.reason.not_the_requesters" if is_given else "withdrawal.reason.not_given")
    return find_failure_reason(code) or text("withdrawal.reason.refused", code=code)
