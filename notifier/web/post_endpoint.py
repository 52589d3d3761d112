"""A server for one POST path. Its callers are not authenticated before the request is read."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from notifier.errors import ConfigError
from notifier.web.connection_limit import ConnectionLimiter

log = logging.getLogger(__name__)

STOP_SECONDS = 2.0
"""The time for running answers when the endpoint stops."""
READ_SECONDS = 10.0
"""The time for a complete body. An unauthenticated client cannot keep a connection busy for longer."""


class _MalformedRequestFilter(logging.Filter):
    """Drops the traceback of requests that are not valid HTTP. They are answered with 400; anyone can send many."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


http_log = logging.getLogger(f"{__name__}.http")
http_log.addFilter(_MalformedRequestFilter())


class PostEndpoint:
    """Listens on one address and passes each POST request of one path to `handle`.

    handle: gets the request and its body, verbatim. max_body_bytes: a longer body gets 413.
    setting: the key of the address in the configuration, for error messages.
    """

    def __init__(
        self,
        path: str,
        handle: Callable[[web.Request, bytes], Awaitable[web.Response]],
        *,
        max_body_bytes: int,
        setting: str,
    ) -> None:
        self._path = path
        self._handle = handle
        self._max_body_bytes = max_body_bytes
        self._setting = setting
        self._runner: web.AppRunner | None = None
        self._limiter: ConnectionLimiter | None = None

    async def start(self, host: str, port: int) -> int:
        """Returns the port; port 0 chooses a free one. Raises ConfigError if the address cannot be used."""
        app = web.Application(client_max_size=self._max_body_bytes)
        app.router.add_post(self._path, self._answer)
        app.on_response_prepare.append(_remove_server_header)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            logger=http_log,
            shutdown_timeout=STOP_SECONDS / 2,  # aiohttp waits this long twice: before and after it cancels
            auto_decompress=False,  # the signature covers the raw body; unsigned data is never decompressed
        )
        await self._runner.setup()
        self._limiter = ConnectionLimiter(self._runner, setting=self._setting)
        try:
            return await self._limiter.open(host, port)
        except ConfigError:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Closes the address, and waits a limited time for running answers. Safe to call twice."""
        if self._runner is None:
            return
        runner, self._runner = self._runner, None
        if self._limiter is not None:
            self._limiter.close()
        try:
            await asyncio.wait_for(runner.cleanup(), STOP_SECONDS + 1)
        except TimeoutError:
            log.warning("server.close_timed_out", extra={"setting": self._setting})

    async def _answer(self, request: web.Request) -> web.Response:
        raw = await _read_body(request)
        if self._limiter is None:
            raise RuntimeError("the endpoint is not started")
        self._limiter.mark_answering(request)
        answer = raw if isinstance(raw, web.Response) else await self._handle(request, raw)
        self._limiter.mark_idle(request)
        if answer.status >= 400:
            answer.force_close()  # a rejected client needs a new connection, with the same time limit
        return answer


async def _read_body(request: web.Request) -> bytes | web.Response:
    """Returns the body, or the response for a body that does not arrive completely."""
    try:
        async with asyncio.timeout(READ_SECONDS):
            return await request.read()
    except TimeoutError:
        return web.Response(status=408)
    except web.HTTPRequestEntityTooLarge:
        return web.Response(status=413)
    except OSError:  # the client closed the connection within the body
        return web.Response(status=400)


async def _remove_server_header(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.pop("Server", None)
