"""Steps of the start and the stop, each with a limited duration."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Protocol

from notifier.clock import Clock, to_millis
from notifier.errors import AppSuspended, CallError, NotAuthorised
from notifier.feishu.api import FeishuApi
from notifier.feishu.referral_accounts import NONEXISTENT_ACCOUNT_ID, FeishuReferralAccounts
from notifier.store.engine.database import Database
from notifier.store.processes import workers
from notifier.store.processes.workers import NewWorker

log = logging.getLogger(__name__)

STOP_SECONDS = 2.5
"""The limit for each part of a stop: closing the connection, the workers' current runs, and the running calls."""

PROBE_SECONDS = 30.0
"""The pause between two test calls while Feishu rejects the app."""


class Drainable(Protocol):
    """A component with running calls to another system."""

    async def drain(self, seconds: float) -> bool:
        """Waits up to `seconds` for the running calls. Returns whether all ended."""


async def write_last_heartbeat(write_last: Callable[[], Coroutine[None, None, None]]) -> None:
    """Writes the final heartbeat. A failure is only logged: no other component depends on this row."""
    try:
        await asyncio.wait_for(write_last(), STOP_SECONDS / 2)
    except Exception as error:  # noqa: BLE001 - see above
        log.warning("notifier.last_heartbeat_failed", extra={"reason": type(error).__name__})


async def drain_all(*components: Drainable) -> bool:
    """Waits up to `STOP_SECONDS` for the running calls of all components together. Returns whether all ended."""
    return all(await asyncio.gather(*(component.drain(STOP_SECONDS) for component in components)))


async def was_stopped_during(stop: asyncio.Event, work: Coroutine[None, None, None]) -> bool:
    """Does the work, unless `stop` is set first. Returns True if it was. Raises the errors of the work."""
    work_task, stop_task = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    await asyncio.wait({work_task, stop_task}, return_when=asyncio.FIRST_COMPLETED)
    stop_task.cancel()
    if work_task.done():
        await work_task
        return False
    work_task.cancel()
    await asyncio.wait({work_task})
    return True


async def fetch_first_token(api: FeishuApi, when_refused: str) -> None:
    """Fetches the first access token, so that a wrong secret is reported at once.

    An unreachable network is only logged, because it may return. when_refused: the setting `feishu.when_refused`.
    Raises NotAuthorised if Feishu rejects the app, unless `when_refused` is "retry".
    """
    try:
        await api.token()
    except (NotAuthorised, AppSuspended) as error:
        if when_refused != "retry":
            raise NotAuthorised(error.reason, code=error.code, log_id=error.log_id) from error
    except CallError as error:
        log.warning("feishu.token_request_failed", extra={"reason": str(error)})


@contextlib.asynccontextmanager
async def registered_worker(database: Database, worker: NewWorker, clock: Clock) -> AsyncIterator[None]:
    """Adds a row for this process to `workers`. If NotAuthorised ends the process, the row keeps the reason."""
    started_at = to_millis(clock.now())
    await asyncio.wrap_future(database.write(lambda c: workers.register_worker(c, worker, now=started_at)))
    try:
        yield
    except NotAuthorised as error:
        reason = str(error)
        now = to_millis(clock.now())
        await asyncio.wrap_future(
            database.write(lambda c: workers.mark_refused(c, worker.worker_id, reason, now=now))
        )
        raise


async def probe_app_access(api: FeishuApi) -> float:
    """Makes a test call while Feishu rejects the app, to see when this ends. Returns the seconds until the next run.

    The call reads an account that does not exist, so it changes nothing.
    """
    if api.app_status.refusal_reason is not None:
        with contextlib.suppress(CallError):
            await FeishuReferralAccounts(api).read(NONEXISTENT_ACCOUNT_ID)
    return PROBE_SECONDS


@contextlib.contextmanager
def stop_on_signals(stop: asyncio.Event) -> Iterator[None]:
    """Sets `stop` on SIGTERM and SIGINT. Outside the main thread there are no signals, and this does nothing.

    At the end the earlier handlers apply again. asyncio alone would leave SIGTERM to its default, so that a second one,
    just before the exit, would make the exit code 143.
    """
    loop = asyncio.get_running_loop()
    earlier = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        for number in earlier:
            loop.add_signal_handler(number, stop.set)
    except (NotImplementedError, RuntimeError, ValueError):
        yield
        return
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, earlier)
        for number, handler in earlier.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler or signal.SIG_DFL)  # None: not set by Python
        signal.pthread_sigmask(signal.SIG_UNBLOCK, earlier)
