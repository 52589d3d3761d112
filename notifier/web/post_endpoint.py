"""Post server: one POST path on one address, for callers who have yet to show who they are."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from notifier.errors import ConfigError
from notifier.web.connection_limit import ConnectionLimiter

log = logging.getLogger(__name__)

STOP_SECONDS = 2.0
READ_SECONDS = 10.0
"""For a whole body: nobody who has not signed anything may keep a connection busy for longer."""


class _MalformedRequestFilter(logging.Filter):
    """What is no HTTP is answered with 400; anybody may send it, and a traceback for each would bury the log."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


http_log = logging.getLogger(f"{__name__}.http")
http_log.addFilter(_MalformedRequestFilter())


class PostEndpoint:
    """handle: gets the raw body too, as it was sent. setting: which key of the configuration names the address."""

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
        """The port, also where 0 asked for any. Raises ConfigError when it cannot be had."""
        app = web.Application(client_max_size=self._max_body_bytes)
        app.router.add_post(self._path, self._answer)
        app.on_response_prepare.append(_remove_server_header)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            logger=http_log,
            shutdown_timeout=STOP_SECONDS / 2,  # spent twice: until it ends, until it is cancelled
            auto_decompress=False,  # signed is what was sent; and nobody unsigned gets anything unpacked
        )
        await self._runner.setup()
        self._limiter = ConnectionLimiter(self._runner, setting=self._setting)
        try:
            return await self._limiter.open(host, port)
        except ConfigError:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Safe to call twice."""
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
            raise RuntimeError("it is not open")
        self._limiter.mark_answering(request)
        answer = raw if isinstance(raw, web.Response) else await self._handle(request, raw)
        self._limiter.mark_idle(request)
        if answer.status >= 400:
            answer.force_close()  # who is refused begins anew, with the same little time
        return answer


async def _read_body(request: web.Request) -> bytes | web.Response:
    """Or the answer to who sends none that can be checked."""
    try:
        async with asyncio.timeout(READ_SECONDS):
            return await request.read()
    except TimeoutError:
        return web.Response(status=408)
    except web.HTTPRequestEntityTooLarge:
        return web.Response(status=413)
    except OSError:  # half a body
        return web.Response(status=400)


async def _remove_server_header(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.pop("Server", None)
