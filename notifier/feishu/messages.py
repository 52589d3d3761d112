"""Sending messages and changing cards. Source: im/v1/messages create and patch pages, read 2026-05: 1000 a minute,
50 a second; 5 a second per chat for sending, per message for changing. uuid: at most 50 characters, remembered for
one hour. A card can be changed for 14 days.
"""

from dataclasses import dataclass
from urllib.parse import quote

from notifier.errors import OutcomeUnknown
from notifier.feishu.api import FeishuApi

PATH = "/open-apis/im/v1/messages"


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
            PATH,
            query={"receive_id_type": id_type},
            body={"receive_id": receive_id, "msg_type": msg_type, "content": content, "uuid": uuid},
        )
        message_id = answer.data.get("message_id")
        if not isinstance(message_id, str) or not message_id:
            raise OutcomeUnknown("the answer to a send names no message", log_id=answer.log_id)
        return Created(
            message_id=message_id, chat_id=str(answer.data.get("chat_id") or ""), log_id=answer.log_id
        )

    async def update(self, message_id: str, *, content: str) -> str | None:
        """Replaces a card as a whole; gives the log id. content: JSON text of the new card.

        The old card and the new one must both say update_multi. The same content twice does no harm.
        Raises CallError; NotDone while somebody uses the card.
        """
        path = f"{PATH}/{quote(message_id, safe='')}"
        answer = await self._api.call("PATCH", path, body={"content": content})
        return answer.log_id
