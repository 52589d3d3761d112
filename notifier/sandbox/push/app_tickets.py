"""Pushes the `app_ticket` event of a store app, at the start and every hour of the sandbox's clock."""

import asyncio
import contextlib
import json

from notifier.sandbox.api.tokens import Tokens
from notifier.sandbox.push.events import EventRecord
from notifier.sandbox.push.pusher import Pusher
from notifier.sandbox.tenant import Tenant, new_id

INTERVAL_SECONDS = 3600
EVENT_TYPE = "app_ticket"


class AppTicketPusher:
    """Creates app tickets and pushes them."""

    def __init__(self, tenant: Tenant, tokens: Tokens, pusher: Pusher) -> None:
        self._tenant = tenant
        self._tokens = tokens
        self._pusher = pusher

    def push(self) -> str:
        """Pushes a new ticket. Returns the id of the event."""
        return self._pusher.add([self._event(self._tokens.create_app_ticket())])[0]

    async def run(self) -> None:
        """Pushes a ticket now and every hour, until the task is cancelled."""
        changed = asyncio.Event()

        def watcher(_revision: int) -> None:
            changed.set()

        self._tenant.watchers.append(watcher)
        while True:
            self.push()
            due = self._tenant.clock.elapsed() + INTERVAL_SECONDS
            while (left := due - self._tenant.clock.elapsed()) > 0:
                changed.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(left):
                        await changed.wait()

    def _event(self, ticket: str) -> EventRecord:
        """The event, in version 1 of the schema, which has no header."""
        event_id = new_id("ev")
        now_ms = self._tenant.clock.now_ms()
        payload = {
            "ts": f"{now_ms / 1000:.3f}",
            "uuid": event_id,
            "token": "",  # empty over the long connection
            "type": "event_callback",
            "event": {
                "app_id": self._tenant.settings.app_id,
                "app_ticket": ticket,
                "type": EVENT_TYPE,
            },
        }
        return EventRecord(
            event_id=event_id,
            event_type=EVENT_TYPE,
            account_id=None,
            created_ms=now_ms,
            payload=json.dumps(payload).encode(),
        )
