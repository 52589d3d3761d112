"""Sending messages. Source: im/v1/messages create page, read 2026-05: 1000 a minute, 50 a second, 5 a second per
chat; uuid at most 50 characters, remembered for one hour.
"""

from dataclasses import dataclass

from notifier.errors import OutcomeUnknown
from notifier.feishu.api import FeishuApi


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    message_id: str
    chat_id: str
    log_id: str | None


class Messages:
    def __init__(self, api: FeishuApi) -> None:
        self._api = api

    async def create(
        self, *, id_type: str, receive_id: str, msg_type: str, content: str, uuid: str
    ) -> Created:
        """content: the JSON text that Feishu wants inside its JSON. Raises CallError."""
        answer = await self._api.call(
            "POST",
            "/open-apis/im/v1/messages",
            query={"receive_id_type": id_type},
            body={"receive_id": receive_id, "msg_type": msg_type, "content": content, "uuid": uuid},
        )
        message_id = answer.data.get("message_id")
        if not isinstance(message_id, str) or not message_id:
            raise OutcomeUnknown("the answer to a send names no message", log_id=answer.log_id)
        return Created(
            message_id=message_id, chat_id=str(answer.data.get("chat_id") or ""), log_id=answer.log_id
        )
