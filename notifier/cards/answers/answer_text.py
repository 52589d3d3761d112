"""Texts of answers: what the card of an answer shows, and the plain texts that need no card."""

from dataclasses import replace
from datetime import tzinfo
from decimal import Decimal

from notifier.cards.balance_text import (
    MAX_AMOUNT_LINES,
    account_id,
    label,
    moment,
    money,
    person,
    short_order_id,
    signed,
)
from notifier.cards.templating.texts import side_by_side, text
from notifier.domain.answers.answer import Answer, HistoryRow
from notifier.domain.answers.answer_card import AnswerCard, HistoryLine
from notifier.domain.card import AmountFigure, WithdrawalPanel
from notifier.domain.money import POINTS, Amounts, without_zeros


def answer_card(
    answer: Answer,
    *,
    withdrawal: WithdrawalPanel | None,
    zone: tzinfo,
    has_withdrawals: bool,
    has_settings: bool,
) -> AnswerCard:
    """Return what the card of an answer shows.

    withdrawal: its withdrawal part now; None: it has none. zone: for times that Feishu cannot show in the reader's own
    time zone. has_withdrawals, has_settings: whether the help names these commands.
    """
    card = AnswerCard(
        kind=answer.kind.value,
        hidden_accounts=answer.hidden_accounts,
        asked_at=answer.asked_at,
        asked_at_text="" if answer.asked_at is None else moment(answer.asked_at, zone),
        has_withdrawals=has_withdrawals,
        has_settings=has_settings,
    )
    if answer.account is None:
        return card
    no_offer = answer.no_offer.value if answer.no_offer and withdrawal is None else ""
    return replace(
        card,
        account_id=account_id(answer.account),
        referrer=person(answer.referrer) if answer.referrer else None,
        amounts=() if answer.amounts is None else _figures(answer.amounts),
        balance_at=answer.balance_at,
        balance_at_text="" if answer.balance_at is None else moment(answer.balance_at, zone),
        is_stored=answer.is_stored,
        is_deactivated=answer.is_deactivated,
        no_offer=no_offer,
        withdrawal=withdrawal,
        history=tuple(_to_line(row, zone) for row in answer.history),
        has_more_history=answer.has_more_history,
    )


def answer_text(answer: Answer) -> str:
    """Return the plain text of an answer that has no card, in both languages. It has no figures."""
    return side_by_side(text(f"answer.text.{answer.kind}"), "\n")


def plain_answer(card: AnswerCard) -> list[str]:
    """Return the rows of the plain text variant."""
    rows = [_both(f"answer.title.{card.kind}")]
    rows += [f"{_both('plain.account')} {card.account_id}"] if card.account_id else []
    rows += [f"{side_by_side(each.label)}: {each.text}" for each in card.amounts]
    rows += [card.balance_at_text] if card.balance_at_text else []
    for line in card.history:
        figures = ", ".join(f"{side_by_side(each.label)} {each.text}" for each in line.amounts)
        state = f" ({_both(f'answer.state.{line.state}')})" if line.state else ""
        rows.append(f"{line.at_text}: {figures}{state}")
    rows += [_both("answer.deactivated")] if card.is_deactivated else []
    if card.no_offer and not card.is_deactivated:
        rows.append(_both(f"answer.no_offer.{card.no_offer}"))
    if card.kind in ("help", "no_account", "unavailable"):
        rows.append(_both(f"answer.plain.{card.kind}"))
    return rows


def _both(key: str) -> str:
    return side_by_side(text(key))


def _figures(amounts: Amounts) -> tuple[AmountFigure, ...]:
    """A balance without amounts shows a zero."""
    shown = without_zeros(amounts) or {POINTS: Decimal(0)}
    figures = tuple(
        AmountFigure(label=label(asset), text=money(asset, each)) for asset, each in shown.items()
    )
    return figures[:MAX_AMOUNT_LINES]


def _to_line(row: HistoryRow, zone: tzinfo) -> HistoryLine:
    is_plain = bool(row.state) or row.is_opening
    ups = {amount > 0 for amount in row.deltas.values()}
    trend = "flat" if is_plain or len(ups) != 1 else "up" if ups == {True} else "down"
    return HistoryLine(
        at=row.at,
        at_text=moment(row.at, zone),
        amounts=tuple(
            AmountFigure(label=label(asset), text=(money if is_plain else signed)(asset, amount))
            for asset, amount in list(row.deltas.items())[:MAX_AMOUNT_LINES]
        ),
        trend=trend,
        is_opening=row.is_opening,
        state=row.state,
        order_id=short_order_id(row.order_id) if row.order_id else "",
    )
