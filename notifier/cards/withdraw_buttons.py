"""Checks that a withdraw button asks for the amounts which a press withdraws, on cards of every author.

Templates, texts and cards of the card builder belong to the company. What a press withdraws does not depend on what
they show, so a card that shows something else is not sent.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from notifier.domain.answers.answer_card import AnswerCard
from notifier.domain.card import BalanceChangeCard, WithdrawalCard
from notifier.domain.digest_card import DigestCard

HINT = "parts.withdraw_button(card.withdrawal) writes it"


def find_button_problem(rendered: Mapping[str, Any], card: object) -> str | None:
    """Return why a button of the rendered card may not be shown; None: all may.

    card: the data of the template. Data from a file of the operator has no reference that withdraws.
    """
    amounts = _list_amounts(card)
    if not amounts:
        return None
    for node in _list_pressable(rendered):
        for ref in _list_refs(node):
            needed = amounts.get(ref)
            if needed is None:
                continue
            shown = _list_confirm_texts(node)
            if not shown:
                return f"a button that withdraws needs a `confirm` with a text; {HINT}"
            missing = [text for text in needed if not all(text in each for each in shown)]
            if missing:
                return (
                    "the `confirm` of the withdraw button must name every amount, in each language; it lacks "
                    f"{', '.join(missing)}; {HINT}"
                )
    return None


def has_withdraw_ref(rendered: object, card: object) -> bool:
    """Whether a reference that withdraws is anywhere in the rendered values."""
    refs = set(_list_amounts(card))
    return bool(refs) and any(text in refs for text in _iter_texts(rendered))


def _list_amounts(card: object) -> dict[str, list[str]]:
    """The texts that the confirmation of each reference must have."""
    found: dict[str, list[str]] = {}
    if isinstance(card, BalanceChangeCard | WithdrawalCard | DigestCard | AnswerCard):
        panel = card.withdrawal
        if panel is not None and panel.ref:
            found[panel.ref] = [each.text for each in panel.amounts]
    if isinstance(card, DigestCard):  # their confirmations name a total, or the account that was chosen
        found |= {ref: [] for ref in (card.panel.one, card.panel.all, card.panel.retry) if ref}
    return found


def _list_refs(node: Mapping[str, Any]) -> list[str]:
    behaviors = node.get("behaviors")
    values = (
        [each.get("value") for each in behaviors if isinstance(each, dict)]
        if isinstance(behaviors, list)
        else []
    )
    if node.get("tag") == "button":
        values.append(node.get("value"))
    return [ref for value in values if isinstance(value, dict) and isinstance(ref := value.get("ref"), str)]


def _list_confirm_texts(node: Mapping[str, Any]) -> list[str]:
    """The text of the confirmation in every language; empty: there is none."""
    confirm = node.get("confirm")
    text = confirm.get("text") if isinstance(confirm, dict) else None
    if not isinstance(text, dict):
        return []
    languages = text.get("i18n_content")
    texts = [text.get("content"), *(languages.values() if isinstance(languages, dict) else ())]
    return [each for each in texts if isinstance(each, str) and each.strip()]


def _list_pressable(rendered: object) -> list[dict[str, Any]]:
    """The components that may react to a press. Without recursion: every card with a button is searched."""
    found, left = [], [rendered]
    while left:
        node = left.pop()
        if type(node) is dict:
            if "behaviors" in node or "value" in node:
                found.append(node)
            left += node.values()
        elif type(node) is list:
            left += node
    return found


def _iter_texts(node: object) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, list):
        for each in node:
            yield from _iter_texts(each)
    elif isinstance(node, dict):
        for each in node.values():
            yield from _iter_texts(each)
