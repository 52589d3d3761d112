"""A sandbox that runs in its own thread, and ways to call it from others."""

import asyncio
import concurrent.futures
import copy
import threading
import time
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

from notifier.sandbox.control.server import serving
from notifier.sandbox.control.tls import TlsUnavailableError
from notifier.sandbox.payroll import BadPayoutError
from notifier.sandbox.push.webhook import BadWebhookError
from notifier.sandbox.sandbox import Sandbox
from notifier.sandbox.saved_state import BadStateFileError
from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.world.world import BadWorldError, World

_T = TypeVar("_T")
START_SECONDS = 20.0


class ChangeCounter:
    """The number of changes so far, for threads that wait for the next one."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._number = 0

    def read(self) -> int:
        """The number of changes."""
        with self._changed:
            return self._number

    def add(self) -> None:
        """Counts a change."""
        with self._changed:
            self._number += 1
            self._changed.notify_all()

    def wait(self, seen: int, seconds: float) -> None:
        """Waits until there are other changes than those `seen`, at most `seconds`."""
        with self._changed:
            self._changed.wait_for(lambda: self._number != seen, seconds)


class SandboxThread:
    """Runs a sandbox in a thread. Its subclass offers the calls."""

    def __init__(self, settings: SandboxSettings | None = None) -> None:
        self.settings = settings or SandboxSettings()
        self.url = ""
        self._world: World | None = None
        self._app_id = ""  # of the app that the calls are about, "" for the first one
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread: threading.Thread | None = None
        self._changes = ChangeCounter()

    def start(self) -> Self:
        """Starts the sandbox and waits until `url` is set.

        Raises OSError for a port in use, BadPayoutError, BadWebhookError, BadStateFileError and BadWorldError for a
        wrong setting.
        """
        started: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._thread = threading.Thread(target=self._run, args=(started,), name="feishu-box", daemon=True)
        self._thread.start()
        started.result(START_SECONDS)
        return self

    def stop(self) -> None:
        """Stops the sandbox. A second call has no effect."""
        if self._thread is None:
            return
        if self._loop is not None and self._stop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(START_SECONDS)
        self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def wait_for(self, predicate: Callable[[], _T], description: str, timeout: float = 10) -> _T:
        """Waits until the predicate returns a true value, and returns it.

        It calls the predicate after each change of the sandbox, and ten times a second, because the predicate can
        check other things too. timeout: in seconds. Raises TimeoutError with the description.
        """
        deadline = time.monotonic() + timeout
        while True:
            seen = self._changes.read()
            found = predicate()
            if found:
                return found
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise TimeoutError(f"not within {timeout} s: {description}")
            self._changes.wait(seen, min(remaining, 0.1))

    async def wait_for_async(
        self, predicate: Callable[[], _T], description: str, within_seconds: float = 10
    ) -> _T:
        """`wait_for` for coroutines: it does not block the event loop, and calls the predicate in another thread."""
        return await asyncio.to_thread(self.wait_for, predicate, description, within_seconds)

    def _read(self, operation: Callable[[Sandbox], _T]) -> _T:
        async def in_loop(sandbox: Sandbox) -> _T:
            return operation(sandbox)

        return self._await(in_loop)

    def _call(self, operation: Callable[[Sandbox], _T]) -> _T:
        async def in_loop(sandbox: Sandbox) -> _T:
            result = operation(sandbox)
            sandbox.tenant.bump_revision()
            return result

        return self._await(in_loop)

    def _call_world(self, operation: Callable[[World], _T]) -> _T:
        async def in_loop(world: World) -> _T:
            return operation(world)

        return self._await_in_world(in_loop)

    def _await(self, operation: Callable[[Sandbox], Coroutine[Any, Any, _T]]) -> _T:
        return self._await_in_world(lambda world: operation(world.sandbox(self._app_id)))

    def _await_in_world(self, operation: Callable[[World], Coroutine[Any, Any, _T]]) -> _T:
        async def in_loop(world: World) -> _T:
            return await operation(world)

        if self._loop is None or self._world is None:
            raise RuntimeError("the sandbox is not started")
        return asyncio.run_coroutine_threadsafe(in_loop(self._world), self._loop).result(60)

    def for_app(self, app_id: str) -> Self:
        """The same sandbox, with calls about another app. Raises UnknownAppError."""

        async def check(world: World) -> None:
            world.sandbox(app_id)

        self._await_in_world(check)
        box = copy.copy(self)
        box._app_id = app_id  # noqa: SLF001 - of the same class
        return box

    def _run(self, started: "concurrent.futures.Future[None]") -> None:
        asyncio.run(self._serve(started))

    async def _serve(self, started: "concurrent.futures.Future[None]") -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        try:
            async with serving(self.settings) as (self._world, self.url):
                self._world.watchers.append(self._changes.add)
                started.set_result(None)
                await self._stop.wait()
        except (
            OSError,
            BadPayoutError,
            BadWebhookError,
            BadStateFileError,
            BadWorldError,
            TlsUnavailableError,
        ) as error:  # the port is in use, or a setting is invalid
            if started.done():
                raise
            started.set_exception(error)
