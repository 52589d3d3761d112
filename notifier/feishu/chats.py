"""Chats the bot is in. Source: im-v1 chat-members is_in_chat page, read 2026-05."""

from urllib.parse import quote

from notifier.feishu.api import FeishuApi


async def bot_is_in(api: FeishuApi, chat_id: str) -> bool:
    """Raises CallError, for example when there is no such chat or the scope im:chat:readonly is missing."""
    answer = await api.call("GET", f"/open-apis/im/v1/chats/{quote(chat_id, safe='')}/members/is_in_chat")
    return answer.data.get("is_in_chat") is True
