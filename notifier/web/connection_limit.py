"""Limits the number of open connections on a listening address.

Without a limit, clients can use up all file descriptors. Then neither Feishu nor the database can be reached, and
asyncio's server logs a traceback for each connection that it cannot accept.
"""

import asyncio
import os
import resource
import socket
from enum import Enum, auto

from aiohttp import web

from notifier.errors import ConfigError

FIRST_REQUEST_SECONDS = 10.0
"""The time for the first complete request. A connection that takes longer is closed."""
BACKLOG = 1024
"""The length of the system's queue of connections that wait to be accepted."""
MAX_CONNECTIONS = 200
"""The limit for one address, however many file descriptors the process may open."""
DESCRIPTOR_SHARE = 8
"""The limit is also at most the process's limit of file descriptors divided by this number.

At most a quarter of the limit is accepted at once: a connection that is closed to free a slot keeps its file
descriptor for a moment.
"""


class _ConnectionPhase(Enum):
    RECEIVING = auto()
    """No complete request has arrived yet."""
    ANSWERING = auto()
    """A complete request has arrived; its answer is in preparation."""
    IDLE = auto()
    """The request is answered; the client may send another."""


class ConnectionLimiter:
    """Listens on one address, and closes idle or slow connections when too many are open.

    runner: must be set up; RuntimeError is raised otherwise. setting: the key of the address in the configuration,
    for error messages.
    """

    def __init__(self, runner: web.AppRunner, *, setting: str) -> None:
        if runner.server is None:
            raise RuntimeError("the runner is not set up")
        self._new_connection = runner.server
        self._setting = setting
        self._server: asyncio.Server | None = None
        self._phases: dict[web.RequestHandler, _ConnectionPhase] = {}  # oldest first
        self._connected: set[web.RequestHandler] = set()
        """The connections with an open transport. An accepted connection gets its transport a moment later."""

    async def open(self, host: str, port: int) -> int:
        """Returns the port; port 0 chooses a free one. Raises ConfigError if the address cannot be used."""
        try:
            self._server = await asyncio.get_running_loop().create_server(
                self._accept, host, port, backlog=max(1, _max_connections() // 4)
            )
        except OSError as error:
            raise ConfigError(
                f"{self._setting}: cannot listen on {host}:{port}: {error.strerror or error}. Choose another address.",
                zh=f"{self._setting}：无法监听 {host}:{port}（{error.strerror or error}）。请换一个地址。",
            ) from error
        for listening in self._server.sockets:
            with socket.socket(fileno=os.dup(listening.fileno())) as duplicate:
                duplicate.listen(BACKLOG)  # a longer queue than the number that asyncio accepts at once
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    def close(self) -> None:
        """Stops accepting connections. Safe to call twice."""
        if self._server is not None:
            self._server.close()

    def mark_answering(self, request: web.Request) -> None:
        """Protects the connection of a complete request until `mark_idle`."""
        self._set_phase(request.protocol, _ConnectionPhase.ANSWERING)

    def mark_idle(self, request: web.Request) -> None:
        """Allows the connection to be closed for a new one: its request is answered, or needs no protection."""
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
        """Closes idle connections first, then those without a complete request. Running answers are not interrupted."""
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
