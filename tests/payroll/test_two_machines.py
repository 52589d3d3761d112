"""A payroll system on two machines with different clocks: reports over the signed endpoint, into the database."""

import json
from collections.abc import AsyncIterator

import aiohttp
import pytest

from notifier.clock import to_millis
from notifier.domain.payout import PayoutState
from notifier.flow.notices import NoticeWriter
from notifier.payroll.endpoint import PATH, ReportEndpoint
from notifier.payroll.signature import sign
from notifier.runtime.payout_reports import PayoutReportHandler
from notifier.store.engine.database import Database
from support.clock import FakeClock
from support.withdrawal_rows import ADDRESS_BOOK, create_payout, read_payout

SECRET = "sandbox-payout-secret"
BEHIND = 50  # seconds by which the clock of the second machine is behind


@pytest.fixture
async def url(database: Database, clock: FakeClock) -> AsyncIterator[str]:
    create_payout(database)
    notices = NoticeWriter(address_book=ADDRESS_BOOK, max_age_ms=10**12, alarm_group="hr")
    handler = PayoutReportHandler(database, clock, notices, wake=lambda: None)
    endpoint = ReportEndpoint(SECRET, handler.apply, clock)
    port = await endpoint.start("127.0.0.1", 0)
    yield f"http://127.0.0.1:{port}{PATH}"
    await endpoint.stop()


async def report(url: str, clock: FakeClock, status: str, reference: str = "", *, behind: int = 0) -> None:
    content = {"order_id": "rn-1", "status": status, "reference": reference}
    if status == "failed":
        content["reason"] = "account closed"
    raw = json.dumps(content).encode()
    timestamp = str(to_millis(clock.now()) // 1000 - behind)
    headers = {"X-Payout-Timestamp": timestamp, "X-Payout-Signature": sign(SECRET, timestamp, raw)}
    async with aiohttp.ClientSession() as session, session.post(url, data=raw, headers=headers) as response:
        assert 200 == response.status, await response.text()


async def test_a_payment_after_a_failure_counts(database: Database, clock: FakeClock, url: str) -> None:
    await report(url, clock, "failed")
    await report(url, clock, "paid", "W-1", behind=BEHIND)
    assert PayoutState.PAID is read_payout(database, "rn-1").state

    await report(url, clock, "failed")  # the first report once more, whose answer was lost

    assert PayoutState.PAID is read_payout(database, "rn-1").state


async def test_a_second_payment_after_a_return_counts(database: Database, clock: FakeClock, url: str) -> None:
    await report(url, clock, "paid", "W-1", behind=2 * BEHIND)
    await report(url, clock, "failed")
    assert PayoutState.FAILED is read_payout(database, "rn-1").state

    await report(url, clock, "paid", "W-2", behind=BEHIND)

    assert (PayoutState.PAID, "W-2") == ((kept := read_payout(database, "rn-1")).state, kept.reference)
