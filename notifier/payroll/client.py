"""Client: one signed call that hands a payout over, and what its answer means."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Self

import aiohttp

from notifier.clock import Clock
from notifier.errors import CallError, OutcomeUnknown, Refused, TemporaryFailure
from notifier.payroll.signature import IDEMPOTENCY_KEY_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, sign

MAX_ANSWER_BYTES = 64 * 1024
MAX_WAIT_SECONDS = 3600.0
CONFLICT = 409
RETRYABLE_STATUSES = {401, 403, 404, 408, 425, 429}
"""A no that a person over there, or time, may mend: wrong secret, wrong address, busy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PayrollAccess:
    """url: where payouts are posted. timeout_seconds: for one call, from connecting to the whole answer."""

    url: str
    secret: str = field(repr=False)
    timeout_seconds: float


class PayrollClient:
    """One pooled session; use it as an async context manager."""

    def __init__(self, access: PayrollAccess, clock: Clock) -> None:
        self._access = access
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=self._access.timeout_seconds)
        # nobody reads the answer's body, so nothing is unpacked
        self._session = aiohttp.ClientSession(timeout=timeout, auto_decompress=False)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def submit_payout(self, order_id: str, body: bytes) -> int:
        """The HTTP status of a yes, 200-299. body: signed and sent as it is.

        Raises NotDone and OutcomeUnknown, to be asked again with the same key; Refused where that is in vain.
        """
        if self._session is None:
            raise RuntimeError("the client is not open")
        timestamp = str(int(self._clock.now().timestamp()))
        headers = {
            "Content-Type": "application/json",
            TIMESTAMP_HEADER: timestamp,
            SIGNATURE_HEADER: sign(self._access.secret, timestamp, body),
            IDEMPOTENCY_KEY_HEADER: order_id,
        }
        try:
            async with self._session.post(
                self._access.url, data=body, headers=headers, allow_redirects=False
            ) as response:
                await _read_body(response)
                status, wait = response.status, response.headers.get("Retry-After")
        except (aiohttp.ClientConnectorError, aiohttp.InvalidURL, UnicodeError) as error:
            raise TemporaryFailure(f"the paying system cannot be reached: {_error_name(error)}") from error
        except TimeoutError as error:
            seconds = f"{self._access.timeout_seconds:g}"
            raise OutcomeUnknown(f"the paying system did not answer within {seconds} s") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise OutcomeUnknown(f"the paying system's answer was cut off: {_error_name(error)}") from error
        if 200 <= status < 300:
            return status
        raise _error_for_status(status, _parse_seconds(wait, self._clock.now()))


async def _read_body(response: aiohttp.ClientResponse) -> None:
    """A half answer is none. Of a very long one the beginning will do."""
    left = MAX_ANSWER_BYTES
    while left > 0 and (chunk := await response.content.read(left)):
        left -= len(chunk)


def _error_for_status(status: int, wait: float | None) -> CallError:
    answered = f"the paying system answered {status}"
    if status in RETRYABLE_STATUSES or status < 400:
        return TemporaryFailure(answered, code=status, retry_after_seconds=wait)
    if status >= 500:
        return OutcomeUnknown(answered, code=status, retry_after_seconds=wait)
    if status == CONFLICT:
        return Refused(f"{answered}: it knows this order id with another content", code=status)
    return Refused(answered, code=status)


def _parse_seconds(retry_after: str | None, now: datetime) -> float | None:
    """Retry-After in either form, at most an hour; None for what is no time."""
    if retry_after is None:
        return None
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), MAX_WAIT_SECONDS)
    try:
        at = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError):
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return min(max((at - now).total_seconds(), 0.0), MAX_WAIT_SECONDS)


def _error_name(error: BaseException) -> str:
    """What sort of trouble it was; never its text, which may hold the address with its query."""
    cause = getattr(error, "os_error", None)
    return getattr(cause, "strerror", None) or type(cause or error).__name__
