"""What Feishu says about the app itself: its status, its granted scopes, and what it subscribes to.

Source: pages bot/v3/info and application/v6 scopes and applications, read 2026-05. The first two need no scope. The
third names subscriptions only for an app that may read itself. Its fields are unconfirmed, so each may be absent.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any
from urllib.parse import quote

from notifier.feishu.api import FeishuApi


class Activation(Enum):
    """`activate_status` of bot/v3/info."""

    NOT_INSTALLED = 0
    DISABLED = 1
    ENABLED = 2
    NOT_YET_ENABLED = 3
    UPGRADE_NOT_ENABLED = 4
    LICENCE_EXPIRED = 5
    PLAN_EXPIRED = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscriptions:
    """What the published version subscribes to. None: Feishu does not say it."""

    events: frozenset[str] | None
    """Subscribed event types."""
    callbacks: frozenset[str] | None
    """Subscribed callbacks."""
    event_mode: str | None
    """How events are sent: `websocket` or `webhook`."""
    callback_mode: str | None
    """How callbacks are sent."""
    has_waiting_version: bool
    """Whether a newer version waits for the administrator."""


async def read_activation(api: FeishuApi) -> Activation | None:
    """Return the status of the app in the tenant; None for an undocumented one. Raises CallError."""
    response = await api.call("GET", "/open-apis/bot/v3/info")
    status = _object(response.data.get("bot")).get("activate_status")
    return next((each for each in Activation if each.value == status), None)


async def list_granted_scopes(api: FeishuApi) -> Mapping[str, bool]:
    """Return whether each scope that the app asked for is granted. Raises CallError."""
    response = await api.call("GET", "/open-apis/application/v6/scopes")
    items = response.data.get("scopes")
    return {
        item["scope_name"]: item.get("grant_status") == 1
        for item in (items if isinstance(items, list) else [])
        if isinstance(item, dict) and isinstance(item.get("scope_name"), str)
    }


async def read_subscriptions(api: FeishuApi, app_id: str) -> Subscriptions:
    """Return what the published version subscribes to. Raises CallError."""
    path = f"/open-apis/application/v6/applications/{quote(app_id, safe='')}"
    response = await api.call("GET", path, query={"lang": "zh_cn"})
    app = _object(response.data.get("app"))
    event, callback = _object(app.get("event")), _object(app.get("callback") or app.get("callback_info"))
    return Subscriptions(
        events=_names(event.get("subscribed_events")),
        callbacks=_names(callback.get("subscribed_callbacks")),
        event_mode=_text(event.get("subscription_type")),
        callback_mode=_text(callback.get("callback_type")),
        has_waiting_version=bool(app.get("unaudit_version_id")),
    )


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _names(value: object) -> frozenset[str] | None:
    return frozenset(str(each) for each in value) if isinstance(value, list) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
