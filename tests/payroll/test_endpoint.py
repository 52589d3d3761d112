"""Endpoint: signed reports over a real socket, and whatever else somebody may send there."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import pytest

from notifier.clock import SystemClock
from notifier.domain.payout import PayoutReport, PayoutReportOutcome, PayoutState
from notifier.errors import ConfigError
from notifier.payroll.endpoint import PATH, ReportEndpoint
from notifier.payroll.signature import sign
from notifier.sandbox.testing import FeishuBox
from sandbox.payroll_client import pay
from support.clock import FakeClock

SECRET = "sandbox-payout-secret"


class Desk:
    """Takes reports and answers as it is told."""

    def __init__(self) -> None:
        self.reports: list[PayoutReport] = []
        self.answer: PayoutReportOutcome | Exception = PayoutReportOutcome.NEW
        self.called = asyncio.Event()
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def take(self, report: PayoutReport) -> PayoutReportOutcome:
        self.reports.append(report)
        self.called.set()
        await self.go_on.wait()
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


def request(raw: bytes, *, length: int | None = None) -> bytes:
    """As it goes over the wire. length: what the head promises, if not the truth."""
    timestamp = str(int(SystemClock().now().timestamp()))
    lines = [
        f"POST {PATH} HTTP/1.1",
        "Host: here",
        f"Content-Length: {len(raw) if length is None else length}",
        f"X-Payout-Timestamp: {timestamp}",
        f"X-Payout-Signature: {sign(SECRET, timestamp, raw)}",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + raw


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(url))
    try:
        yield reader, writer
    finally:
        writer.close()


def port_of(url: str) -> int:
    return int(url.removesuffix(PATH).rpartition(":")[2])


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
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"\xff\xfe{}", "not valid JSON"),
        (b"[" * 30_000, "not valid JSON"),
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


async def test_the_stand_in_payroll_is_understood(url: str, desk: Desk, feishu_box: FeishuBox) -> None:
    pay(feishu_box)
    feishu_box.set_payout_report_url(url)
    answer = await asyncio.to_thread(feishu_box.report_payout, "o-1", "failed", "", "account closed")

    assert (200, "") == (answer["http_status"], answer["error"])
    (taken,) = desk.reports
    assert ("o-1", PayoutState.FAILED, "account closed") == (taken.order_id, taken.status, taken.reason)


async def test_reference_and_reason_may_be_left_out(url: str, desk: Desk) -> None:
    for raw in (b'{"order_id":"rn-1","status":"paid"}', report(reference=None, reason=None)):
        assert 200 == (await post(url, raw))[0]

    assert [("", ""), ("", "")] == [(one.reference, one.reason) for one in desk.reports]


async def test_header_names_come_in_any_case(url: str) -> None:
    timestamp = str(int(SystemClock().now().timestamp()))
    headers = {"x-payout-timestamp": timestamp, "X-PAYOUT-SIGNATURE": sign(SECRET, timestamp, report())}
    async with aiohttp.ClientSession() as session, session.post(url, data=report(), headers=headers) as got:
        assert 200 == got.status


async def test_one_changed_byte_is_noticed(url: str, desk: Desk) -> None:
    async with connected(url) as (reader, writer):
        writer.write(request(report()).replace(b"W-1", b"W-2"))
        answer = await reader.readline()

    assert answer.startswith(b"HTTP/1.1 401 ")
    assert [] == desk.reports


@pytest.mark.parametrize("off, code", [(-301, 401), (-300, 200), (0, 200), (300, 200), (301, 401)])
async def test_a_signature_holds_for_five_minutes_by_our_clock(
    desk: Desk, clock: FakeClock, off: int, code: int
) -> None:
    endpoint = ReportEndpoint(SECRET, desk.take, clock)
    port = await endpoint.start("127.0.0.1", 0)
    timestamp = str(clock.millis // 1000 + off)
    headers = {"X_Payout_Timestamp": timestamp, "X_Payout_Signature": sign(SECRET, timestamp, report())}
    got, _ = await post(f"http://127.0.0.1:{port}{PATH}", report(), **headers)
    await endpoint.stop()

    assert code == got
    assert ([clock.millis + 1000 * off] if code == 200 else []) == [one.at for one in desk.reports]


async def test_nothing_is_unpacked_before_the_signature_is_checked(
    url: str, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    packed = gzip.compress(report())

    assert (401, b"") == await post(url, b"no gzip", secret="another-secret--", Content_Encoding="gzip")
    assert 400 == (await post(url, packed, Content_Encoding="gzip"))[0]
    assert ([], []) == (desk.reports, caplog.records)


async def test_half_a_body_is_nothing_to_write_home_about(
    url: str, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    async with connected(url) as (reader, writer):
        writer.write(request(report(), length=500))
        writer.write_eof()
        await reader.read()

    assert 200 == (await post(url, report()))[0]
    assert 1 == len(desk.reports)
    assert [] == caplog.records


async def test_stopping_lets_nobody_hold_it_up(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    endpoint = ReportEndpoint(SECRET, desk.take, SystemClock())
    url = f"http://127.0.0.1:{await endpoint.start('127.0.0.1', 0)}{PATH}"
    desk.go_on.clear()
    async with AsyncExitStack() as clients:
        readers = []
        for raw in (b"", request(b"", length=500), request(report())):
            reader, writer = await clients.enter_async_context(connected(url))
            readers.append(reader)
            writer.write(raw)
        await desk.called.wait()
        await endpoint.stop()
        await endpoint.stop()

        assert [b"", b"", b""] == [await reader.read() for reader in readers]
    assert [] == caplog.records


async def test_odd_characters_become_spaces(url: str, desk: Desk) -> None:
    await post(url, b'{"order_id":"rn-1","status":"failed","reason":"a\\u0000b\\ud800c\\u202ed\\n"}')

    assert "a b c d" == desk.reports[0].reason


@pytest.mark.parametrize(
    "answer, code, said",
    [
        (PayoutReportOutcome.SAME, 200, b'"paid"'),
        (PayoutReportOutcome.OLDER, 200, b"ignored"),
        (PayoutReportOutcome.CONFLICT, 409, b"another reference"),
        (PayoutReportOutcome.UNKNOWN, 404, b"no payout"),
        (OSError("disk full at /secret/place"), 503, b"report it again"),
    ],
)
async def test_what_came_of_it_is_said(
    url: str, desk: Desk, answer: PayoutReportOutcome | Exception, code: int, said: bytes
) -> None:
    desk.answer = answer
    got, body = await post(url, report())

    assert code == got
    assert said in body
    assert b"/secret/place" not in body


async def test_what_was_not_kept_may_come_again_soon(
    url: str, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.answer = OSError("disk full")
    async with connected(url) as (reader, writer):
        writer.write(request(report(reason="a word of the body")))
        head = await reader.readuntil(b"\r\n\r\n")

    assert b"\r\nRetry-After: 5\r\n" in head
    assert ["payout.report_failed"] == [record.message for record in caplog.records]
    assert "a word of the body" not in caplog.text + str(vars(caplog.records[0]))


async def test_nobody_is_told_what_serves_it(url: str) -> None:
    async with aiohttp.ClientSession() as session:
        for address in (url, url.removesuffix(PATH)):
            async with session.post(address) as got:
                assert "Server" not in got.headers


async def test_a_body_that_is_too_large_is_not_read(url: str, desk: Desk) -> None:
    largest = report()
    assert 200 == (await post(url, largest.ljust(64 * 1024)))[0]
    desk.reports.clear()
    assert 413 == (await post(url, b" " * (64 * 1024 + 1)))[0]
    assert [] == desk.reports


async def test_nothing_else_is_served(url: str) -> None:
    async with aiohttp.ClientSession() as session:
        async with session.get(url) as got:
            assert 405 == got.status
        async with session.post(url.removesuffix(PATH)) as got:
            assert 404 == got.status


async def test_an_address_that_cannot_be_had_is_said_with_its_setting(url: str, desk: Desk) -> None:
    port = port_of(url)
    with pytest.raises(ConfigError, match=rf"payouts.listen: cannot listen on 127.0.0.1:{port}"):
        await ReportEndpoint(SECRET, desk.take, SystemClock()).start("127.0.0.1", port)
