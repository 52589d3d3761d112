"""Client: the real call to the stand-in payroll, and to systems that answer oddly."""

import asyncio
import hashlib
import hmac
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from email.utils import format_datetime

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from notifier.clock import SystemClock
from notifier.errors import CallError, OutcomeUnknown, Refused, TemporaryFailure
from notifier.payroll.client import PayrollAccess, PayrollClient
from notifier.sandbox.testing import FeishuBox
from support.clock import FakeClock
from support.ports import free_port

ORDER = "rn-1"
BODY = (
    b'{"order_id":"rn-1","account_id":"7","tenant_key":"tk","referrer_open_id":"ou_1",'
    b'"amounts":[{"kind":"cash","currency":"CNY","amount":"1.0000"}],"withdrawn_at":"2026-11-24T08:00:00.000Z"}'
)
SECRET = "sandbox-payout-secret"


def access(url: str, *, secret: str = SECRET, timeout_seconds: float = 5) -> PayrollAccess:
    return PayrollAccess(url=url, secret=secret, timeout_seconds=timeout_seconds)


async def handed_over(to: PayrollAccess, body: bytes = BODY, order: str = ORDER) -> int:
    async with PayrollClient(to, SystemClock()) as client:
        return await client.submit_payout(order, body)


async def failure(to: PayrollAccess, body: bytes = BODY) -> CallError:
    with pytest.raises(CallError) as caught:
        await handed_over(to, body)
    return caught.value


@asynccontextmanager
async def answering(reply: bytes, *, hang: bool = False, reset: bool = False) -> AsyncIterator[PayrollAccess]:
    """A server that answers every request with these very bytes, and hangs up, does not, or resets."""
    forever = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(reply)
        await writer.drain()
        if hang:
            await forever.wait()
        if reset:
            at_once = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield access(f"http://127.0.0.1:{port}/payouts?key=hidden", timeout_seconds=0.5)
    finally:
        forever.set()
        server.close()


def status(code: int, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {code} Text", "Content-Length: 0", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode()


async def test_what_is_sent_is_signed_to_the_second_and_carries_its_key(clock: FakeClock) -> None:
    seen: list[tuple[dict[str, str], bytes]] = []

    async def take(request: web.Request) -> web.Response:
        seen.append((dict(request.headers), await request.read()))
        return web.Response(status=202)

    app = web.Application()
    app.router.add_post("/payouts", take)
    clock.advance(seconds=0.9)
    async with (
        TestServer(app) as server,
        PayrollClient(access(str(server.make_url("/payouts"))), clock) as client,
    ):
        assert 202 == await client.submit_payout(ORDER, BODY)

    ((headers, raw),) = seen
    by_hand = hmac.new(SECRET.encode(), b"1768464000." + BODY, hashlib.sha256).hexdigest()
    assert BODY == raw
    assert ("1768464000", f"v1={by_hand}") == (headers["X-Payout-Timestamp"], headers["X-Payout-Signature"])
    assert (ORDER, "application/json") == (headers["Idempotency-Key"], headers["Content-Type"])


async def test_the_stand_in_payroll_takes_it_once_however_often_it_is_asked(feishu_box: FeishuBox) -> None:
    to = access(f"{feishu_box.url}/payroll/payouts")

    assert [202, 200, 200] == [await handed_over(to) for _ in range(3)]
    (payout,) = feishu_box.payouts()
    assert (ORDER, 3) == (payout["order_id"], payout["received"])


async def test_another_content_under_the_same_key_is_refused_for_good(feishu_box: FeishuBox) -> None:
    to = access(f"{feishu_box.url}/payroll/payouts")
    await handed_over(to)
    error = await failure(to, BODY.replace(b"1.0000", b"2.0000"))

    assert isinstance(error, Refused)
    assert "different content" in error.reason


async def test_a_wrong_secret_may_be_mended(feishu_box: FeishuBox) -> None:
    error = await failure(access(f"{feishu_box.url}/payroll/payouts", secret="another-secret--"))

    assert isinstance(error, TemporaryFailure)
    assert 401 == error.code
    assert [] == feishu_box.payouts()


@pytest.mark.parametrize(
    "code, kind",
    [
        *((code, TemporaryFailure) for code in (301, 302, 308, 401, 403, 404, 408, 425, 429)),
        *((code, Refused) for code in (400, 405, 409, 410, 413, 415, 422)),
        *((code, OutcomeUnknown) for code in (500, 502, 503, 504, 599)),
    ],
)
async def test_every_no_has_its_meaning(code: int, kind: type[CallError]) -> None:
    async with answering(status(code, "Location: http://127.0.0.1:1/elsewhere")) as to:
        error = await failure(to)

    assert kind is type(error)
    assert code == error.code
    assert str(code) in error.reason
    assert "hidden" not in str(error)


@pytest.mark.parametrize("code", [200, 201, 202, 204, 299])
async def test_every_yes_is_one(code: int) -> None:
    async with answering(status(code)) as to:
        assert code == await handed_over(to)


@pytest.mark.parametrize(
    "wait, seconds",
    [
        ("7", 7),
        ("999999", 3600),
        ("9" * 5000, 3600),
        ("soon", None),
        ("-3", None),
        ("", None),
        ("１", None),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
        ("Mon, 01 Jan 2026 00:00:00 +99999999999999", None),
    ],
)
async def test_retry_after_in_seconds_or_in_no_form_at_all(wait: str, seconds: float | None) -> None:
    async with answering(status(503, f"Retry-After: {wait}")) as to:
        assert seconds == (await failure(to)).retry_after_seconds


@pytest.mark.parametrize("ahead, seconds", [(60, 60), (-60, 0), (86_400, 3600)])
async def test_retry_after_as_a_date(clock: FakeClock, ahead: int, seconds: float) -> None:
    at = format_datetime(clock.now().replace(microsecond=0) + timedelta(seconds=ahead), usegmt=True)
    async with (
        answering(status(429, f"Retry-After: {at}")) as to,
        PayrollClient(to, clock) as client,
    ):
        with pytest.raises(TemporaryFailure) as caught:
            await client.submit_payout(ORDER, BODY)

    assert caught.value.retry_after_seconds == pytest.approx(seconds, abs=1)


async def test_a_system_that_is_not_there_was_not_told() -> None:
    error = await failure(access(f"http://127.0.0.1:{free_port()}/payouts?key=hidden"))

    assert isinstance(error, TemporaryFailure)
    assert "hidden" not in str(error)


async def test_a_name_that_does_not_resolve_was_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", unknown)
    error = await failure(access("http://payroll.invalid/payouts?key=hidden"))

    assert isinstance(error, TemporaryFailure)
    assert "hidden" not in str(error)


@pytest.mark.parametrize("host", ["x" * 70 + ".invalid", "127.0.0.1:99999"])
async def test_an_address_that_cannot_be_called_was_not_told(host: str) -> None:
    error = await failure(access(f"http://{host}/payouts?key=hidden"))

    assert isinstance(error, TemporaryFailure)
    assert "hidden" not in str(error)


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"])
async def test_a_reset_leaves_it_open(sent: bytes) -> None:
    async with answering(sent, reset=True) as to:
        assert isinstance(await failure(to), OutcomeUnknown)


@pytest.mark.parametrize(
    "rest",
    [
        b"Content-Length: 100000000\r\n\r\n" + b"x" * 100_000,
        b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd",
    ],
)
async def test_what_a_yes_says_besides_does_not_matter(rest: bytes) -> None:
    async with answering(b"HTTP/1.1 200 OK\r\n" + rest, hang=True) as to:
        assert 200 == await handed_over(to)


@pytest.mark.parametrize(
    "reply, hang",
    [
        (b"", False),
        (b"", True),
        (b"HTTP/1.1 200 OK\r\nContent-Le", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", False),
        (b"no HTTP at all\r\n\r\n", False),
    ],
)
async def test_an_answer_that_never_comes_or_is_cut_leaves_it_open(reply: bytes, *, hang: bool) -> None:
    async with answering(reply, hang=hang) as to:
        assert isinstance(await failure(to), OutcomeUnknown)


async def test_how_long_was_waited_is_said() -> None:
    async with answering(b"", hang=True) as to:
        assert "did not answer within 0.5 s" in (await failure(to)).reason


def test_the_secret_is_not_shown_with_the_access() -> None:
    assert SECRET not in repr(access("http://127.0.0.1/"))


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
async def test_payouts_never_pass_a_proxy(
    feishu_box: FeishuBox, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        monkeypatch.setenv(variable, f"http://127.0.0.1:{proxy.getsockname()[1]}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        assert 202 == await handed_over(access(f"{feishu_box.url}/payroll/payouts"))
        proxy.settimeout(0)
        with pytest.raises(BlockingIOError):
            proxy.accept()
