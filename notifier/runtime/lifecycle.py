"""Lifecycle: how a start waits and how a stop goes, step by step and in bounded time."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from typing import Protocol

from notifier.clock import Clock, to_millis
from notifier.errors import AppSuspended, CallError, NotAuthorised
from notifier.feishu.api import FeishuApi
from notifier.feishu.referral_accounts import NONEXISTENT_ACCOUNT_ID, FeishuReferralAccounts
from notifier.flow.worker import Worker
from notifier.store import workers
from notifier.store.engine.database import Database

log = logging.getLogger(__name__)

STOP_SECONDS = 2.5
"""For each of the three things a stop waits for: the listener's goodbye, the steps' turns, the calls in flight."""


PROBE_SECONDS = 30.0


class Drainable(Protocol):
    async def drain(self, seconds: float) -> None:
        """Lets calls in flight finish, for so long."""


async def stop_workers(workers: Iterable[Worker]) -> None:
    await asyncio.gather(*(worker.stop(seconds=STOP_SECONDS) for worker in workers))


async def write_last_heartbeat(write_heartbeat: Callable[[], Coroutine[None, None, float]]) -> None:
    """A database that cannot be written now is no reason to end badly: nothing hangs on this."""
    try:
        await asyncio.wait_for(write_heartbeat(), STOP_SECONDS / 2)
    except Exception as error:  # noqa: BLE001 - see above
        log.warning("notifier.last_heartbeat_failed", extra={"reason": type(error).__name__})


async def drain_all(*workers: Drainable) -> None:
    await asyncio.gather(*(worker.drain(STOP_SECONDS) for worker in workers))


async def was_stopped_during(stop: asyncio.Event, work: Coroutine[None, None, None]) -> bool:
    """Does the work, unless we are asked to stop first. Raises what the work raises."""
    working, stopping = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if working.done():
        await working
        return False
    working.cancel()
    await asyncio.wait({working})
    return True


async def fetch_first_token(api: FeishuApi, when_refused: str) -> None:
    """A wrong secret is said at once; a network that is away for now is not a reason to stop.

    Raises NotAuthorised, unless we are to go on asking.
    """
    try:
        await api.token()
    except (NotAuthorised, AppSuspended) as error:
        if when_refused != "retry":
            raise NotAuthorised(error.reason, code=error.code, log_id=error.log_id) from error
    except CallError as error:
        log.warning("feishu.token_request_failed", extra={"reason": str(error)})


@contextlib.asynccontextmanager
async def registered_worker(database: Database, worker_id: str, clock: Clock) -> AsyncIterator[None]:
    """A row for this process, which says why when Feishu's refusal ends it."""
    started_at = to_millis(clock.now())
    await asyncio.wrap_future(database.write(lambda c: workers.register_worker(c, worker_id, now=started_at)))
    try:
        yield
    except NotAuthorised as error:
        reason = str(error)
        now = to_millis(clock.now())
        await asyncio.wrap_future(
            database.write(lambda c: workers.mark_refused(c, worker_id, reason, now=now))
        )
        raise


async def probe_app_access(api: FeishuApi) -> float:
    """While Feishu takes nothing from us, whether it does again. Seconds until the next question."""
    if api.app_status.refusal_reason is not None:
        with contextlib.suppress(CallError):
            await FeishuReferralAccounts(api).read(NONEXISTENT_ACCOUNT_ID)
    return PROBE_SECONDS


@contextlib.contextmanager
def stop_on_signals(stop: asyncio.Event) -> Iterator[None]:
    """SIGTERM and SIGINT ask for a clean stop; where signals cannot be had (another thread), stop is all there is."""
    loop = asyncio.get_running_loop()
    signal_numbers = (signal.SIGTERM, signal.SIGINT)
    try:
        for number in signal_numbers:
            loop.add_signal_handler(number, stop.set)
    except (NotImplementedError, RuntimeError, ValueError):
        yield
        return
    try:
        yield
    finally:
        for number in signal_numbers:
            loop.remove_signal_handler(number)
