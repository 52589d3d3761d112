"""App queries: what our own app asks about itself."""

from urllib.parse import quote

from notifier.errors import CallError
from notifier.feishu.api import FeishuApi


async def bot_is_in(api: FeishuApi, chat_id: str) -> bool:
    """Raises CallError, for example when there is no such chat or the scope im:chat:readonly is missing."""
    answer = await api.call("GET", f"/open-apis/im/v1/chats/{quote(chat_id, safe='')}/members/is_in_chat")
    return answer.data.get("is_in_chat") is True


PATH = "/open-apis/event/v1/connection"


async def count_live_connections(api: FeishuApi) -> int | None:
    """None where Feishu does not say."""
    try:
        answer = await api.call("GET", PATH)
    except CallError:
        return None
    count = answer.data.get("online_instance_cnt")
    return count if isinstance(count, int) and not isinstance(count, bool) and count >= 0 else None
