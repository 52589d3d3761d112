"""Component stack: components stop in reverse order, and the log names each of them."""

import contextlib
import functools
import logging
from collections.abc import AsyncIterator, Iterator

import pytest

from notifier.runtime.component_stack import ComponentStack


@contextlib.contextmanager
def managed(value: str) -> Iterator[str]:
    yield value


@contextlib.asynccontextmanager
async def managed_async(value: str) -> AsyncIterator[str]:
    yield value


async def fail() -> None:
    raise OSError("disk")


def stops(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(record.getMessage(), vars(record)["component"]) for record in caplog.records]


async def test_components_stop_in_reverse_order_and_by_name(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "notifier")
    stopped: list[str] = []

    async def stop_second() -> None:
        stopped.append("second")

    async with ComponentStack() as components:
        components.add("first", functools.partial(stopped.append, "first"))
        components.add("second", stop_second)
        assert "lock" == components.enter("third", managed("lock"))
        assert "client" == await components.enter_async("fourth", managed_async("client"))
        assert [] == stopped

    assert ["second", "first"] == stopped
    assert [("component.stopped", name) for name in ("fourth", "third", "second", "first")] == stops(caplog)


async def test_a_failed_stop_is_named_and_keeps_no_other_from_stopping(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "notifier")
    stopped: list[str] = []

    async def run() -> None:
        async with ComponentStack() as components:
            components.add("first", functools.partial(stopped.append, "first"))
            components.add("second", fail)

    with pytest.raises(OSError, match="disk"):
        await run()

    assert ["first"] == stopped
    assert [("component.stop_failed", "second"), ("component.stopped", "first")] == stops(caplog)


async def test_an_error_reaches_the_context_managers_and_the_caller(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "notifier")
    seen: list[str] = []

    @contextlib.asynccontextmanager
    async def watching() -> AsyncIterator[None]:
        try:
            yield
        except ValueError as error:
            seen.append(str(error))
            raise

    async def run() -> None:
        async with ComponentStack() as components:
            await components.enter_async("registration", watching())
            components.add("server", lambda: True)  # a result of a stop suppresses no error
            raise ValueError("no address")

    with pytest.raises(ValueError, match="no address"):
        await run()

    assert ["no address"] == seen
    assert [("component.stopped", "server")] == stops(caplog)[:1]
