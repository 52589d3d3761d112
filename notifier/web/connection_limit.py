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

HEAD_SECONDS = 10.0
"""For a first request: nobody who has not shown anything may keep a connection for longer."""
QUEUE = 1024
MOST_CONNECTIONS = 200
SHARE_OF_DESCRIPTORS = 8
"""The most is also this part of what the process may have open. A quarter of it at once is taken from the system's
queue, as those that are put out for them are gone only a moment later.
"""


class _Is(Enum):
    UNHEARD = auto()
    """It has not asked for all it wants to."""
    BUSY = auto()
    RESTING = auto()
    """It has its answer, and may ask again."""


class Door:
    """runner: set up. setting: which key of the configuration names the address."""

    def __init__(self, runner: web.AppRunner, *, setting: str) -> None:
        if runner.server is None:
            raise RuntimeError("the runner is not set up")
        self._make = runner.server
        self._setting = setting
        self._server: asyncio.Server | None = None
        self._guests: dict[web.RequestHandler, _Is] = {}  # oldest first
        self._inside: set[web.RequestHandler] = set()
        """Guests that are connected; a new one is so a moment after it was let in."""

    async def open(self, host: str, port: int) -> int:
        """The port, also where 0 asked for any. Raises ConfigError when it cannot be had."""
        try:
            self._server = await asyncio.get_running_loop().create_server(
                self._let_in, host, port, backlog=max(1, _most() // 4)
            )
        except OSError as error:
            raise ConfigError(
                f"{self._setting}: cannot listen on {host}:{port}: {error.strerror or error}. Name another."
            ) from error
        for listening in self._server.sockets:
            with socket.socket(fileno=os.dup(listening.fileno())) as same:
                same.listen(QUEUE)  # the system keeps more in its queue than asyncio takes from it at once
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    def close(self) -> None:
        """Nobody comes in any more. Safe to call twice."""
        if self._server is not None:
            self._server.close()

    def heard(self, request: web.Request) -> None:
        """A whole request has come."""
        self._note(request.protocol, _Is.BUSY)

    def answered(self, request: web.Request) -> None:
        self._note(request.protocol, _Is.RESTING)

    def _note(self, guest: web.RequestHandler, state: _Is) -> None:
        if guest in self._guests:
            self._guests[guest] = state
            self._inside.add(guest)

    def _let_in(self) -> web.RequestHandler:
        self._make_room()
        guest = self._make()
        self._guests[guest] = _Is.UNHEARD
        asyncio.get_running_loop().call_later(HEAD_SECONDS, self._hurry, guest)
        return guest

    def _make_room(self) -> None:
        """Those that rest go first, then those that say nothing; who is being answered stays."""
        most = _most()
        connected = [guest for guest in self._guests if guest.transport is not None]
        for guest in self._inside.difference(connected):
            self._forget(guest)
        self._inside = set(connected)
        for state in (_Is.RESTING, _Is.UNHEARD):
            for guest in [guest for guest in connected if self._guests[guest] is state]:
                if len(self._guests) < most:
                    return
                self._put_out(guest)

    def _hurry(self, guest: web.RequestHandler) -> None:
        if self._guests.get(guest) is _Is.UNHEARD:
            self._put_out(guest)

    def _put_out(self, guest: web.RequestHandler) -> None:
        self._forget(guest)
        guest.force_close()

    def _forget(self, guest: web.RequestHandler) -> None:
        self._guests.pop(guest, None)
        self._inside.discard(guest)


def _most() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(1, min(MOST_CONNECTIONS, soft // SHARE_OF_DESCRIPTORS))
