"""Transport: how Feishu's events and clicks reach us, by one of two ways and through one door."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AsyncExitStack
from typing import Any

from notifier.clock import Clock
from notifier.config.fields import listen_address
from notifier.config.settings import Config, Transport
from notifier.domain.event import Event
from notifier.feishu.long_connection.listener import Connection, ConnectionState, Listener
from notifier.feishu.webhook.endpoint import Webhook
from notifier.runtime.factories import webhook_access


async def listen(
    parts: AsyncExitStack,
    config: Config,
    clock: Clock,
    *,
    listener: Listener,
    accept: Callable[[Event], "Future[Any]"],
    tell: Callable[[Connection], None],
    stop_seconds: float,
) -> None:
    """listener: not started, and only for the long connection. accept, tell: as the Listener's. What is started here
    is stopped by parts. Raises ConfigError.
    """
    if config.feishu.transport is Transport.WEBHOOK:
        webhook = Webhook(webhook_access(config), accept=accept, clock=clock)
        host, port = listen_address(config.webhook.listen)
        bound = await webhook.start(host, port)
        parts.push_async_callback(webhook.stop)
        shown = f"[{host}]" if ":" in host else host
        detail = f"{shown}:{bound}{config.webhook.path}"
        tell(Connection(state=ConnectionState.LISTENING, detail=detail))
        return
    listener.start()
    parts.push_async_callback(asyncio.to_thread, listener.stop, seconds=stop_seconds)
