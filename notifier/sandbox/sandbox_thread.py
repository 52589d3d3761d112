"""A sandbox that runs in its own thread, and ways to call it from others."""

import asyncio
import concurrent.futures
import threading
import time
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

from notifier.sandbox.control.server import serving
from notifier.sandbox.payroll import BadPayoutError
from notifier.sandbox.push.webhook import BadWebhookError
from notifier.sandbox.sandbox import Sandbox
from notifier.sandbox.saved_state import BadStateFileError
from notifier.sandbox.settings import SandboxSettings

_T = TypeVar("_T")
START_SECONDS = 20.0


class SandboxThread:
    """Runs a sandbox in a thread. Its subclass offers the calls."""

    def __init__(self, settings: SandboxSettings | None = None) -> None:
        self.settings = settings or SandboxSettings()
        self.url = ""
        self._sandbox: Sandbox | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread: threading.Thread | None = None
        self._changed = threading.Condition()
        self._revision = 0

    def start(self) -> Self:
        """Starts the sandbox and waits until `url` is set.

        Raises OSError for a port in use, BadPayoutError, BadWebhookError and BadStateFileError for a wrong
        setting.
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
            with self._changed:
                seen = self._revision
            found = predicate()
            if found:
                return found
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise TimeoutError(f"not within {timeout} s: {description}")
            with self._changed:
                self._changed.wait_for(lambda seen=seen: self._revision != seen, min(remaining, 0.1))  # type: ignore[misc]

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

    def _await(self, operation: Callable[[Sandbox], Coroutine[Any, Any, _T]]) -> _T:
        if self._loop is None or self._sandbox is None:
            raise RuntimeError("the sandbox is not started")
        return asyncio.run_coroutine_threadsafe(operation(self._sandbox), self._loop).result(60)

    def _run(self, started: "concurrent.futures.Future[None]") -> None:
        asyncio.run(self._serve(started))

    async def _serve(self, started: "concurrent.futures.Future[None]") -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        try:
            async with serving(self.settings) as (self._sandbox, self.url):
                self._sandbox.tenant.watchers.append(self._on_change)
                started.set_result(None)
                await self._stop.wait()
        except (
            OSError,
            BadPayoutError,
            BadWebhookError,
            BadStateFileError,
        ) as error:  # the port is in use, or a setting is invalid
            if started.done():
                raise
            started.set_exception(error)

    def _on_change(self, revision: int) -> None:
        with self._changed:
            self._revision = revision
            self._changed.notify_all()
