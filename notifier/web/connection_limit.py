"""Door: an address where others ask us. Few may stand in it at a time, or they use up what the process lives on.

Without free file descriptors nothing works any more: no connection to Feishu, no database; and asyncio's server writes
a traceback for each connection that it cannot take, and tries ever more often.
"""

import asyncio
import os
import resource
import socket
from enum import Enum, auto

from aiohttp import web

from notifier.errors import ConfigError

FIRST_REQUEST_SECONDS = 10.0
"""For a first request: nobody who has not shown anything may keep a connection for longer."""
BACKLOG = 1024
MAX_CONNECTIONS = 200
DESCRIPTOR_SHARE = 8
"""The most is also this part of what the process may have open. A quarter of it at once is taken from the system's
queue, as those that are put out for them are gone only a moment later.
"""


class _ConnectionPhase(Enum):
    RECEIVING = auto()
    """It has not asked for all it wants to."""
    ANSWERING = auto()
    IDLE = auto()
    """It has its answer, and may ask again."""


class ConnectionLimiter:
    """runner: set up. setting: which key of the configuration names the address."""

    def __init__(self, runner: web.AppRunner, *, setting: str) -> None:
        if runner.server is None:
            raise RuntimeError("the runner is not set up")
        self._new_connection = runner.server
        self._setting = setting
        self._server: asyncio.Server | None = None
        self._phases: dict[web.RequestHandler, _ConnectionPhase] = {}  # oldest first
        self._connected: set[web.RequestHandler] = set()
        """Guests that are connected; a new one is so a moment after it was let in."""

    async def open(self, host: str, port: int) -> int:
        """The port, also where 0 asked for any. Raises ConfigError when it cannot be had."""
        try:
            self._server = await asyncio.get_running_loop().create_server(
                self._accept, host, port, backlog=max(1, _max_connections() // 4)
            )
        except OSError as error:
            raise ConfigError(
                f"{self._setting}: cannot listen on {host}:{port}: {error.strerror or error}. Name another."
            ) from error
        for listening in self._server.sockets:
            with socket.socket(fileno=os.dup(listening.fileno())) as duplicate:
                duplicate.listen(
                    BACKLOG
                )  # the system keeps more in its queue than asyncio takes from it at once
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    def close(self) -> None:
        """Nobody comes in any more. Safe to call twice."""
        if self._server is not None:
            self._server.close()

    def mark_answering(self, request: web.Request) -> None:
        """A whole request has come."""
        self._set_phase(request.protocol, _ConnectionPhase.ANSWERING)

    def mark_idle(self, request: web.Request) -> None:
        self._set_phase(request.protocol, _ConnectionPhase.IDLE)

    def _set_phase(self, connection: web.RequestHandler, phase: _ConnectionPhase) -> None:
        if connection in self._phases:
            self._phases[connection] = phase
            self._connected.add(connection)

    def _accept(self) -> web.RequestHandler:
        self._free_slots()
        connection = self._new_connection()
        self._phases[connection] = _ConnectionPhase.RECEIVING
        asyncio.get_running_loop().call_later(FIRST_REQUEST_SECONDS, self._close_if_receiving, connection)
        return connection

    def _free_slots(self) -> None:
        """Those that rest go first, then those that say nothing; who is being answered stays."""
        max_connections = _max_connections()
        connected = [connection for connection in self._phases if connection.transport is not None]
        for connection in self._connected.difference(connected):
            self._remove(connection)
        self._connected = set(connected)
        for phase in (_ConnectionPhase.IDLE, _ConnectionPhase.RECEIVING):
            for connection in [connection for connection in connected if self._phases[connection] is phase]:
                if len(self._phases) < max_connections:
                    return
                self._evict(connection)

    def _close_if_receiving(self, connection: web.RequestHandler) -> None:
        if self._phases.get(connection) is _ConnectionPhase.RECEIVING:
            self._evict(connection)

    def _evict(self, connection: web.RequestHandler) -> None:
        self._remove(connection)
        connection.force_close()

    def _remove(self, connection: web.RequestHandler) -> None:
        self._phases.pop(connection, None)
        self._connected.discard(connection)


def _max_connections() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(1, min(MAX_CONNECTIONS, soft // DESCRIPTOR_SHARE))
