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


async def list_members(api: FeishuApi, chat_id: str) -> frozenset[str]:
    """Return the open_ids of all members of the chat. Raises CallError."""
    found: set[str] = set()
    token = ""
    while True:
        query = {"member_id_type": "open_id", "page_size": "100"} | ({"page_token": token} if token else {})
        response = await api.call(
            "GET", f"/open-apis/im/v1/chats/{quote(chat_id, safe='')}/members", query=query
        )
        items = response.data.get("items")
        for item in items if isinstance(items, list) else []:
            if isinstance(item, dict) and isinstance(item.get("member_id"), str):
                found.add(item["member_id"])
        token = str(response.data.get("page_token") or "")
        if not token or response.data.get("has_more") is not True:
            return frozenset(found)


PATH = "/open-apis/event/v1/connection"


async def count_live_connections(api: FeishuApi) -> int | None:
    """Return how many long connections of the app are open, or None if the call fails or names no number."""
    try:
        response = await api.call("GET", PATH)
    except CallError:
        return None
    count = response.data.get("online_instance_cnt")
    return count if isinstance(count, int) and not isinstance(count, bool) and count >= 0 else None
