"""Endpoint: signed reports over a real socket, and whatever else somebody may send there."""

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from notifier.clock import SystemClock
from notifier.domain.payout import PayoutReport, PayoutState, Taken
from notifier.errors import ConfigError
from notifier.payroll.endpoint import PATH, ReportEndpoint
from notifier.payroll.signature import sign

SECRET = "sandbox-payout-secret"


class Desk:
    """Takes reports and answers as it is told."""

    def __init__(self) -> None:
        self.reports: list[PayoutReport] = []
        self.answer: Taken | Exception = Taken.NEW

    async def take(self, report: PayoutReport) -> Taken:
        self.reports.append(report)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
async def url(desk: Desk) -> AsyncIterator[str]:
    endpoint = ReportEndpoint(SECRET, desk.take, SystemClock())
    port = await endpoint.start("127.0.0.1", 0)
    yield f"http://127.0.0.1:{port}{PATH}"
    await endpoint.stop()


async def post(url: str, raw: bytes, *, secret: str = SECRET, **changed: str) -> tuple[int, bytes]:
    timestamp = str(int(SystemClock().now().timestamp()))
    headers = {"X-Payout-Timestamp": timestamp, "X-Payout-Signature": sign(secret, timestamp, raw)}
    headers |= {name.replace("_", "-"): value for name, value in changed.items()}
    async with aiohttp.ClientSession() as session, session.post(url, data=raw, headers=headers) as response:
        return response.status, await response.read()


def report(**members: Any) -> bytes:
    return json.dumps({"order_id": "rn-1", "status": "paid", "reference": "W-1", **members}).encode()


async def test_a_signed_report_is_taken(url: str, desk: Desk) -> None:
    code, answer = await post(url, report())

    assert (200, {"order_id": "rn-1", "status": "paid"}) == (code, json.loads(answer))
    (taken,) = desk.reports
    assert (PayoutState.PAID, "W-1", "") == (taken.status, taken.reference, taken.reason)
    now = SystemClock().now().timestamp() * 1000
    assert now - 60_000 < taken.at <= now


@pytest.mark.parametrize(
    "changed",
    [
        {"secret": "another-secret--"},
        {"X_Payout_Signature": "v1=00"},
        {"X_Payout_Signature": ""},
        {"X_Payout_Timestamp": "1700000000"},
        {"X_Payout_Timestamp": "now"},
    ],
)
async def test_what_is_not_rightly_signed_gets_401_and_nothing_else(
    url: str, desk: Desk, changed: dict[str, str]
) -> None:
    assert (401, b"") == await post(url, report(), **changed)
    assert (401, b"") == await post(url, b"{", **changed)
    assert [] == desk.reports


@pytest.mark.parametrize(
    "raw, said",
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe{}", "not JSON"),
        (b"[" * 30_000, "not JSON"),
        (b"[]", "JSON object"),
        (b"null", "JSON object"),
        (b"NaN", "JSON object"),
        (report(order_id=""), "order_id"),
        (report(order_id=7), "order_id"),
        (report(order_id="x" * 65), "order_id"),
        (report(status="done"), "status"),
        (report(status=["paid"]), "status"),
        (report(status=None), "status"),
        (report(reference=7), "reference"),
        (report(reference="x" * 129), "reference"),
        (report(reason="x" * 501), "reason"),
        (report(reason={"a": 1}), "reason"),
    ],
)
async def test_what_cannot_be_understood_is_a_400_with_a_sentence(
    url: str, desk: Desk, raw: bytes, said: str
) -> None:
    code, answer = await post(url, raw)

    assert 400 == code
    assert said in json.loads(answer)["error"]
    assert [] == desk.reports


async def test_odd_characters_become_spaces(url: str, desk: Desk) -> None:
    await post(url, b'{"order_id":"rn-1","status":"failed","reason":"a\\u0000b\\ud800c\\u202ed\\n"}')

    assert "a b c d" == desk.reports[0].reason


@pytest.mark.parametrize(
    "answer, code, said",
    [
        (Taken.SAME, 200, b'"paid"'),
        (Taken.OLDER, 200, b"ignored"),
        (Taken.CONFLICT, 409, b"another reference"),
        (Taken.UNKNOWN, 404, b"no payout"),
        (OSError("disk full at /secret/place"), 503, b"report it again"),
    ],
)
async def test_what_came_of_it_is_said(
    url: str, desk: Desk, answer: Taken | Exception, code: int, said: bytes
) -> None:
    desk.answer = answer
    got, body = await post(url, report())

    assert code == got
    assert said in body
    assert b"/secret/place" not in body


async def test_a_body_that_is_too_large_is_not_read(url: str, desk: Desk) -> None:
    assert 413 == (await post(url, b" " * (64 * 1024 + 1)))[0]
    assert [] == desk.reports


async def test_nothing_else_is_served(url: str) -> None:
    async with aiohttp.ClientSession() as session:
        async with session.get(url) as got:
            assert 405 == got.status
        async with session.post(url.removesuffix(PATH)) as got:
            assert 404 == got.status


async def test_an_address_that_cannot_be_had_is_said_with_its_setting(url: str, desk: Desk) -> None:
    port = int(url.removesuffix(PATH).rpartition(":")[2])
    with pytest.raises(ConfigError, match=rf"payouts.listen: cannot listen on 127.0.0.1:{port}"):
        await ReportEndpoint(SECRET, desk.take, SystemClock()).start("127.0.0.1", port)
