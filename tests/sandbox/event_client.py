"""An app with the official SDK: prints each event about messages and chats as its own models understand it."""

import json
import sys
from collections.abc import Callable
from typing import Any

import lark_oapi as lark

HANDLERS = (
    "im_message_receive_v1",
    "im_message_message_read_v1",
    "im_message_recalled_v1",
    "im_message_reaction_created_v1",
    "im_message_reaction_deleted_v1",
    "im_chat_member_bot_added_v1",
    "im_chat_member_bot_deleted_v1",
    "im_chat_member_user_added_v1",
    "im_chat_member_user_deleted_v1",
    "im_chat_member_user_withdrawn_v1",
    "im_chat_access_event_bot_p2p_chat_entered_v1",
    "im_chat_updated_v1",
    "im_chat_disbanded_v1",
    "application_bot_menu_v6",
    "hire_referral_account_assets_update_v1",
)


def print_event(event: Any) -> None:
    shown = {"event_id": event.header.event_id, "event": json.loads(lark.JSON.marshal(event.event))}
    print(json.dumps(shown), flush=True)  # noqa: T201


def main(url: str, app_id: str, app_secret: str) -> None:
    builder = lark.EventDispatcherHandler.builder("", "")
    for name in HANDLERS:
        register: Callable[..., Any] = getattr(builder, f"register_p2_{name}")
        register(print_event)
    level = lark.LogLevel.CRITICAL
    lark.ws.Client(app_id, app_secret, event_handler=builder.build(), domain=url, log_level=level).start()


if __name__ == "__main__":
    main(*sys.argv[1:])
