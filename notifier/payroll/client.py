"""Client of the payroll system: submits a payout in one signed call and classifies the response."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Self

import aiohttp

from notifier import USER_AGENT
from notifier.clock import Clock
from notifier.errors import CallError, OutcomeUnknown, Refused, TemporaryFailure
from notifier.payroll.signature import IDEMPOTENCY_KEY_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, sign

MAX_ANSWER_BYTES = 64 * 1024
MAX_WAIT_SECONDS = 3600.0
CONFLICT = 409
RETRYABLE_STATUSES = {401, 403, 404, 408, 425, 429}
"""Rejections that may end without a change of the request: wrong secret, wrong address, overload."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PayrollAccess:
    """How to reach the payroll system.

    url: address that receives payouts.
    secret: key of the signatures.
    timeout_seconds: limit of one call, from the connection to the complete response.
    """

    url: str
    secret: str = field(repr=False)
    timeout_seconds: float


class PayrollClient:
    """HTTP client of the payroll system. Use it as an async context manager: it holds one pooled session."""

    def __init__(self, access: PayrollAccess, clock: Clock) -> None:
        self._access = access
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None
        self._limit_seconds: Callable[[float], float] = float

    def limited(self, limit_seconds: Callable[[float], float]) -> Self:
        """The same open client, as in `FeishuApi.limited`."""
        limited = copy.copy(self)
        limited._limit_seconds = limit_seconds  # noqa: SLF001 - of this class
        return limited

    async def __aenter__(self) -> Self:
        # the body is discarded, so decompression is off: it would only allow compression bombs
        self._session = aiohttp.ClientSession(headers={"User-Agent": USER_AGENT}, auto_decompress=False)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def submit_payout(self, order_id: str, body: bytes) -> int:
        """Submit one payout and return the HTTP status of success (200-299).

        order_id: the idempotency key. body: JSON, signed and sent verbatim.
        Raises TemporaryFailure or OutcomeUnknown when the call should be repeated with the same key, and Refused
        when a repeat is pointless.
        """
        if self._session is None:
            raise RuntimeError("the client is not open")
        seconds = self._limit_seconds(self._access.timeout_seconds)
        timestamp = str(int(self._clock.now().timestamp()))
        headers = {
            "Content-Type": "application/json",
            TIMESTAMP_HEADER: timestamp,
            SIGNATURE_HEADER: sign(self._access.secret, timestamp, body),
            IDEMPOTENCY_KEY_HEADER: order_id,
        }
        try:
            async with self._session.post(
                self._access.url,
                data=body,
                headers=headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=seconds),
            ) as response:
                await _read_body(response)
                status, wait = response.status, response.headers.get("Retry-After")
        except (aiohttp.ClientConnectorError, aiohttp.InvalidURL, UnicodeError) as error:
            raise TemporaryFailure(f"the payroll system cannot be reached: {_error_name(error)}") from error
        except TimeoutError as error:
            raise OutcomeUnknown(f"the payroll system did not answer within {seconds:g} s") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise OutcomeUnknown(
                f"the response of the payroll system is incomplete: {_error_name(error)}"
            ) from error
        if 200 <= status < 300:
            return status
        raise _error_for_status(status, _parse_seconds(wait, self._clock.now()))


async def _read_body(response: aiohttp.ClientResponse) -> None:
    """Read the body to the end, as a truncated response leaves the outcome unknown. Stop at MAX_ANSWER_BYTES."""
    left = MAX_ANSWER_BYTES
    while left > 0 and (chunk := await response.content.read(left)):
        left -= len(chunk)


def _error_for_status(status: int, wait: float | None) -> CallError:
    answered = f"the payroll system answered {status}"
    if status in RETRYABLE_STATUSES or status < 400:
        return TemporaryFailure(answered, code=status, retry_after_seconds=wait)
    if status >= 500:
        return OutcomeUnknown(answered, code=status, retry_after_seconds=wait)
    if status == CONFLICT:
        return Refused(f"{answered}: it already has this order id with different content", code=status)
    return Refused(answered, code=status)


def _parse_seconds(retry_after: str | None, now: datetime) -> float | None:
    """Seconds of a Retry-After header (number or date), at most one hour. None if it is missing or invalid."""
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
    """Short name of the error. The full text may contain the URL with secrets in its query."""
    cause = getattr(error, "os_error", None)
    return getattr(cause, "strerror", None) or type(cause or error).__name__
