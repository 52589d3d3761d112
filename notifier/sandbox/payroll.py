"""A simulated payroll system: accepts signed payouts and reports their results."""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import aiohttp
from aiohttp import web

from notifier.sandbox.error_codes import JsonObject, parse_json
from notifier.sandbox.settings import is_loopback
from notifier.sandbox.tenant import Tenant

PATH = "/payroll/payouts"
MAX_BODY_BYTES = 64 * 1024
CLOCK_TOLERANCE_SECONDS = 300
REPORT_SECONDS = 5.0
REPORT_STATUSES = ("paid", "failed")
TEXT_FIELDS = ("order_id", "account_id", "tenant_key", "referrer_open_id", "withdrawn_at")


class BadPayoutError(ValueError):
    """An invalid request to the simulated payroll system. The text is shown to the caller."""


class _HttpError(Exception):
    """Answers the call with this HTTP status and message."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(message)


@dataclass(slots=True, kw_only=True)
class ReceivedPayout:
    """One payout."""

    order_id: str  # idempotency key
    body: JsonObject  # the request of the app
    canonical: str  # the body with sorted keys, to compare it with a repeated request
    at_ms: int  # milliseconds since 1970 of the sandbox clock
    received: int = 1  # requests with this order id
    state: str = "accepted"  # accepted, paid or failed
    reference: str = ""  # of the payment, for `paid`
    reason: str = ""  # for `failed`
    report_status: int | None = None  # HTTP status of the last report, None without an answer
    report_error: str = ""  # network error of the last report

    def to_json(self) -> JsonObject:
        """All fields as JSON, without the canonical body."""
        return {name: getattr(self, name) for name in self.__slots__ if name != "canonical"}


class Payroll:
    """The received payouts. report_url: where reports are sent, empty for no reports."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant
        self._secret = tenant.settings.payout_secret
        self.payouts: dict[str, ReceivedPayout] = {}
        self.report_url = ""
        self.set_report_url(tenant.settings.payout_report_url)

    def set_report_url(self, url: str) -> None:
        """Sets where reports are sent; "" disables them. Raises BadPayoutError unless it is an http URL on loopback."""
        if url and not is_loopback(url):
            raise BadPayoutError(
                "reports go to loopback http addresses only, such as http://127.0.0.1:8080/x"
            )
        self.report_url = url
        self._tenant.bump_revision()

    async def receive(self, request: web.Request) -> web.Response:
        """`POST /payroll/payouts`: accepts a payout, or the same payout again."""
        raw = await request.read()
        try:
            _check_size(raw)
            self._check_signature(request.headers, raw)
            body, canonical = _read_body(raw)
            _check_key(request.headers.get("Idempotency-Key"), body)
            return self._accept(body, canonical)
        except _HttpError as refused:
            return web.json_response({"error": str(refused)}, status=refused.status)

    def _check_signature(self, headers: Mapping[str, str], raw: bytes) -> None:
        timestamp, signature = headers.get("X-Payout-Timestamp", ""), headers.get("X-Payout-Signature", "")
        if re.fullmatch("[0-9]{1,12}", timestamp) is None:
            raise _HttpError(401, "X-Payout-Timestamp must be the seconds since 1970")
        expected = sign(self._secret, timestamp, raw).encode()
        if not hmac.compare_digest(expected, signature.encode(errors="surrogateescape")):
            raise _HttpError(401, "X-Payout-Signature is missing or wrong")
        if abs(int(timestamp) - self._tenant.clock.now()) > CLOCK_TOLERANCE_SECONDS:
            raise _HttpError(401, f"X-Payout-Timestamp is more than {CLOCK_TOLERANCE_SECONDS} s off")

    def _accept(self, body: JsonObject, canonical: str) -> web.Response:
        order_id = str(body["order_id"])
        answer = {"order_id": order_id, "state": "accepted"}
        known = self.payouts.get(order_id)
        if known is None:
            _check_order(body)
            self.payouts[order_id] = ReceivedPayout(
                order_id=order_id, body=body, canonical=canonical, at_ms=self._tenant.clock.now_ms()
            )
            return web.json_response(answer, status=202)
        if known.canonical != canonical:
            raise _HttpError(409, f"order {order_id!r} was given before with another body")
        known.received += 1
        return web.json_response(answer)

    async def report(
        self, order_id: str, status: str, *, reference: str = "", reason: str = ""
    ) -> JsonObject:
        """Sets a payout to paid or failed and reports it to `report_url`. A report can be repeated.

        Returns the payout with "http_status" (None without an answer) and "error". Raises BadPayoutError.
        """
        payout = self.payouts.get(order_id)
        if payout is None:
            raise BadPayoutError(f"there is no payout {order_id!r}")
        if status not in REPORT_STATUSES:
            raise BadPayoutError(f'"status" must be one of: {", ".join(REPORT_STATUSES)}')
        if not self.report_url:
            raise BadPayoutError("there is no address to report to; set one first")
        payout.state, payout.reference, payout.reason = status, reference, reason
        payout.report_status, payout.report_error = None, ""
        self._tenant.bump_revision()
        content = {"order_id": order_id, "status": status, "reference": reference, "reason": reason}
        try:
            payout.report_status = await self._post(self.report_url, json.dumps(content).encode())
        except (aiohttp.ClientError, OSError) as error:
            payout.report_error = f"{type(error).__name__}: {error}".removesuffix(": ")
        self._tenant.bump_revision()
        return {**payout.to_json(), "http_status": payout.report_status, "error": payout.report_error}

    async def _post(self, url: str, raw: bytes) -> int:
        timestamp = str(int(self._tenant.clock.now()))
        headers = {
            "Content-Type": "application/json",
            "X-Payout-Timestamp": timestamp,
            "X-Payout-Signature": sign(self._secret, timestamp, raw),
        }
        timeout = aiohttp.ClientTimeout(total=REPORT_SECONDS)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            # a redirect could lead to another machine
            session.post(url, data=raw, headers=headers, allow_redirects=False) as response,
        ):
            return response.status


def sign(secret: str, timestamp: str, raw: bytes) -> str:
    """The expected value of `X-Payout-Signature`."""
    signed = timestamp.encode() + b"." + raw
    return "v1=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def _check_size(raw: bytes) -> None:
    if len(raw) > MAX_BODY_BYTES:
        raise _HttpError(413, f"the body is larger than {MAX_BODY_BYTES} bytes")


def _read_body(raw: bytes) -> tuple[JsonObject, str]:
    """The JSON object and its canonical form. NaN and Infinity are refused."""
    try:
        body = parse_json(raw)
        canonical = json.dumps(body, sort_keys=True, allow_nan=False)
    except (ValueError, RecursionError) as error:
        raise _HttpError(400, "the body is not JSON that can be read") from error
    if not isinstance(body, dict):
        raise _HttpError(400, "the body must be a JSON object")
    return body, canonical


def _check_key(key: str | None, body: JsonObject) -> None:
    if not key:
        raise _HttpError(400, "Idempotency-Key is missing")
    if key != body.get("order_id"):
        raise _HttpError(400, "Idempotency-Key must be the order_id of the body")


def _check_order(body: JsonObject) -> None:
    """Checks the required members of a payout; more members are allowed."""
    for name in TEXT_FIELDS:
        if not isinstance(body.get(name), str):
            raise _HttpError(400, f'"{name}" must be text')
    if not _is_utc(str(body["withdrawn_at"])):
        raise _HttpError(400, '"withdrawn_at" must be a moment in UTC, such as 2026-01-31T08:00:00Z')
    amounts = body.get("amounts")
    if not isinstance(amounts, list) or not all(_is_amount(one) for one in amounts):
        expected = '{"kind": "points" or "cash", "currency": "CNY" or "", "amount": "350.5000"}'
        raise _HttpError(400, f'"amounts" must be a list of {expected}')


def _is_amount(one: object) -> bool:
    return (
        isinstance(one, dict)
        and one.get("kind") in ("points", "cash")
        and isinstance(one.get("currency"), str)
        and isinstance(one.get("amount"), str)
        and re.fullmatch(r"[0-9]+(\.[0-9]+)?", one["amount"]) is not None
    )


def _is_utc(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).utcoffset() == timedelta(0)
    except ValueError:
        return False
