"""Webhook endpoint: receives Feishu's events and card callbacks over HTTP; an alternative to the long connection."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from aiohttp import web

from notifier import metrics
from notifier.clock import MINUTE_MS, Clock, Millis, to_millis
from notifier.domain.event import CARD_CLICKED, Event
from notifier.feishu.callback_answers import CallbackAnswers, CallbackDocument
from notifier.feishu.webhook.crypto import DecryptionError
from notifier.feishu.webhook.request import (
    RejectionReason,
    RequestRejected,
    VerifiedRequest,
    WebhookAccess,
    verify_request,
)
from notifier.feishu.wire import read_event
from notifier.web.post_endpoint import PostEndpoint

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 1024 * 1024
STORE_TIMEOUT_SECONDS = 2.8
"""Feishu sends an event again if no response arrives within 3 s."""
LOG_INTERVAL_MS = MINUTE_MS
"""Minimum time between two log lines with the same reason, as anybody can send requests at any rate."""


class WebhookEndpoint:
    """Serves the webhook address.

    accept: stores an event, as for the Listener. Its future resolves once the event is committed, and is never
    cancelled.
    """

    def __init__(
        self, access: WebhookAccess, *, accept: Callable[[Event], "Future[Any]"], clock: Clock
    ) -> None:
        self._access = access
        self._accept = accept
        self._clock = clock
        self._answers = CallbackAnswers(self._store)
        self._last_logged_at: dict[RejectionReason, Millis] = {}
        self._server = PostEndpoint(
            access.path, self._answer, max_body_bytes=MAX_BODY_BYTES, setting="webhook.listen"
        )

    async def start(self, host: str, port: int) -> int:
        """Listen; return the port (0 chooses a free one). Raises ConfigError if the address is not available."""
        return await self._server.start(host, port)

    async def stop(self) -> None:
        """Stop the server. Safe to call twice."""
        await self._server.stop()

    async def _answer(self, request: web.Request, raw: bytes) -> web.Response:
        now = to_millis(self._clock.now())
        try:
            request_body = verify_request(self._access, request.headers, raw, now=now)
        except RequestRejected as rejection:
            self._log_rejection(rejection.reason, now)
            return web.Response(status=401)
        except DecryptionError as error:
            metrics.WEBHOOK_REJECTED.labels("not_decrypted").inc()
            log.error("webhook.decryption_failed", extra={"reason": str(error), "size": len(raw)})
            return web.Response(status=400)
        if request_body.challenge is not None:
            log.info("webhook.address_verified")
            return web.json_response({"challenge": request_body.challenge})
        return await self._process(request_body)

    async def _process(self, request_body: VerifiedRequest) -> web.Response:
        """Respond 200 only if the event is stored, but always for a card callback: Feishu does not send those again."""
        event = read_event(request_body.payload, app_id=self._access.app_id, body=request_body.body)
        if event.event_type == CARD_CLICKED:
            return web.Response(text=await self._answers.answer_click(event), content_type="application/json")
        if await self._answers.store_within(event, STORE_TIMEOUT_SECONDS):
            return web.json_response({})
        return web.Response(status=500)

    async def _store(self, event: Event) -> CallbackDocument | None:
        document: CallbackDocument | None = await asyncio.wrap_future(self._accept(event))
        return document

    def _log_rejection(self, reason: RejectionReason, now: Millis) -> None:
        metrics.WEBHOOK_REJECTED.labels(reason.name.lower()).inc()
        if abs(now - self._last_logged_at.get(reason, -LOG_INTERVAL_MS)) >= LOG_INTERVAL_MS:
            self._last_logged_at[reason] = now
            log.warning("webhook.rejected", extra={"reason": reason.value})
