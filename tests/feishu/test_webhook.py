"""Webhook: posts over a real socket, as Feishu makes them and as anybody else may."""

import asyncio
import base64
import contextlib
import gzip
import hashlib
import io
import itertools
import json
import logging
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import Future
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from yarl import URL

from notifier.domain.event import UNREADABLE, Event
from notifier.errors import ConfigError
from notifier.feishu import callback_answers
from notifier.feishu.webhook import endpoint
from notifier.feishu.webhook.endpoint import MAX_BODY_BYTES, WebhookEndpoint
from notifier.feishu.webhook.request import WebhookAccess
from notifier.sandbox.push.webhook import encrypt, signature_headers
from notifier.store import inbox
from notifier.store.engine.database import Database
from notifier.web import connection_limit, post_endpoint
from support.clock import FakeClock
from support.waiting import wait_until

KEY, TOKEN = "an-encrypt-key-of-ours", "a-verification-token-of-ours"
PATH = "/feishu/events"
BALANCE = "hire.referral_account.assets_update_v1"


class Desk:
    """Stands for the storing step. document: what it answers clicks with. broken: storing fails with it. gate: holds
    every store until it is set.
    """

    def __init__(self) -> None:
        self.kept: list[Event] = []
        self.document: Any = None
        self.broken: Exception | None = None
        self.gate: threading.Event | None = None
        self.begun = 0

    def accept(self, event: Event) -> "Future[Any]":
        self.begun += 1
        stored: Future[Any] = Future()
        if self.gate is None:
            self._finish(event, stored)
        else:
            threading.Thread(target=self._later, args=(event, stored, self.gate), daemon=True).start()
        return stored

    def _later(self, event: Event, stored: "Future[Any]", gate: threading.Event) -> None:
        gate.wait(30)
        self._finish(event, stored)

    def _finish(self, event: Event, stored: "Future[Any]") -> None:
        if not stored.set_running_or_notify_cancel():
            return
        if self.broken is not None:
            stored.set_exception(self.broken)
            return
        self.kept.append(event)
        stored.set_result(self.document)


@pytest.fixture
def desk() -> Desk:
    return Desk()


@asynccontextmanager
async def serving(
    accept: Any, clock: FakeClock, *, encrypt_key: str = KEY, verification_token: str = TOKEN
) -> AsyncIterator[str]:
    access = WebhookAccess(
        app_id="cli_ours", path=PATH, encrypt_key=encrypt_key, verification_token=verification_token
    )
    server = WebhookEndpoint(access, accept=accept, clock=clock)
    port = await server.start("127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{port}{PATH}"
    finally:
        await server.stop()


@pytest.fixture
async def url(desk: Desk, clock: FakeClock) -> AsyncIterator[str]:
    """With both secrets."""
    async with serving(desk.accept, clock) as address:
        yield address


def payload(key: str = "ev-1", *, token: object = TOKEN, event_type: str = BALANCE, **event: Any) -> bytes:
    header = {
        "event_id": key,
        "event_type": event_type,
        "create_time": "1700000000000",
        "token": token,
        "app_id": "cli_ours",
        "tenant_key": "t",
    }
    return json.dumps({"schema": "2.0", "header": header, "event": event}).encode()


def click() -> bytes:
    return payload("cb-1", event_type="card.action.trigger", token=TOKEN, action={"value": {"ref": "abc"}})


def sealed(plain: bytes, key: str = KEY) -> bytes:
    return json.dumps({"encrypt": encrypt(key, plain)}).encode()


def signed(clock: FakeClock, raw: bytes, *, off: int = 0, key: str = KEY) -> dict[str, str]:
    return signature_headers(key, raw, seconds_now=clock.millis // 1000 + off)


async def post(url: str, raw: Any, headers: Mapping[str, str] | None = None) -> tuple[int, bytes]:
    async with aiohttp.ClientSession() as session, session.post(url, data=raw, headers=headers) as response:
        return response.status, await response.read()


async def deliver(url: str, clock: FakeClock, plain: bytes) -> tuple[int, bytes]:
    """As Feishu posts it."""
    raw = sealed(plain)
    return await post(url, raw, signed(clock, raw))


async def test_an_event_is_stored_before_it_is_answered(url: str, desk: Desk, clock: FakeClock) -> None:
    assert (200, b"{}") == await deliver(url, clock, payload(account_id="7"))

    (event,) = desk.kept
    assert ("ev-1", BALANCE, "t", "cli_ours") == (
        event.key,
        event.event_type,
        event.tenant_key,
        event.app_id,
    )


async def test_what_is_stored_is_the_json_of_the_long_connection(
    url: str, desk: Desk, clock: FakeClock
) -> None:
    """Byte by byte, but for the tokens, which are secrets."""
    plain = (
        b'{ "header" : {"event_id":"e","event_type":"x","token" : "%s"}, "event":{"a":0.10,"token":"c-1"}}'
    )
    await deliver(url, clock, plain % TOKEN.encode())

    (event,) = desk.kept
    kept = plain.replace(b'"%s"', b'""').replace(b'"c-1"', b'""')
    assert kept == event.payload


async def test_an_event_of_the_first_version_is_taken(url: str, desk: Desk, clock: FakeClock) -> None:
    old = {"uuid": "u-1", "token": TOKEN, "type": "event_callback", "event": {"type": "x", "app_id": "a"}}

    assert 200 == (await deliver(url, clock, json.dumps(old).encode()))[0]
    assert ["u-1"] == [event.key for event in desk.kept]
    assert TOKEN.encode() not in desk.kept[0].payload


@pytest.mark.parametrize(
    "plain",
    [b"", b"hello", b"\xff\xfe", b"[]", b"null", b"NaN", b"[" * 100_000, b'{"a":' * 50_000, b'{"encrypt"'],
)
async def test_what_is_rightly_signed_and_no_event_is_kept_for_a_person(
    desk: Desk, clock: FakeClock, plain: bytes
) -> None:
    async with serving(desk.accept, clock, verification_token="") as url:
        assert 200 == (await deliver(url, clock, plain))[0]
        assert 200 == (await post(url, plain, signed(clock, plain)))[0]

    assert [UNREADABLE, UNREADABLE] == [event.event_type for event in desk.kept]
    assert {plain} == {event.payload for event in desk.kept}


# --- who may post ---------------------------------------------------------------------------------------------------


def flipped(raw: bytes) -> bytes:
    """One bit of the cipher text."""
    at = raw.index(b'": "') + 10
    return raw[:at] + (b"A" if raw[at : at + 1] != b"A" else b"B") + raw[at + 1 :]


def without(headers: dict[str, str], name: str) -> dict[str, str]:
    return {key: value for key, value in headers.items() if key != name}


def at(timestamp: str, raw: bytes) -> dict[str, str]:
    """Rightly signed with any text for a time."""
    signature = hashlib.sha256(f"{timestamp}n{KEY}".encode() + raw).hexdigest()
    return {
        "X-Lark-Request-Timestamp": timestamp,
        "X-Lark-Request-Nonce": "n",
        "X-Lark-Signature": signature,
    }


def refused_posts(clock: FakeClock) -> list[tuple[str, bytes, dict[str, str]]]:
    raw, plain = sealed(payload()), payload()
    right = signed(clock, raw)
    return [
        ("no headers", raw, {}),
        ("no signature", raw, without(right, "X-Lark-Signature")),
        ("no timestamp", raw, without(right, "X-Lark-Request-Timestamp")),
        ("no nonce", raw, without(right, "X-Lark-Request-Nonce")),
        ("empty signature", raw, right | {"X-Lark-Signature": ""}),
        ("wrong signature", raw, right | {"X-Lark-Signature": "0" * 64}),
        ("another timestamp", raw, right | {"X-Lark-Request-Timestamp": str(clock.millis // 1000 + 1)}),
        ("another nonce", raw, right | {"X-Lark-Request-Nonce": "n"}),
        ("another key", raw, signed(clock, raw, key="another")),
        ("one bit", flipped(raw), right),
        ("one byte more", raw + b" ", right),
        ("stale", raw, signed(clock, raw, off=-301)),
        ("from the future", raw, signed(clock, raw, off=301)),
        ("a time that is none", raw, at("now", raw)),
        ("no time", raw, at("", raw)),
        ("a time before 1970", raw, at("-1", raw)),
        ("plain", plain, {}),
        ("not JSON", b"hello", {}),
        ("nothing", b"", {}),
        ("unsigned garbage", b'{"encrypt": "garbage"}', {}),
        ("wrong token", w := sealed(payload(token="another")), signed(clock, w)),
        ("no token", n := sealed(payload(token="")), signed(clock, n)),
        ("token of another kind", k := sealed(payload(token=[TOKEN])), signed(clock, k)),
        ("signed, no event", s := sealed(b"[]"), signed(clock, s)),
    ]


async def test_what_is_not_rightly_signed_gets_401_and_nothing_else(
    url: str, desk: Desk, clock: FakeClock
) -> None:
    for name, raw, headers in refused_posts(clock):
        assert (name, 401, b"") == (name, *await post(url, raw, headers))
    assert [] == desk.kept


@pytest.mark.parametrize("off", [-300, -1, 0, 300])
async def test_a_signature_holds_for_five_minutes_each_way(url: str, clock: FakeClock, off: int) -> None:
    raw = sealed(payload())

    assert 200 == (await post(url, raw, signed(clock, raw, off=off)))[0]


async def test_header_names_come_in_any_case(url: str, clock: FakeClock) -> None:
    raw = sealed(payload())
    headers = {name.lower(): value for name, value in signed(clock, raw).items()}

    assert 200 == (await post(url, raw, headers))[0]


@pytest.mark.parametrize(
    "raw",
    [
        payload(token="another"),
        payload(token=""),
        payload(token=TOKEN[:-1]),
        payload(token="é\ud800"),
        b"hello",
        b"[]",
        b"[" * 100_000,
        sealed(payload()),
        json.dumps({"token": TOKEN, "header": {"event_id": "e"}}).encode(),
    ],
)
async def test_without_an_encrypt_key_the_token_must_match(desk: Desk, clock: FakeClock, raw: bytes) -> None:
    async with serving(desk.accept, clock, encrypt_key="") as url:
        assert (401, b"") == await post(url, raw)
        assert [] == desk.kept
        assert 200 == (await post(url, payload()))[0]

    assert ["ev-1"] == [event.key for event in desk.kept]


async def test_with_an_encrypt_key_alone_no_token_is_needed(desk: Desk, clock: FakeClock) -> None:
    async with serving(desk.accept, clock, verification_token="") as url:
        assert 200 == (await deliver(url, clock, payload(token="whatever")))[0]
        raw = payload()
        assert (401, b"") == await post(url, raw)

    assert ["ev-1"] == [event.key for event in desk.kept]
    assert b"whatever" not in desk.kept[0].payload


def test_without_any_secret_there_is_no_webhook() -> None:
    with pytest.raises(ConfigError, match=r"encrypt_key or webhook\.verification_token"):
        WebhookAccess(app_id="a", path=PATH)


async def test_each_reason_is_told_once_a_minute(
    url: str, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    raw = sealed(payload())
    for _ in range(3):
        await post(url, raw, signed(clock, raw, key="another"))
        await post(url, raw)
    clock.advance(seconds=60)
    await post(url, raw)

    assert ["webhook.rejected"] * 3 == caplog.messages
    told = [str(vars(record)["reason"]) for record in caplog.records]
    assert ["wrong" in why for why in told] == [True, False, False]
    assert KEY not in str([vars(record) for record in caplog.records])


def padded_wrongly() -> str:
    """Encrypted with our key, for sure; only its last byte is no padding."""
    whole = base64.b64decode(encrypt(KEY, b"x" * 15 + b"\0"))
    return base64.b64encode(whole[:-16]).decode()


@pytest.mark.parametrize(
    "encrypted",
    ["not base64!", "", "aGVsbG8=", pytest.param(padded_wrongly(), id="padding"), 7, None, {"a": 1}],
)
async def test_garbage_under_a_right_signature_is_a_400_and_a_line(
    url: str, desk: Desk, clock: FakeClock, caplog: pytest.LogCaptureFixture, encrypted: object
) -> None:
    raw = json.dumps({"encrypt": encrypted}).encode()

    assert (400, b"") == await post(url, raw, signed(clock, raw))
    assert ([], ["webhook.decryption_failed"]) == (desk.kept, caplog.messages)


async def test_another_key_in_the_envelope_than_in_the_signature_stores_nothing(
    url: str, desk: Desk, clock: FakeClock
) -> None:
    """One envelope in 256 leaves a padding by chance; what comes of it shows no token."""
    raw = sealed(payload(), key="another")

    assert (await post(url, raw, signed(clock, raw)))[0] in {400, 401}
    assert [] == desk.kept


# --- the check of the address ---------------------------------------------------------------------------------------


def check(token: object = TOKEN, **more: Any) -> bytes:
    return json.dumps({"challenge": "ch-1", "token": token, "type": "url_verification", **more}).encode()


@pytest.mark.parametrize("is_signed", [False, True])
async def test_the_check_of_the_address_is_answered_signed_or_not(
    url: str, desk: Desk, clock: FakeClock, *, is_signed: bool
) -> None:
    raw = sealed(check())
    code, answer = await post(url, raw, signed(clock, raw) if is_signed else {})

    assert (200, {"challenge": "ch-1"}) == (code, json.loads(answer))
    assert [] == desk.kept


async def test_without_an_encrypt_key_the_check_comes_in_plain(desk: Desk, clock: FakeClock) -> None:
    async with serving(desk.accept, clock, encrypt_key="") as url:
        code, answer = await post(url, check())
        assert (200, {"challenge": "ch-1"}) == (code, json.loads(answer))
        assert (401, b"") == await post(url, check(token="another"))


@pytest.mark.parametrize(
    "raw",
    [
        check(),
        sealed(check(), key="another"),
        sealed(check(token="another")),
        sealed(check(token=None)),
        sealed(check(type="event")),
        sealed(check(challenge=7)),
        sealed(b"hello"),
    ],
    ids=itertools.count(),  # what is sealed differs each time, and processes that share the tests must agree on names
)
async def test_a_check_that_shows_no_secret_is_refused(url: str, raw: bytes) -> None:
    assert (401, b"") == await post(url, raw)


async def test_what_is_unsigned_and_too_long_for_a_check_is_not_even_parsed(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Else it would be told as what it is inside: sealed with another key."""
    body = {"encrypt": padded_wrongly(), "more": [1] * 5000}
    assert (401, b"") == await post(url, json.dumps(body).encode())

    [told] = [str(vars(record)["reason"]) for record in caplog.records]
    assert "there is no signature" in told


async def test_a_console_with_another_key_is_told_apart_from_a_stranger(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The check may come unsigned: that nothing is signed would lead nobody to the key."""
    assert (401, b"") == await post(url, json.dumps({"encrypt": padded_wrongly()}).encode())
    assert (401, b"") == await post(url, b"hello")

    told = [str(vars(record)["reason"]) for record in caplog.records]
    assert ["webhook.encrypt_key" in why for why in told] == [True, False]


async def test_a_check_under_a_wrong_signature_is_refused(url: str, clock: FakeClock) -> None:
    raw = sealed(check())

    assert (401, b"") == await post(url, raw, signed(clock, raw, key="another"))
    assert (401, b"") == await post(url, raw, signed(clock, raw, off=-1000))


async def test_no_event_passes_as_a_check(desk: Desk, clock: FakeClock) -> None:
    """Without a signature nothing but the challenge comes of it, whatever else stands there."""
    plain = json.loads(payload()) | json.loads(check())
    async with serving(desk.accept, clock, verification_token="") as url:
        code, answer = await post(url, sealed(json.dumps(plain).encode()))

    assert (200, {"challenge": "ch-1"}) == (code, json.loads(answer))
    assert [] == desk.kept


async def test_the_check_does_not_wait_for_the_store(url: str, desk: Desk) -> None:
    desk.gate = threading.Event()

    assert 200 == (await post(url, sealed(check())))[0]


# --- what is stored, and what is not --------------------------------------------------------------------------------


async def test_what_could_not_be_stored_is_asked_for_again(
    url: str, desk: Desk, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    desk.broken = OSError("disk full")
    assert (500, b"") == await deliver(url, clock, payload())
    desk.broken = None
    assert 200 == (await deliver(url, clock, payload()))[0]

    assert ["ev-1"] == [event.key for event in desk.kept]
    assert ["event.store_failed"] == caplog.messages


async def test_a_slow_store_is_no_success(
    url: str,
    desk: Desk,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(endpoint, "STORE_TIMEOUT_SECONDS", 0.05)
    desk.gate = threading.Event()

    assert (500, b"") == await deliver(url, clock, payload())
    assert ["event.store_delayed"] == caplog.messages
    desk.gate.set()


async def test_the_same_post_again_is_stored_once(database: Database, clock: FakeClock) -> None:
    """On the real inbox: a replay inside the window is a second copy of an event like any other."""
    keep = inbox.EventInserter(clock)
    raw = sealed(payload())
    headers = signed(clock, raw)
    async with serving(lambda event: database.write_many(keep, event), clock) as url:
        codes = [(await post(url, raw, headers))[0] for _ in range(3)]
        codes += [code for code, _ in await asyncio.gather(*(post(url, raw, headers) for _ in range(20)))]

    assert {200} == set(codes)
    with database.read() as connection:
        assert {"new": 1} == inbox.count_by_state(connection)


# --- clicks ---------------------------------------------------------------------------------------------------------


async def test_a_click_is_answered_with_the_document(url: str, desk: Desk, clock: FakeClock) -> None:
    desk.document = {"toast": {"type": "info", "content": "好"}, "card": {"type": "raw", "data": {"a": [1]}}}
    code, answer = await deliver(url, clock, click())

    assert (200, desk.document) == (code, json.loads(answer))
    assert ["cb-1"] == [event.key for event in desk.kept]


async def test_a_click_that_changes_nothing_is_answered_with_nothing(
    url: str, desk: Desk, clock: FakeClock
) -> None:
    desk.document = {"toast": None, "card": None}

    assert (200, b"{}") == await deliver(url, clock, click())


async def test_a_click_that_was_not_stored_asks_to_press_again(
    url: str, desk: Desk, clock: FakeClock
) -> None:
    desk.broken = OSError("disk full")
    code, answer = await deliver(url, clock, click())

    assert (200, callback_answers.TRY_LATER_TOAST) == (code, json.loads(answer))


async def test_a_slow_click_is_answered_in_time_and_still_stored(
    url: str, desk: Desk, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callback_answers, "ANSWER_TIMEOUT_SECONDS", 0.05)
    gate = desk.gate = threading.Event()
    code, answer = await deliver(url, clock, click())

    assert (200, callback_answers.RECEIVED_TOAST) == (code, json.loads(answer))
    assert [] == desk.kept
    gate.set()
    await until(lambda: desk.kept, "stored after all")


# --- stopping, and the wire itself ----------------------------------------------------------------------------------


async def until(condition: Callable[[], object], description: str) -> None:
    await asyncio.to_thread(wait_until, condition, description)


async def test_stopping_does_not_take_back_a_click(
    desk: Desk, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(post_endpoint, "STOP_SECONDS", 0.1)
    gate = desk.gate = threading.Event()
    async with serving(desk.accept, clock) as url:
        asked = asyncio.ensure_future(deliver(url, clock, click()))
        await until(lambda: desk.begun, "it is being stored")
    with pytest.raises(aiohttp.ClientError):
        await asked
    gate.set()

    await until(lambda: desk.kept, "stored after all")


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", URL(url).port)
    try:
        yield reader, writer
    finally:
        writer.close()


def request(clock: FakeClock, raw: bytes, *, length: int | None = None) -> bytes:
    """As it goes over the wire. length: what the head promises, if not the truth."""
    lines = [
        f"POST {PATH} HTTP/1.1",
        "Host: here",
        f"Content-Length: {len(raw) if length is None else length}",
        *(f"{name}: {value}" for name, value in signed(clock, raw).items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + raw


async def test_a_body_that_is_too_large_is_not_read(url: str, desk: Desk, clock: FakeClock) -> None:
    largest = sealed(payload()).ljust(MAX_BODY_BYTES)
    assert 200 == (await post(url, io.BytesIO(largest), signed(clock, largest)))[0]
    larger = largest + b" "
    assert 413 == (await post(url, io.BytesIO(larger), signed(clock, larger)))[0]
    assert 1 == len(desk.kept)


async def chunks(raw: bytes, size: int) -> AsyncIterator[bytes]:
    for at in range(0, len(raw), size):
        yield raw[at : at + size]


async def test_a_body_in_chunks_is_held_to_the_same_limit(url: str, desk: Desk, clock: FakeClock) -> None:
    raw = sealed(payload())
    larger = raw.ljust(MAX_BODY_BYTES + 1)

    assert 200 == (await post(url, chunks(raw, 7), signed(clock, raw)))[0]
    assert 413 == (await post(url, chunks(larger, 65536), signed(clock, larger)))[0]
    assert 1 == len(desk.kept)


async def test_half_a_body_is_nothing_to_write_home_about(
    url: str, desk: Desk, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with connected(url) as (reader, writer):
        writer.write(request(clock, sealed(payload()), length=5000))
        writer.write_eof()
        await reader.read()

    assert 200 == (await deliver(url, clock, payload("ev-2")))[0]
    assert (["ev-2"], []) == ([event.key for event in desk.kept], caplog.records)


async def test_a_slow_body_is_not_waited_for(
    url: str, desk: Desk, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(post_endpoint, "READ_SECONDS", 0.05)
    async with connected(url) as (reader, writer):
        writer.write(request(clock, sealed(payload()), length=5000))
        answer = await reader.readline()

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert [] == desk.kept


@pytest.mark.parametrize("begun", [b"", b"POST /feishu/events HTTP/1.1\r\nHost: here\r\n"])
async def test_a_slow_head_is_not_waited_for(
    url: str, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    monkeypatch.setattr(connection_limit, "FIRST_REQUEST_SECONDS", 0.05)
    async with connected(url) as (reader, writer):
        writer.write(begun)
        assert b"" == await asyncio.wait_for(reader.read(), 5)
    monkeypatch.undo()

    assert 200 == (await deliver(url, clock, payload()))[0]


async def test_a_crowd_of_strangers_that_say_nothing_keeps_nobody_out(
    url: str, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest of them goes; a file descriptor is never wanting."""
    monkeypatch.setattr(connection_limit, "MAX_CONNECTIONS", 5)
    async with contextlib.AsyncExitStack() as crowd:
        strangers = []
        for begun in (
            b"",
            b"POST ",
            *[b"POST /feishu/events HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n"] * 6,
        ):
            strangers.append(await crowd.enter_async_context(connected(url)))
            strangers[-1][1].write(begun)
        assert 200 == (await deliver(url, clock, payload()))[0]
        for reader, _ in strangers[:4]:
            assert b"" == await asyncio.wait_for(reader.read(), 5)
        assert not strangers[-1][0].at_eof()


async def test_who_is_refused_begins_anew_and_who_is_not_goes_on(
    url: str, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that one refusal does not buy a second head all the time in the world."""
    monkeypatch.setattr(connection_limit, "FIRST_REQUEST_SECONDS", 0.5)
    good = request(clock, sealed(payload()))
    async with connected(url) as (reader, writer):
        for _ in range(2):
            writer.write(good)
            await reader.readuntil(b"\r\n\r\n{}")
        writer.write(good.replace(b"X-Lark-Signature: ", b"X-Lark-Signature: 0"))
        answer = await asyncio.wait_for(reader.read(), 5)

    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"connection: close" in answer.lower()


async def test_nothing_is_unpacked(url: str, desk: Desk, clock: FakeClock) -> None:
    """What is signed are the bytes of the wire; a small body that unpacks to a huge one stays small."""
    raw = sealed(payload())
    packed = gzip.compress(raw)
    headers = {"Content-Encoding": "gzip"}

    assert (401, b"") == await post(url, packed, headers)
    assert (401, b"") == await post(url, packed, headers | signed(clock, packed))
    assert (401, b"") == await post(url, packed, headers | signed(clock, raw))
    assert [] == desk.kept


async def test_nothing_else_is_served(url: str) -> None:
    async with aiohttp.ClientSession() as session:
        for method in ("GET", "HEAD", "PUT", "OPTIONS"):
            async with session.request(method, url) as got:
                assert 405 == got.status
        for other in ("/", PATH + "/", PATH.upper(), "//" + PATH, "/feishu"):
            async with session.post(URL(url).with_path(other), allow_redirects=False) as got:
                assert 404 == got.status


async def test_nobody_is_told_what_serves_it(url: str) -> None:
    async with aiohttp.ClientSession() as session:
        for address in (url, url.removesuffix(PATH)):
            async with session.post(address) as got:
                assert "Server" not in got.headers


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 100,
        b"\0" * 5000 + b"\r\n\r\n",
        b"GET " + b"/" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(20_000)) + b"\r\n",
    ],
)
async def test_garbage_ends_its_own_connection_and_nothing_else(
    url: str, desk: Desk, clock: FakeClock, garbage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Alone, and behind a good request on the same connection."""
    for before in (b"", request(clock, sealed(payload()))):
        async with connected(url) as (reader, writer):
            if before:
                writer.write(before)
                assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
                await reader.readuntil(b"\r\n\r\n{}")
            writer.write(garbage)
            with contextlib.suppress(ConnectionError):  # what was not read may be answered by a reset
                assert (await reader.readline()).startswith(b"HTTP/1.0 400 ")
                assert b"Traceback" not in await reader.read()

    assert 200 == (await deliver(url, clock, payload("ev-2")))[0]
    assert ["ev-1", "ev-2"] == [event.key for event in desk.kept]
    assert [] == [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_an_address_that_cannot_be_had_is_said_with_its_setting(
    url: str, desk: Desk, clock: FakeClock
) -> None:
    port = URL(url).port
    access = WebhookAccess(app_id="a", path=PATH, encrypt_key=KEY)
    assert port is not None
    with pytest.raises(ConfigError, match=rf"webhook\.listen: cannot listen on 127\.0\.0\.1:{port}"):
        await WebhookEndpoint(access, accept=desk.accept, clock=clock).start("127.0.0.1", port)


def test_the_webhook_does_without_the_sdk() -> None:
    """It costs 2 s and 170 MB."""
    code = "import sys, notifier.runtime.inbound; print([name for name in sys.modules if name.startswith('lark')])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "[]" == ran.stdout.strip()
