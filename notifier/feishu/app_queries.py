"""Queries about the app itself, for the operator's checks."""

from urllib.parse import quote

from notifier.errors import CallError
from notifier.feishu.api import FeishuApi


async def bot_is_in(api: FeishuApi, chat_id: str) -> bool:
    """Return whether the bot is a member of the chat.

    Raises CallError, for example if the chat does not exist or the scope im:chat:readonly is missing.
    """
    response = await api.call("GET", f"/open-apis/im/v1/chats/{quote(chat_id, safe='')}/members/is_in_chat")
    return response.data.get("is_in_chat") is True


PATH = "/open-apis/event/v1/connection"


async def count_live_connections(api: FeishuApi) -> int | None:
    """Return how many long connections of the app are open, or None if the call fails or names no number."""
    try:
        response = await api.call("GET", PATH)
    except CallError:
        return None
    count = response.data.get("online_instance_cnt")
    return count if isinstance(count, int) and not isinstance(count, bool) and count >= 0 else None
