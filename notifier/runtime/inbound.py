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
from notifier.feishu.long_connection.listener import ConnectionState, ConnectionStatus, Listener
from notifier.feishu.webhook.endpoint import WebhookEndpoint
from notifier.runtime.factories import make_webhook_access


async def start_inbound(
    exit_stack: AsyncExitStack,
    config: Config,
    clock: Clock,
    *,
    listener: Listener,
    accept: Callable[[Event], "Future[Any]"],
    on_connection_change: Callable[[ConnectionStatus], None],
    stop_seconds: float,
) -> None:
    """listener: not started, and only for the long connection. accept, tell: as the Listener's. What is started here
    is stopped by parts. Raises ConfigError.
    """
    if config.feishu.transport is Transport.WEBHOOK:
        webhook = WebhookEndpoint(make_webhook_access(config), accept=accept, clock=clock)
        host, port = listen_address(config.webhook.listen)
        bound = await webhook.start(host, port)
        exit_stack.push_async_callback(webhook.stop)
        shown_host = f"[{host}]" if ":" in host else host
        detail = f"{shown_host}:{bound}{config.webhook.path}"
        on_connection_change(ConnectionStatus(state=ConnectionState.LISTENING, detail=detail))
        return
    listener.start()
    exit_stack.push_async_callback(asyncio.to_thread, listener.stop, seconds=stop_seconds)
