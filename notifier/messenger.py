"""Messenger: what flow asks of whoever sends, on Feishu's calls."""

from notifier.domain.delivery import Content, SentMessage
from notifier.feishu.api import FeishuApi
from notifier.feishu.files import Files
from notifier.feishu.messages import Messages


class Messenger:
    def __init__(self, api: FeishuApi) -> None:
        self._messages = Messages(api)
        self._files = Files(api)

    async def send(self, content: Content, *, id_type: str, receive_id: str, uuid: str) -> SentMessage:
        created = await self._messages.create(
            id_type=id_type, receive_id=receive_id, msg_type=content.msg_type, content=content.body, uuid=uuid
        )
        return SentMessage(message_id=created.message_id, chat_id=created.chat_id, log_id=created.log_id)

    async def upload(self, name: str, content: bytes) -> str:
        return await self._files.upload(name=name, content=content)

    async def update(self, message_id: str, body: str) -> None:
        await self._messages.update(message_id, content=body)
