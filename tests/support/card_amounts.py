"""Told: what the cards about balances say was added and taken, summed up as a reader would."""

import itertools
import re
from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from support.cards import is_about_a_balance
from support.running import texts

CASH, POINTS = "现金（CNY）", "积分"
AmountSums = dict[str, Decimal]
"""By label, without zeros."""

_FIGURES = re.compile(r"(?:余额 )?([+-]?)¥?([\d,]+(?:\.\d+)?)")


def amounts_on_card(message: dict[str, Any]) -> AmountSums:
    """What one card says was added: a first one tells the balance, later ones the difference."""
    shown = texts(message["content"])
    said = {}
    for label, figures in itertools.pairwise(shown):
        if label in (CASH, POINTS):
            match = _FIGURES.fullmatch(figures)
            assert match, f"no figures: {figures!r}"
            said[label] = Decimal(match[1] + match[2].replace(",", ""))
    return said


def sum_amounts_by_chat(messages: Iterable[dict[str, Any]]) -> dict[str, AmountSums]:
    """Sums by chat."""
    sums: dict[str, AmountSums] = defaultdict(dict)
    for message in messages:
        if is_about_a_balance(message):
            for label, amount in amounts_on_card(message).items():
                add_amount(sums[message["chat_id"]], label, amount)
    return {chat: without_zeros(told) for chat, told in sums.items()}


def add_amount(sums: AmountSums, label: str, amount: Decimal) -> None:
    sums[label] = sums.get(label, Decimal(0)) + amount


def without_zeros(sums: AmountSums) -> AmountSums:
    return {label: amount for label, amount in sums.items() if amount}
