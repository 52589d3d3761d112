"""A small app with the official SDK: prints each balance event, sends a text, and answers clicks."""

import json
import sys
import threading
from typing import Any

import lark_oapi as lark
from lark_oapi.api.im.v1 import CreateMessageRequest, CreateMessageRequestBody
from lark_oapi.event.callback.model.p2_card_action_trigger import P2CardActionTriggerResponse


def main(url: str, app_id: str, app_secret: str) -> None:
    api = lark.Client.builder().app_id(app_id).app_secret(app_secret).domain(url).build()

    def send() -> None:
        body = CreateMessageRequestBody.builder().receive_id("ou_sandbox_lin").msg_type("text")
        body = body.content(json.dumps({"text": "balance changed"})).uuid("once")
        request = CreateMessageRequest.builder().receive_id_type("open_id").request_body(body.build()).build()
        print("sent", api.im.v1.message.create(request).code, flush=True)  # noqa: T201

    def on_event(event: Any) -> None:
        bonus = event.event.assets.confirmed_bonus
        cash = bonus.cash_bonus[0]
        columns = (
            event.header.event_id,
            event.event.account_id,
            bonus.point_bonus,
            cash.currency_type,
            cash.amount,
        )
        print("event", *columns, flush=True)  # noqa: T201
        threading.Thread(target=send).start()

    def on_click(click: Any) -> Any:
        card = {"schema": "2.0", "config": {"update_multi": True}, "body": {"elements": [{"tag": "hr"}]}}
        toast = {"type": "info", "content": click.event.action.value["op"]}
        return P2CardActionTriggerResponse({"toast": toast, "card": {"type": "raw", "data": card}})

    handler = lark.EventDispatcherHandler.builder("", "")
    handler = handler.register_p2_hire_referral_account_assets_update_v1(on_event)
    handler = handler.register_p2_card_action_trigger(on_click)
    level = lark.LogLevel.CRITICAL
    lark.ws.Client(app_id, app_secret, event_handler=handler.build(), domain=url, log_level=level).start()


if __name__ == "__main__":
    main(*sys.argv[1:])
