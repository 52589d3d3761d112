"""Webhook: where Feishu posts events and card callbacks; the other way in beside the long connection, to one inbox."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from aiohttp import web

from notifier.clock import Clock, Millis, to_millis
from notifier.domain.event import CARD_CLICKED, Event
from notifier.feishu.callback_answers import Answers, Document
from notifier.feishu.webhook.crypto import Undecipherable
from notifier.feishu.webhook.request import Opened, Refused, WebhookAccess, Why, open_request
from notifier.feishu.wire import read_event
from notifier.web.post_endpoint import PostServer

log = logging.getLogger(__name__)

LARGEST_BODY = 1024 * 1024
STORE_SECONDS = 2.8
"""Feishu takes an event for delivered when the answer is there within 3 s."""
QUIET_MS = 60_000
"""Between two lines about the same refusal: anybody may post here, as often as they like."""


class Webhook:
    """accept: as the listener's. Its future resolves once the event is committed, and is never cancelled."""

    def __init__(
        self, access: WebhookAccess, *, accept: Callable[[Event], "Future[Any]"], clock: Clock
    ) -> None:
        self._access = access
        self._accept = accept
        self._clock = clock
        self._answers = Answers(self._store)
        self._told: dict[Why, Millis] = {}
        self._server = PostServer(
            access.path, self._answer, largest_body=LARGEST_BODY, setting="webhook.listen"
        )

    async def start(self, host: str, port: int) -> int:
        """The port, also where 0 asked for any. Raises ConfigError when it cannot be had."""
        return await self._server.start(host, port)

    async def stop(self) -> None:
        """Safe to call twice."""
        await self._server.stop()

    async def _answer(self, request: web.Request, raw: bytes) -> web.Response:
        now = to_millis(self._clock.now())
        try:
            opened = open_request(self._access, request.headers, raw, now=now)
        except Refused as refused:
            self._tell(refused.why, now)
            return web.Response(status=401)
        except Undecipherable as error:
            log.error("webhook.undecipherable", extra={"reason": str(error), "size": len(raw)})
            return web.Response(status=400)
        if opened.challenge is not None:
            log.info("webhook.checked")
            return web.json_response({"challenge": opened.challenge})
        return await self._take(opened)

    async def _take(self, opened: Opened) -> web.Response:
        """200 only when the event is stored, but always for a card callback: those are not sent again."""
        event = read_event(opened.payload, app_id=self._access.app_id)
        if event.event_type == CARD_CLICKED:
            return web.Response(text=await self._answers.click(event), content_type="application/json")
        if await self._answers.stored(event, STORE_SECONDS):
            return web.json_response({})
        return web.Response(status=500)

    async def _store(self, event: Event) -> Document | None:
        document: Document | None = await asyncio.wrap_future(self._accept(event))
        return document

    def _tell(self, why: Why, now: Millis) -> None:
        if abs(now - self._told.get(why, -QUIET_MS)) >= QUIET_MS:
            self._told[why] = now
            log.warning("webhook.refused", extra={"why": why.value})
