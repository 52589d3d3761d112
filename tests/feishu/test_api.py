"""Calls against the stand-in, over real sockets: one token, and every failure as one of our errors."""

import asyncio
import json
import socket
import traceback
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from notifier.domain.delivery import CardVariant, Content, SentMessage
from notifier.errors import (
    AppSuspended,
    CallError,
    NotAuthorised,
    OutcomeUnknown,
    RecipientUnreachable,
    Refused,
    TemporaryFailure,
)
from notifier.feishu.api import TOKEN_PATH, AppAccess, FeishuApi, is_loopback
from notifier.feishu.long_connection.discovery import discover
from notifier.feishu.messages import FeishuMessageSender
from notifier.sandbox.testing import FeishuBox
from support.clock import FakeClock

ACCOUNT = "7000000000000000001"
READ_PATH = "/open-apis/hire/v1/referral_account/get_account_assets"
SEND_PATH = "/open-apis/im/v1/messages"
READ, SEND, TOKEN = f"GET {READ_PATH}", f"POST {SEND_PATH}", f"POST {TOKEN_PATH}"
LIN = "ou_sandbox_lin"
SHORT_SECONDS = 0.5
HTML = "<html><h1>Bad Gateway</h1></html>"


@pytest.fixture
def access(feishu_box: FeishuBox) -> AppAccess:
    return AppAccess(base_url=feishu_box.url, app_id=feishu_box.app_id, app_secret=feishu_box.app_secret)


@pytest.fixture
async def api(access: AppAccess, clock: FakeClock) -> AsyncIterator[FeishuApi]:
    async with FeishuApi(access, clock) as opened:
        yield opened


@pytest.fixture
async def hurried_api(access: AppAccess, clock: FakeClock) -> AsyncIterator[FeishuApi]:
    """One that does not wait long for an answer, with its token in hand."""
    async with FeishuApi(replace(access, timeout_seconds=SHORT_SECONDS), clock) as opened:
        await opened.token()
        yield opened


async def read(api: FeishuApi) -> dict[str, Any]:
    answer = await api.call("GET", READ_PATH, query={"referral_account_id": ACCOUNT})
    return dict(answer.data)


async def send(api: FeishuApi, text: str = "hi", *, uuid: str = "u-1", to: str = LIN) -> SentMessage:
    content = Content(variant=CardVariant.FULL, msg_type="text", body=json.dumps({"text": text}))
    return await FeishuMessageSender(api).send(content, id_type="open_id", receive_id=to, uuid=uuid)


def answer_with(box: FeishuBox, match: str, **fault: object) -> None:
    box.add_call_fault({"match": match, **fault})


def tokens_asked_for(box: FeishuBox) -> int:
    return len(box.requests(TOKEN_PATH))


async def test_a_success_gives_the_data_and_the_log_id(feishu_box: FeishuBox, api: FeishuApi) -> None:
    answer = await api.call("GET", READ_PATH, query={"referral_account_id": ACCOUNT})
    (line,) = feishu_box.requests(READ_PATH)

    assert ACCOUNT == answer.data["account"]["account_id"]
    assert line["log_id"] == answer.log_id


async def test_a_message_arrives_as_it_was_written(feishu_box: FeishuBox, api: FeishuApi) -> None:
    created = await send(api, "余额 +¥200 “ok”\n")
    (message,) = feishu_box.messages(LIN)

    assert {"text": "余额 +¥200 “ok”\n"} == message["content"]
    assert (message["message_id"], message["chat_id"]) == (created.message_id, created.chat_id)
    assert feishu_box.requests(SEND_PATH)[0]["log_id"] == created.log_id


async def test_a_second_send_with_the_same_uuid_gives_the_first_message(
    feishu_box: FeishuBox, api: FeishuApi
) -> None:
    first, second = await send(api), await send(api)

    assert first.message_id == second.message_id
    assert 1 == len(feishu_box.all_messages())


async def test_another_uuid_is_another_message(feishu_box: FeishuBox, api: FeishuApi) -> None:
    await send(api, uuid="u-1")
    await send(api, uuid="u-2")

    assert 2 == len(feishu_box.all_messages())


async def test_an_api_outside_its_context_says_so(access: AppAccess, clock: FakeClock) -> None:
    with pytest.raises(RuntimeError, match="outside its context"):
        await read(FeishuApi(access, clock))


async def test_many_calls_share_one_token(feishu_box: FeishuBox, api: FeishuApi) -> None:
    await asyncio.gather(*(read(api) for _ in range(8)))
    await send(api)

    assert 1 == tokens_asked_for(feishu_box)


@pytest.mark.parametrize("asked, seconds", [(1, 6599), (2, 6600), (2, 7200)])
async def test_a_token_is_renewed_ten_minutes_before_its_end(
    feishu_box: FeishuBox, api: FeishuApi, clock: FakeClock, asked: int, seconds: float
) -> None:
    await read(api)
    clock.advance(seconds=seconds)
    await read(api)

    assert asked == tokens_asked_for(feishu_box)


async def test_a_rejected_token_is_renewed_once_and_the_call_made_again(
    feishu_box: FeishuBox, api: FeishuApi
) -> None:
    await read(api)
    feishu_box.expire_tokens()
    data = await read(api)

    assert ACCOUNT == data["account"]["account_id"]
    assert 2 == tokens_asked_for(feishu_box)
    assert [0, 99991663, 0] == [line["code"] for line in feishu_box.requests(READ_PATH)]


async def test_calls_that_lose_their_token_together_renew_it_together(
    feishu_box: FeishuBox, api: FeishuApi
) -> None:
    await read(api)
    feishu_box.expire_tokens()
    await asyncio.gather(*(send(api, uuid=f"u-{number}", to=LIN) for number in range(5)))

    assert 2 == tokens_asked_for(feishu_box)
    assert 5 == len(feishu_box.all_messages())


@pytest.mark.parametrize("code", [99991661, 99991663, 99991664, 99991665])
async def test_a_fresh_token_that_is_rejected_too_ends_the_call_for_now(
    feishu_box: FeishuBox, api: FeishuApi, code: int
) -> None:
    answer_with(feishu_box, READ, action="code", code=code)
    with pytest.raises(NotAuthorised) as refused:
        await read(api)

    assert code == refused.value.code
    assert 2 == len(feishu_box.requests(READ_PATH))


async def test_what_the_second_try_meets_is_sorted_like_any_other_failure(
    feishu_box: FeishuBox, api: FeishuApi
) -> None:
    answer_with(feishu_box, SEND, action="code", code=99991663, times=1)
    feishu_box.set_person(LIN, status="resigned")
    with pytest.raises(RecipientUnreachable) as unreachable:
        await send(api)

    assert 230029 == unreachable.value.code


@pytest.mark.parametrize(
    "code, app_id, app_secret",
    [(10015, None, "not-the-secret"), (10003, "cli_somebody_else", None)],
)
async def test_wrong_credentials_are_named_as_such(
    feishu_box: FeishuBox, clock: FakeClock, code: int, app_id: str | None, app_secret: str | None
) -> None:
    access = AppAccess(
        base_url=feishu_box.url,
        app_id=app_id or feishu_box.app_id,
        app_secret=app_secret or feishu_box.app_secret,
    )
    async with FeishuApi(access, clock) as api:
        with pytest.raises(NotAuthorised) as refused:
            await read(api)

    assert code == refused.value.code
    assert [] == feishu_box.requests(READ_PATH)


@pytest.mark.parametrize(
    "fault",
    [
        {"action": "http", "status": 502, "body": HTML},
        {"action": "http", "status": 200, "body": HTML},
        {"action": "http", "status": 200, "body": '{"code": 0}'},
        {"action": "http", "status": 200, "body": '{"code": 0, "tenant_access_token": 7, "expire": 7200}'},
        {"action": "code", "http_status": 500, "code": 5000},
        {"action": "reset"},
        {"action": "truncate"},
    ],
)
async def test_without_a_token_nothing_is_sent_so_nothing_is_unknown(
    feishu_box: FeishuBox, api: FeishuApi, fault: dict[str, object]
) -> None:
    answer_with(feishu_box, TOKEN, times=1, **fault)
    with pytest.raises(TemporaryFailure) as put_off:
        await send(api)

    assert put_off.value.affects_whole_app
    assert [] == feishu_box.requests(SEND_PATH)
    assert "" != (await send(api)).message_id


@pytest.mark.parametrize("http_status", [200, 400, 500])
async def test_the_code_decides_and_not_the_http_status(
    feishu_box: FeishuBox, api: FeishuApi, http_status: int
) -> None:
    answer_with(feishu_box, SEND, action="code", http_status=http_status, code=230002, msg="not in the chat")
    with pytest.raises(RecipientUnreachable, match="not in the chat") as unreachable:
        await send(api)

    assert 230002 == unreachable.value.code


@pytest.mark.parametrize(
    "error, http_status", [(Refused, 200), (Refused, 400), (TemporaryFailure, 429), (OutcomeUnknown, 500)]
)
async def test_a_code_nobody_knows_is_sorted_by_its_http_status(
    feishu_box: FeishuBox, api: FeishuApi, error: type[CallError], http_status: int
) -> None:
    answer_with(feishu_box, SEND, action="code", http_status=http_status, code=4711, msg="quite new")
    with pytest.raises(CallError, match="quite new") as failed:
        await send(api)

    assert error is type(failed.value)
    assert 4711 == failed.value.code


@pytest.mark.parametrize(
    "body", [HTML, "", "null", "[]", "{}", '{"code": "0"}', '{"code": 1e99999999999999999999}']
)
async def test_an_answer_that_is_not_feishus_leaves_the_outcome_open(
    feishu_box: FeishuBox, api: FeishuApi, body: str
) -> None:
    for status in (200, 502):
        answer_with(feishu_box, SEND, action="http", status=status, body=body, times=1)
        with pytest.raises(OutcomeUnknown, match=f"HTTP {status} without a Feishu answer"):
            await send(api)


@pytest.mark.parametrize("status", [302, 404, 413])
async def test_a_gateway_that_turns_the_call_away_has_not_carried_it_out(
    feishu_box: FeishuBox, api: FeishuApi, status: int
) -> None:
    headers = {"Location": "http://127.0.0.1:1/elsewhere"}
    answer_with(feishu_box, SEND, action="http", status=status, body=HTML, headers=headers)
    with pytest.raises(TemporaryFailure, match=f"HTTP {status}"):
        await send(api)


async def test_a_code_0_under_a_server_error_is_not_believed(feishu_box: FeishuBox, api: FeishuApi) -> None:
    answer_with(
        feishu_box, SEND, action="http", status=500, body='{"code": 0, "data": {"message_id": "om_1"}}'
    )
    with pytest.raises(OutcomeUnknown, match="HTTP 500 with body code 0"):
        await send(api)


@pytest.mark.parametrize("data", ["{}", "[]", "null", '{"message_id": ""}', '{"message_id": 7}'])
async def test_a_send_whose_answer_names_no_message_leaves_the_outcome_open(
    feishu_box: FeishuBox, api: FeishuApi, data: str
) -> None:
    answer_with(feishu_box, SEND, action="http", status=200, body=f'{{"code": 0, "data": {data}}}')
    with pytest.raises(OutcomeUnknown, match="names no message"):
        await send(api)


async def test_a_connection_that_is_refused_means_nothing_was_done(
    access: AppAccess, clock: FakeClock
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    async with FeishuApi(replace(access, base_url=f"http://127.0.0.1:{port}"), clock) as api:
        with pytest.raises(TemporaryFailure, match=f"no connection to http://127.0.0.1:{port}") as put_off:
            await send(api)

    assert put_off.value.affects_whole_app


@pytest.mark.parametrize(
    "carried_out, action", [(0, "reset"), (1, "reset_after"), (1, "truncate"), (0, "hang"), (1, "hang_after")]
)
async def test_a_lost_answer_is_asked_for_again_with_the_same_uuid_and_no_second_message(
    feishu_box: FeishuBox, hurried_api: FeishuApi, carried_out: int, action: str
) -> None:
    answer_with(feishu_box, SEND, action=action, times=1)
    with pytest.raises(OutcomeUnknown):
        await send(hurried_api)

    assert carried_out == len(feishu_box.all_messages())

    created = await send(hurried_api)
    assert [created.message_id] == [message["message_id"] for message in feishu_box.all_messages()]


async def test_a_call_that_hangs_is_given_up_after_our_time(
    feishu_box: FeishuBox, hurried_api: FeishuApi
) -> None:
    answer_with(feishu_box, READ, action="hang")
    with pytest.raises(OutcomeUnknown, match=r"no answer within 0\.5 s"):
        await read(hurried_api)


@pytest.mark.parametrize(
    "pause, headers",
    [
        (3, {"x-ogw-ratelimit-reset": "3"}),
        (0.5, {"X-OGW-RateLimit-Reset": "0.5"}),
        (None, {}),
        (None, {"x-ogw-ratelimit-reset": "soon"}),
        (None, {"x-ogw-ratelimit-reset": "-1"}),
        (None, {"x-ogw-ratelimit-reset": "nan"}),
        (3600, {"x-ogw-ratelimit-reset": "1e9"}),
    ],
)
async def test_too_many_calls_put_off_the_whole_app_as_long_as_feishu_asks(
    feishu_box: FeishuBox, api: FeishuApi, pause: float | None, headers: dict[str, str]
) -> None:
    answer_with(feishu_box, SEND, action="code", http_status=429, code=99991400, headers=headers)
    with pytest.raises(TemporaryFailure) as put_off:
        await send(api)

    assert (True, pause) == (put_off.value.affects_whole_app, put_off.value.retry_after_seconds)


@pytest.mark.parametrize("pause, headers", [(3, {"x-ogw-ratelimit-reset": "3"}), (1, {})])
async def test_a_gateways_own_429_puts_off_the_whole_app(
    feishu_box: FeishuBox, api: FeishuApi, pause: float, headers: dict[str, str]
) -> None:
    answer_with(feishu_box, SEND, action="http", status=429, body=HTML, headers=headers)
    with pytest.raises(TemporaryFailure) as put_off:
        await send(api)

    assert (True, pause) == (put_off.value.affects_whole_app, put_off.value.retry_after_seconds)


async def test_too_many_messages_to_one_person_put_off_only_that_person(
    feishu_box: FeishuBox, api: FeishuApi
) -> None:
    answer_with(feishu_box, SEND, action="code", code=230020, receive_id=LIN)
    with pytest.raises(TemporaryFailure) as put_off:
        await send(api)

    assert (False, 1) == (put_off.value.affects_whole_app, put_off.value.retry_after_seconds)
    assert "" != (await send(api, to="ou_sandbox_chen")).message_id


async def test_a_missing_scope_is_named_with_the_way_out(feishu_box: FeishuBox, api: FeishuApi) -> None:
    feishu_box.set_scopes(["im:message:send_as_bot"])
    with pytest.raises(Refused) as refused:
        await read(api)

    assert 99991672 == refused.value.code
    assert "hire:referral_account" in refused.value.reason
    assert "publish an app version" in refused.value.reason


@pytest.mark.parametrize(
    "fault",
    [
        {"action": "code", "code": 230002},
        {"action": "code", "http_status": 429, "code": 99991400},
        {"action": "code", "http_status": 500, "code": 4711},
        {"action": "http", "status": 404, "body": HTML},
        {"action": "http", "status": 429, "body": HTML},
        {"action": "http", "status": 502, "body": HTML},
        {"action": "http", "status": 500, "body": '{"code": 0}'},
        {"action": "http", "status": 200, "body": '{"code": 0, "data": {}}'},
    ],
)
async def test_every_answered_failure_keeps_the_log_id(
    feishu_box: FeishuBox, api: FeishuApi, fault: dict[str, object]
) -> None:
    answer_with(feishu_box, SEND, **fault)
    with pytest.raises(CallError) as failed:
        await send(api)

    (line,) = feishu_box.requests(SEND_PATH)
    assert line["log_id"] == failed.value.log_id
    assert f"[log id {line['log_id']}]" in str(failed.value)


@pytest.mark.parametrize("match", [SEND, TOKEN])
@pytest.mark.parametrize(
    "fault",
    [
        {"action": "code", "code": 230001},
        {"action": "code", "code": 99991663},
        {"action": "code", "code": 10015},
        {"action": "http", "status": 502, "body": HTML},
        {"action": "reset"},
        {"action": "truncate"},
        {"action": "hang"},
    ],
)
async def test_no_error_tells_the_secret_or_the_token(
    feishu_box: FeishuBox, access: AppAccess, clock: FakeClock, match: str, fault: dict[str, object]
) -> None:
    async with FeishuApi(replace(access, timeout_seconds=SHORT_SECONDS), clock) as api:
        token = await api.token()
        clock.advance(seconds=7200)
        answer_with(feishu_box, match, **fault)
        with pytest.raises(CallError) as failed:
            await send(api)

    told = "".join(traceback.format_exception(failed.value)) + repr(failed.value)
    assert feishu_box.app_secret not in told
    assert token not in told


def test_the_access_does_not_show_its_secret(access: AppAccess) -> None:
    assert access.app_secret not in repr(access)
    assert access.app_secret not in str(access)


async def test_an_app_that_is_refused_as_a_whole_is_said_once_until_a_call_is_taken_again(
    feishu_box: FeishuBox, api: FeishuApi, caplog: pytest.LogCaptureFixture
) -> None:
    feishu_box.start_fault("refuse_app", match=READ)
    for _ in range(3):
        with pytest.raises(AppSuspended):
            await read(api)
    refused = api.app_status.refusal_reason
    feishu_box.end_all_faults()
    await read(api)

    assert "next step: ask the administrator to enable the app" in str(refused)
    assert api.app_status.refusal_reason is None
    assert ["feishu.app_refused", "feishu.app_accepted"] == caplog.messages


@pytest.mark.parametrize("code, is_welcome", [(1002002, True), (2200, False), (99991400, False)])
async def test_a_call_that_is_judged_by_what_it_asks_for_shows_that_the_app_is_welcome(
    feishu_box: FeishuBox, api: FeishuApi, code: int, *, is_welcome: bool
) -> None:
    for answer in (99991662, code):
        feishu_box.start_fault("refuse_app", code=answer, match=READ, times=1)
        with pytest.raises(CallError):
            await read(api)

    assert is_welcome is (api.app_status.refusal_reason is None)


async def test_calls_that_wait_for_a_token_share_one_request_and_its_failure(
    feishu_box: FeishuBox, access: AppAccess, clock: FakeClock
) -> None:
    """One after the other, 64 calls would wait for 640 s while the endpoint hangs."""
    async with FeishuApi(replace(access, timeout_seconds=1), clock) as api:
        hanging = feishu_box.add_call_fault({"match": f"POST {TOKEN_PATH}", "action": "hang", "seconds": 30})
        async with asyncio.timeout(10):
            outcomes = await asyncio.gather(
                *(send(api, uuid=f"u-{number}") for number in range(12)), return_exceptions=True
            )

        assert 1 == feishu_box.count_call_fault_hits(hanging)
        assert all(isinstance(outcome, TemporaryFailure) for outcome in outcomes)
        feishu_box.clear_call_faults()
        assert (await send(api)).message_id


async def test_a_repeat_that_would_come_too_late_is_not_made(
    feishu_box: FeishuBox, api: FeishuApi, clock: FakeClock
) -> None:
    """Feishu would have forgotten the uuid, and the message would arrive twice."""
    content = Content(variant=CardVariant.TEXT, msg_type="text", body=json.dumps({"text": "hi"}))
    sender = FeishuMessageSender(api)

    with pytest.raises(TemporaryFailure, match="too late"):
        await sender.send(content, id_type="open_id", receive_id=LIN, uuid="u", not_after=clock.millis)
    assert [] == feishu_box.messages(LIN)
    await sender.send(content, id_type="open_id", receive_id=LIN, uuid="u", not_after=clock.millis + 1)
    assert 1 == len(feishu_box.messages(LIN))


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
async def test_calls_to_this_machine_never_pass_a_proxy(
    access: AppAccess,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
) -> None:
    """It would read the app's secret."""
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        monkeypatch.setenv(variable, f"http://127.0.0.1:{proxy.getsockname()[1]}")
        async with FeishuApi(access, clock) as api:
            assert (await send(api)).message_id
        await discover(access)
        proxy.settimeout(0)
        with pytest.raises(BlockingIOError):
            proxy.accept()


@pytest.mark.parametrize(
    "url, expected",
    [
        ("http://127.0.0.1:8900", True),
        ("http://[::1]:8900", True),
        ("http://localhost", True),
        ("http://127.9.9.9", True),
        ("https://open.feishu.cn", False),
        ("http://localhost.example.com", False),
        ("http://10.0.0.1", False),
    ],
)
def test_what_is_on_this_machine(url: str, expected: bool) -> None:  # noqa: FBT001 - one column of the table
    assert expected is is_loopback(url)
