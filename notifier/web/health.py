"""Health: /livez and /readyz for whoever watches the process, on an address of their own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from notifier.errors import ConfigError
from notifier.web.connection_limit import ConnectionLimiter

STOP_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """troubles: by what they are about (connection, store), a sentence each; empty when all is well. facts: what
    else is worth seeing.
    """

    problems: Mapping[str, str]
    facts: Mapping[str, object]

    @property
    def is_ready(self) -> bool:
        return not self.problems


class HealthEndpoint:
    def __init__(self, read_readiness: Callable[[], Readiness]) -> None:
        self._read_readiness = read_readiness
        self._runner: web.AppRunner | None = None
        self._limiter: ConnectionLimiter | None = None

    async def start(self, host: str, port: int) -> int:
        """The port, also where 0 asked for any. Raises ConfigError when it cannot be had."""
        app = web.Application(client_max_size=1024)
        app.router.add_get("/livez", self._livez)
        app.router.add_get("/readyz", self._readyz)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=STOP_SECONDS)
        await self._runner.setup()
        self._limiter = ConnectionLimiter(self._runner, setting="health.listen")
        try:
            return await self._limiter.open(host, port)
        except ConfigError:
            await self.stop()
            raise

    async def stop(self) -> None:
        if self._runner is not None:
            runner, self._runner = self._runner, None
            if self._limiter is not None:
                self._limiter.close()
            await runner.cleanup()

    def _mark_answered(self, request: web.Request) -> None:
        """It has its answer as good as at once."""
        if self._limiter is not None:
            self._limiter.mark_idle(request)

    async def _livez(self, request: web.Request) -> web.Response:
        """That this answers at all is the proof: it is the loop that sends and records."""
        self._mark_answered(request)
        return web.json_response({"alive": True})

    async def _readyz(self, request: web.Request) -> web.Response:
        self._mark_answered(request)
        readiness = self._read_readiness()
        body = {"ready": readiness.is_ready, "problems": dict(readiness.problems), **readiness.facts}
        return web.json_response(body, status=200 if readiness.is_ready else 503)
