"""The inbound sides of the program: events and clicks from Feishu, payout reports, and health checks."""

import asyncio
import functools
import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Any, Protocol

from notifier import metrics
from notifier.clock import Clock
from notifier.config.fields import listen_address
from notifier.config.sections import Transport
from notifier.config.settings import Config
from notifier.domain.answers.question import QUESTIONS
from notifier.domain.event import BALANCE_CHANGED, CARD_CLICKED, Event
from notifier.domain.payout import PayoutReport, PayoutReportOutcome
from notifier.feishu.long_connection.listener import ConnectionState, ConnectionStatus, Listener
from notifier.feishu.webhook.endpoint import WebhookEndpoint
from notifier.payroll.endpoint import ReportEndpoint
from notifier.runtime.component_stack import ComponentStack
from notifier.runtime.factories import make_webhook_access
from notifier.runtime.lifecycle import STOP_SECONDS
from notifier.web.health import HealthEndpoint, Readiness

log = logging.getLogger(__name__)


class EventStore(Protocol):
    """Stores an event."""

    def accept(self, event: Event) -> "Future[Any]":
        """Returns a future that resolves after the commit, and fails if the event could not be stored."""


_KINDS = {BALANCE_CHANGED: "balance", **dict.fromkeys(QUESTIONS, "question")}


class EventRouter:
    """Passes each event from Feishu to the component that stores it.

    A click is decided in the transaction that stores it. Every other event is only stored, and applied later.
    """

    def __init__(self, clicks: EventStore, receiver: EventStore) -> None:
        self._clicks = clicks
        self._receiver = receiver

    def accept(self, event: Event) -> "Future[Any]":
        """Returns the future of the component. Its result answers a click. Callable from any thread."""
        is_click = event.event_type == CARD_CLICKED
        kind = "click" if is_click else _KINDS.get(event.event_type, "other")
        metrics.EVENTS_RECEIVED.labels(kind).inc()
        stored = (self._clicks if is_click else self._receiver).accept(event)
        stored.add_done_callback(functools.partial(_count_stored, kind, time.perf_counter()))
        return stored


def _count_stored(kind: str, arrived: float, stored: "Future[Any]") -> None:
    if stored.cancelled() or stored.exception() is not None:
        metrics.EVENTS_REFUSED.inc()
    else:
        metrics.ACKNOWLEDGEMENT_SECONDS.labels(kind).observe(time.perf_counter() - arrived)


async def start_inbound(
    components: ComponentStack,
    config: Config,
    clock: Clock,
    *,
    listener: Listener,
    accept: Callable[[Event], "Future[Any]"],
    on_connection_change: Callable[[ConnectionStatus], None],
) -> None:
    """Starts the webhook endpoint or the long connection, as `feishu.transport` says.

    listener: not started; used for the long connection only. accept, on_connection_change: as for `Listener`.
    Raises ConfigError if the webhook's address cannot be used.
    """
    if config.feishu.transport is Transport.WEBHOOK:
        webhook = WebhookEndpoint(make_webhook_access(config), accept=accept, clock=clock)
        host, port = listen_address(config.webhook.listen)
        bound_port = await webhook.start(host, port)
        components.add("webhook endpoint", webhook.stop)
        shown_host = f"[{host}]" if ":" in host else host
        detail = f"{shown_host}:{bound_port}{config.webhook.path}"
        on_connection_change(ConnectionStatus(state=ConnectionState.LISTENING, detail=detail))
        return
    listener.start()
    components.add("listener", functools.partial(asyncio.to_thread, listener.stop, seconds=STOP_SECONDS))


async def start_payout_endpoint(
    components: ComponentStack,
    config: Config,
    clock: Clock,
    apply_report: Callable[[PayoutReport], Awaitable[PayoutReportOutcome]],
) -> None:
    """Starts the endpoint for payout reports if `payouts.listen` is set. Raises ConfigError for a bad address."""
    if not config.payouts.listen:
        return
    endpoint = ReportEndpoint(config.payouts.secret.get_secret_value(), apply_report, clock)
    host, port = listen_address(config.payouts.listen)
    bound_port = await endpoint.start(host, port)
    components.add("payout endpoint", endpoint.stop)
    log.info("payout_endpoint.started", extra={"host": host, "port": bound_port})


async def start_health_endpoint(
    components: ComponentStack,
    config: Config,
    read_readiness: Callable[[], Readiness],
    read_metrics: Callable[[], Awaitable[bytes]],
) -> None:
    """Starts the endpoint for health checks and metrics if `health.listen` is set.

    Raises ConfigError for a bad address.
    """
    if not config.health.listen:
        return
    endpoint = HealthEndpoint(read_readiness, read_metrics)
    host, port = listen_address(config.health.listen)
    bound_port = await endpoint.start(host, port)
    components.add("health endpoint", endpoint.stop)
    log.info("health.started", extra={"host": host, "port": bound_port})
