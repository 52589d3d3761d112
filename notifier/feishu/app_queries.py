"""Queries about the app itself, for the operator's checks."""

from dataclasses import dataclass
from urllib.parse import quote

from notifier.domain.contact_data import one_line
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


@dataclass(frozen=True, slots=True, kw_only=True)
class BotChat:
    """A group that the bot is a member of. tenant_key: the company that owns it; "" if Feishu does not name it."""

    chat_id: str
    name: str
    is_external: bool
    tenant_key: str


async def list_chats(api: FeishuApi) -> list[BotChat]:
    """Return the groups that the bot is a member of, oldest first. Raises CallError.

    Direct chats are not listed.
    """
    found: dict[str, BotChat] = {}
    token = ""
    while True:
        query = {"page_size": "100"} | ({"page_token": token} if token else {})
        response = await api.call("GET", "/open-apis/im/v1/chats", query=query)
        items = response.data.get("items")
        for item in items if isinstance(items, list) else []:
            if isinstance(item, dict) and isinstance(item.get("chat_id"), str):
                found[item["chat_id"]] = BotChat(
                    chat_id=item["chat_id"],
                    name=one_line(str(item.get("name") or "")),
                    is_external=item.get("external") is True,
                    tenant_key=str(item.get("tenant_key") or ""),
                )
        following = str(response.data.get("page_token") or "")
        if not following or following == token or response.data.get("has_more") is not True:
            return list(found.values())
        token = following


PATH = "/open-apis/event/v1/connection"


async def count_live_connections(api: FeishuApi) -> int | None:
    """Return how many long connections of the app are open, or None if the call fails or names no number."""
    try:
        response = await api.call("GET", PATH)
    except CallError:
        return None
    count = response.data.get("online_instance_cnt")
    return count if isinstance(count, int) and not isinstance(count, bool) and count >= 0 else None


async def read_person(api: FeishuApi, open_id: str) -> None:
    """Read a person, to see whether the contact range allows it. Nothing is kept. Raises CallError."""
    path = f"/open-apis/contact/v3/users/{quote(open_id, safe='')}"
    await api.call("GET", path, query={"user_id_type": "open_id"})
