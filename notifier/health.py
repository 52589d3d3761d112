"""Health: /livez and /readyz for whoever watches the process, on an address of their own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from notifier.errors import ConfigError

STOP_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """troubles: by what they are about (connection, store), a sentence each; empty when all is well. facts: what
    else is worth seeing.
    """

    troubles: Mapping[str, str]
    facts: Mapping[str, object]

    @property
    def is_ready(self) -> bool:
        return not self.troubles


class HealthEndpoint:
    def __init__(self, ask: Callable[[], Readiness]) -> None:
        self._ask = ask
        self._runner: web.AppRunner | None = None

    async def start(self, host: str, port: int) -> int:
        """The port, also where 0 asked for any. Raises ConfigError when it cannot be had."""
        app = web.Application(client_max_size=1024)
        app.router.add_get("/livez", self._livez)
        app.router.add_get("/readyz", self._readyz)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=STOP_SECONDS)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError as error:
            await self.stop()
            raise ConfigError(
                f"health.listen: cannot listen on {host}:{port}: {error.strerror or error}. Name another."
            ) from error
        bound: int = self._runner.addresses[0][1]
        return bound

    async def stop(self) -> None:
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()

    async def _livez(self, _request: web.Request) -> web.Response:
        """That this answers at all is the proof: it is the loop that sends and records."""
        return web.json_response({"alive": True})

    async def _readyz(self, _request: web.Request) -> web.Response:
        found = self._ask()
        body = {"ready": found.is_ready, "troubles": dict(found.troubles), **found.facts}
        return web.json_response(body, status=200 if found.is_ready else 503)
