"""The clients that the notifier is compared with. Each run is a process of its own.

    python tests/support/reference_client.py MODE CONFIG

CONFIG is a JSON object with url, app_id, app_secret, chat_id, content (of a card) and calls. The modes:

sdk_send: sends cards one after another with the SDK's async call. Prints the CPU time of one call.
bare: sends them with a pooled HTTP client, without any other work. Prints the milliseconds of each call.
sdk_inline: receives events with the SDK's client; the handler sends a card with the SDK. Runs until it is killed.
sdk_empty: the same with a handler that does nothing.
"""

import asyncio
import json
import sys
import time
import uuid
from typing import Any

import aiohttp

Settings = dict[str, Any]
WARM_UP_CALLS = 3


def sdk_client(settings: Settings) -> Any:
    import lark_oapi as lark  # noqa: PLC0415 - the bare client does without its 170 MB

    client = lark.Client.builder().app_id(settings["app_id"]).app_secret(settings["app_secret"])
    return client.domain(settings["url"]).log_level(lark.LogLevel.ERROR).build()


def sdk_request(settings: Settings) -> Any:
    from lark_oapi.api.im.v1 import (  # noqa: PLC0415 - see above
        CreateMessageRequest,
        CreateMessageRequestBody,
    )

    body = (
        CreateMessageRequestBody.builder()
        .receive_id(settings["chat_id"])
        .msg_type("interactive")
        .content(settings["content"])
        .uuid(uuid.uuid4().hex)
        .build()
    )
    return CreateMessageRequest.builder().receive_id_type("chat_id").request_body(body).build()


async def sdk_send(settings: Settings) -> None:
    client = sdk_client(settings)

    async def send(calls: int) -> float:
        started = time.process_time()
        for _ in range(calls):
            answer = await client.im.v1.message.acreate(sdk_request(settings))
            assert answer.success(), answer.msg
        return (time.process_time() - started) * 1000 / calls

    await send(WARM_UP_CALLS)
    print(json.dumps({"cpu_ms": await send(settings["calls"])}))  # noqa: T201 - read by the parent


async def bare(settings: Settings) -> None:
    access = {"app_id": settings["app_id"], "app_secret": settings["app_secret"]}
    took: list[float] = []
    async with aiohttp.ClientSession(settings["url"]) as session:
        async with session.post("/open-apis/auth/v3/tenant_access_token/internal", json=access) as answer:
            token = (await answer.json())["tenant_access_token"]
        for _ in range(WARM_UP_CALLS + settings["calls"]):
            message = {
                "receive_id": settings["chat_id"],
                "msg_type": "interactive",
                "content": settings["content"],
                "uuid": uuid.uuid4().hex,
            }
            started = time.perf_counter()
            async with session.post(
                "/open-apis/im/v1/messages?receive_id_type=chat_id",
                json=message,
                headers={"Authorization": f"Bearer {token}"},
            ) as answer:
                content = await answer.json()
            took.append(1000 * (time.perf_counter() - started))
            assert content["code"] == 0, content
    print(json.dumps({"ms": took[WARM_UP_CALLS:]}))  # noqa: T201 - read by the parent


def sdk_receive(settings: Settings, *, sends: bool) -> None:
    import lark_oapi as lark  # noqa: PLC0415 - see above

    client = sdk_client(settings)

    def handle(_event: object) -> None:
        if sends:
            client.im.v1.message.create(sdk_request(settings))

    handler = lark.EventDispatcherHandler.builder("", "")
    handler = handler.register_p2_hire_referral_account_assets_update_v1(handle)
    lark.ws.Client(
        settings["app_id"],
        settings["app_secret"],
        event_handler=handler.build(),
        domain=settings["url"],
        log_level=lark.LogLevel.ERROR,
    ).start()


def main() -> None:
    mode, settings = sys.argv[1], json.loads(sys.argv[2])
    match mode:
        case "sdk_send":
            asyncio.run(sdk_send(settings))
        case "bare":
            asyncio.run(bare(settings))
        case "sdk_inline" | "sdk_empty":
            sdk_receive(settings, sends=mode == "sdk_inline")
        case _:
            raise SystemExit(f"unknown mode {mode}")


if __name__ == "__main__":
    main()
