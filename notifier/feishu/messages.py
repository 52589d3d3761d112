"""Messages: sends, uploads and updates. Source: im/v1/messages create and patch and im/v1/files create pages,
read 2026-05: 1000 calls a minute, 50 a second; 5 a second per chat for sending, per message for updates. uuid: at most
50 characters, remembered for one hour. A card can be updated for 14 days. A file holds 1 byte to 30 MB, and only the
app that uploaded it may send it.
"""

from urllib.parse import quote

from notifier.domain.delivery import Content, SentMessage
from notifier.errors import OutcomeUnknown, TemporaryFailure
from notifier.feishu.api import FeishuApi

MESSAGES_PATH = "/open-apis/im/v1/messages"
FILES_PATH = "/open-apis/im/v1/files"
ANY_FILE_TYPE = "stream"
"""`file_type` of everything that has no type of its own there, CSV among them."""


class FeishuMessageSender:
    """Sends and updates messages, and uploads the files they show."""

    def __init__(self, api: FeishuApi) -> None:
        self._api = api

    async def send(self, content: Content, *, id_type: str, receive_id: str, uuid: str) -> SentMessage:
        """Sends at most one message per uuid within an hour. Raises CallError."""
        answer = await self._api.call(
            "POST",
            MESSAGES_PATH,
            query={"receive_id_type": id_type},
            body={
                "receive_id": receive_id,
                "msg_type": content.msg_type,
                "content": content.body,
                "uuid": uuid,
            },
        )
        message_id = answer.data.get("message_id")
        if not isinstance(message_id, str) or not message_id:
            raise OutcomeUnknown("the answer to a send names no message", log_id=answer.log_id)
        return SentMessage(
            message_id=message_id, chat_id=str(answer.data.get("chat_id") or ""), log_id=answer.log_id
        )

    async def upload(self, name: str, content: bytes) -> str:
        """Returns the file_key. Repeatable: nobody sees the file until a message shows it. Raises CallError."""
        fields = {"file_type": ANY_FILE_TYPE, "file_name": name}
        answer = await self._api.upload(FILES_PATH, fields=fields, file_name=name, content=content)
        key = answer.data.get("file_key")
        if not isinstance(key, str) or not key:
            raise TemporaryFailure("the answer to an upload names no file", log_id=answer.log_id)
        return key

    async def update(self, message_id: str, body: str) -> None:
        """Replaces a card as a whole. body: JSON text of the new card.

        The old card and the new one must both say update_multi. The same content twice does no harm.
        Raises CallError; TemporaryFailure while somebody uses the card.
        """
        path = f"{MESSAGES_PATH}/{quote(message_id, safe='')}"
        await self._api.call("PATCH", path, body={"content": body})
