"""Correction: the first line of a card that replaces an earlier one. It is added to the output of every template."""

from typing import Any

from notifier.domain.card import Bilingual

CORRECTION = Bilingual(zh="更正：此卡片替换较早的一张", en="Correction: this replaces an earlier card")


def mark_correction(card: dict[str, Any]) -> dict[str, Any]:
    """Return the card JSON with the line as its first element. A card without a body has no place for it."""
    body = card.get("body")
    elements = body.get("elements") if isinstance(body, dict) else None
    if not isinstance(body, dict) or not isinstance(elements, list):
        return card
    return {**card, "body": {**body, "elements": [_line(), *elements]}}


def _line() -> dict[str, Any]:
    words = {"zh_cn": CORRECTION.zh, "en_us": CORRECTION.en}
    text = {
        "tag": "plain_text",
        "content": CORRECTION.zh,
        "i18n_content": words,
        "text_size": "normal",
        "text_color": "orange",
    }
    return {"tag": "div", "text": text}
