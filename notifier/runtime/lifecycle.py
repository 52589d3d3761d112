"""Lifecycle: how a start waits and how a stop goes, step by step and in bounded time."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from typing import Protocol

from notifier.clock import Clock, to_millis
from notifier.errors import AppStopped, CallError, NotAuthorised
from notifier.feishu.api import FeishuApi
from notifier.feishu.referral_accounts import NO_SUCH_ACCOUNT, ReferralAccounts
from notifier.flow.worker import Step
from notifier.store import workers
from notifier.store.engine.database import Database

log = logging.getLogger(__name__)

STOP_SECONDS = 2.5
"""For each of the three things a stop waits for: the listener's goodbye, the steps' turns, the calls in flight."""


REFUSED_SECONDS = 30.0


class Draining(Protocol):
    async def drain(self, seconds: float) -> None:
        """Lets calls in flight finish, for so long."""


async def stop_all(steps: Iterable[Step]) -> None:
    await asyncio.gather(*(step.stop(seconds=STOP_SECONDS) for step in steps))


async def last_beat(beat: Callable[[], Coroutine[None, None, float]]) -> None:
    """A database that cannot be written now is no reason to end badly: nothing hangs on this."""
    try:
        await asyncio.wait_for(beat(), STOP_SECONDS / 2)
    except Exception as error:  # noqa: BLE001 - see above
        log.warning("notifier.last_beat_lost", extra={"reason": type(error).__name__})


async def drain_all(*steps: Draining) -> None:
    await asyncio.gather(*(step.drain(STOP_SECONDS) for step in steps))


async def stopped_before(stop: asyncio.Event, work: Coroutine[None, None, None]) -> bool:
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


async def first_token(api: FeishuApi, when_refused: str) -> None:
    """A wrong secret is said at once; a network that is away for now is not a reason to stop.

    Raises NotAuthorised, unless we are to go on asking.
    """
    try:
        await api.token()
    except (NotAuthorised, AppStopped) as error:
        if when_refused != "retry":
            raise NotAuthorised(error.reason, code=error.code, log_id=error.log_id) from error
    except CallError as error:
        log.warning("feishu.unreachable", extra={"reason": str(error)})


@contextlib.asynccontextmanager
async def on_the_roll(database: Database, owner: str, clock: Clock) -> AsyncIterator[None]:
    """A row for this process, which says why when Feishu's refusal ends it."""
    started = to_millis(clock.now())
    await asyncio.wrap_future(database.write(lambda c: workers.enrol_worker(c, owner, now=started)))
    try:
        yield
    except NotAuthorised as error:
        why = str(error)
        now = to_millis(clock.now())
        await asyncio.wrap_future(database.write(lambda c: workers.turn_away(c, owner, why, now=now)))
        raise


async def ask_again(api: FeishuApi) -> float:
    """While Feishu takes nothing from us, whether it does again. Seconds until the next question."""
    if api.standing.refused is not None:
        with contextlib.suppress(CallError):
            await ReferralAccounts(api).read(NO_SUCH_ACCOUNT)
    return REFUSED_SECONDS


@contextlib.contextmanager
def signals(stop: asyncio.Event) -> Iterator[None]:
    """SIGTERM and SIGINT ask for a clean stop; where signals cannot be had (another thread), stop is all there is."""
    loop = asyncio.get_running_loop()
    ours = (signal.SIGTERM, signal.SIGINT)
    try:
        for number in ours:
            loop.add_signal_handler(number, stop.set)
    except (NotImplementedError, RuntimeError, ValueError):
        yield
        return
    try:
        yield
    finally:
        for number in ours:
            loop.remove_signal_handler(number)
