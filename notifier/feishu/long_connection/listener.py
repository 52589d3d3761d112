"""The listener: keeps one long connection open, in a thread and an event loop of its own.

Neither a slow database nor the SDK's habits can hold up the rest, and the rest cannot hold up pings and answers. A
thread whose loop turns no more is left behind, and another takes its place.
"""

import asyncio
import logging
import random
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from urllib.request import getproxies

from notifier.domain.event import Event
from notifier.feishu.api import AppAccess
from notifier.feishu.long_connection.discovery import ConnectFailed, ConnectionRefused, discover

if TYPE_CHECKING:
    from notifier.feishu.long_connection.sdk_client import LongConnectionClient

log = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 1.0
MAX_PAUSE_SECONDS = 20.0
"""With discovery's and the handshake's limits a try takes 45 s at most, so we are back within a minute."""

STABLE_SECONDS = 60.0
"""A connection that lived this long earns the short pause again."""

TICK_SECONDS = 1.0
STALLED_SECONDS = 30.0
"""A loop that has not turned for so long is taken for dead."""

SDK_IMPORT_SECONDS = 60.0
"""Importing the SDK holds the loop up: 2 s, and much more on a machine that is starting everything at once."""


class ConnectionState(StrEnum):
    CONNECTING = "connecting"
    CONNECTED = "connected"
    LISTENING = "listening"
    """No connection of ours: Feishu posts to an address here, which is open."""
    LOST = "lost"
    REFUSED = "refused"
    """Feishu said no for a reason that time alone does not change; we keep asking, slowly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionStatus:
    """detail: why, for a person; never an address with tickets in it."""

    state: ConnectionState
    detail: str = ""


Accept = Callable[[Event], "Future[Any]"]
OnConnectionChange = Callable[[ConnectionStatus], None]


class Listener:
    """accept: stores an event; called from the listener's thread. Its future resolves once the event is committed,
    and fails when it could not be. The result is a Mapping[str, Any] to answer a card callback with ({"toast": {...},
    "card": {...}}, both optional, plain dicts inside), or None: nothing to say, and for all other events. A card
    callback is answered without the result if that takes longer than Feishu waits; the future is never cancelled.
    tell: hears each change of the connection; called from the listener's thread.
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
        self._current.start()

    def stop(self, *, seconds: float) -> bool:
        """Hangs up and ends the thread. False if it did not end in time. Safe to call twice."""
        return self._current.stop(seconds=seconds)

    def reconnect(self) -> None:
        """Gives up the connection there is, as events do not come through it; another is made at once."""
        self._current.reconnect()

    def watch(self) -> None:
        """To be called every few seconds: replaces a thread whose loop turns no more. Raises RuntimeError where there
        can be no new thread now.
        """
        unresponsive_seconds = self._current.unresponsive_seconds
        if unresponsive_seconds < self._stalled_seconds:
            return
        log.error("listener.stalled", extra={"seconds": round(unresponsive_seconds)})
        self._on_connection_change(
            ConnectionStatus(
                state=ConnectionState.LOST,
                detail=f"the listener stood still for {unresponsive_seconds:.0f} s",
            )
        )
        stalled, fresh = self._current, self._new_thread()
        fresh.start()  # where there can be no thread now, the stalled one stays, to be found again
        self._current = fresh
        stalled.abandon()

    def _new_thread(self) -> "_ListenerThread":
        return _ListenerThread(
            self._access, accept=self._accept, on_connection_change=self._on_connection_change
        )


class _ListenerThread:
    """One thread with one loop, which makes one connection after the other."""

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
    def unresponsive_seconds(self) -> float:
        """0 for a thread that has not been started, or was stopped."""
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
        """Its loop does not turn, so nothing can be asked of it; should it turn again, it finds that it is over."""
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
                ConnectionStatus(state=ConnectionState.LOST, detail="the listener died; see the log")
            )
        finally:
            for task in asyncio.all_tasks(loop):
                task.cancel()
            loop.run_until_complete(asyncio.sleep(0))
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
                await asyncio.wait_for(self._client.shut_down(), 2)
            except Exception as error:  # noqa: BLE001 - it ends either way
                log.warning("connection.close_timed_out", extra={"reason": type(error).__name__})
        session.cancel()
        await asyncio.wait({session})

    async def _run_connection(self) -> "_EndedConnection":
        """From discovery to the end of one connection. What nobody foresaw ends it too, and it is made again."""
        try:
            return await self._connect_and_serve()
        except ConnectionRefused as step:
            return _EndedConnection(ConnectionStatus(state=ConnectionState.REFUSED, detail=str(step)), 0)
        except ConnectFailed as reason:
            return _lost_connection(f"cannot connect: {reason}")
        except Exception as error:
            log.exception("connection.failed")
            return _lost_connection(f"{type(error).__name__}; see the log")

    async def _connect_and_serve(self) -> "_EndedConnection":
        self._last_tick_at += SDK_IMPORT_SECONDS
        from notifier.feishu.long_connection import sdk_client  # noqa: PLC0415 - the SDK costs 2 s and 170 MB: only here

        self._last_tick_at = time.monotonic()
        endpoint = await discover(self._access)
        loop = asyncio.get_running_loop()
        sdk_client.use_loop(loop)
        _silence_sdk_logger()
        client = self._client = sdk_client.LongConnectionClient(
            app_id=self._access.app_id,
            app_secret=self._access.app_secret,
            base_url=self._access.base_url,
            store=self._store,
            logged_unknown_types=self._logged_unknown_types,
        )
        try:
            await client.connect_once(endpoint)
        except ConnectionRefused:
            raise
        except Exception as error:  # whatever kept us from connecting, we try again
            raise ConnectFailed(
                f"{type(error).__name__}: {_without_secrets(str(error))}{_proxy_hint()}"
            ) from error
        started = loop.time()
        self._report(ConnectionStatus(state=ConnectionState.CONNECTED))
        reason = await client.serve()
        return _lost_connection(_without_secrets(reason), duration_seconds=loop.time() - started)

    async def _store(self, event: Event) -> Mapping[str, Any] | None:
        """Shielded: the end of the connection must not take back what waits for its commit: a click comes once."""
        document: Mapping[str, Any] | None = await asyncio.shield(asyncio.wrap_future(self._accept(event)))
        return document


@dataclass(frozen=True, slots=True)
class _EndedConnection:
    connection: ConnectionStatus
    duration_seconds: float


def _lost_connection(reason: str, *, duration_seconds: float = 0) -> _EndedConnection:
    return _EndedConnection(ConnectionStatus(state=ConnectionState.LOST, detail=reason), duration_seconds)


def _without_secrets(text: str) -> str:
    """Errors of the socket libraries like to quote the address, and its query holds the ticket."""
    return text.split("?", 1)[0][:200]


def _proxy_hint() -> str:
    """Discovery honours the environment's proxy, the SDK's socket does not: half of it works, which puzzles people."""
    if not {"https", "all"} & set(getproxies()):
        return ""
    return " (a proxy is set, but the long connection goes without: where it must not, use feishu.transport: webhook)"


def _silence_sdk_logger() -> None:
    """The SDK logs to stdout, with the whole address and its ticket. What ends a connection, we tell ourselves."""
    sdk_log = logging.getLogger("Lark")
    for handler in list(sdk_log.handlers):
        sdk_log.removeHandler(handler)
    sdk_log.setLevel(logging.CRITICAL)
