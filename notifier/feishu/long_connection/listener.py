"""Listener: keeps one long connection open, in its own thread and event loop.

The separate loop isolates pings and responses from the other work, and the other work from blocking calls in the SDK.
A thread whose loop is blocked is abandoned and replaced.
"""

import asyncio
import logging
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from urllib.request import getproxies

from notifier.domain.event import Event
from notifier.feishu.api import AppAccess
from notifier.feishu.long_connection.discovery import ConnectFailed, ConnectionRefused, Endpoint, discover
from notifier.feishu.long_connection.sdk_parts import without_api_clients

if TYPE_CHECKING:
    from notifier.feishu.long_connection.client import LongConnectionClient

log = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 1.0
MAX_PAUSE_SECONDS = 20.0
"""With the limits of discovery and handshake, an attempt takes at most 45 s: the connection is back in a minute."""

STABLE_SECONDS = 60.0
"""After a connection of this duration, the pause starts at FIRST_PAUSE_SECONDS again."""

TICK_SECONDS = 1.0
STALLED_SECONDS = 30.0
"""A loop without a tick for this long counts as blocked."""

CLOSE_SECONDS = 2.0
"""Limit for the close handshake when the listener stops."""

SDK_IMPORT_SECONDS = 60.0
"""Allowance for the import of the SDK, which blocks the loop: 0.2 s, and much more on a busy machine."""


class ConnectionState(StrEnum):
    """State of the transport that delivers Feishu's events."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    LISTENING = "listening"
    """Webhook transport: the server accepts requests; there is no connection to keep open."""
    LOST = "lost"
    REFUSED = "refused"
    """Feishu refuses the connection until an administrator acts; the listener keeps trying, with long pauses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionStatus:
    """A change of the connection. detail: the reason, for operators; never contains the ticket."""

    state: ConnectionState
    detail: str = ""


Accept = Callable[[Event], "Future[Any]"]
OnConnectionChange = Callable[[ConnectionStatus], None]


class Listener:
    """Receives Feishu's events over the long connection and stores them.

    accept: stores an event; called from the listener's thread. Its future resolves once the event is committed, and
    fails if it cannot be stored. The result is the response to a card callback (see CallbackDocument), or None for an
    empty response and for all other events. If it takes longer than Feishu waits, the callback gets a standard
    response; the future is never cancelled.
    on_connection_change: called from the listener's thread on each change of the connection.
    stalled_seconds: after this time without a tick, watch() replaces the thread.
    """

    def __init__(
        self,
        access: AppAccess,
        *,
        accept: Accept,
        on_connection_change: OnConnectionChange,
        stalled_seconds: float = STALLED_SECONDS,
    ) -> None:
        self._access = access
        self._accept = accept
        self._on_connection_change = on_connection_change
        self._stalled_seconds = stalled_seconds
        self._current = self._new_thread()

    def start(self) -> None:
        """Start the thread, which connects."""
        self._current.start()

    def stop(self, *, seconds: float) -> bool:
        """Close the connection and end the thread; return False if it did not end in time. Safe to call twice."""
        return self._current.stop(seconds=seconds)

    def reconnect(self) -> None:
        """Drop the current connection and open another at once. Used when events stop to arrive."""
        self._current.reconnect()

    def get_frame_age(self) -> float | None:
        """Seconds since the last frame; None before the first connection."""
        return self._current.frame_age_seconds

    def watch(self) -> None:
        """Replace the thread if its loop is blocked. Call this every few seconds.

        Raises RuntimeError if no new thread can start now.
        """
        unresponsive_seconds = self._current.unresponsive_seconds
        if unresponsive_seconds < self._stalled_seconds:
            return
        log.error("listener.stalled", extra={"seconds": round(unresponsive_seconds)})
        self._on_connection_change(
            ConnectionStatus(
                state=ConnectionState.LOST,
                detail=f"the listener was blocked for {unresponsive_seconds:.0f} s",
            )
        )
        stalled, fresh = self._current, self._new_thread()
        fresh.start()  # if this raises, the stalled thread stays, and the next call tries again
        self._current = fresh
        stalled.abandon()

    def _new_thread(self) -> "_ListenerThread":
        return _ListenerThread(
            self._access, accept=self._accept, on_connection_change=self._on_connection_change
        )


class _ListenerThread:
    """One thread with one event loop, which opens one connection after the other."""

    def __init__(
        self, access: AppAccess, *, accept: Accept, on_connection_change: OnConnectionChange
    ) -> None:
        self._access = access
        self._accept = accept
        self._on_connection_change = on_connection_change
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._client: LongConnectionClient | None = None
        self._logged_unknown_types: set[str] = set()
        self._ready = threading.Event()
        self._abandoned = False
        self._should_reconnect_now = False
        self._last_tick_at = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)

    def start(self) -> None:
        self._last_tick_at = time.monotonic()
        self._thread.start()

    @property
    def frame_age_seconds(self) -> float | None:
        """Since the last frame; None before the first connection."""
        client = self._client
        return None if client is None else time.monotonic() - client.last_frame_at

    @property
    def unresponsive_seconds(self) -> float:
        """Seconds since the last tick; 0 if the thread has not started or was stopped."""
        if self._thread.ident is None or (self._stopping is not None and self._stopping.is_set()):
            return 0
        return time.monotonic() - self._last_tick_at

    def stop(self, *, seconds: float) -> bool:
        if not self._thread.is_alive():
            return True
        self._ready.wait(seconds)
        loop, stopping = self._loop, self._stopping
        if loop is not None and stopping is not None and not loop.is_closed():
            loop.call_soon_threadsafe(stopping.set)
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def reconnect(self) -> None:
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._drop_connection)

    def abandon(self) -> None:
        """End a thread whose loop is blocked: close its socket. If the loop resumes, it stops."""
        self._abandoned = True
        if self._client is not None:
            self._client.abort()
        if self._loop is not None and self._stopping is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stopping.set)

    def _report(self, connection: ConnectionStatus) -> None:
        if not self._abandoned:
            self._on_connection_change(connection)

    def _drop_connection(self) -> None:
        self._should_reconnect_now = True
        if self._client is not None:
            self._client.abort()

    def _run(self) -> None:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        self._loop, self._stopping = loop, asyncio.Event()
        self._ready.set()
        try:
            loop.run_until_complete(self._listen(self._stopping))
        except Exception:
            log.exception("listener.crashed")
            self._report(
                ConnectionStatus(state=ConnectionState.LOST, detail="the listener crashed; see the log")
            )
        finally:
            tasks = asyncio.all_tasks(loop)
            for task in tasks:
                task.cancel()
            loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            loop.close()

    async def _tick(self) -> None:
        while True:
            self._last_tick_at = time.monotonic()
            await asyncio.sleep(TICK_SECONDS)

    async def _listen(self, stopping: asyncio.Event) -> None:
        ticking = asyncio.ensure_future(self._tick())
        stop = asyncio.ensure_future(stopping.wait())
        pause = FIRST_PAUSE_SECONDS
        self._report(ConnectionStatus(state=ConnectionState.CONNECTING))
        while not stopping.is_set():
            session = asyncio.ensure_future(self._run_connection())
            await asyncio.wait({session, stop}, return_when=asyncio.FIRST_COMPLETED)
            if stopping.is_set():
                await self._close_client(session)
                break
            ended = session.result()
            self._report(ended.connection)
            if self._should_reconnect_now:
                self._should_reconnect_now, pause = False, FIRST_PAUSE_SECONDS
                continue
            pause = FIRST_PAUSE_SECONDS if ended.duration_seconds >= STABLE_SECONDS else pause
            await asyncio.wait({stop}, timeout=pause * random.uniform(0.5, 1.0))  # noqa: S311 - spread, not secrecy
            pause = min(pause * 2, MAX_PAUSE_SECONDS)
        ticking.cancel()

    async def _close_client(self, session: "asyncio.Future[_EndedConnection]") -> None:
        if self._client is not None:
            try:
                await asyncio.wait_for(self._client.shut_down(), CLOSE_SECONDS)
            except Exception as error:  # noqa: BLE001 - it ends either way
                log.warning("connection.close_timed_out", extra={"reason": type(error).__name__})
        session.cancel()
        await asyncio.wait({session})

    async def _run_connection(self) -> "_EndedConnection":
        """Run one connection, from discovery to its end. An unexpected error ends it too; the caller connects again."""
        try:
            return await self._connect_and_serve()
        except ConnectionRefused as refusal:
            return _EndedConnection(ConnectionStatus(state=ConnectionState.REFUSED, detail=str(refusal)), 0)
        except ConnectFailed as reason:
            return _lost_connection(f"cannot connect: {reason}")
        except Exception as error:
            log.exception("connection.failed")
            return _lost_connection(f"{type(error).__name__}; see the log")

    async def _connect_and_serve(self) -> "_EndedConnection":
        self._last_tick_at += SDK_IMPORT_SECONDS
        with without_api_clients():
            from notifier.feishu.long_connection.client import LongConnectionClient  # noqa: PLC0415 - the SDK is imported here only

        self._last_tick_at = time.monotonic()
        endpoint = await discover(self._access)
        client = self._client = LongConnectionClient(
            app_id=self._access.app_id,
            accept=self._accept,
            logged_unknown_types=self._logged_unknown_types,
        )
        try:
            await _connect(client, endpoint)
            started = time.monotonic()
            self._report(ConnectionStatus(state=ConnectionState.CONNECTED))
            reason = await client.serve()
        finally:  # a stop can also cancel the close handshake
            client.discard()
        return _lost_connection(_without_secrets(reason), duration_seconds=time.monotonic() - started)


async def _connect(client: "LongConnectionClient", endpoint: Endpoint) -> None:
    try:
        await client.connect_once(endpoint)
    except ConnectionRefused:
        raise
    except Exception as error:  # any other error is temporary
        raise ConnectFailed(
            f"{type(error).__name__}: {_without_secrets(str(error))}{_proxy_hint()}"
        ) from error


@dataclass(frozen=True, slots=True)
class _EndedConnection:
    connection: ConnectionStatus
    duration_seconds: float


def _lost_connection(reason: str, *, duration_seconds: float = 0) -> _EndedConnection:
    return _EndedConnection(ConnectionStatus(state=ConnectionState.LOST, detail=reason), duration_seconds)


def _without_secrets(text: str) -> str:
    """Errors of the socket libraries quote the address, and its query contains the ticket."""
    return text.split("?", 1)[0][:200]


def _proxy_hint() -> str:
    """Return a hint if a proxy is set: discovery uses it, but the SDK's socket does not."""
    if not {"https", "all"} & set(getproxies()):
        return ""
    return " (a proxy is set, but the long connection does not use it: if it must, use feishu.transport: webhook)"
