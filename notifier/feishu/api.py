"""Calls to Feishu: one pooled HTTP client, one token, and every failure as one of our errors.

Why not the SDK's client: its async call opens a new HTTP client each time (23 ms of CPU on the event loop), and
it neither retries nor refreshes a token that Feishu rejects (docs/map.md, section Feishu).
"""

import asyncio
import io
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Self

import aiohttp

from notifier.clock import Clock, Millis, to_millis
from notifier.errors import AppStopped, CallError, NotAuthorised, NotDone, OutcomeUnknown
from notifier.feishu.failures import TABLE, asks_for_fresh_token, failure, shorten
from notifier.feishu.wire import read_json

log = logging.getLogger(__name__)

TOKEN_PATH = "/open-apis/auth/v3/tenant_access_token/internal"  # noqa: S105 - an address, not a secret
DISCOVERY_PATH = "/callback/ws/endpoint"
REFRESH_EARLY = timedelta(minutes=10)
EARLY_REFRESH_PAUSE = timedelta(seconds=60)
MOST_CONNECTIONS = 100
UPLOAD_SECONDS = 120.0
JSON = "application/json; charset=utf-8"

Payload = bytes | aiohttp.FormData | None


class Standing:
    """refused: why nothing is taken, with the next step; None while all is well."""

    def __init__(self) -> None:
        self.refused: str | None = None
        self._code: int | None = None

    def met(self, error: CallError) -> None:
        """A call failed. One that Feishu judged by what it asked for shows that the app itself is welcome."""
        if isinstance(error, NotAuthorised | AppStopped):
            if self.refused is None or error.code != self._code:
                log.error("feishu.app_refused", extra={"reason": error.reason, "code": error.code})
            self.refused, self._code = str(error), error.code
        elif error.code is not None and not isinstance(error, NotDone | OutcomeUnknown):
            self.well()

    def well(self) -> None:
        """A call was carried out."""
        if self.refused is not None:
            self.refused = None
            log.warning("feishu.app_taken_again")


@dataclass(frozen=True, slots=True, kw_only=True)
class AppAccess:
    """base_url: https://open.feishu.cn, https://open.larksuite.com, or a stand-in; no slash at the end."""

    base_url: str
    app_id: str
    app_secret: str = field(repr=False)
    timeout_seconds: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """data: the `data` object of a body whose code is 0. log_id: X-Tt-Logid. served_at: by Feishu's clock, from the
    header Date; None where it is missing or unreadable.
    """

    data: Mapping[str, Any]
    log_id: str | None
    served_at: Millis | None = None


class FeishuApi:
    """Use as an async context manager: the connections live as long as it is open."""

    def __init__(self, access: AppAccess, clock: Clock) -> None:
        self._access = access
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None
        self._token: str | None = None
        self._token_ends_at = clock.now()
        self._no_early_refresh_before = clock.now()
        self._token_lock = asyncio.Lock()
        self.standing = Standing()

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=self._access.timeout_seconds),
            connector=aiohttp.TCPConnector(limit=MOST_CONNECTIONS, keepalive_timeout=30),
            headers={"User-Agent": "referral-notifier"},
            trust_env=True,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
    ) -> Answer:
        """One call with the tenant's token; once more with a fresh one if Feishu rejects it. Raises CallError."""
        return await self._with_token(method, path, query=query, send=lambda: _as_json(body))

    async def upload(self, path: str, *, fields: Mapping[str, str], file_name: str, content: bytes) -> Answer:
        """As call(), with a form that holds a file. Has more time than a call: a file is up to 30 MB."""

        def form() -> aiohttp.FormData:
            made = aiohttp.FormData()
            for name, value in fields.items():
                made.add_field(name, value)
            made.add_field(
                "file", io.BytesIO(content), filename=file_name, content_type="application/octet-stream"
            )
            return made

        return await self._with_token("POST", path, query=None, send=form, seconds=UPLOAD_SECONDS)

    async def _with_token(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None,
        send: Callable[[], Payload],
        seconds: float | None = None,
    ) -> Answer:
        """send: makes what is sent, anew for each try."""
        try:
            answer = await self._in_two_tries(method, path, query=query, send=send, seconds=seconds)
        except CallError as error:
            self.standing.met(error)
            raise
        self.standing.well()
        return answer

    async def _in_two_tries(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None,
        send: Callable[[], Payload],
        seconds: float | None,
    ) -> Answer:
        token = await self.token()
        try:
            return await self._once(method, path, query=query, sent=send(), token=token, seconds=seconds)
        except CallError as error:
            if not asks_for_fresh_token(error):
                raise
        fresh = await self.token(instead_of=token)
        return await self._once(method, path, query=query, sent=send(), token=fresh, seconds=seconds)

    async def token(self, *, instead_of: str | None = None) -> str:
        """The tenant's token. instead_of: one that Feishu rejected. Raises NotAuthorised or AppStopped, or NotDone for
        now.
        """
        async with self._token_lock:
            left = self._token_ends_at - self._clock.now()
            rejected = self._token is None or self._token == instead_of or left <= timedelta(0)
            early = left <= REFRESH_EARLY and self._clock.now() >= self._no_early_refresh_before
            if rejected or early:
                try:
                    await self._fetch_token()
                except NotDone:
                    if rejected:
                        raise
                    self._no_early_refresh_before = (
                        self._clock.now() + EARLY_REFRESH_PAUSE
                    )  # ours is still good
            if self._token is None:
                raise NotDone("Feishu gave no token", whole_app=True)
            return self._token

    async def _fetch_token(self) -> None:
        body = {"app_id": self._access.app_id, "app_secret": self._access.app_secret}
        try:
            got = await self._exchange("POST", TOKEN_PATH, query=None, sent=_as_json(body), token=None)
        except (NotAuthorised, AppStopped) as error:
            self.standing.met(error)
            raise
        except OutcomeUnknown as error:  # asking for a token has no effect, so nothing is unknown
            raise NotDone(f"no token: {error.reason}", whole_app=True, log_id=error.log_id) from error
        token, lifetime = got.document.get("tenant_access_token"), got.document.get("expire")
        if not isinstance(token, str) or not isinstance(lifetime, int):
            raise NotDone("the token answer holds no token", whole_app=True, log_id=got.log_id)
        self._token = token
        self._token_ends_at = self._clock.now() + timedelta(seconds=lifetime)

    async def _once(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None,
        sent: Payload,
        token: str,
        seconds: float | None,
    ) -> Answer:
        got = await self._exchange(method, path, query=query, sent=sent, token=token, seconds=seconds)
        data = got.document.get("data")
        return Answer(data=data if isinstance(data, dict) else {}, log_id=got.log_id, served_at=got.served_at)

    async def _exchange(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None,
        sent: Payload,
        token: str | None,
        seconds: float | None = None,
    ) -> "_Success":
        """An answer that is a success: HTTP 2xx and body code 0."""
        if self._session is None:
            raise RuntimeError("FeishuApi is used outside its context")
        headers = {} if isinstance(sent, aiohttp.FormData) else {"Content-Type": JSON}
        seconds = max(seconds or 0.0, self._access.timeout_seconds)
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        try:
            async with self._session.request(
                method,
                self._access.base_url + path,
                params=query,
                data=sent,
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=seconds),
                allow_redirects=False,
            ) as response:
                raw = await response.read()
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise NotDone(
                f"no connection to {self._access.base_url}: {shorten(str(error))}", whole_app=True
            ) from error
        except TimeoutError as error:
            raise OutcomeUnknown(f"no answer within {seconds:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise OutcomeUnknown(f"the connection broke: {type(error).__name__}") from error
        return _sorted_answer(response.status, response.headers, raw)


def _as_json(body: Mapping[str, object] | None) -> bytes | None:
    return json.dumps(body, ensure_ascii=False).encode() if body is not None else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Success:
    document: Mapping[str, Any]
    log_id: str | None
    served_at: Millis | None


def _served_at(date: str | None) -> Millis | None:
    """The header Date. Its seconds are whole, so it is at most a second before the answer was made."""
    try:
        return to_millis(parsedate_to_datetime(date or "").astimezone(UTC))
    except (ValueError, OverflowError):
        return None


def _sorted_answer(status: int, headers: Mapping[str, str], raw: bytes) -> _Success:
    """A success; raises what the answer stands for otherwise."""
    log_id = headers.get("X-Tt-Logid")
    wait = _seconds(headers.get("x-ogw-ratelimit-reset"))
    try:
        document = read_json(raw)
    except ValueError:
        document = None
    code = document.get("code") if isinstance(document, dict) else None
    if not isinstance(document, dict) or not isinstance(code, int):
        raise _without_code(status, log_id=log_id, wait=wait)
    if code != 0:
        error = failure(code, str(document.get("msg", "")), log_id=log_id, retry_after_seconds=wait)
        if code not in TABLE and status == 429:
            raise NotDone(
                error.reason,
                code=code,
                log_id=log_id,
                retry_after_seconds=wait or 1,
                whole_app=True,
                exact=bool(wait),
            )
        if code not in TABLE and status >= 500:
            raise OutcomeUnknown(error.reason, code=code, log_id=log_id)
        raise error
    if not 200 <= status < 300:
        raise OutcomeUnknown(f"HTTP {status} with body code 0", log_id=log_id)
    return _Success(document=document, log_id=log_id, served_at=_served_at(headers.get("Date")))


def _without_code(status: int, *, log_id: str | None, wait: float | None) -> CallError:
    """A gateway spoke instead of Feishu (HTML, an empty body, half an answer)."""
    if status == 429:
        return NotDone(
            "too many calls", log_id=log_id, retry_after_seconds=wait or 1, whole_app=True, exact=bool(wait)
        )
    if 300 <= status < 500:
        return NotDone(f"HTTP {status} without a Feishu answer", log_id=log_id)
    return OutcomeUnknown(f"HTTP {status} without a Feishu answer", log_id=log_id)


def _seconds(text: str | None) -> float | None:
    try:
        seconds = float(text or "")
    except ValueError:
        return None
    return min(seconds, 3600.0) if seconds >= 0 else None
