"""Endpoint: where the paying system reports `paid` or `failed`, signed. A bad signature gets a 401 and nothing else."""

import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from notifier.clock import Clock
from notifier.domain.payout import PayoutReport, PayoutState, Taken
from notifier.payroll.signature import SIGNATURE_HEADER, TIMESTAMP_HEADER, signed_at
from notifier.web.post_endpoint import PostServer

log = logging.getLogger(__name__)

PATH = "/payouts/report"
LARGEST_BODY = 64 * 1024
LONGEST_ORDER_ID, LONGEST_REFERENCE, LONGEST_REASON = 64, 128, 500
STATUSES = {"paid": PayoutState.PAID, "failed": PayoutState.FAILED}


class _BadReportError(ValueError):
    """The text is one sentence for the developer over there."""


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: dict[str, str]


class ReportEndpoint:
    """take: keeps a report; resolves after the commit."""

    def __init__(self, secret: str, take: Callable[[PayoutReport], Awaitable[Taken]], clock: Clock) -> None:
        self._secret = secret
        self._take = take
        self._clock = clock
        self._server = PostServer(PATH, self._report, largest_body=LARGEST_BODY, setting="payouts.listen")

    async def start(self, host: str, port: int) -> int:
        """The port, also where 0 asked for any. Raises ConfigError when it cannot be had."""
        return await self._server.start(host, port)

    async def stop(self) -> None:
        await self._server.stop()

    async def _report(self, request: web.Request, raw: bytes) -> web.Response:
        at = signed_at(
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
        except _BadReportError as error:
            return web.json_response({"error": str(error)}, status=400)
        try:
            taken = await self._take(report)
        except Exception:  # whatever it was, it is not kept: the other side must say it again
            log.exception("payouts.report_failed", extra={"order_id": report.order_id})
            return web.json_response(
                {"error": "not kept; report it again"}, status=503, headers={"Retry-After": "5"}
            )
        answer = _answer(report, taken)
        return web.json_response(answer.body, status=answer.status)


def read_report(raw: bytes, *, at: int) -> PayoutReport:
    """at: when it was signed, in milliseconds. Raises _BadReportError."""
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise _BadReportError("the body is not JSON that can be read") from error
    if not isinstance(body, dict):
        raise _BadReportError("the body must be a JSON object")
    order_id = _text(body, "order_id", LONGEST_ORDER_ID)
    if not order_id:
        raise _BadReportError('"order_id" is missing')
    status = body.get("status")
    if not isinstance(status, str) or status not in STATUSES:
        raise _BadReportError('"status" must be "paid" or "failed"')
    return PayoutReport(
        order_id=order_id,
        status=STATUSES[status],
        reference=_text(body, "reference", LONGEST_REFERENCE),
        reason=_text(body, "reason", LONGEST_REASON),
        at=at,
    )


def _text(body: dict[str, object], name: str, longest: int) -> str:
    """As one line that any database and log can hold."""
    value = body.get(name, "")
    value = "" if value is None else value
    if not isinstance(value, str):
        raise _BadReportError(f'"{name}" must be text')
    if len(value) > longest:
        raise _BadReportError(f'"{name}" is longer than {longest} characters')
    shown = "".join(char if char.isprintable() else " " for char in value)
    return shown.encode(errors="replace").decode().strip()


def _answer(report: PayoutReport, taken: Taken) -> _Answer:
    known = {"order_id": report.order_id, "status": report.status.value}
    match taken:
        case Taken.NEW | Taken.SAME:
            return _Answer(200, known)
        case Taken.OLDER:
            return _Answer(200, {**known, "ignored": "older than what is known"})
        case Taken.CONFLICT:
            return _Answer(409, {"error": "it was reported paid before, under another reference"})
        case Taken.UNKNOWN:
            return _Answer(404, {"error": "there is no payout with this order_id"})
