"""Cards as a reader sees them in the stand-in: which tell of a balance, which of a withdrawal, and their buttons."""

from typing import Any

from notifier.sandbox.testing import FeishuBox
from support.running import texts


def balance_card(box: FeishuBox, chat: str) -> dict[str, Any]:
    """The newest card about a balance."""
    return [each for each in box.messages(chat) if is_about_a_balance(each)][-1]


def newest_card(box: FeishuBox, chat: str) -> dict[str, Any]:
    """The newest card there: the one that shows the state of a withdrawal."""
    return box.messages(chat)[-1]


def is_superseded(message: dict[str, Any]) -> bool:
    """Whether the card says that a newer one shows the state, and shows no button, amount or order itself."""
    assert not contains_text(message, "已有更新的卡片") or find_button_ref(message) is None
    return contains_text(message, "已有更新的卡片")


def receipts(box: FeishuBox, chat: str) -> list[dict[str, Any]]:
    """The cards that tell of a withdrawal by themselves, oldest first."""
    return [each for each in box.messages(chat) if not is_about_a_balance(each)]


BALANCE_TITLES = {"内推奖励到账", "内推奖励减少", "内推奖励变动", "内推奖励余额"}


def is_about_a_balance(message: dict[str, Any]) -> bool:
    return message["content"]["header"]["title"]["content"] in BALANCE_TITLES


def contains_text(message: dict[str, Any], words: str) -> bool:
    return any(words in text for text in texts(message["content"]))


def find_button_ref(message: dict[str, Any]) -> str | None:
    """The opaque id in the button's value, found anywhere on the card."""

    def find(node: object) -> str | None:
        match node:
            case {"type": "callback", "value": {"ref": str(ref), **rest}}:
                assert not rest, "the value holds nothing but the opaque id"
                return ref
            case dict():
                return next((found for each in node.values() if (found := find(each))), None)
            case list():
                return next((found for each in node if (found := find(each))), None)
            case _:
                return None

    return find(message["content"])


def press_button(box: FeishuBox, chat: str, open_id: str) -> dict[str, Any]:
    """The button of the newest balance card there."""
    message = balance_card(box, chat)
    return box.click(message["message_id"], open_id, {"ref": find_button_ref(message)})
