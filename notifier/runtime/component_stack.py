"""Named components, stopped in the reverse order of their start."""

import contextlib
import functools
import inspect
import logging
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self, TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")


class ComponentStack:
    """Stops what was started, the newest component first. Use as an async context manager.

    Every stop is logged with the name of the component: `component.stopped` (debug) or `component.stop_failed` (error).
    A failed stop does not keep the other components from stopping; its error is raised after the last stop.
    """

    def __init__(self) -> None:
        self._exit_stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._exit_stack.__aenter__()
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        return bool(await self._exit_stack.__aexit__(error_type, error, traceback))

    def add(self, name: str, stop: Callable[[], Awaitable[object] | object]) -> None:
        """Registers the stop of a component that is started. `stop` may be a coroutine function."""
        self._exit_stack.push_async_exit(
            functools.partial(_exit, name, lambda *_: stop(), can_suppress=False)
        )

    def enter(self, name: str, manager: contextlib.AbstractContextManager[T]) -> T:
        """Starts a component that is a context manager. Returns what the manager provides."""
        value = manager.__enter__()
        self._exit_stack.push_async_exit(functools.partial(_exit, name, manager.__exit__, can_suppress=True))
        return value

    async def enter_async(self, name: str, manager: contextlib.AbstractAsyncContextManager[T]) -> T:
        """Starts a component that is an async context manager. Returns what the manager provides."""
        value = await manager.__aenter__()
        self._exit_stack.push_async_exit(functools.partial(_exit, name, manager.__aexit__, can_suppress=True))
        return value


async def _exit(name: str, leave: Callable[..., Any], *details: object, can_suppress: bool) -> bool:
    try:
        result = leave(*details)
        if inspect.isawaitable(result):
            result = await result
    except Exception as error:
        log.error("component.stop_failed", extra={"component": name, "reason": type(error).__name__})
        raise
    log.debug("component.stopped", extra={"component": name})
    return can_suppress and bool(result)
