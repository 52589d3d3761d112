"""The test card of `notifier doctor --canary`, and the answer to a press of its button.

Any process of the app may get the press. The reference of the button therefore says whose press counts, without naming
the person, and every process answers it alike.
"""

import hashlib
import secrets
from enum import Enum, auto
from typing import Any

from notifier.domain.card import Bilingual

PREFIX = "doctor-"
ANYBODY = ""
"""In place of an open_id: the person is not known, and everybody in the chat may press."""

_TITLE = Bilingual(zh="内推奖励通知 · 接入测试", en="Referral rewards · Set-up test")
_INTRO = Bilingual(
    zh="这是一张**测试卡片**，不涉及任何奖励。请点击下方按钮，完成接入测试。",
    en="This is a **test card**. It is not about any reward. Press the button below to finish the set-up test.",
)
_BUTTON = Bilingual(zh="完成测试", en="Finish the test")
_PASSED = Bilingual(
    zh="测试通过：卡片可以送达，点击可以收到。", en="Test passed: cards arrive, and presses are received."
)
_EXPIRED = Bilingual(
    zh="测试已结束，未收到点击。这是一张测试卡片，可以忽略。",
    en="The test is over. No press was received. This was a test card; you can ignore it.",
)
_THANKS = Bilingual(zh="测试通过，谢谢！", en="Test passed, thank you!")
_NOT_YOURS = Bilingual(zh="这是发给另一位同事的测试卡片。", en="This test card is for another colleague.")


class CardTestPress(Enum):
    """What a press of the test card means."""

    EXPECTED = auto()
    OTHER_PERSON = auto()


def make_test_ref(open_id: str) -> str:
    """Return a new reference for the button. open_id: the person whose press counts, or ANYBODY."""
    nonce = secrets.token_hex(8)
    return f"{PREFIX}{nonce}-{_digest(nonce, open_id)}"


def judge_test_press(ref: str, open_id: str) -> CardTestPress | None:
    """Return what a press means; None if it is not a press of a test card. open_id: who pressed."""
    nonce, _, digest = ref.removeprefix(PREFIX).partition("-")
    if not ref.startswith(PREFIX) or not digest:
        return None
    is_expected = bool(open_id) and digest in (_digest(nonce, open_id), _digest(nonce, ANYBODY))
    return CardTestPress.EXPECTED if is_expected else CardTestPress.OTHER_PERSON


def _digest(nonce: str, open_id: str) -> str:
    return hashlib.sha256(f"{nonce} {open_id}".encode()).hexdigest()[:32]


def make_test_toast(press: CardTestPress) -> dict[str, Any]:
    """Return the toast that answers a press."""
    is_expected = press is CardTestPress.EXPECTED
    text = _THANKS if is_expected else _NOT_YOURS
    return {
        "type": "success" if is_expected else "error",
        "content": text.zh,
        "i18n": {"zh_cn": text.zh, "en_us": text.en},
    }


def waiting_card(ref: str) -> dict[str, Any]:
    """Return the card with its button."""
    button = {
        "tag": "button",
        "text": _text(_BUTTON),
        "type": "primary",
        "behaviors": [{"type": "callback", "value": {"ref": ref}}],
    }
    return _card("blue", _INTRO, button)


def passed_card() -> dict[str, Any]:
    """Return the card after the press."""
    return _card("green", _PASSED)


def expired_card() -> dict[str, Any]:
    """Return the card after the time limit."""
    return _card("grey", _EXPIRED)


def _card(colour: str, text: Bilingual, *more: dict[str, Any]) -> dict[str, Any]:
    markdown = {**_text(text), "tag": "markdown"}
    return {
        "schema": "2.0",
        "config": {"update_multi": True, "enable_forward": False},
        "header": {"title": _text(_TITLE), "template": colour},
        "body": {"elements": [markdown, *more]},
    }


def _text(text: Bilingual) -> dict[str, Any]:
    return {"tag": "plain_text", "content": text.zh, "i18n_content": {"zh_cn": text.zh, "en_us": text.en}}
