"""Samples of answers: made-up data for the cards that answer messages to the bot."""

from dataclasses import replace
from decimal import Decimal

from notifier.cards.answers.answer_text import answer_card
from notifier.cards.withdrawal_text import panel
from notifier.clock import DAY_MS, HOUR_MS
from notifier.config.settings import Config
from notifier.domain.answers.answer import Answer, AnswerKind, HistoryRow, NoOfferReason
from notifier.domain.answers.answer_card import AnswerCard
from notifier.domain.money import LARGEST, POINTS, Asset, Kind
from notifier.domain.withdrawal import Role, Withdrawal, WithdrawalState
from notifier.operations.samples.balance_samples import (
    ACCOUNT,
    AT,
    CNY,
    HOSTILE_NAME,
    JPY,
    KWD,
    SAMPLE_PERSON,
    USD,
)

_ORDER_ID = "rn-5d0c7a41b2e84f6f9a3e0d1c3f9a1c2b"
_HELD = {CNY: Decimal(1200), POINTS: Decimal(120)}
_MANY = {**_HELD, CNY: LARGEST, USD: Decimal("80.5"), JPY: Decimal(12000), KWD: Decimal("12.375")}
_BALANCE = Answer(
    kind=AnswerKind.BALANCE, account=ACCOUNT, referrer=SAMPLE_PERSON, amounts=_HELD, balance_at=AT
)
_PAID = HistoryRow(at=AT - 3 * DAY_MS, deltas=_HELD, state="paid", order_id=_ORDER_ID)
_SENT = replace(_PAID, at=AT - DAY_MS, state="sent")
_UP = HistoryRow(at=AT - HOUR_MS, deltas={CNY: Decimal(500), POINTS: Decimal(20)})
_DOWN = HistoryRow(at=AT - 2 * DAY_MS, deltas={CNY: Decimal("-50.5")})
_OPENING = HistoryRow(at=AT - 9 * DAY_MS, deltas=_HELD, is_opening=True)
_HISTORY = replace(
    _BALANCE,
    kind=AnswerKind.HISTORY,
    amounts=None,
    balance_at=None,
    history=(_UP, _SENT, _DOWN, _PAID, _OPENING),
)
_EMPTY = replace(_BALANCE, kind=AnswerKind.WITHDRAW, amounts={}, no_offer=NoOfferReason.EMPTY)
_PROCESSING = Withdrawal(
    id=1,
    order_id=_ORDER_ID,
    account_ref=1,
    account=ACCOUNT,
    kinds=tuple(Kind),
    state=WithdrawalState.REQUESTED,
    withdrawal_count=0,
    requested_by=SAMPLE_PERSON.open_id,
    delivery_id=1,
    agreed=_HELD,
    role=Role.REFERRER,
    requested_at=AT,
)

_ANSWERS = {
    "answer-balance": _BALANCE,
    "answer-withdraw": replace(_BALANCE, kind=AnswerKind.WITHDRAW),
    "answer-processing": replace(_BALANCE, kind=AnswerKind.WITHDRAW),
    "answer-empty": _EMPTY,
    "answer-unpaid": replace(_EMPTY, history=(_SENT,)),
    "answer-stored": replace(_BALANCE, is_stored=True, balance_at=AT - DAY_MS),
    "answer-late": replace(_BALANCE, asked_at=AT - 2 * HOUR_MS),
    "answer-deactivated": replace(_BALANCE, is_deactivated=True, no_offer=NoOfferReason.DEACTIVATED),
    "answer-several": replace(_BALANCE, hidden_accounts=2),
    "answer-many": replace(
        _BALANCE,
        amounts={**_MANY, Asset(Kind.CASH, HOSTILE_NAME[:40]): Decimal(1)},
        referrer=replace(SAMPLE_PERSON, name_zh=HOSTILE_NAME, name_en=HOSTILE_NAME),
    ),
    "answer-history": replace(_HISTORY, has_more_history=True),
    "answer-no-history": replace(_HISTORY, history=()),
    "answer-help": Answer(kind=AnswerKind.HELP),
    "answer-no-account": Answer(kind=AnswerKind.NO_ACCOUNT),
    "answer-unavailable": Answer(kind=AnswerKind.UNAVAILABLE),
}
ANSWER_SAMPLES = tuple(_ANSWERS)
"""Samples for answers."""
_OFFERING = frozenset({"answer-balance", "answer-withdraw", "answer-late", "answer-several", "answer-many"})


def make_answer_sample(name: str, config: Config) -> AnswerCard:
    """Build the card of a sample, without the company's own lines. Raises KeyError for an unknown name."""
    answer = _ANSWERS[name]
    shown = panel(
        ref="sample" if name in _OFFERING else "",
        holdings=answer.amounts or {} if name in _OFFERING else {},
        kinds=tuple(Kind),
        withdrawal=_PROCESSING if name == "answer-processing" else None,
        zone=config.cards.time_zone,
    )
    return answer_card(
        answer,
        withdrawal=shown,
        zone=config.cards.time_zone,
        has_withdrawals=True,
        has_settings=True,
    )
