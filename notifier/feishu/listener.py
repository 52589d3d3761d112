"""The listener: keeps one long connection open, in a thread and an event loop of its own.

Neither a slow database nor the SDK's habits can hold up the rest, and the rest cannot hold up pings and answers.
"""

import asyncio
import logging
import random
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from notifier.domain.event import Event
from notifier.feishu.api import AppAccess

if TYPE_CHECKING:
    from notifier.feishu.sdk_client import StoringClient

log = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
STEADY_SECONDS = 60.0
"""A connection that lived this long earns the short pause again."""

FATAL_STEPS = {
    1000040344: "app id or secret is empty: set feishu.app_id and feishu.app_secret",
    1000040345: "the app id or secret is wrong: check feishu.app_id and feishu.app_secret",
    1000040350: "50 connections of this app are open already: stop other clients of the same app",
    1000040351: "a Feishu app at Lark's address or the reverse: try https://open.feishu.cn or "
    "https://open.larksuite.com as feishu.base_url",
    403: "Feishu forbids the connection: is the app enabled, and is it a self-built one?",
}


class ConnectionState(StrEnum):
    CONNECTING = "connecting"
    CONNECTED = "connected"
    LISTENING = "listening"
    """No connection of ours: Feishu posts to an address here, which is open."""
    LOST = "lost"
    REFUSED = "refused"
    """Feishu said no for a reason that time alone does not change; we keep asking, slowly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """detail: why, for a person; never an address with tickets in it."""

    state: ConnectionState
    detail: str = ""


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
        accept: Callable[[Event], "Future[Any]"],
        tell: Callable[[Connection], None],
    ) -> None:
        self._access = access
        self._accept = accept
        self._tell = tell
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._client: StoringClient | None = None
        self._told_unknown: set[str] = set()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, *, seconds: float) -> bool:
        """Hangs up and ends the thread. False if it did not end in time. Safe to call twice."""
        if not self._thread.is_alive():
            return True
        self._ready.wait(seconds)
        loop, stopping = self._loop, self._stopping
        if loop is not None and stopping is not None and not loop.is_closed():
            loop.call_soon_threadsafe(stopping.set)
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        self._loop, self._stopping = loop, asyncio.Event()
        self._ready.set()
        try:
            loop.run_until_complete(self._listen(self._stopping))
        except Exception:
            log.exception("listener.died")
            self._tell(Connection(state=ConnectionState.LOST, detail="the listener died; see the log"))
        finally:
            for task in asyncio.all_tasks(loop):
                task.cancel()
            loop.run_until_complete(asyncio.sleep(0))
            loop.close()

    async def _listen(self, stopping: asyncio.Event) -> None:
        stop = asyncio.ensure_future(stopping.wait())
        pause = FIRST_PAUSE_SECONDS
        while not stopping.is_set():
            self._tell(Connection(state=ConnectionState.CONNECTING))
            session = asyncio.ensure_future(self._one_connection())
            await asyncio.wait({session, stop}, return_when=asyncio.FIRST_COMPLETED)
            if stopping.is_set():
                await self._hang_up(session)
                return
            ended = session.result()
            self._tell(ended.connection)
            pause = FIRST_PAUSE_SECONDS if ended.lived_seconds >= STEADY_SECONDS else pause
            await asyncio.wait({stop}, timeout=pause * random.uniform(0.5, 1.0))  # noqa: S311 - spread, not secrecy
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    async def _hang_up(self, session: "asyncio.Future[_Ended]") -> None:
        if self._client is not None:
            try:
                await asyncio.wait_for(self._client.hang_up(), 2)
            except Exception as error:  # noqa: BLE001 - it ends either way
                log.warning("connection.slow_goodbye", extra={"reason": type(error).__name__})
        session.cancel()
        await asyncio.wait({session})

    async def _one_connection(self) -> "_Ended":
        """From discovery to the end of one connection. What nobody foresaw ends it too, and it is made again."""
        try:
            return await self._connect_and_serve()
        except Exception as error:
            log.exception("connection.failed")
            return _Ended(
                Connection(state=ConnectionState.LOST, detail=f"{type(error).__name__}; see the log"), 0
            )

    async def _connect_and_serve(self) -> "_Ended":
        from notifier.feishu import sdk_client  # noqa: PLC0415 - the SDK costs 2 s and 170 MB: only here

        loop = asyncio.get_running_loop()
        sdk_client.use_loop(loop)
        _tame_sdk_logger()
        started = loop.time()
        client = self._client = sdk_client.StoringClient(
            app_id=self._access.app_id,
            app_secret=self._access.app_secret,
            base_url=self._access.base_url,
            store=self._store,
            told_unknown=self._told_unknown,
        )
        try:
            await client.connect_once()
        except sdk_client.ClientException as error:
            step = FATAL_STEPS.get(error.code, "check the app in the developer console")
            return _Ended(Connection(state=ConnectionState.REFUSED, detail=f"{step} (code {error.code})"), 0)
        except Exception as error:  # noqa: BLE001 - whatever kept us from connecting, we try again
            detail = f"{type(error).__name__}: {_without_secrets(str(error))}"
            return _Ended(Connection(state=ConnectionState.LOST, detail=f"cannot connect: {detail}"), 0)
        self._tell(Connection(state=ConnectionState.CONNECTED))
        await client.serve()
        return _Ended(
            Connection(state=ConnectionState.LOST, detail="the connection ended"), loop.time() - started
        )

    async def _store(self, event: Event) -> Mapping[str, Any] | None:
        """Shielded: the end of the connection must not take back what waits for its commit: a click comes once."""
        document: Mapping[str, Any] | None = await asyncio.shield(asyncio.wrap_future(self._accept(event)))
        return document


@dataclass(frozen=True, slots=True)
class _Ended:
    connection: Connection
    lived_seconds: float


def _without_secrets(text: str) -> str:
    """Errors of the socket libraries like to quote the address, and its query holds the ticket."""
    return text.split("?", 1)[0][:200]


def _tame_sdk_logger() -> None:
    """The SDK logs to stdout, with the whole address and its ticket. What ends a connection, we tell ourselves."""
    sdk_log = logging.getLogger("Lark")
    for handler in list(sdk_log.handlers):
        sdk_log.removeHandler(handler)
    sdk_log.setLevel(logging.CRITICAL)
