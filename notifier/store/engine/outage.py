"""Storage errors: gives the next step for operators, and logs an outage once."""

import logging
import threading
import time
from collections.abc import Callable

from sqlalchemy.engine import URL, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from notifier.domain.card import Bilingual
from notifier.errors import StoreFailing
from notifier.store.engine.backend import get_reason, without_promise
from notifier.store.engine.backends import BACKENDS, get_backend

log = logging.getLogger(__name__)

DAMAGE_RECHECK_SECONDS = 30.0


def get_next_step(error: BaseException) -> Bilingual | None:
    """The problem and the next step for operators; None if it is not a storage error."""
    if isinstance(error, StoreFailing):
        return Bilingual(zh=error.zh, en=str(error))
    return next((step for backend in BACKENDS.values() if (step := backend.get_next_step(error))), None)


def is_outage(error: BaseException) -> bool:
    """Whether the database failed, and not the data of one row: the same work can succeed later."""
    return isinstance(error, StoreFailing | PoolTimeout) or any(
        backend.is_outage(error) for backend in BACKENDS.values()
    )


def is_damage(error: BaseException) -> bool:
    """Whether the error shows that the database is damaged, so that commits are not reliable."""
    return any(backend.is_damage(error) for backend in BACKENDS.values())


def to_store_error(error: BaseException, url: URL) -> StoreFailing:
    """The error for a caller that stops, without the promise of an automatic recovery."""
    reason = BACKENDS[url.get_backend_name()].explain(error, url)
    return StoreFailing(reason.en, zh=reason.zh)


class StorageOutage:
    """Logs the start and the end of a storage outage once each. Thread-safe.

    A damaged file gets no more writes until a check of the whole file finds no error, because a commit would not be
    reliable. After all other errors, each write is attempted as usual.

    The log promises an automatic recovery only after the first successful write, because before it a storage error
    ends the start.
    """

    def __init__(self, engine: Engine, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._engine = engine
        self._backend = get_backend(engine)
        self._place = self._backend.describe(engine.url)
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._since: float | None = None
        self._logged_step: Bilingual | None = None
        self._has_written = False
        self._damage: StoreFailing | None = None
        self._recheck_at = 0.0

    @property
    def needs_success(self) -> bool:
        """Whether record_success() would change something."""
        return self._since is not None or not self._has_written

    def raise_if_damaged(self) -> None:
        """Raises StoreFailing while the file is known to be damaged."""
        if self._damage is None:
            return
        if self._monotonic() < self._recheck_at or not self._passes_check():
            raise StoreFailing(str(self._damage), zh=self._damage.zh)
        self._damage = None

    def record_error(self, error: BaseException) -> None:
        """Record an error. Errors that are not storage errors are ignored."""
        step = get_next_step(error)
        if step is None or isinstance(error, StoreFailing):
            return
        step = self._backend.find_cause(error, self._engine.url) or step
        with self._lock:
            self._since = self._monotonic() if self._since is None else self._since
            step = step if self._has_written else without_promise(step)
            if is_damage(error):
                self._damage = to_store_error(error, self._engine.url)
                self._recheck_at = self._monotonic() + DAMAGE_RECHECK_SECONDS
            if step == self._logged_step:
                return
            self._logged_step = step
        log.error("store.failed", extra={"database": self._place, "reason": get_reason(error), "do": step.en})

    def record_success(self) -> None:
        """Record a successful write."""
        with self._lock:
            self._has_written = True
            if self._since is None:
                return
            seconds, self._since, self._logged_step = round(self._monotonic() - self._since), None, None
        log.warning("store.recovered", extra={"database": self._place, "after_s": seconds})

    def _passes_check(self) -> bool:
        try:
            with self._engine.connect().execution_options(**self._backend.read_options) as connection:
                passes = self._backend.passes_check(connection)
        except DBAPIError:
            passes = False
        self._recheck_at = self._monotonic() + DAMAGE_RECHECK_SECONDS
        return passes
