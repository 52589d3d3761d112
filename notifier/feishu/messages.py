"""Messages: send, update, and upload files.

Source: im/v1/messages create, reply and patch and im/v1/files create pages, read 2026-05. Limits: 1000 calls a minute
and 50 a second; 5 a second per chat for sends, and per message for updates. Feishu remembers a uuid (at most 50
characters) for one hour. A card can be updated for 14 days. A file has 1 byte to 30 MB; only the app that uploaded it
can send it.
"""

from urllib.parse import quote

from notifier.clock import Millis
from notifier.domain.delivery import Content, SentMessage
from notifier.errors import OutcomeUnknown, TemporaryFailure
from notifier.feishu.api import FeishuApi

MESSAGES_PATH = "/open-apis/im/v1/messages"
FILES_PATH = "/open-apis/im/v1/files"
ANY_FILE_TYPE = "stream"
"""`file_type` of all files without a specific type, such as CSV."""


class FeishuMessageSender:
    """Sends and updates messages, and uploads their files. Implements the port MessageSender."""

    def __init__(self, api: FeishuApi) -> None:
        self._api = api

    async def send(
        self,
        content: Content,
        *,
        id_type: str,
        receive_id: str,
        uuid: str,
        reply_to: str = "",
        not_after: Millis | None = None,
    ) -> SentMessage:
        """Send a message; Feishu creates at most one per uuid within an hour.

        id_type: open_id or chat_id. receive_id: the person or chat. uuid: idempotency key. reply_to: the message that
        it replies to, whose chat then gets it; "": none. not_after: the request is not sent later, Unix milliseconds.
        Raises CallError.
        """
        body = {"msg_type": content.msg_type, "content": content.body, "uuid": uuid}
        if reply_to:
            path = f"{MESSAGES_PATH}/{quote(reply_to, safe='')}/reply"
            response = await self._api.call("POST", path, body=body, not_after=not_after)
        else:
            response = await self._api.call(
                "POST",
                MESSAGES_PATH,
                query={"receive_id_type": id_type},
                body={"receive_id": receive_id, **body},
                not_after=not_after,
            )
        message_id = response.data.get("message_id")
        if not isinstance(message_id, str) or not message_id:
            raise OutcomeUnknown("the response to a send names no message", log_id=response.log_id)
        return SentMessage(
            message_id=message_id, chat_id=str(response.data.get("chat_id") or ""), log_id=response.log_id
        )

    async def upload(self, name: str, content: bytes) -> str:
        """Upload a file; return its file_key. Raises CallError.

        A repeat is safe, as a file is visible only in a message.
        """
        fields = {"file_type": ANY_FILE_TYPE, "file_name": name}
        response = await self._api.upload(FILES_PATH, fields=fields, file_name=name, content=content)
        key = response.data.get("file_key")
        if not isinstance(key, str) or not key:
            raise TemporaryFailure("the response to an upload names no file", log_id=response.log_id)
        return key

    async def update(self, message_id: str, body: str) -> None:
        """Replace a card. body: JSON text of the new card.

        Both cards must have update_multi set. A repeat with the same content is safe.
        Raises CallError; TemporaryFailure while Feishu processes a press on the card.
        """
        path = f"{MESSAGES_PATH}/{quote(message_id, safe='')}"
        await self._api.call("PATCH", path, body={"content": body})
