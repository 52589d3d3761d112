"""Presence: how many long connections of our app are live, ours among them.

The call is undocumented where we could read (other clients use it; seen 2026-11), so its absence is no fault.
"""

from notifier.errors import CallError
from notifier.feishu.api import FeishuApi

PATH = "/open-apis/event/v1/connection"


async def live_connections(api: FeishuApi) -> int | None:
    """None where Feishu does not say."""
    try:
        answer = await api.call("GET", PATH)
    except CallError:
        return None
    count = answer.data.get("online_instance_cnt")
    return count if isinstance(count, int) and not isinstance(count, bool) and count >= 0 else None
