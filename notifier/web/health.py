"""The health endpoint: /livez, /readyz and /metrics, on an address of its own."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from notifier.errors import ConfigError
from notifier.web.connection_limit import ConnectionLimiter

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""The text format of Prometheus."""
STOP_SECONDS = 1.0
"""The time for running answers when the endpoint stops."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """The answer of /readyz."""

    problems: Mapping[str, str]
    """A sentence for each area with a problem, for example `connection` or `store`; empty if there is none."""
    facts: Mapping[str, object]
    """Further values for the answer."""

    @property
    def is_ready(self) -> bool:
        """Whether there is no problem."""
        return not self.problems


class HealthEndpoint:
    """Answers 200 on /livez while the event loop runs. Answers 200 or 503 on /readyz. Gives the metrics on /metrics.

    read_readiness: called for each request to /readyz, in the event loop. read_metrics: the same for /metrics; returns
    the text format of Prometheus.
    """

    def __init__(
        self, read_readiness: Callable[[], Readiness], read_metrics: Callable[[], Awaitable[bytes]]
    ) -> None:
        self._read_readiness = read_readiness
        self._read_metrics = read_metrics
        self._runner: web.AppRunner | None = None
        self._limiter: ConnectionLimiter | None = None

    async def start(self, host: str, port: int) -> int:
        """Returns the port; port 0 chooses a free one. Raises ConfigError if the address cannot be used."""
        app = web.Application(client_max_size=1024)
        app.router.add_get("/livez", self._livez)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=STOP_SECONDS)
        await self._runner.setup()
        self._limiter = ConnectionLimiter(self._runner, setting="health.listen")
        try:
            return await self._limiter.open(host, port)
        except ConfigError:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Closes the address and its connections. Safe to call twice."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            if self._limiter is not None:
                self._limiter.close()
            await runner.cleanup()

    def _mark_answered(self, request: web.Request) -> None:
        """The answer follows immediately, so the connection needs no protection."""
        if self._limiter is not None:
            self._limiter.mark_idle(request)

    async def _livez(self, request: web.Request) -> web.Response:
        """An answer is the proof: this event loop also sends cards and applies events."""
        self._mark_answered(request)
        return web.json_response({"alive": True})

    async def _readyz(self, request: web.Request) -> web.Response:
        self._mark_answered(request)
        readiness = self._read_readiness()
        body = {"ready": readiness.is_ready, "problems": dict(readiness.problems), **readiness.facts}
        return web.json_response(body, status=200 if readiness.is_ready else 503)

    async def _metrics(self, request: web.Request) -> web.Response:
        self._mark_answered(request)
        return web.Response(body=await self._read_metrics(), headers={"Content-Type": METRICS_TYPE})
