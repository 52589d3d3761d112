"""Discovery: requests the address of the long connection before every connection attempt.

The SDK's own discovery is a blocking call without a timeout, on the event loop that answers pings (lark-oapi 1.7.5).
It once stopped a bot for three and a half days. Source: SDK source and the long-connection pages, read 2026-05.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from notifier import USER_AGENT
from notifier.feishu.api import AppAccess, is_loopback
from notifier.feishu.failures import shorten
from notifier.feishu.wire import read_json

DISCOVERY_PATH = "/callback/ws/endpoint"
DISCOVERY_TIMEOUT_SECONDS = 10.0

REFUSALS: Mapping[int, str] = {
    1000040344: "app id or secret is empty: set feishu.app_id and feishu.app_secret",
    1000040345: "the app id or secret is wrong: check feishu.app_id and feishu.app_secret",
    1000040351: "the app belongs to Feishu and the address to Lark, or the reverse: try https://open.feishu.cn or "
    "https://open.larksuite.com as feishu.base_url",
    403: "Feishu forbids the connection: is the app enabled, is it a self-built one, and is the long connection chosen "
    "in the developer console?",
}
"""Errors that need an administrator, with the next step. Every other code, also an undocumented one, is temporary."""

TOO_MANY_CODES = frozenset({1000040350, 514})
TOO_MANY_NEXT_STEP = "50 connections of this app are open already: stop other clients of the same app"


class ConnectionRefused(Exception):
    """Feishu refuses the connection until an administrator acts. The text is the next step.

    code: Feishu's error code; None if the reason has none.
    """

    def __init__(self, text: str, *, code: int | None = None) -> None:
        super().__init__(text)
        self.code = code


class ConnectFailed(Exception):
    """The attempt failed; a later one may succeed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where to connect.

    url: contains a ticket, so it is a secret. config: ClientConfig verbatim, {} if Feishu sent none.
    """

    url: str
    config: Mapping[str, Any]


async def discover(access: AppAccess) -> Endpoint:
    """Request the address of the long connection, within DISCOVERY_TIMEOUT_SECONDS.

    Raises ConnectionRefused or ConnectFailed.
    """
    body = {"AppID": access.app_id, "AppSecret": access.app_secret}
    try:
        async with (
            aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=DISCOVERY_TIMEOUT_SECONDS),
                headers={"User-Agent": USER_AGENT},
                trust_env=not is_loopback(access.base_url),
            ) as session,
            session.post(
                access.base_url + DISCOVERY_PATH, json=body, headers={"locale": "zh"}, allow_redirects=False
            ) as response,
        ):
            status, raw = response.status, await response.read()
    except TimeoutError as error:
        raise ConnectFailed(f"no answer within {DISCOVERY_TIMEOUT_SECONDS:g} s") from error
    except (aiohttp.ClientError, OSError) as error:
        raise ConnectFailed(f"{type(error).__name__}: {shorten(str(error))}") from error
    return read_endpoint(status, raw)


def read_endpoint(status: int, raw: bytes) -> Endpoint:
    """Parse the response to discovery. Raises ConnectionRefused or ConnectFailed."""
    try:
        document = read_json(raw)
    except ValueError:
        document = None
    code = document.get("code") if isinstance(document, dict) else None
    if not isinstance(document, dict) or not isinstance(code, int):
        raise ConnectFailed(f"HTTP {status} without a Feishu answer")
    if code:  # Feishu's code is more specific than the HTTP status
        raise connect_error(code, str(document.get("msg", "")))
    if status != 200:
        raise ConnectFailed(f"HTTP {status} with code 0")
    data = document.get("data")
    url = data.get("URL") if isinstance(data, dict) else None
    if not isinstance(url, str) or not url.startswith(("wss://", "ws://")):
        raise ConnectFailed("the response names no address")
    config = data.get("ClientConfig") if isinstance(data, dict) else None
    return Endpoint(url=url, config=config if isinstance(config, dict) else {})


def connect_error(code: int, msg: str = "") -> ConnectionRefused | ConnectFailed:
    """Return the error for a code other than 0, from discovery or from the handshake."""
    if code in REFUSALS:
        return ConnectionRefused(f"{REFUSALS[code]} (code {code})", code=code)
    if code in TOO_MANY_CODES:
        return ConnectFailed(f"{TOO_MANY_NEXT_STEP} (code {code})")
    return ConnectFailed(f"Feishu says: {shorten(msg) or 'no reason given'} (code {code})")
