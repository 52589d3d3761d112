"""HTTP client for Feishu's open API: one connection pool, one access token, failures as CallError.

The SDK's client is not used: each of its async calls opens a new HTTP client (23 ms of CPU on the event loop), and
it neither repeats a call nor renews a token that Feishu rejects.
"""

import asyncio
import copy
import io
import ipaddress
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp

from notifier import USER_AGENT
from notifier.clock import Clock, Millis, to_millis
from notifier.errors import AppSuspended, CallError, NotAuthorised, OutcomeUnknown, TemporaryFailure
from notifier.feishu.failures import FAILURE_RULES, make_call_error, needs_fresh_token, shorten
from notifier.feishu.wire import read_json

log = logging.getLogger(__name__)

TOKEN_PATH = "/open-apis/auth/v3/tenant_access_token/internal"  # noqa: S105 - an address, not a secret
TOKEN_REFRESH_MARGIN = timedelta(minutes=10)
"""A token is renewed this long before it expires."""
EARLY_REFRESH_PAUSE = timedelta(seconds=60)
"""Wait after a failed early renewal, while the current token is still valid."""
MAX_CONNECTIONS = 100
UPLOAD_TIMEOUT_SECONDS = 120.0
JSON_CONTENT_TYPE = "application/json; charset=utf-8"

Payload = bytes | aiohttp.FormData | None


class AppStatus:
    """Whether Feishu accepts calls of this app. Logs each change.

    refusal_reason: why Feishu rejects all calls, with the next step; None while it accepts them.
    """

    def __init__(self) -> None:
        self.refusal_reason: str | None = None
        self._code: int | None = None

    def record_failure(self, error: CallError) -> None:
        """Record a failed call. A failure that concerns only the request shows that Feishu accepts the app."""
        if isinstance(error, NotAuthorised | AppSuspended):
            if self.refusal_reason is None or error.code != self._code:
                log.error("feishu.app_refused", extra={"reason": error.reason, "code": error.code})
            self.refusal_reason, self._code = str(error), error.code
        elif error.code is not None and not isinstance(error, TemporaryFailure | OutcomeUnknown):
            self.record_success()

    def record_success(self) -> None:
        """Record a successful call."""
        if self.refusal_reason is not None:
            self.refusal_reason = None
            log.warning("feishu.app_accepted")


@dataclass(frozen=True, slots=True, kw_only=True)
class AppAccess:
    """Address and credentials of the app. timeout_seconds: limit of one call.

    base_url: https://open.feishu.cn, https://open.larksuite.com, or the sandbox; without a slash at the end.
    """

    base_url: str
    app_id: str
    app_secret: str = field(repr=False)
    timeout_seconds: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiResponse:
    """The response to a successful call."""

    data: Mapping[str, Any]
    """The `data` object of the body; the whole body if it has none."""
    log_id: str | None
    """Header X-Tt-Logid, for Feishu's support."""
    served_at: Millis | None = None
    """Header Date: Feishu's clock, in milliseconds; None if the header is missing or unreadable."""


@dataclass(slots=True)
class _Tokens:
    """The access token with its end, and the request for the next one, if it is running."""

    ends_at: datetime
    no_early_refresh_before: datetime
    current: str | None = None
    request: "asyncio.Task[None] | None" = None


class FeishuApi:
    """Calls Feishu's open API with the tenant access token.

    Use it as an async context manager: it owns the connection pool. app_status: whether Feishu accepts the app.
    """

    def __init__(self, access: AppAccess, clock: Clock) -> None:
        self._access = access
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None
        self._tokens = _Tokens(ends_at=clock.now(), no_early_refresh_before=clock.now())
        self._limit_seconds: Callable[[float], float] = float
        self.app_status = AppStatus()

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=self._access.timeout_seconds),
            connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS, keepalive_timeout=30),
            headers={"User-Agent": USER_AGENT},
            trust_env=not is_loopback(self._access.base_url),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._tokens.request is not None:
            self._tokens.request.cancel()
        if self._session is not None:
            await self._session.close()
            self._session = None

    def limited(self, limit_seconds: Callable[[float], float]) -> Self:
        """The same open client for a process that may have to stop its calls at any time.

        limit_seconds: called before each call with its time limit, in seconds. It returns the limit to use, or raises
        CallError if the call may not begin. An upload needs none: it shows nothing to anybody.
        """
        limited = copy.copy(self)
        limited._limit_seconds = limit_seconds  # noqa: SLF001
        return limited

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
        not_after: Millis | None = None,
    ) -> ApiResponse:
        """Make one call with the tenant access token. If Feishu rejects the token, renew it and repeat the call once.

        path: from /open-apis on. query: URL parameters. body: sent as JSON. not_after: the request is not sent later
        than this, Unix milliseconds, as waiting for a token takes time; None: no limit. Raises CallError.
        """

        def make_payload() -> Payload:
            if not_after is not None and to_millis(self._clock.now()) >= not_after:
                raise TemporaryFailure("it is too late for this call, so it was not made")
            return _encode_json(body)

        return await self._with_token(method, path, query=query, make_payload=make_payload)

    async def upload(
        self, path: str, *, fields: Mapping[str, str], file_name: str, content: bytes
    ) -> ApiResponse:
        """Like call(), but POST a form with a file.

        fields: the other form fields. Its timeout is UPLOAD_TIMEOUT_SECONDS, as a file has up to 30 MB.
        """

        def make_form() -> aiohttp.FormData:
            form = aiohttp.FormData()
            for name, value in fields.items():
                form.add_field(name, value)
            form.add_field(
                "file", io.BytesIO(content), filename=file_name, content_type="application/octet-stream"
            )
            return form

        return await self._with_token(
            "POST",
            path,
            query=None,
            make_payload=make_form,
            seconds=max(UPLOAD_TIMEOUT_SECONDS, self._access.timeout_seconds),
        )

    async def _with_token(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None,
        make_payload: Callable[[], Payload],
        seconds: float | None = None,
    ) -> ApiResponse:
        """make_payload: called once per try, as a form can be sent only once."""
        try:
            response = await self._call_with_token_retry(
                method, path, query=query, make_payload=make_payload, seconds=seconds
            )
        except CallError as error:
            self.app_status.record_failure(error)
            raise
        self.app_status.record_success()
        return response

    async def _call_with_token_retry(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None,
        make_payload: Callable[[], Payload],
        seconds: float | None,
    ) -> ApiResponse:
        token = await self.token()
        try:
            return await self._call_once(
                method, path, query=query, payload=make_payload(), token=token, seconds=seconds
            )
        except CallError as error:
            if not needs_fresh_token(error):
                raise
        fresh = await self.token(rejected_token=token)
        return await self._call_once(
            method, path, query=query, payload=make_payload(), token=fresh, seconds=seconds
        )

    async def token(self, *, rejected_token: str | None = None) -> str:
        """Return the tenant access token; fetch a new one if it has expired, expires soon or was rejected.

        rejected_token: a token that Feishu rejected, or None. Raises NotAuthorised or AppSuspended if Feishu rejects
        the app, TemporaryFailure if no token is available now.
        """
        left = self._tokens.ends_at - self._clock.now()
        rejected = (
            self._tokens.current is None or self._tokens.current == rejected_token or left <= timedelta(0)
        )
        early = left <= TOKEN_REFRESH_MARGIN and self._clock.now() >= self._tokens.no_early_refresh_before
        if rejected or early:
            try:
                await self._share_token_request()
            except TemporaryFailure:
                if rejected:
                    raise
                # the current token is still valid
                self._tokens.no_early_refresh_before = self._clock.now() + EARLY_REFRESH_PAUSE
        if self._tokens.current is None:
            raise TemporaryFailure("Feishu gave no token", affects_whole_app=True)
        return self._tokens.current

    async def _share_token_request(self) -> None:
        """One request at a time. All callers that wait for it share its result, also a failure.

        Otherwise 64 calls would make 64 requests one after the other while Feishu does not answer.
        """
        if self._tokens.request is None or self._tokens.request.done():
            self._tokens.request = asyncio.ensure_future(self._fetch_token())
        await asyncio.shield(self._tokens.request)

    async def _fetch_token(self) -> None:
        body = {"app_id": self._access.app_id, "app_secret": self._access.app_secret}
        try:
            response = await self._exchange(
                "POST", TOKEN_PATH, query=None, payload=_encode_json(body), token=None
            )
        except (NotAuthorised, AppSuspended) as error:
            self.app_status.record_failure(error)
            raise
        except OutcomeUnknown as error:  # a token request changes nothing, so a repeat is safe
            raise TemporaryFailure(
                f"no token: {error.reason}", affects_whole_app=True, log_id=error.log_id
            ) from error
        token, lifetime = response.document.get("tenant_access_token"), response.document.get("expire")
        if not isinstance(token, str) or not isinstance(lifetime, int):
            raise TemporaryFailure(
                "the token response contains no token", affects_whole_app=True, log_id=response.log_id
            )
        self._tokens.current = token
        self._tokens.ends_at = self._clock.now() + timedelta(seconds=lifetime)

    async def _call_once(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None,
        payload: Payload,
        token: str,
        seconds: float | None,
    ) -> ApiResponse:
        if seconds is None:
            seconds = self._limit_seconds(self._access.timeout_seconds)
        response = await self._exchange(
            method, path, query=query, payload=payload, token=token, seconds=seconds
        )
        data = response.document.get("data", response.document)  # old calls have their result beside `code`
        data = data if isinstance(data, dict) else {}
        return ApiResponse(data=data, log_id=response.log_id, served_at=response.served_at)

    async def _exchange(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None,
        payload: Payload,
        token: str | None,
        seconds: float | None = None,
    ) -> "_SuccessResponse":
        """Return a response with HTTP 2xx and body code 0. Raises CallError for any other."""
        if self._session is None:
            raise RuntimeError("FeishuApi is used outside its context")
        headers = {} if isinstance(payload, aiohttp.FormData) else {"Content-Type": JSON_CONTENT_TYPE}
        seconds = seconds or self._access.timeout_seconds
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        try:
            async with self._session.request(
                method,
                self._access.base_url + path,
                params=query,
                data=payload,
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=seconds),
                allow_redirects=False,
            ) as response:
                raw = await response.read()
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise TemporaryFailure(
                f"no connection to {self._access.base_url}: {shorten(str(error))}", affects_whole_app=True
            ) from error
        except TimeoutError as error:
            raise OutcomeUnknown(f"no answer within {seconds:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise OutcomeUnknown(f"the connection broke: {type(error).__name__}") from error
        return _parse_response(response.status, response.headers, raw)


def is_loopback(url: str) -> bool:
    """Whether the address is on this machine. Such calls never go through a proxy: it would see the app's secret."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _encode_json(body: Mapping[str, object] | None) -> bytes | None:
    return json.dumps(body, ensure_ascii=False).encode() if body is not None else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _SuccessResponse:
    document: Mapping[str, Any]
    log_id: str | None
    served_at: Millis | None


def _served_at(date: str | None) -> Millis | None:
    """Parse the header Date. It has whole seconds, so it is up to one second early."""
    try:
        return to_millis(parsedate_to_datetime(date or "").astimezone(UTC))
    except (ValueError, OverflowError):
        return None


def _parse_response(status: int, headers: Mapping[str, str], raw: bytes) -> _SuccessResponse:
    """Return a successful response; raise the CallError that any other response means."""
    log_id, wait = headers.get("X-Tt-Logid"), _parse_seconds(headers.get("x-ogw-ratelimit-reset"))
    try:
        document = read_json(raw)
    except ValueError:
        document = None
    code = document.get("code") if isinstance(document, dict) else None
    if not isinstance(document, dict) or not isinstance(code, int):
        raise _error_without_code(status, log_id=log_id, wait=wait)
    if code != 0:
        error = make_call_error(code, str(document.get("msg", "")), log_id=log_id, retry_after_seconds=wait)
        if code not in FAILURE_RULES and status == 429:
            raise TemporaryFailure(
                error.reason,
                code=code,
                log_id=log_id,
                retry_after_seconds=wait or 1,
                affects_whole_app=True,
                is_exact_wait=bool(wait),
            )
        if code not in FAILURE_RULES and status >= 500:
            raise OutcomeUnknown(error.reason, code=code, log_id=log_id)
        raise error
    if not 200 <= status < 300:
        raise OutcomeUnknown(f"HTTP {status} with body code 0", log_id=log_id)
    return _SuccessResponse(document=document, log_id=log_id, served_at=_served_at(headers.get("Date")))


def _error_without_code(status: int, *, log_id: str | None, wait: float | None) -> CallError:
    """Return the error for a response without a Feishu body: HTML of a gateway, an empty or a truncated body."""
    if status == 429:
        return TemporaryFailure(
            "too many calls",
            log_id=log_id,
            retry_after_seconds=wait or 1,
            affects_whole_app=True,
            is_exact_wait=bool(wait),
        )
    if 300 <= status < 500:
        return TemporaryFailure(f"HTTP {status} without a Feishu answer", log_id=log_id)
    return OutcomeUnknown(f"HTTP {status} without a Feishu answer", log_id=log_id)


def _parse_seconds(text: str | None) -> float | None:
    try:
        seconds = float(text or "")
    except ValueError:
        return None
    return min(seconds, 3600.0) if seconds >= 0 else None
