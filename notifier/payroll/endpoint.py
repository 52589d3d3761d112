"""Endpoint for signed payroll reports (`paid` or `failed`). A bad signature gets 401 with an empty body."""

import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from notifier.clock import Clock
from notifier.domain.contact_data import one_line
from notifier.domain.payout import PayoutReport, PayoutReportOutcome, PayoutState
from notifier.payroll.signature import SIGNATURE_HEADER, TIMESTAMP_HEADER, verify_signature
from notifier.web.post_endpoint import PostEndpoint

log = logging.getLogger(__name__)

PATH = "/payouts/report"
MAX_BODY_BYTES = 64 * 1024
LONGEST_ORDER_ID, MAX_REFERENCE_LENGTH, MAX_REASON_LENGTH = 64, 128, 500
STATUSES = {"paid": PayoutState.PAID, "failed": PayoutState.FAILED}


class _InvalidReportError(ValueError):
    """The report is invalid. The text is one sentence for the developer of the payroll system."""


@dataclass(frozen=True, slots=True)
class _Response:
    status: int
    body: dict[str, str]


class ReportEndpoint:
    """HTTP server for payroll reports.

    secret: key of the signatures. apply_report: stores a report and returns after the commit.
    """

    def __init__(
        self,
        secret: str,
        apply_report: Callable[[PayoutReport], Awaitable[PayoutReportOutcome]],
        clock: Clock,
    ) -> None:
        self._secret = secret
        self._apply_report = apply_report
        self._clock = clock
        self._server = PostEndpoint(
            PATH, self._report, max_body_bytes=MAX_BODY_BYTES, setting="payouts.listen"
        )

    async def start(self, host: str, port: int) -> int:
        """Listen and return the port, also when 0 requested any port. Raises ConfigError if it cannot listen."""
        return await self._server.start(host, port)

    async def stop(self) -> None:
        """Stop listening and finish running requests."""
        await self._server.stop()

    async def _report(self, request: web.Request, raw: bytes) -> web.Response:
        at = verify_signature(
            self._secret,
            timestamp=request.headers.get(TIMESTAMP_HEADER),
            signature=request.headers.get(SIGNATURE_HEADER),
            raw=raw,
            now_seconds=self._clock.now().timestamp(),
        )
        if at is None:
            return web.Response(status=401)
        try:
            report = read_report(raw, at=1000 * at)
        except _InvalidReportError as error:
            return web.json_response({"error": str(error)}, status=400)
        try:
            outcome = await self._apply_report(report)
        except Exception:  # not stored, so the sender must repeat it
            log.exception("payout.report_failed", extra={"order_id": report.order_id})
            return web.json_response(
                {"error": "not kept; report it again"}, status=503, headers={"Retry-After": "5"}
            )
        answer = _make_response(report, outcome)
        return web.json_response(answer.body, status=answer.status)


def read_report(raw: bytes, *, at: int) -> PayoutReport:
    """Parse a report. at: when it was signed, in ms. Raises ValueError for an invalid body."""
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise _InvalidReportError("the body is not valid JSON") from error
    if not isinstance(body, dict):
        raise _InvalidReportError("the body must be a JSON object")
    order_id = _text(body, "order_id", LONGEST_ORDER_ID)
    if not order_id:
        raise _InvalidReportError('"order_id" is missing')
    status = body.get("status")
    if not isinstance(status, str) or status not in STATUSES:
        raise _InvalidReportError('"status" must be "paid" or "failed"')
    return PayoutReport(
        order_id=order_id,
        status=STATUSES[status],
        reference=_text(body, "reference", MAX_REFERENCE_LENGTH),
        reason=_text(body, "reason", MAX_REASON_LENGTH),
        at=at,
    )


def _text(body: dict[str, object], name: str, max_length: int) -> str:
    """The value as one printable line, safe for logs and databases."""
    value = body.get(name, "")
    value = "" if value is None else value
    if not isinstance(value, str):
        raise _InvalidReportError(f'"{name}" must be text')
    if len(value) > max_length:
        raise _InvalidReportError(f'"{name}" is longer than {max_length} characters')
    return one_line(value)


def _make_response(report: PayoutReport, outcome: PayoutReportOutcome) -> _Response:
    known = {"order_id": report.order_id, "status": report.status.value}
    match outcome:
        case PayoutReportOutcome.NEW | PayoutReportOutcome.SAME:
            return _Response(200, known)
        case PayoutReportOutcome.OLDER:
            return _Response(200, {**known, "ignored": "older than what is known"})
        case PayoutReportOutcome.CONFLICT:
            return _Response(409, {"error": "it was reported paid before, under another reference"})
        case PayoutReportOutcome.UNKNOWN:
            return _Response(404, {"error": "there is no payout with this order_id"})
