"""Server-sent events that notify the page of a new revision of the state."""

import asyncio
import json
from collections.abc import Awaitable, Callable

from aiohttp import web

from notifier.sandbox.error_codes import JsonObject
from notifier.sandbox.tenant import Tenant

DEBOUNCE_SECONDS, KEEP_ALIVE_SECONDS = 0.05, 15


def stream(tenant: Tenant) -> Callable[[web.Request, JsonObject], Awaitable[web.StreamResponse]]:
    """The request handler of `GET /api/stream`: one `state` event per new revision."""

    async def handle(request: web.Request, _body: JsonObject) -> web.StreamResponse:
        headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        changed = asyncio.Event()

        def watcher(_revision: int) -> None:
            changed.set()

        tenant.watchers.append(watcher)
        try:
            await _send_changes(tenant, response, changed)
        except ConnectionError:  # the page was closed
            pass
        finally:
            tenant.watchers.remove(watcher)
        return response

    return handle


async def _send_changes(tenant: Tenant, response: web.StreamResponse, changed: asyncio.Event) -> None:
    stopping = asyncio.create_task(tenant.stopping.wait())
    try:
        while not tenant.stopping.is_set():
            data = json.dumps({"revision": tenant.revision})
            await response.write(f"event: state\ndata: {data}\n\n".encode())
            changed.clear()
            while not changed.is_set() and not tenant.stopping.is_set():
                await _first_of(changed, stopping)
                if not changed.is_set():
                    await response.write(b": still here\n\n")
            await asyncio.sleep(DEBOUNCE_SECONDS)  # combines several changes into one event
    finally:
        stopping.cancel()


async def _first_of(changed: asyncio.Event, stopping: "asyncio.Task[bool]") -> None:
    waiting = asyncio.create_task(changed.wait())
    try:
        await asyncio.wait(
            {waiting, stopping}, timeout=KEEP_ALIVE_SECONDS, return_when=asyncio.FIRST_COMPLETED
        )
    finally:
        waiting.cancel()
