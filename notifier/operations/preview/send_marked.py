"""Sends a previewed card to one person through the configured app, marked as a test."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from notifier.cards.render import serialise
from notifier.cards.templating.builder import is_reference
from notifier.clock import Clock
from notifier.config.settings import Config
from notifier.domain.delivery import CardVariant, Content
from notifier.errors import ConfigError
from notifier.feishu.api import FeishuApi
from notifier.feishu.messages import FeishuMessageSender
from notifier.feishu.people import find_people
from notifier.operations.preview.marked_card import mark_as_test
from notifier.runtime.factories import make_app_access

OPEN_ID = "ou_"


@dataclass(frozen=True, slots=True, kw_only=True)
class SentTest:
    """A card that was sent as a test."""

    open_id: str
    """The recipient."""
    message_id: str
    """Feishu's id of the message."""


def require_person(address: str) -> None:
    """Raises ConfigError unless the address is an e-mail address or an open_id."""
    if not address.startswith(OPEN_ID) and "@" not in address:
        raise ConfigError(
            f"--send-to: {address!r} is neither an e-mail address nor an open_id (ou_…). A test goes to "
            "one person, not to a group.",
            zh=f"--send-to：{address!r} 既不是邮箱也不是 open_id（ou_…）。测试卡片只发给一个人，不发群。",
        )


async def send_test_card(config: Config, clock: Clock, card: Mapping[str, Any], address: str) -> SentTest:
    """Send the marked card once. address: an e-mail address or an open_id.

    Raises CallError, and ConfigError if Feishu finds nobody with this address.
    """
    require_person(address)
    if is_reference(card):
        raise ConfigError(
            "--send-to: a card that is published in the card builder cannot be marked as a test, and its buttons stay "
            "in force. Send it from the card builder.",
            zh="--send-to：搭建工具中已发布的卡片无法标注为测试，按钮也会生效。请在搭建工具中发送预览。",
        )
    async with FeishuApi(make_app_access(config), clock) as api:
        open_id = address
        if "@" in address:
            found = await find_people(api, emails=[address])
            if address not in found:
                raise ConfigError(
                    f"--send-to: Feishu finds nobody with the address {address}. Check it, or use an open_id.",
                    zh=f"--send-to：飞书没有找到邮箱为 {address} 的成员。请核对，或改用 open_id。",
                )
            open_id = found[address].open_id
        content = Content(
            variant=CardVariant.FULL, msg_type="interactive", body=serialise(mark_as_test(card))
        )
        sent = await FeishuMessageSender(api).send(
            content, id_type="open_id", receive_id=open_id, uuid=f"preview-{uuid.uuid4().hex}"
        )
    return SentTest(open_id=open_id, message_id=sent.message_id)
